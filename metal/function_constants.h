// The function constants of all kernels, to which a pipeline gives values, and what follows from them.
//
// They stand at global scope, as in every kernel that is known to have passed Apple's compiler. A pipeline needs values
// for those alone that its kernel reads.
#pragma once

#include <metal_stdlib>

#include "params.h"

using namespace fused_attn; // whose enumerators number them

constant uint mask_kind [[function_constant(kMaskKindConstant)]]; ///< a MaskKind
constant bool limits_keys [[function_constant(kLimitsKeysConstant)]];
constant bool has_alibi [[function_constant(kHasAlibiConstant)]];
constant bool has_softcap [[function_constant(kHasSoftcapConstant)]];
constant bool has_sinks [[function_constant(kHasSinksConstant)]];
constant uint block_size [[function_constant(kBlockSizeConstant)]]; ///< tokens of a block, paged calls
constant bool is_split [[function_constant(kIsSplitConstant)]];     ///< decode: partial results are written
/// Whether all rows of key and value begin at multiples of 16 bytes, as they do unless somebody cut views out of the
/// middle of rows. Others are loaded in vectors of elements, which need not be aligned.
constant bool has_aligned_rows [[function_constant(kAlignedRowsConstant)]];
constant bool is_part [[function_constant(kIsPartConstant)]]; ///< the dispatch does a part of its launch's grid

constant bool has_mask = mask_kind != kNoMask;
constant bool has_additive_mask = mask_kind > kBoolMask;
constant bool is_whole = !is_split;
/// Whether scores are multiplied by the scale one by one, in place of in the exponential.
constant bool scores_are_scaled = has_softcap || has_alibi || has_additive_mask;

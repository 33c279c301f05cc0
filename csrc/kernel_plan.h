// Which kernels a call launches: file, macros, function constants, grid, and how often a sequence's keys are split.
//
// Pure arithmetic on sizes: no tensors, no Metal. Every choice is in the tables of kernel_plan.cpp; kernels contain no
// policy, and the backend encodes what it finds here.
#pragma once

#include "../metal/params.h"
#include "launch_parts.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fused_attn {

/// Type of query, key, value and out.
enum class Element { kHalf, kBfloat, kFloat };

/// Where a sequence's keys and values lie; the numbers are FUSED_ATTN_KV_SOURCE.
enum class KvSource : int { kDense = 0, kPacked = 1, kPaged = 2 };

/// What the plan depends on of a GPU.
struct Gpu {
  int64_t family; ///< n of MTLGPUFamilyApple<n>: 7 for M1, 8 for M2, 9 for M3 and M4, 10 for M5
  int64_t cores;
};

/// Most bytes of threadgroup memory that a pipeline may have.
inline constexpr int64_t kMaxThreadgroupBytes = 32768;
/// Kernels take head dims that are a multiple of this; the host pads others.
inline constexpr int64_t kHeadDimMultiple = 8;
/// Most rows (queries that share a kv head's keys) and most query tokens that the decode kernel takes.
inline constexpr int64_t kMaxDecodeRows = 32;
inline constexpr int64_t kMaxDecodeTokens = 8;

/// One attention call, as far as the choice of kernels depends on it.
struct AttentionProblem {
  Element element;
  KvSource source;
  int64_t batch, num_heads, num_kv_heads;
  int64_t len_q;   ///< of the longest sequence
  int64_t len_k;   ///< of the longest sequence, or a bound where only the device knows it
  int64_t total_q; ///< packed and paged calls: rows of query
  int64_t head_dim, head_dim_v;
  int64_t window_left;                     ///< keys visible before the query's position; no limit from len_k on
  int64_t window_right = kUnlimitedWindow; ///< the same after it
  bool is_top_left = false;                ///< dense calls: query i sits at position i in place of i + len_k - len_q
  int64_t block_size = 1;                  ///< paged calls
  MaskKind mask = kNoMask;
  int64_t mask_batch = 1, mask_heads = 1; ///< distinct masks: 1 where a dimension is broadcast
  bool limits_keys = false, has_alibi = false, has_softcap = false, has_sinks = false;
  bool has_aligned_rows = false; ///< all rows of key and value begin at multiples of 16 bytes
};

/// A preprocessor macro of a library.
struct Macro {
  const char* name;
  std::string value;
};

/// A function constant of a pipeline: a bool or a uint.
struct Constant {
  uint32_t index; ///< an AttentionConstant
  bool is_bool;
  uint32_t value;
};

/// A kernel, and everything that it is specialised for.
struct Kernel {
  const char* file; ///< in metal/
  const char* name;
  std::vector<Macro> macros;
  std::vector<Constant> constants;
};

/// What the library of a kernel, a file with its macros, is called as a file without a suffix: "reduce-half-64".
std::string library_file_name(const Kernel& kernel);

/// A run of a kernel over a grid: one dispatch, or several of its parts.
struct Launch {
  Kernel kernel{};
  std::array<int64_t, 3> threadgroups{};
  int64_t threads = 0;           ///< of a threadgroup
  int64_t threadgroup_bytes = 0; ///< that the kernel declares, at most
  std::optional<Work> work{};    ///< of kernels that can be cut, which know where a part begins (kIsPartConstant)

  Parts parts() const { return {threadgroups, work}; }
};

/// The launches of a call, in their order.
struct AttentionPlan {
  std::optional<Launch> mask_tiles; ///< labels the tiles of a mask
  Launch attention;
  std::optional<Launch> merge; ///< joins the parts of split keys

  bool is_decode;
  int64_t query_tile;     ///< rows of a threadgroup; decode: rows of a kv head, padding included
  int64_t key_tile;       ///< keys of a threadgroup's step, or of a simdgroup's where these go their own ways
  int64_t num_splits;     ///< parts that a sequence's keys are split into, at most
  int64_t keys_per_split; ///< at least so many for a part, a multiple of key_tile; sequences differ in length
  /// Labels of mask_tiles: [mask_batch, mask_heads, query tiles, key tiles]; 0 without.
  std::array<int64_t, 4> label_sizes;
};

/// `max_seconds` is how long a dispatch of a kernel that can be cut may take by the model, more than 0. Requires batch,
/// num_heads, len_q and len_k of at least 1, and head dims that are multiples of kHeadDimMultiple.
AttentionPlan plan_attention(const AttentionProblem& problem, const Gpu& gpu, double max_seconds = kMaxDispatchSeconds);

/// Requires head_dim, len_q, num_heads and batch of at least 1.
Launch plan_merge_states(Element element, int64_t head_dim, int64_t len_q, int64_t num_heads, int64_t batch);

/// Requires at least one token.
Launch plan_reshape_and_cache(int64_t tokens);
/// `units` are the loads that a block takes. Requires at least one pair.
Launch plan_copy_blocks(int64_t pairs, int64_t units);

} // namespace fused_attn

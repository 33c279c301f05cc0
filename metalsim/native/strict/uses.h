// What a source uses of Metal's library and language, in Metal's words, for the table of witnesses
// (metalsim/witnesses.py).
#pragma once

#include "source_text.h"

#include "clang/AST/ASTContext.h"
#include <string>

namespace metalsim::strict {

/// Write a line `FILE:LINE<tab>KEY` to the file `output` for each use, in the order of the walk and each once. Code in
/// templates is listed as it is instantiated. Keys begin with their kind:
///
///   function max(float, float)              the overload that was taken; template arguments that were written follow
///                                           the name: as_type<float2>(uint2)
///   type packed_uint4
///   constant mem_flags::mem_threadgroup     an enumerator
///   constructor float4(float2, float2)      of several parts
///   conversion half4 -> float4              explicit, constructors of one part included
///   implicit conversion float -> float4     to or from a vector, half or bfloat
///   operator *(float2, float)               with a vector, half or bfloat, or a class of the library
///   component uint4.xy, index uint4[]
///   reinterpret_cast device uchar* -> device uint4*   const is left out
///   form ...                                what the language gives, where address spaces or function constants make
///                                           it other than C++'s, or no other kernel is sure to do the same
void write_uses(clang::ASTContext& ast, const SourceText& text, const std::string& output);

} // namespace metalsim::strict

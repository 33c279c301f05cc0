// What diagnostics call types and address spaces: Metal's words, not clang's.
#pragma once

#include "clang/AST/Type.h"
#include <string>

namespace metalsim::strict {

/// device, constant, threadgroup or thread.
std::string metal_name(clang::LangAS space);

/// The type if it is that of a matrix' thread_elements(), which no other vector has, or null.
const clang::ExtVectorType* matrix_elements(clang::QualType type);

/// float4 for what clang calls `float __attribute__((ext_vector_type(4)))`.
std::string metal_name(clang::QualType type);

/// A message of clang with Metal's names of address spaces and types.
std::string in_metal_words(llvm::StringRef message);

/// The address space of an object; an array is where its elements are.
clang::LangAS space_of(clang::QualType type);

/// The address space that a pointer or a reference leads to.
clang::LangAS pointee_space(clang::QualType type);

} // namespace metalsim::strict

// What types are called in the list of uses: canonical, so that a use has one name whatever aliases lead to it.
#pragma once

#include "clang/AST/DeclCXX.h"
#include <string>

namespace metalsim::strict {

/// simdgroup_matrix<half, 8, 8>; packed_uint4 and bool4, which are classes of the shim, as Metal calls them.
std::string name_of_class(const clang::CXXRecordDecl* record);

/// The type without const, and without reference; enumerations of the source are "enum".
std::string name_of(clang::QualType type);

} // namespace metalsim::strict

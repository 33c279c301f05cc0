// Where the kernels are: as source, which is compiled on the Mac that runs it, and some as libraries that are compiled.
#pragma once

#include <string>

namespace fused_attn::mps {

/// The source of a file in the metal/ folder, with each header that it includes by "name.h" in its place, once.
///
/// Metal compiles text from memory and cannot look for headers; `#line` keeps its messages true to the files.
/// Throws c10::Error, naming the file and where it was looked for, if one cannot be read.
std::string metal_source(const std::string& file);

/// The file of a library that was compiled when the package was built, or "" where there is none.
///
/// `name` is kernel_plan's library_file_name. Such a library is there only for common calls, and only if the package
/// was built where Metal's compiler is (setup.py).
std::string packed_library(const std::string& name);

} // namespace fused_attn::mps

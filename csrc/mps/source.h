// The text of the kernels, which travel as source and are compiled on the Mac that runs them.
#pragma once

#include <string>

namespace fused_attn::mps {

/// The source of a file in the metal/ folder, with each header that it includes by "name.h" in its place, once.
///
/// Metal compiles text from memory and cannot look for headers; `#line` keeps its messages true to the files.
/// Throws c10::Error, naming the file and where it was looked for, if one cannot be read.
std::string metal_source(const std::string& file);

} // namespace fused_attn::mps

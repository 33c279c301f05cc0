#include "source.h"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

namespace fused_attn::mps {
namespace {

/// The folder of the library that this function was linked into.
std::string library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&library_folder), &info) == 0 || info.dli_fname == nullptr) {
    return ".";
  }
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

/// Where metal/ may be: FUSED_ATTN_METAL_FOLDER if it is set, next to the extension in an installed package, one level
/// up in a checkout whose extension was built in place.
std::vector<std::string> candidate_folders() {
  if (const char* chosen = std::getenv("FUSED_ATTN_METAL_FOLDER")) {
    return {chosen};
  }
  const std::string package = library_folder();
  return {package + "/metal", package + "/../metal"};
}

std::string read(const std::string& file) {
  std::string looked_for;
  for (const std::string& folder : candidate_folders()) {
    const std::string path = folder + "/" + file;
    std::ifstream stream(path, std::ios::binary);
    if (stream) {
      std::ostringstream text;
      text << stream.rdbuf();
      return text.str();
    }
    looked_for += (looked_for.empty() ? "" : " and ") + path;
  }
  TORCH_CHECK(false, "fused_attn: the Metal source ", file, " cannot be read from ", looked_for,
              "; reinstall torch_fused_attn, which brings it along");
}

/// The name in `#include "name"`, or nothing for any other line.
std::string_view included_name(std::string_view line) {
  const size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string_view::npos || line[hash] != '#') {
    return {};
  }
  const size_t word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string_view::npos || line.compare(word, 7, "include") != 0) {
    return {};
  }
  const size_t open = line.find('"', word);
  const size_t close = open == std::string_view::npos ? open : line.find('"', open + 1);
  return close == std::string_view::npos ? std::string_view() : line.substr(open + 1, close - open - 1);
}

bool is_pragma_once(std::string_view line) {
  return line.rfind("#pragma once", 0) == 0;
}

/// Appends `file` to `text`, and what it includes and is not in `seen` yet. Every header is written once, as its
/// `#pragma once` asks for.
void expand(const std::string& file, std::set<std::string>& seen, std::string& text) {
  seen.insert(file);
  text += "#line 1 \"" + file + "\"\n";
  std::istringstream lines(read(file));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string header(included_name(line));
    if (!header.empty()) {
      if (seen.count(header) == 0) {
        expand(header, seen, text);
        text += "#line " + std::to_string(number + 1) + " \"" + file + "\"\n";
      } else {
        text += "\n";
      }
    } else {
      text += is_pragma_once(line) ? "\n" : line + "\n";
    }
  }
}

} // namespace

std::string packed_library(const std::string& name) {
  for (const std::string& folder : candidate_folders()) {
    const std::string path = folder + "/libraries/" + name + ".metallib";
    if (std::ifstream(path, std::ios::binary)) {
      return path;
    }
  }
  return "";
}

std::string metal_source(const std::string& file) {
  std::set<std::string> seen;
  std::string text;
  expand(file, seen, text);
  return text;
}

} // namespace fused_attn::mps

// Lines of source by llvm-symbolizer, which is started for addresses that have not been asked for before. The
// environment variable METALSIM_SYMBOLIZER names it where it is not `llvm-symbolizer-19`.
#include "symbolize.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <utility>

namespace metalsim {

namespace {

/// A library's file and an offset in it: what stays the same when the library is loaded again elsewhere.
using CodePlace = std::pair<std::string, uintptr_t>;

struct Cache {
  std::mutex mutex;
  std::map<CodePlace, SourceLocation> locations;
};

Cache& cache() {
  static Cache instance;
  return instance;
}

CodePlace place_of(uintptr_t address) {
  Dl_info information;
  if (!dladdr(reinterpret_cast<const void*>(address), &information) || !information.dli_fname) {
    return {};
  }
  return {information.dli_fname, address - reinterpret_cast<uintptr_t>(information.dli_fbase)};
}

std::string quoted_for_shell(const std::string& text) {
  std::string quoted = "'";
  for (char character : text) {
    quoted += character == '\'' ? "'\\''" : std::string(1, character);
  }
  return quoted + "'";
}

std::string symbolizer_command(const std::string& library, const std::vector<uintptr_t>& offsets) {
  const char* configured = std::getenv("METALSIM_SYMBOLIZER");
  std::string command = quoted_for_shell(configured ? configured : "llvm-symbolizer-19");
  command += " --inlines --relativenames --functions=none --obj=" + quoted_for_shell(library);
  for (uintptr_t offset : offsets) {
    char text[24];
    std::snprintf(text, sizeof text, " 0x%llx", static_cast<unsigned long long>(offset));
    command += text;
  }
  return command + " 2>/dev/null </dev/null";
}

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) {
    return output;
  }
  char buffer[1024];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) {
    output.append(buffer, count);
  }
  pclose(pipe);
  return output;
}

/// Reads "file:line:column"; the file is empty if the symbolizer did not know.
SourceLocation parse_frame(const std::string& frame) {
  const size_t column = frame.rfind(':');
  const size_t line = column == std::string::npos || column == 0 ? std::string::npos : frame.rfind(':', column - 1);
  if (line == std::string::npos || frame.compare(0, 2, "??") == 0) {
    return {};
  }
  return {frame.substr(0, line), static_cast<uint32_t>(std::strtoul(frame.c_str() + line + 1, nullptr, 10))};
}

bool is_of_user(const SourceLocation& location) {
  return location.line != 0 && location.file.find("/shim/") == std::string::npos;
}

/// Takes the frames of one address, innermost first, up to the empty line behind them.
SourceLocation take_location(const std::string& output, size_t& position) {
  SourceLocation location;
  while (position < output.size()) {
    const size_t end = std::min(output.find('\n', position), output.size());
    const std::string frame = output.substr(position, end - position);
    position = end + 1;
    if (frame.empty()) {
      break;
    }
    const SourceLocation candidate = parse_frame(frame);
    if (location.file.empty() && is_of_user(candidate)) {
      location = candidate;
    }
  }
  return location;
}

/// Fills in the cache. Its mutex is held.
void look_up(const std::vector<uintptr_t>& addresses) {
  std::map<std::string, std::vector<uintptr_t>> offsets_by_library;
  for (uintptr_t address : addresses) {
    const CodePlace place = place_of(address);
    // An entry made here keeps the same offset from being asked for twice.
    if (!place.first.empty() && cache().locations.emplace(place, SourceLocation()).second) {
      offsets_by_library[place.first].push_back(place.second);
    }
  }
  for (const auto& [library, offsets] : offsets_by_library) {
    const std::string output = output_of(symbolizer_command(library, offsets));
    size_t position = 0;
    for (uintptr_t offset : offsets) {
      cache().locations[{library, offset}] = take_location(output, position);
    }
  }
}

SourceLocation location_of(uintptr_t address) {
  const std::lock_guard<std::mutex> lock(cache().mutex);
  look_up({address});
  return cache().locations[place_of(address)];
}

/// A return address can belong to the line after the call's; the byte before it cannot.
uintptr_t call_before(const void* return_address) {
  return reinterpret_cast<uintptr_t>(return_address) - 1;
}

} // namespace

SourceLocation call_location(const void* return_address) {
  return location_of(call_before(return_address));
}

SourceLocation instruction_location(const void* address) {
  return location_of(reinterpret_cast<uintptr_t>(address));
}

void look_up_calls(const std::vector<const void*>& return_addresses) {
  std::vector<uintptr_t> addresses;
  for (const void* return_address : return_addresses) {
    addresses.push_back(call_before(return_address));
  }
  const std::lock_guard<std::mutex> lock(cache().mutex);
  look_up(addresses);
}

} // namespace metalsim

// What @available and __builtin_available ask, see apple/linux/darwin.h.
#include "availability.h"

#include "../metal/described_mac.h"

#include <cctype>
#include <cstdlib>
#include <string>
#include <strings.h>

namespace metalsim::foundation {

const char kIsAvailable[] = "available";

} // namespace metalsim::foundation

namespace metalsim {

namespace {

bool is_space(char letter) {
  return std::isspace(static_cast<unsigned char>(letter)) != 0;
}

/// The next element of "macOS 15.0, iOS 18, *", without the spaces around it. Advances `text`.
std::string next_platform(const char*& text) {
  while (is_space(*text) || *text == ',') {
    ++text;
  }
  std::string element;
  while (*text != '\0' && *text != ',') {
    element += *text++;
  }
  while (!element.empty() && is_space(element.back())) {
    element.pop_back();
  }
  return element;
}

} // namespace

bool metalsim_available(const char* platform_and_version) {
  for (const char* rest = platform_and_version; *rest != '\0';) {
    const std::string element = next_platform(rest);
    const size_t space = element.find(' ');
    const std::string platform = element.substr(0, space);
    if (strcasecmp(platform.c_str(), "macos") != 0 && strcasecmp(platform.c_str(), "macosx") != 0) {
      continue; // another system's version, or the star for all others
    }
    char* end = nullptr;
    const std::string version = space == std::string::npos ? "0" : element.substr(space + 1);
    const long major = strtol(version.c_str(), &end, 10);
    const long minor = *end == '.' ? strtol(end + 1, nullptr, 10) : 0;
    const DescribedMac mac = described_mac();
    return mac.macos_major > major || (mac.macos_major == major && mac.macos_minor >= minor);
  }
  return true;
}

} // namespace metalsim

const char* metalsim_availability(const char* platforms) {
  return metalsim::metalsim_available(platforms) ? metalsim::foundation::kIsAvailable : nullptr;
}

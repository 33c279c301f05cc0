// Writes JSON text: see json.h.
#include "json.h"

#include <cstdio>

namespace metalsim::json {

std::string string(std::string_view text) {
  std::string quoted = "\"";
  for (char character : text) {
    if (character == '"' || character == '\\') {
      quoted += '\\';
      quoted += character;
    } else if (static_cast<unsigned char>(character) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(character));
      quoted += escaped;
    } else {
      quoted += character;
    }
  }
  return quoted + '"';
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

std::string string_or_null(std::string_view text) {
  return text.empty() ? "null" : string(text);
}

void Object::add(std::string_view key, std::string_view value) {
  if (!members_.empty()) {
    members_ += ", ";
  }
  members_ += string(key);
  members_ += ": ";
  members_ += value;
}

} // namespace metalsim::json

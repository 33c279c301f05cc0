#include "unicode.h"

#include <algorithm>

namespace metalsim::foundation {

namespace {

constexpr uint32_t kReplacement = 0xfffd;
constexpr uint32_t kInvalid = ~0u;

/// The code point that starts at `position`, which moves behind it; kInvalid, and one byte on, if there is none.
uint32_t next_code_point(std::string_view text, size_t& position) {
  const auto byte = [text](size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned char first = byte(position);
  const size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (length == 0 || position + length > text.size()) {
    ++position;
    return kInvalid;
  }
  uint32_t point = length == 1 ? first : first & (0x7fu >> length);
  for (size_t index = 1; index < length; ++index) {
    const unsigned char next = byte(position + index);
    if (next >> 6 != 2) {
      ++position;
      return kInvalid;
    }
    point = point << 6 | (next & 0x3fu);
  }
  constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
    ++position;
    return kInvalid;
  }
  position += length;
  return point;
}

void append_utf8(std::string& text, uint32_t point) {
  const auto rest = [point](int shift) { return static_cast<char>(0x80 | (point >> shift & 0x3f)); };
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += {static_cast<char>(0xc0 | point >> 6), rest(0)};
  } else if (point < 0x10000) {
    text += {static_cast<char>(0xe0 | point >> 12), rest(6), rest(0)};
  } else {
    text += {static_cast<char>(0xf0 | point >> 18), rest(12), rest(6), rest(0)};
  }
}

} // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char letter) { return static_cast<unsigned char>(letter) < 0x80; });
}

bool is_valid_utf8(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    if (next_code_point(text, position) == kInvalid) {
      return false;
    }
  }
  return true;
}

std::u16string to_utf16(std::string_view text) {
  std::u16string units;
  for (size_t position = 0; position < text.size();) {
    uint32_t point = next_code_point(text, position);
    point = point == kInvalid ? kReplacement : point;
    if (point < 0x10000) {
      units += static_cast<char16_t>(point);
    } else {
      units += static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10));
      units += static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff));
    }
  }
  return units;
}

std::string to_utf8(std::u16string_view text) {
  std::string bytes;
  for (size_t index = 0; index < text.size(); ++index) {
    uint32_t point = text[index];
    const bool is_pair = point >= 0xd800 && point < 0xdc00 && index + 1 < text.size() && text[index + 1] >= 0xdc00 &&
                         text[index + 1] < 0xe000;
    if (is_pair) {
      point = 0x10000 + ((point - 0xd800) << 10) + (text[++index] - 0xdc00u);
    } else if (point >= 0xd800 && point < 0xe000) {
      point = kReplacement;
    }
    append_utf8(bytes, point);
  }
  return bytes;
}

size_t utf16_length(std::string_view text) {
  return is_ascii(text) ? text.size() : to_utf16(text).size();
}

} // namespace metalsim::foundation

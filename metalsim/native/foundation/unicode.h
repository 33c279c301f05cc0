// UTF-8 and UTF-16.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace metalsim::foundation {

bool is_valid_utf8(std::string_view text);
bool is_ascii(std::string_view text);
std::u16string to_utf16(std::string_view text);
std::string to_utf8(std::u16string_view text);
/// The number of UTF-16 units, NSString's length.
size_t utf16_length(std::string_view text);

} // namespace metalsim::foundation

// Foundation's strings seen from C++: their bytes in UTF-8.
#pragma once

#import <Foundation/Foundation.h>

#include <string>
#include <string_view>

namespace metalsim::foundation {

/// Valid as long as the string is neither freed nor changed. Null gives "(null)".
std::string_view text_of(NSString* string);
/// Owned by the caller.
NSString* new_string(std::string text);
/// Autoreleased.
NSString* string_with(std::string text);
/// %@, and printf's conversions but for %n. Throws std::invalid_argument for another one.
std::string formatted(NSString* format, va_list arguments);

} // namespace metalsim::foundation

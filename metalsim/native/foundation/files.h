// Reading files, with Foundation's errors.
#pragma once

#import <Foundation/Foundation.h>

#include <optional>
#include <string>

namespace metalsim::foundation {

// Codes of NSCocoaErrorDomain.
constexpr NSInteger kFileReadUnknown = 256;
constexpr NSInteger kFileReadNoSuchFile = 260;
constexpr NSInteger kFileReadInapplicableStringEncoding = 261;

NSError* file_error(NSString* path, NSInteger code, const char* problem);
/// The bytes of a file; nothing, and an error where one is wanted, if it cannot be read.
std::optional<std::string> contents_of_file(NSString* path, NSError** error);

} // namespace metalsim::foundation

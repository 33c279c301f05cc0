// The classes behind NSString.
#pragma once

#include "text.h"

@interface NSString (Text)
/// Valid as long as the string is neither freed nor changed; the byte behind it is zero.
@property(readonly) std::string_view metalsimText;
/// Gives a new string its text, and returns it.
- (instancetype)metalsimAssign:(std::string)text;
@end

/// What +[NSString alloc] makes.
@interface MetalsimString : NSString
@end

/// A literal: @"text".
__attribute__((visibility("default")))
@interface __NSCFConstantString : NSString
@end

namespace metalsim::foundation {

/// Throws std::out_of_range that names the call, unless the range lies inside of `length` elements.
void check_range(NSRange range, NSUInteger length, const char* call);

} // namespace metalsim::foundation

// NSString, over the text of whichever class is behind it.
#include "availability.h"
#include "files.h"
#include "string_internal.h"
#include "unicode.h"

#include <algorithm>
#include <objc/runtime.h>
#include <optional>
#include <stdexcept>

using namespace metalsim::foundation;

namespace {

/// The text in UTF-8, or nothing if the bytes are not of the encoding.
std::optional<std::string> decoded(const void* bytes, NSUInteger length, NSStringEncoding encoding) {
  const std::string text(static_cast<const char*>(bytes), length);
  switch (encoding) {
  case NSUTF8StringEncoding:
    return is_valid_utf8(text) ? std::optional(text) : std::nullopt;
  case NSASCIIStringEncoding:
    return is_ascii(text) ? std::optional(text) : std::nullopt;
  case NSISOLatin1StringEncoding: {
    std::u16string units;
    for (const char letter : text) {
      units += static_cast<char16_t>(static_cast<unsigned char>(letter));
    }
    return to_utf8(units);
  }
  case NSUTF16StringEncoding:
  case NSUTF16LittleEndianStringEncoding: {
    std::u16string units(length / 2, u'\0');
    memcpy(units.data(), bytes, units.size() * 2);
    return to_utf8(units);
  }
  default:
    throw std::invalid_argument("NSString: encoding " + std::to_string(encoding) +
                                " is not known here; it must be UTF-8, ASCII, ISO Latin 1 or UTF-16");
  }
}

std::optional<std::string> encoded(std::string_view text, NSStringEncoding encoding) {
  switch (encoding) {
  case NSUTF8StringEncoding:
    return std::string(text);
  case NSASCIIStringEncoding:
    return is_ascii(text) ? std::optional(std::string(text)) : std::nullopt;
  case NSUTF16StringEncoding:
  case NSUTF16LittleEndianStringEncoding: {
    const std::u16string units = to_utf16(text);
    return std::string(reinterpret_cast<const char*>(units.data()), units.size() * 2);
  }
  default:
    throw std::invalid_argument("NSString: encoding " + std::to_string(encoding) +
                                " is not known here; it must be UTF-8, ASCII or UTF-16");
  }
}

std::string mapped(std::string_view text, int (*map)(int)) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [map](unsigned char letter) { return static_cast<char>(letter < 0x80 ? map(letter) : letter); });
  return result;
}

} // namespace

@implementation NSString

+ (instancetype)alloc {
  return class_createInstance(self == [NSString class] ? [MetalsimString class] : self, 0);
}

- (instancetype)init {
  return [super init];
}

- (std::string_view)metalsimText {
  throw std::logic_error(std::string("-[") + class_getName(object_getClass(self)) +
                         " UTF8String]: subclasses of NSString are not supported; keep an NSString as a member");
}

- (instancetype)metalsimAssign:(std::string)text {
  throw std::logic_error(std::string("-[") + class_getName(object_getClass(self)) +
                         " initWithFormat:]: subclasses of NSString are not supported; keep an NSString as a member");
}

- (NSUInteger)length {
  return utf16_length(self.metalsimText);
}

- (unichar)characterAtIndex:(NSUInteger)index {
  const std::u16string units = to_utf16(self.metalsimText);
  check_range(NSMakeRange(index, 1), units.size(), "-[NSString characterAtIndex:]");
  return units[index];
}

- (NSString*)description {
  return self;
}

- (BOOL)isEqual:(id)object {
  return object == self || ([object isKindOfClass:[NSString class]] && [self isEqualToString:object]);
}

- (NSUInteger)hash {
  return std::hash<std::string_view>{}(self.metalsimText);
}

- (id)copyWithZone:(NSZone*)zone {
  return new_string(std::string(self.metalsimText));
}

- (id)mutableCopyWithZone:(NSZone*)zone {
  return [[NSMutableString alloc] metalsimAssign:std::string(self.metalsimText)];
}

@end

@implementation NSString (NSStringExtensionMethods)

- (NSString*)substringFromIndex:(NSUInteger)from {
  const NSUInteger length = self.length;
  check_range(NSMakeRange(from, 0), length, "-[NSString substringFromIndex:]");
  return [self substringWithRange:NSMakeRange(from, length - from)];
}

- (NSString*)substringToIndex:(NSUInteger)to {
  return [self substringWithRange:NSMakeRange(0, to)];
}

- (NSString*)substringWithRange:(NSRange)range {
  const std::u16string units = to_utf16(self.metalsimText);
  check_range(range, units.size(), "-[NSString substringWithRange:]");
  return string_with(to_utf8(std::u16string_view(units).substr(range.location, range.length)));
}

- (NSComparisonResult)compare:(NSString*)string {
  const int order = to_utf16(self.metalsimText).compare(to_utf16(text_of(string)));
  return order < 0 ? NSOrderedAscending : order > 0 ? NSOrderedDescending : NSOrderedSame;
}

- (NSComparisonResult)caseInsensitiveCompare:(NSString*)string {
  return [self.lowercaseString compare:string.lowercaseString];
}

- (BOOL)isEqualToString:(NSString*)string {
  return string != nil && self.metalsimText == text_of(string);
}

- (BOOL)hasPrefix:(NSString*)string {
  return string != nil && self.metalsimText.starts_with(text_of(string));
}

- (BOOL)hasSuffix:(NSString*)string {
  return string != nil && self.metalsimText.ends_with(text_of(string));
}

- (BOOL)containsString:(NSString*)string {
  return string != nil && self.metalsimText.find(text_of(string)) != std::string_view::npos;
}

- (NSRange)rangeOfString:(NSString*)string {
  const std::string_view text = self.metalsimText;
  const size_t found = string == nil ? std::string_view::npos : text.find(text_of(string));
  if (found == std::string_view::npos) {
    return NSMakeRange(NSNotFound, 0);
  }
  return NSMakeRange(utf16_length(text.substr(0, found)), string.length);
}

- (NSString*)stringByAppendingString:(NSString*)string {
  if (string == nil) {
    throw std::invalid_argument("-[NSString stringByAppendingString:]: got nil, it must be a string");
  }
  return string_with(std::string(self.metalsimText) + std::string(text_of(string)));
}

- (NSString*)stringByAppendingFormat:(NSString*)format, ... {
  va_list arguments;
  va_start(arguments, format);
  std::string text = formatted(format, arguments);
  va_end(arguments);
  return string_with(std::string(self.metalsimText) + text);
}

- (double)doubleValue {
  return strtod(self.UTF8String, nullptr);
}

- (float)floatValue {
  return strtof(self.UTF8String, nullptr);
}

- (int)intValue {
  return (int)std::clamp(self.longLongValue, (long long)INT_MIN, (long long)INT_MAX);
}

- (NSInteger)integerValue {
  return self.longLongValue;
}

- (long long)longLongValue {
  return strtoll(self.UTF8String, nullptr, 10);
}

- (BOOL)boolValue {
  const std::string_view text = self.metalsimText;
  const size_t first = text.find_first_not_of(" \t\n+-0");
  return first != std::string_view::npos && strchr("YyTt123456789", text[first]) != nullptr;
}

- (NSString*)uppercaseString {
  return string_with(mapped(self.metalsimText, toupper));
}

- (NSString*)lowercaseString {
  return string_with(mapped(self.metalsimText, tolower));
}

- (const char*)UTF8String {
  return self.metalsimText.data();
}

- (NSData*)dataUsingEncoding:(NSStringEncoding)encoding {
  const std::optional<std::string> bytes = encoded(self.metalsimText, encoding);
  return bytes ? [NSData dataWithBytes:bytes->data() length:bytes->size()] : nil;
}

- (BOOL)canBeConvertedToEncoding:(NSStringEncoding)encoding {
  return encoded(self.metalsimText, encoding).has_value();
}

- (const char*)cStringUsingEncoding:(NSStringEncoding)encoding {
  if (encoding == NSUTF8StringEncoding || is_ascii(self.metalsimText)) {
    return self.UTF8String;
  }
  const std::optional<std::string> bytes = encoded(self.metalsimText, encoding);
  return bytes ? (const char*)[NSData dataWithBytes:bytes->c_str() length:bytes->size() + 1].bytes : nullptr;
}

- (BOOL)getCString:(char*)buffer maxLength:(NSUInteger)maxBufferCount encoding:(NSStringEncoding)encoding {
  const std::optional<std::string> bytes = encoded(self.metalsimText, encoding);
  if (!bytes || bytes->size() + 1 > maxBufferCount) {
    return NO;
  }
  memcpy(buffer, bytes->c_str(), bytes->size() + 1);
  return YES;
}

- (NSUInteger)maximumLengthOfBytesUsingEncoding:(NSStringEncoding)encoding {
  return self.length * 3;
}

- (NSUInteger)lengthOfBytesUsingEncoding:(NSStringEncoding)encoding {
  const std::optional<std::string> bytes = encoded(self.metalsimText, encoding);
  return bytes ? bytes->size() : 0;
}

- (NSArray<NSString*>*)componentsSeparatedByString:(NSString*)separator {
  NSMutableArray<NSString*>* parts = [NSMutableArray array];
  const std::string_view text = self.metalsimText;
  const std::string_view between = text_of(separator);
  size_t start = 0;
  for (size_t end = 0; !between.empty() && (end = text.find(between, start)) != std::string_view::npos;) {
    [parts addObject:string_with(std::string(text.substr(start, end - start)))];
    start = end + between.size();
  }
  [parts addObject:string_with(std::string(text.substr(start)))];
  return parts;
}

- (NSString*)stringByReplacingOccurrencesOfString:(NSString*)target withString:(NSString*)replacement {
  const std::string_view text = self.metalsimText;
  const std::string_view wanted = text_of(target);
  std::string result;
  size_t start = 0;
  for (size_t end = 0; !wanted.empty() && (end = text.find(wanted, start)) != std::string_view::npos;) {
    result += text.substr(start, end - start);
    result += text_of(replacement);
    start = end + wanted.size();
  }
  return string_with(result + std::string(text.substr(start)));
}

- (instancetype)initWithString:(NSString*)string {
  return [[self init] metalsimAssign:std::string(text_of(string))];
}

- (instancetype)initWithFormat:(NSString*)format, ... {
  va_list arguments;
  va_start(arguments, format);
  std::string text = formatted(format, arguments);
  va_end(arguments);
  return [[self init] metalsimAssign:std::move(text)];
}

- (instancetype)initWithFormat:(NSString*)format arguments:(va_list)arguments {
  return [[self init] metalsimAssign:formatted(format, arguments)];
}

- (instancetype)initWithData:(NSData*)data encoding:(NSStringEncoding)encoding {
  return [self initWithBytes:data.bytes length:data.length encoding:encoding];
}

- (instancetype)initWithBytes:(const void*)bytes length:(NSUInteger)length encoding:(NSStringEncoding)encoding {
  std::optional<std::string> text = decoded(bytes, length, encoding);
  if (!text) {
    [self release];
    return nil;
  }
  return [[self init] metalsimAssign:std::move(*text)];
}

- (instancetype)initWithUTF8String:(const char*)text {
  return [self initWithCString:text encoding:NSUTF8StringEncoding];
}

- (instancetype)initWithCString:(const char*)text encoding:(NSStringEncoding)encoding {
  if (text == nullptr) {
    [self release];
    throw std::invalid_argument("-[NSString initWithCString:encoding:]: got NULL, it must be a string of C");
  }
  return [self initWithBytes:text length:strlen(text) encoding:encoding];
}

+ (instancetype)string {
  return [[[self alloc] init] autorelease];
}

+ (instancetype)stringWithString:(NSString*)string {
  return [[[self alloc] initWithString:string] autorelease];
}

+ (instancetype)stringWithUTF8String:(const char*)text {
  // Boxing a null pointer gives nil: how @available says no.
  if (text == nullptr || text == kIsAvailable) {
    return text == nullptr ? nil : (id) @"available";
  }
  return [[[self alloc] initWithUTF8String:text] autorelease];
}

+ (instancetype)stringWithFormat:(NSString*)format, ... {
  va_list arguments;
  va_start(arguments, format);
  std::string text = formatted(format, arguments);
  va_end(arguments);
  return [[[self alloc] metalsimAssign:std::move(text)] autorelease];
}

+ (instancetype)stringWithCString:(const char*)text encoding:(NSStringEncoding)encoding {
  return [[[self alloc] initWithCString:text encoding:encoding] autorelease];
}

+ (instancetype)stringWithContentsOfFile:(NSString*)path encoding:(NSStringEncoding)encoding error:(NSError**)error {
  const std::optional<std::string> bytes = contents_of_file(path, error);
  if (!bytes) {
    return nil;
  }
  NSString* string = [[[self alloc] initWithBytes:bytes->data() length:bytes->size() encoding:encoding] autorelease];
  if (string == nil && error != nullptr) {
    *error = file_error(path, kFileReadInapplicableStringEncoding,
                        "couldn’t be opened because its text encoding is not the one that was asked for");
  }
  return string;
}

+ (instancetype)stringWithContentsOfURL:(NSURL*)url encoding:(NSStringEncoding)encoding error:(NSError**)error {
  return [self stringWithContentsOfFile:url.path encoding:encoding error:error];
}

@end

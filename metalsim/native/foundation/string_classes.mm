// Strings that are literals, made at run time, and mutable.
#include "string_internal.h"

#include "../objc/objects.h"
#include "unicode.h"

#include <mutex>
#include <stdexcept>
#include <unordered_map>

using namespace metalsim::foundation;

namespace metalsim::foundation {

std::string_view text_of(NSString* string) {
  return string == nil ? std::string_view("(null)") : string.metalsimText;
}

NSString* new_string(std::string text) {
  return [[MetalsimString alloc] metalsimAssign:std::move(text)];
}

NSString* string_with(std::string text) {
  return [new_string(std::move(text)) autorelease];
}

void check_range(NSRange range, NSUInteger length, const char* call) {
  if (range.location > length || range.length > length - range.location) {
    throw std::out_of_range(std::string(call) + ": range {" + std::to_string(range.location) + ", " +
                            std::to_string(range.length) + "} out of bounds; it must lie in a length of " +
                            std::to_string(length));
  }
}

} // namespace metalsim::foundation

@implementation MetalsimString {
  std::string m_text;
}

- (instancetype)metalsimAssign:(std::string)text {
  m_text = std::move(text);
  return self;
}

- (std::string_view)metalsimText {
  return m_text;
}

- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}

@end

@implementation NSMutableString {
  std::string m_text;
}

- (instancetype)metalsimAssign:(std::string)text {
  m_text = std::move(text);
  return self;
}

- (std::string_view)metalsimText {
  return m_text;
}

- (void)replaceCharactersInRange:(NSRange)range withString:(NSString*)string {
  std::u16string units = to_utf16(m_text);
  check_range(range, units.size(), "-[NSMutableString replaceCharactersInRange:withString:]");
  units.replace(range.location, range.length, to_utf16(text_of(string)));
  m_text = to_utf8(units);
}

- (void)insertString:(NSString*)string atIndex:(NSUInteger)index {
  [self replaceCharactersInRange:NSMakeRange(index, 0) withString:string];
}

- (void)deleteCharactersInRange:(NSRange)range {
  [self replaceCharactersInRange:range withString:@""];
}

- (void)appendString:(NSString*)string {
  if (string == nil) {
    throw std::invalid_argument("-[NSMutableString appendString:]: got nil, it must be a string");
  }
  m_text += std::string(text_of(string)); // a copy: it may be this very string
}

- (void)appendFormat:(NSString*)format, ... {
  va_list arguments;
  va_start(arguments, format);
  m_text += formatted(format, arguments);
  va_end(arguments);
}

- (void)setString:(NSString*)string {
  m_text = std::string(text_of(string));
}

- (NSMutableString*)initWithCapacity:(NSUInteger)capacity {
  m_text.reserve(capacity);
  return self;
}

+ (NSMutableString*)stringWithCapacity:(NSUInteger)capacity {
  return [[[self alloc] initWithCapacity:capacity] autorelease];
}

@end

namespace {

/// What clang lays out for a literal.
struct ConstantString {
  void* isa;
  uint32_t flags;
  const void* characters;
  unsigned long length; ///< in units of one byte or, with kIsUtf16, of two
};

constexpr uint32_t kIsUtf16 = 0x10;

/// The UTF-8 of a literal with other characters than ASCII, made at its first use and kept.
std::string_view converted(const ConstantString* literal) {
  static auto* mutex = new std::mutex;
  static auto* texts = new std::unordered_map<const ConstantString*, std::string>;
  const std::lock_guard lock(*mutex);
  auto found = texts->find(literal);
  if (found == texts->end()) {
    const std::u16string_view units(static_cast<const char16_t*>(literal->characters), literal->length);
    found = texts->emplace(literal, to_utf8(units)).first;
  }
  return found->second;
}

} // namespace

@implementation __NSCFConstantString

+ (void)load {
  metalsim_has_uncounted_objects(self);
}

- (std::string_view)metalsimText {
  const auto* literal = (const ConstantString*)self;
  if ((literal->flags & kIsUtf16) != 0) {
    return converted(literal);
  }
  return {static_cast<const char*>(literal->characters), literal->length};
}

- (instancetype)retain {
  return self;
}

- (oneway void)release {
}

- (instancetype)autorelease {
  return self;
}

- (NSUInteger)retainCount {
  return NSUIntegerMax;
}

- (id)copyWithZone:(NSZone*)zone {
  return self;
}

@end

// clang refers to the class of literals by another symbol.
asm(".globl __CFConstantStringClassReference\n"
    ".set __CFConstantStringClassReference, OBJC_CLASS_$___NSCFConstantString\n");

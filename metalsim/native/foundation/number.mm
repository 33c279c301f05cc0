// NSValue and NSNumber.
#include "text.h"

#include <cmath>
#include <stdexcept>

using namespace metalsim::foundation;

@implementation NSValue {
  std::string m_bytes;
  std::string m_type;
}

+ (NSValue*)valueWithBytes:(const void*)value objCType:(const char*)type {
  NSUInteger size = 0;
  if (strcmp(type, @encode(void*)) == 0 || type[0] == '^') {
    size = sizeof(void*);
  } else if (strcmp(type, @encode(NSRange)) == 0) {
    size = sizeof(NSRange);
  } else {
    throw std::invalid_argument(std::string("+[NSValue valueWithBytes:objCType:]: type \"") + type +
                                "\" is not supported; it must be a pointer or an NSRange");
  }
  NSValue* result = [[[NSValue alloc] init] autorelease];
  result->m_bytes.assign(static_cast<const char*>(value), size);
  result->m_type = type;
  return result;
}

+ (NSValue*)valueWithPointer:(const void*)pointer {
  return [self valueWithBytes:&pointer objCType:@encode(void*)];
}

- (void)getValue:(void*)value size:(NSUInteger)size {
  if (size != m_bytes.size()) {
    throw std::invalid_argument("-[NSValue getValue:size:]: size is " + std::to_string(size) + ", it must be " +
                                std::to_string(m_bytes.size()));
  }
  memcpy(value, m_bytes.data(), size);
}

- (const char*)objCType {
  return m_type.c_str();
}

- (void*)pointerValue {
  void* pointer = nullptr;
  [self getValue:&pointer size:sizeof pointer];
  return pointer;
}

- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}

- (BOOL)isEqual:(id)object {
  if (![object isKindOfClass:[NSValue class]] || [object isKindOfClass:[NSNumber class]]) {
    return object == self;
  }
  const NSValue* other = object;
  return m_bytes == other->m_bytes && m_type == other->m_type;
}

- (NSUInteger)hash {
  return std::hash<std::string>{}(m_bytes);
}

@end

namespace {

enum class Kind { boolean, signed_integer, unsigned_integer, floating };

/// A number as it was given.
struct Number {
  Kind kind = Kind::signed_integer;
  const char* type = "q";
  long long integer = 0; ///< of an unsigned one, the same bits
  double floating = 0;
};

double as_double(const Number& number) {
  switch (number.kind) {
  case Kind::floating:
    return number.floating;
  case Kind::unsigned_integer:
    return static_cast<double>(static_cast<unsigned long long>(number.integer));
  default:
    return static_cast<double>(number.integer);
  }
}

/// A double that does not fit becomes the nearest integer that there is; a NaN becomes zero.
long long as_integer(const Number& number) {
  if (number.kind != Kind::floating) {
    return number.integer;
  }
  if (std::isnan(number.floating)) {
    return 0;
  }
  if (number.floating >= 0x1p63) {
    return number.floating < 0x1p64 ? static_cast<long long>(static_cast<unsigned long long>(number.floating)) : -1;
  }
  return number.floating < -0x1p63 ? LLONG_MIN : static_cast<long long>(number.floating);
}

bool is_unsigned_beyond_signed(const Number& number) {
  return number.kind == Kind::unsigned_integer && number.integer < 0;
}

NSComparisonResult compare(const Number& left, const Number& right) {
  const auto order = [](auto first, auto second) {
    return first < second ? NSOrderedAscending : first > second ? NSOrderedDescending : NSOrderedSame;
  };
  if (left.kind == Kind::floating || right.kind == Kind::floating) {
    return order(as_double(left), as_double(right));
  }
  if (is_unsigned_beyond_signed(left) != is_unsigned_beyond_signed(right)) {
    return is_unsigned_beyond_signed(left) ? NSOrderedDescending : NSOrderedAscending;
  }
  return order(left.integer, right.integer);
}

} // namespace

@implementation NSNumber {
  Number m_number;
}

- (instancetype)initWithNumber:(Number)number {
  m_number = number;
  return self;
}

// clang-format off
- (NSNumber*)initWithBool:(BOOL)value { return [self initWithNumber:{Kind::boolean, "c", value, 0}]; }
- (NSNumber*)initWithChar:(char)value { return [self initWithNumber:{Kind::signed_integer, "c", value, 0}]; }
- (NSNumber*)initWithShort:(short)value { return [self initWithNumber:{Kind::signed_integer, "s", value, 0}]; }
- (NSNumber*)initWithInt:(int)value { return [self initWithNumber:{Kind::signed_integer, "i", value, 0}]; }
- (NSNumber*)initWithLong:(long)value { return [self initWithNumber:{Kind::signed_integer, "q", value, 0}]; }
- (NSNumber*)initWithLongLong:(long long)value { return [self initWithNumber:{Kind::signed_integer, "q", value, 0}]; }
- (NSNumber*)initWithInteger:(NSInteger)value { return [self initWithLong:value]; }
- (NSNumber*)initWithUnsignedChar:(unsigned char)value { return [self initWithNumber:{Kind::signed_integer, "s", value, 0}]; }
- (NSNumber*)initWithUnsignedShort:(unsigned short)value { return [self initWithNumber:{Kind::signed_integer, "i", value, 0}]; }
- (NSNumber*)initWithUnsignedInt:(unsigned int)value { return [self initWithNumber:{Kind::signed_integer, "q", value, 0}]; }
- (NSNumber*)initWithUnsignedLong:(unsigned long)value { return [self initWithUnsignedLongLong:value]; }
- (NSNumber*)initWithUnsignedInteger:(NSUInteger)value { return [self initWithUnsignedLongLong:value]; }
- (NSNumber*)initWithFloat:(float)value { return [self initWithNumber:{Kind::floating, "f", 0, value}]; }
- (NSNumber*)initWithDouble:(double)value { return [self initWithNumber:{Kind::floating, "d", 0, value}]; }

+ (NSNumber*)numberWithBool:(BOOL)value { return [[[self alloc] initWithBool:value] autorelease]; }
+ (NSNumber*)numberWithChar:(char)value { return [[[self alloc] initWithChar:value] autorelease]; }
+ (NSNumber*)numberWithShort:(short)value { return [[[self alloc] initWithShort:value] autorelease]; }
+ (NSNumber*)numberWithInt:(int)value { return [[[self alloc] initWithInt:value] autorelease]; }
+ (NSNumber*)numberWithLong:(long)value { return [[[self alloc] initWithLong:value] autorelease]; }
+ (NSNumber*)numberWithLongLong:(long long)value { return [[[self alloc] initWithLongLong:value] autorelease]; }
+ (NSNumber*)numberWithInteger:(NSInteger)value { return [[[self alloc] initWithInteger:value] autorelease]; }
+ (NSNumber*)numberWithUnsignedChar:(unsigned char)value { return [[[self alloc] initWithUnsignedChar:value] autorelease]; }
+ (NSNumber*)numberWithUnsignedShort:(unsigned short)value { return [[[self alloc] initWithUnsignedShort:value] autorelease]; }
+ (NSNumber*)numberWithUnsignedInt:(unsigned int)value { return [[[self alloc] initWithUnsignedInt:value] autorelease]; }
+ (NSNumber*)numberWithUnsignedLong:(unsigned long)value { return [[[self alloc] initWithUnsignedLong:value] autorelease]; }
+ (NSNumber*)numberWithUnsignedLongLong:(unsigned long long)value { return [[[self alloc] initWithUnsignedLongLong:value] autorelease]; }
+ (NSNumber*)numberWithUnsignedInteger:(NSUInteger)value { return [[[self alloc] initWithUnsignedInteger:value] autorelease]; }
+ (NSNumber*)numberWithFloat:(float)value { return [[[self alloc] initWithFloat:value] autorelease]; }
+ (NSNumber*)numberWithDouble:(double)value { return [[[self alloc] initWithDouble:value] autorelease]; }

- (char)charValue { return (char)as_integer(m_number); }
- (unsigned char)unsignedCharValue { return (unsigned char)as_integer(m_number); }
- (short)shortValue { return (short)as_integer(m_number); }
- (unsigned short)unsignedShortValue { return (unsigned short)as_integer(m_number); }
- (int)intValue { return (int)as_integer(m_number); }
- (unsigned int)unsignedIntValue { return (unsigned int)as_integer(m_number); }
- (long)longValue { return as_integer(m_number); }
- (unsigned long)unsignedLongValue { return (unsigned long)as_integer(m_number); }
- (long long)longLongValue { return as_integer(m_number); }
- (unsigned long long)unsignedLongLongValue { return (unsigned long long)as_integer(m_number); }
- (NSInteger)integerValue { return as_integer(m_number); }
- (NSUInteger)unsignedIntegerValue { return (NSUInteger)as_integer(m_number); }
- (float)floatValue { return (float)as_double(m_number); }
- (double)doubleValue { return as_double(m_number); }
- (BOOL)boolValue { return m_number.kind == Kind::floating ? m_number.floating != 0 : m_number.integer != 0; }
// clang-format on

- (NSNumber*)initWithUnsignedLongLong:(unsigned long long)value {
  return [self initWithNumber:{Kind::unsigned_integer, "Q", static_cast<long long>(value), 0}];
}

- (const char*)objCType {
  return m_number.type;
}

- (void)getValue:(void*)value size:(NSUInteger)size {
  throw std::logic_error("-[NSNumber getValue:size:]: not supported; send intValue, doubleValue or another of them");
}

- (NSComparisonResult)compare:(NSNumber*)other {
  return ::compare(m_number, other->m_number);
}

- (BOOL)isEqualToNumber:(NSNumber*)number {
  return number != nil && ::compare(m_number, number->m_number) == NSOrderedSame;
}

- (BOOL)isEqual:(id)object {
  return object == self || ([object isKindOfClass:[NSNumber class]] && [self isEqualToNumber:object]);
}

- (NSUInteger)hash {
  return std::hash<double>{}(as_double(m_number));
}

- (NSString*)stringValue {
  switch (m_number.kind) {
  case Kind::floating: {
    // The fewest digits that give the number back.
    char text[64];
    const bool is_float = m_number.type[0] == 'f';
    for (int digits = 1; digits <= 17; ++digits) {
      snprintf(text, sizeof text, "%.*g", digits, m_number.floating);
      const bool is_same = is_float ? strtof(text, nullptr) == static_cast<float>(m_number.floating)
                                    : strtod(text, nullptr) == m_number.floating;
      if (is_same) {
        break;
      }
    }
    return string_with(text);
  }
  case Kind::unsigned_integer:
    return string_with(std::to_string(static_cast<unsigned long long>(m_number.integer)));
  default:
    return string_with(std::to_string(m_number.integer));
  }
}

- (NSString*)description {
  return self.stringValue;
}

@end

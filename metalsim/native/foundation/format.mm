// Formats with %@.
#include "text.h"

#include <stdexcept>

namespace metalsim::foundation {

namespace {

/// One conversion of a format: "%-8.3lf" is flags "-8.3", length "l", letter 'f'.
struct Conversion {
  std::string flags;
  std::string length;
  char letter;
};

Conversion parse(const char*& next, va_list& arguments) {
  Conversion conversion{.flags = "%", .length = "", .letter = 0};
  for (; *next != '\0' && strchr("-+ #0123456789.*'", *next) != nullptr; ++next) {
    conversion.flags += *next == '*' ? std::to_string(va_arg(arguments, int)) : std::string(1, *next);
  }
  for (; *next != '\0' && strchr("hlqLzjt", *next) != nullptr; ++next) {
    conversion.length += *next;
  }
  conversion.letter = *next == '\0' ? '\0' : *next++;
  return conversion;
}

template <typename Value> std::string printed(const Conversion& conversion, const char* length, Value value) {
  const std::string format = conversion.flags + length + conversion.letter;
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
  const int size = snprintf(nullptr, 0, format.c_str(), value);
  std::string text(static_cast<size_t>(size > 0 ? size : 0) + 1, '\0');
  snprintf(text.data(), text.size(), format.c_str(), value);
#pragma clang diagnostic pop
  text.pop_back();
  return text;
}

bool is_long(const Conversion& conversion) {
  return conversion.length.find_first_of("lqzjt") != std::string::npos;
}

std::string signed_number(const Conversion& conversion, va_list& arguments) {
  long long value = is_long(conversion) ? va_arg(arguments, long long) : va_arg(arguments, int);
  if (conversion.length == "h") {
    value = static_cast<short>(value);
  } else if (conversion.length == "hh") {
    value = static_cast<signed char>(value);
  }
  return printed(conversion, "ll", value);
}

std::string unsigned_number(const Conversion& conversion, va_list& arguments) {
  unsigned long long value = is_long(conversion) ? va_arg(arguments, unsigned long long) : va_arg(arguments, unsigned);
  if (conversion.length == "h") {
    value = static_cast<unsigned short>(value);
  } else if (conversion.length == "hh") {
    value = static_cast<unsigned char>(value);
  }
  return printed(conversion, "ll", value);
}

std::string object(Conversion conversion, va_list& arguments) {
  id value = va_arg(arguments, id);
  const std::string text(text_of([value description]));
  conversion.letter = 's';
  return conversion.flags == "%" ? text : printed(conversion, "", text.c_str());
}

std::string converted(const Conversion& conversion, va_list& arguments) {
  switch (conversion.letter) {
  case '%':
    return "%";
  case '@':
    return object(conversion, arguments);
  case 's': {
    const char* text = va_arg(arguments, const char*);
    return printed(conversion, "", text == nullptr ? "(null)" : text);
  }
  case 'p':
    return printed(conversion, "", va_arg(arguments, void*));
  case 'c':
    return printed(conversion, "", va_arg(arguments, int));
  case 'C': {
    const unichar letter = static_cast<unichar>(va_arg(arguments, int));
    NSString* text = [[[NSString alloc] initWithBytes:&letter length:2
                                             encoding:NSUTF16LittleEndianStringEncoding] autorelease];
    return std::string(text_of(text));
  }
  case 'd':
  case 'i':
  case 'D':
    return signed_number({conversion.flags, conversion.length, 'd'}, arguments);
  case 'u':
  case 'x':
  case 'X':
  case 'o':
    return unsigned_number(conversion, arguments);
  case 'f':
  case 'F':
  case 'e':
  case 'E':
  case 'g':
  case 'G':
  case 'a':
  case 'A':
    return conversion.length == "L" ? printed(conversion, "L", va_arg(arguments, long double))
                                    : printed(conversion, "", va_arg(arguments, double));
  default:
    throw std::invalid_argument(std::string("A format of NSString has the conversion %") + conversion.letter +
                                ", it must be %@ or one of printf's but %n");
  }
}

} // namespace

std::string formatted(NSString* format, va_list arguments) {
  va_list remaining;
  va_copy(remaining, arguments);
  const std::string pattern(text_of(format));
  std::string text;
  for (const char* next = pattern.c_str(); *next != '\0';) {
    if (*next != '%') {
      text += *next++;
      continue;
    }
    ++next;
    text += converted(parse(next, remaining), remaining);
  }
  va_end(remaining);
  return text;
}

} // namespace metalsim::foundation

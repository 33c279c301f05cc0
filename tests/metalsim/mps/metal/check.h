// Checks of the test programs: a failure prints file and line, and the program's exit status counts them.
#pragma once

#import <Foundation/Foundation.h>

#include <cstdio>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>

using Place = std::source_location;

/// Failures so far.
inline int failures = 0;

inline void report(const std::string& what, const Place& place) {
  std::fprintf(stderr, "%s:%u: %s\n", place.file_name(), place.line(), what.c_str());
  ++failures;
}

inline void check(bool condition, const Place& place = Place::current()) {
  if (!condition) {
    report("the condition does not hold", place);
  }
}

template <class Left, class Right>
void check_equal(const Left& left, const Right& right, const Place& place = Place::current()) {
  if (!(left == right)) {
    report("the two are not equal: " + std::to_string(left) + " and " + std::to_string(right), place);
  }
}

inline void check_text(const std::string& text, const std::string& part, const Place& place = Place::current()) {
  if (text.find(part) == std::string::npos) {
    report("expected '" + part + "' in '" + text + "'", place);
  }
}

/// Text of an error, empty for nil.
inline std::string text_of(NSError* error) {
  return error == nil ? "" : [[error localizedDescription] UTF8String];
}

/// The call must throw Metal's validation error with this in its sentence.
template <class Call> void check_refused(const std::string& part, Call call, const Place& place = Place::current()) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    check_text(error.what(), "Metal API validation: ", place);
    check_text(error.what(), part, place);
    return;
  }
  report("nothing was refused; expected '" + part + "'", place);
}

/// Runs a case in a pool of its own; what it throws is a failure.
template <class Case> void run_case(const char* name, Case body, const Place& place = Place::current()) {
  try {
    @autoreleasepool {
      body();
    }
  } catch (const std::exception& error) {
    report(std::string(name) + " threw: " + error.what(), place);
  }
}

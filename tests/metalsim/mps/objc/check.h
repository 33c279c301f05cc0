// Checks that say where they failed.
#pragma once

#import <Foundation/Foundation.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <source_location>
#include <string>

inline void check(bool holds, std::source_location place = std::source_location::current()) {
  if (!holds) {
    fprintf(stderr, "%s:%u: check failed\n", place.file_name(), place.line());
    exit(1);
  }
}

/// The call must throw a C++ exception whose text has all of `text` in it.
inline void check_throws(const std::string& text, const std::function<void()>& call,
                         std::source_location place = std::source_location::current()) {
  try {
    call();
  } catch (const std::exception& error) {
    if (std::string(error.what()).find(text) == std::string::npos) {
      fprintf(stderr, "%s:%u: threw \"%s\", without \"%s\"\n", place.file_name(), place.line(), error.what(),
              text.c_str());
      exit(1);
    }
    return;
  }
  fprintf(stderr, "%s:%u: did not throw\n", place.file_name(), place.line());
  exit(1);
}

#if __has_feature(objc_arc)
#define AUTORELEASED(object) (object)
#define SUPER_DEALLOC
#else
#define AUTORELEASED(object) [(object) autorelease]
#define SUPER_DEALLOC [super dealloc]
#endif

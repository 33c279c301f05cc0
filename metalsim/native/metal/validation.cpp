#include "validation.h"

#include "settings.h"

#include <cstdio>
#include <cstdlib>

namespace metalsim::metal {

namespace {

const char* const kPrefix = "Metal API validation: ";

} // namespace

void refuse(const std::string& sentence) {
  if (settings().validation == Validation::abort) {
    refuse_fatally(sentence);
  }
  throw std::runtime_error(kPrefix + sentence);
}

void unsupported(const std::string& sentence) {
  throw std::runtime_error("metalsim: " + sentence);
}

void refuse_fatally(const std::string& sentence) noexcept {
  std::fprintf(stderr, "%s%s\n", kPrefix, sentence.c_str());
  std::abort();
}

std::string text(unsigned long long number) {
  return std::to_string(number);
}

std::string text(const unsigned long size[3]) {
  return "(" + text(size[0]) + ", " + text(size[1]) + ", " + text(size[2]) + ")";
}

} // namespace metalsim::metal

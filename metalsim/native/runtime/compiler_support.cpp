// Compiler support functions for bfloat that libgcc 12 lacks: the compiler calls them by these names from code that
// narrows to __bf16. Round to nearest, ties to even.
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

__bf16 from_bits(uint16_t bits) {
  __bf16 number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

uint32_t bits_of(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}

} // namespace

extern "C" __bf16 __truncsfbf2(float number) {
  const uint32_t bits = bits_of(number);
  if (std::isnan(number)) {
    constexpr uint16_t kQuiet = 0x40;
    return from_bits(static_cast<uint16_t>(bits >> 16) | kQuiet);
  }
  const uint32_t is_odd = bits >> 16 & 1;
  return from_bits(static_cast<uint16_t>((bits + 0x7fff + is_odd) >> 16));
}

extern "C" __bf16 __truncdfbf2(double number) {
  // Rounding twice can go wrong. It cannot if the first rounding is to odd: a float that is not exact gets an odd last
  // bit, by which the second rounding sees on which side of a tie the number was.
  float narrow = static_cast<float>(number);
  if (static_cast<double>(narrow) != number && !std::isnan(number)) {
    if (std::fabs(static_cast<double>(narrow)) > std::fabs(number)) {
      narrow = std::nextafterf(narrow, 0.0f);
    }
    const uint32_t odd = bits_of(narrow) | 1;
    std::memcpy(&narrow, &odd, sizeof odd);
  }
  return __truncsfbf2(narrow);
}

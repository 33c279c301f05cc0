#import "architecture.h"

#include "described_mac.h"
#import "objects.h"

using namespace metalsim::metal;

namespace {

/// "applegpu_g16s": the generation (M1 is 13), and a letter for the size, as in Apple's driver.
std::string architecture_name(const std::string& gpu) {
  const size_t digit = gpu.find_first_of("123456789");
  const int generation = digit == std::string::npos ? 13 : 12 + (gpu[digit] - '0');
  const auto is = [&](const char* size) { return gpu.find(size) != std::string::npos; };
  const char letter = is("Pro") ? 's' : is("Max") ? 'c' : is("Ultra") ? 'd' : 'g';
  return "applegpu_g" + std::to_string(generation) + letter;
}

} // namespace

@interface MTLArchitecture () {
@public
  std::string _nameText;
}
@end

@implementation MTLArchitecture

- (NSString*)name {
  return string(_nameText);
}

- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}

@end

namespace metalsim::metal {

MTLArchitecture* device_architecture() {
  MTLArchitecture* const architecture = [[[MTLArchitecture alloc] init] autorelease];
  architecture->_nameText = architecture_name(described_mac().gpu);
  return architecture;
}

} // namespace metalsim::metal

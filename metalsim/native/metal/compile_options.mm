#import "compile_options.h"

#include "described_mac.h"
#import "objects.h"
#include "validation.h"

using namespace metalsim::metal;

namespace {

/// MTLLanguageVersion has the major version in its upper half and the minor one in its lower half.
constexpr NSUInteger version(NSUInteger major, NSUInteger minor) {
  return major << 16 | minor;
}

MTLLanguageVersion newest_language_version() {
  const metalsim::DescribedMac mac = metalsim::described_mac();
  if (mac.macos_major >= 26) {
    return static_cast<MTLLanguageVersion>(version(4, 0));
  }
  return static_cast<MTLLanguageVersion>(mac.macos_major >= 15 ? version(3, 2) : version(3, 1));
}

} // namespace

@implementation MTLCompileOptions

- (instancetype)init {
  if ((self = [super init])) {
    self.languageVersion = newest_language_version();
    self.fastMathEnabled = YES;
  }
  return self;
}

- (void)dealloc {
  [_preprocessorMacros release];
  [_installName release];
  [super dealloc];
}

- (id)copyWithZone:(NSZone*)zone {
  MTLCompileOptions* const copy = [[MTLCompileOptions alloc] init];
  copy.preprocessorMacros = self.preprocessorMacros;
  copy.fastMathEnabled = self.fastMathEnabled;
  copy.mathMode = self.mathMode;
  copy.mathFloatingPointFunctions = self.mathFloatingPointFunctions;
  copy.languageVersion = self.languageVersion;
  copy.libraryType = self.libraryType;
  copy.installName = self.installName;
  copy.preserveInvariance = self.preserveInvariance;
  copy.optimizationLevel = self.optimizationLevel;
  copy.compileSymbolVisibility = self.compileSymbolVisibility;
  copy.allowReferencingUndefinedSymbols = self.allowReferencingUndefinedSymbols;
  copy.maxTotalThreadsPerThreadgroup = self.maxTotalThreadsPerThreadgroup;
  copy.enableLogging = self.enableLogging;
  return copy;
}

@end

namespace metalsim::metal {

Compiler::Macros macros(MTLCompileOptions* options) {
  Compiler::Macros list;
  NSDictionary<NSString*, NSObject*>* const given = options.preprocessorMacros;
  for (NSString* name in given) {
    list.emplace_back(utf8(name), utf8([NSString stringWithFormat:@"%@", [given objectForKey:name]]));
  }
  return list;
}

std::string language_version(MTLCompileOptions* options) {
  const NSUInteger number = options == nil ? newest_language_version() : options.languageVersion;
  return text(number >> 16) + "." + text(number & 0xFFFF);
}

} // namespace metalsim::metal

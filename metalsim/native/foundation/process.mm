// NSProcessInfo, NSBundle and NSDate.
#include "../metal/described_mac.h"
#include "text.h"

#include <chrono>
#include <fstream>
#include <thread>
#include <unistd.h>

using namespace metalsim::foundation;

namespace {

std::string path_of_program() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length < 0 ? std::string() : std::string(path, static_cast<size_t>(length));
}

} // namespace

@implementation NSProcessInfo {
  NSString* m_name;
}

+ (NSProcessInfo*)processInfo {
  static NSProcessInfo* info = [[NSProcessInfo alloc] init];
  return info;
}

- (NSDictionary*)environment {
  NSMutableDictionary* variables = [NSMutableDictionary dictionary];
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) {
      variables[string_with(text.substr(0, equals))] = string_with(text.substr(equals + 1));
    }
  }
  return variables;
}

- (NSArray*)arguments {
  NSMutableArray* words = [NSMutableArray array];
  std::ifstream stream("/proc/self/cmdline", std::ios::binary);
  for (std::string word; std::getline(stream, word, '\0');) {
    [words addObject:string_with(word)];
  }
  return words;
}

- (NSString*)hostName {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return string_with(name);
}

- (NSString*)processName {
  @synchronized(self) {
    return m_name != nil ? [[m_name retain] autorelease] : string_with(path_of_program()).lastPathComponent;
  }
}

- (void)setProcessName:(NSString*)name {
  @synchronized(self) {
    NSString* old = m_name;
    m_name = [name copy];
    [old release];
  }
}

- (int)processIdentifier {
  return getpid();
}

- (NSOperatingSystemVersion)operatingSystemVersion {
  const metalsim::DescribedMac mac = metalsim::described_mac();
  return {mac.macos_major, mac.macos_minor, 0};
}

- (NSString*)operatingSystemVersionString {
  const NSOperatingSystemVersion version = self.operatingSystemVersion;
  return [NSString stringWithFormat:@"Version %ld.%ld", version.majorVersion, version.minorVersion];
}

- (BOOL)isOperatingSystemAtLeastVersion:(NSOperatingSystemVersion)version {
  const NSOperatingSystemVersion now = self.operatingSystemVersion;
  if (now.majorVersion != version.majorVersion) {
    return now.majorVersion > version.majorVersion;
  }
  if (now.minorVersion != version.minorVersion) {
    return now.minorVersion > version.minorVersion;
  }
  return now.patchVersion >= version.patchVersion;
}

- (NSUInteger)processorCount {
  return std::thread::hardware_concurrency();
}

- (NSUInteger)activeProcessorCount {
  return std::thread::hardware_concurrency();
}

- (unsigned long long)physicalMemory {
  return (unsigned long long)sysconf(_SC_PHYS_PAGES) * (unsigned long long)sysconf(_SC_PAGESIZE);
}

- (NSTimeInterval)systemUptime {
  return (double)clock_gettime_nsec_np(CLOCK_MONOTONIC) * 1e-9;
}

- (NSProcessInfoThermalState)thermalState {
  return NSProcessInfoThermalStateNominal;
}

- (BOOL)isLowPowerModeEnabled {
  return NO;
}

@end

@implementation NSBundle {
  NSString* m_path;
}

- (instancetype)initWithPath:(NSString*)path {
  m_path = [path copy];
  return self;
}

- (void)dealloc {
  [m_path release];
  [super dealloc];
}

+ (NSBundle*)mainBundle {
  static NSBundle* bundle =
      [[NSBundle alloc] initWithPath:string_with(path_of_program()).stringByDeletingLastPathComponent];
  return bundle;
}

+ (NSBundle*)bundleForClass:(Class)aClass {
  return [self mainBundle];
}

+ (instancetype)bundleWithPath:(NSString*)path {
  return access(path.fileSystemRepresentation, R_OK) == 0 ? [[[self alloc] initWithPath:path] autorelease] : nil;
}

- (NSString*)bundlePath {
  return m_path;
}

- (NSString*)resourcePath {
  return m_path;
}

- (NSString*)bundleIdentifier {
  return nil;
}

- (NSString*)pathForResource:(NSString*)name ofType:(NSString*)extension {
  NSString* file = extension.length > 0 ? [name stringByAppendingPathExtension:extension] : name;
  NSString* path = [m_path stringByAppendingPathComponent:file];
  return access(path.fileSystemRepresentation, R_OK) == 0 ? path : nil;
}

- (NSURL*)URLForResource:(NSString*)name withExtension:(NSString*)extension {
  NSString* path = [self pathForResource:name ofType:extension];
  return path == nil ? nil : [NSURL fileURLWithPath:path];
}

@end

@implementation NSDate {
  NSTimeInterval m_seconds;
}

- (instancetype)init {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return [self initWithTimeIntervalSinceReferenceDate:std::chrono::duration<double>(since_1970).count() -
                                                      NSTimeIntervalSince1970];
}

- (instancetype)initWithTimeIntervalSinceReferenceDate:(NSTimeInterval)seconds {
  if ((self = [super init])) {
    m_seconds = seconds;
  }
  return self;
}

+ (instancetype)date {
  return [[[self alloc] init] autorelease];
}

+ (instancetype)dateWithTimeIntervalSinceNow:(NSTimeInterval)seconds {
  NSDate* now = [self date];
  return [[[self alloc] initWithTimeIntervalSinceReferenceDate:now->m_seconds + seconds] autorelease];
}

- (NSTimeInterval)timeIntervalSinceReferenceDate {
  return m_seconds;
}

- (NSTimeInterval)timeIntervalSince1970 {
  return m_seconds + NSTimeIntervalSince1970;
}

- (NSTimeInterval)timeIntervalSinceNow {
  return [self timeIntervalSinceDate:[NSDate date]];
}

- (NSTimeInterval)timeIntervalSinceDate:(NSDate*)other {
  return m_seconds - other->m_seconds;
}

- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}

@end

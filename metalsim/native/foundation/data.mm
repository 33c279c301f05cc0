// NSData and NSMutableData.
#include "files.h"
#include "string_internal.h"

#include <fstream>
#include <objc/runtime.h>

using namespace metalsim::foundation;

@interface NSData () {
@protected
  std::string m_bytes;
}
@end

@implementation NSData

- (NSUInteger)length {
  return m_bytes.size();
}

- (const void*)bytes {
  return m_bytes.data();
}

- (id)copyWithZone:(NSZone*)zone {
  if (object_getClass(self) == [NSData class]) {
    return [self retain];
  }
  return [[NSData alloc] initWithBytes:m_bytes.data() length:m_bytes.size()];
}

- (id)mutableCopyWithZone:(NSZone*)zone {
  return [[NSMutableData alloc] initWithBytes:m_bytes.data() length:m_bytes.size()];
}

- (BOOL)isEqual:(id)object {
  return object == self || ([object isKindOfClass:[NSData class]] && [self isEqualToData:object]);
}

- (NSUInteger)hash {
  return std::hash<std::string>{}(m_bytes);
}

- (NSString*)description {
  return [NSString stringWithFormat:@"{length = %zu}", m_bytes.size()];
}

@end

@implementation NSData (NSExtendedData)

- (void)getBytes:(void*)buffer length:(NSUInteger)length {
  memcpy(buffer, m_bytes.data(), MIN(length, m_bytes.size()));
}

- (BOOL)isEqualToData:(NSData*)other {
  return other != nil && m_bytes == other->m_bytes;
}

- (NSData*)subdataWithRange:(NSRange)range {
  check_range(range, m_bytes.size(), "-[NSData subdataWithRange:]");
  return [NSData dataWithBytes:m_bytes.data() + range.location length:range.length];
}

- (BOOL)writeToFile:(NSString*)path atomically:(BOOL)atomically {
  std::ofstream stream(std::string(text_of(path)), std::ios::binary);
  stream.write(m_bytes.data(), static_cast<std::streamsize>(m_bytes.size()));
  stream.close();
  return !stream.fail();
}

@end

@implementation NSData (NSDataCreation)

+ (instancetype)data {
  return [[[self alloc] init] autorelease];
}

+ (instancetype)dataWithBytes:(const void*)bytes length:(NSUInteger)length {
  return [[[self alloc] initWithBytes:bytes length:length] autorelease];
}

+ (instancetype)dataWithBytesNoCopy:(void*)bytes length:(NSUInteger)length {
  return [self dataWithBytesNoCopy:bytes length:length freeWhenDone:YES];
}

// Copies all the same.
+ (instancetype)dataWithBytesNoCopy:(void*)bytes length:(NSUInteger)length freeWhenDone:(BOOL)freeWhenDone {
  NSData* data = [self dataWithBytes:bytes length:length];
  if (freeWhenDone) {
    free(bytes);
  }
  return data;
}

+ (instancetype)dataWithContentsOfFile:(NSString*)path {
  return [self dataWithContentsOfFile:path options:0 error:nil];
}

+ (instancetype)dataWithContentsOfFile:(NSString*)path options:(NSDataReadingOptions)options error:(NSError**)error {
  const std::optional<std::string> bytes = contents_of_file(path, error);
  return bytes ? [self dataWithBytes:bytes->data() length:bytes->size()] : nil;
}

+ (instancetype)dataWithContentsOfURL:(NSURL*)url {
  return [self dataWithContentsOfFile:url.path];
}

+ (instancetype)dataWithData:(NSData*)data {
  return [self dataWithBytes:data.bytes length:data.length];
}

- (instancetype)initWithBytes:(const void*)bytes length:(NSUInteger)length {
  if ((self = [self init]) && length > 0) {
    m_bytes.assign(static_cast<const char*>(bytes), length);
  }
  return self;
}

- (instancetype)initWithContentsOfFile:(NSString*)path {
  const std::optional<std::string> bytes = contents_of_file(path, nullptr);
  if (!bytes) {
    [self release];
    return nil;
  }
  return [self initWithBytes:bytes->data() length:bytes->size()];
}

@end

@implementation NSMutableData

@dynamic length;

- (void*)mutableBytes {
  return m_bytes.data();
}

- (void)setLength:(NSUInteger)length {
  m_bytes.resize(length);
}

- (void)appendBytes:(const void*)bytes length:(NSUInteger)length {
  m_bytes.append(static_cast<const char*>(bytes), length);
}

- (void)appendData:(NSData*)other {
  [self appendBytes:other.bytes length:other.length];
}

+ (instancetype)dataWithCapacity:(NSUInteger)capacity {
  return [self data];
}

+ (instancetype)dataWithLength:(NSUInteger)length {
  NSMutableData* data = [self data];
  data.length = length;
  return data;
}

@end

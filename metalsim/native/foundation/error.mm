// NSError.
#include "text.h"

NSErrorDomain const NSCocoaErrorDomain = @"NSCocoaErrorDomain";
NSErrorDomain const NSPOSIXErrorDomain = @"NSPOSIXErrorDomain";
NSErrorUserInfoKey const NSUnderlyingErrorKey = @"NSUnderlyingError";
NSErrorUserInfoKey const NSLocalizedDescriptionKey = @"NSLocalizedDescription";
NSErrorUserInfoKey const NSLocalizedFailureReasonErrorKey = @"NSLocalizedFailureReason";
NSErrorUserInfoKey const NSLocalizedRecoverySuggestionErrorKey = @"NSLocalizedRecoverySuggestion";
NSErrorUserInfoKey const NSFilePathErrorKey = @"NSFilePath";

@implementation NSError

@synthesize domain = m_domain;
@synthesize code = m_code;
@synthesize userInfo = m_userInfo;

- (instancetype)init {
  return [self initWithDomain:@"" code:0 userInfo:nil];
}

- (instancetype)initWithDomain:(NSErrorDomain)domain code:(NSInteger)code userInfo:(NSDictionary*)userInfo {
  if ((self = [super init])) {
    m_domain = [domain copy];
    m_code = code;
    m_userInfo = userInfo == nil ? [@{} retain] : [userInfo copy];
  }
  return self;
}

+ (instancetype)errorWithDomain:(NSErrorDomain)domain code:(NSInteger)code userInfo:(NSDictionary*)userInfo {
  return [[[self alloc] initWithDomain:domain code:code userInfo:userInfo] autorelease];
}

- (void)dealloc {
  [m_domain release];
  [m_userInfo release];
  [super dealloc];
}

- (NSString*)localizedDescription {
  NSString* description = m_userInfo[NSLocalizedDescriptionKey];
  if (description != nil) {
    return description;
  }
  return [NSString stringWithFormat:@"The operation couldn’t be completed. (%@ error %ld.)", m_domain, (long)m_code];
}

- (NSString*)localizedFailureReason {
  return m_userInfo[NSLocalizedFailureReasonErrorKey];
}

- (NSString*)localizedRecoverySuggestion {
  return m_userInfo[NSLocalizedRecoverySuggestionErrorKey];
}

- (NSString*)description {
  return
      [NSString stringWithFormat:@"Error Domain=%@ Code=%ld \"%@\"", m_domain, (long)m_code, self.localizedDescription];
}

- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}

@end

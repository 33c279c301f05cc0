#import "objects.h"

#import "device.h"
#include "handles.h"
#include "validation.h"

#include <objc/runtime.h>

@implementation SoftwareObject

@synthesize label = _label;

- (void)dealloc {
  [_label release];
  [super dealloc];
}

- (id<MTLDevice>)device {
  return metalsim::metal::the_device();
}

@end

namespace metalsim::metal {

std::string utf8(NSString* string) {
  const char* const characters = [string UTF8String];
  return characters == nullptr ? "" : characters;
}

NSString* string(const std::string& text) {
  return [NSString stringWithUTF8String:text.c_str()];
}

id fail(NSError** error, NSErrorDomain domain, NSInteger code, const std::string& text) {
  if (error != nullptr) {
    *error = [NSError errorWithDomain:domain code:code userInfo:@{NSLocalizedDescriptionKey : string(text)}];
  }
  return nil;
}

void check_kind(id object, Class wanted, const char* protocol, const char* call) {
  if (object != nil && [object isKindOfClass:wanted]) {
    return;
  }
  const std::string name = protocol;
  const std::string expected = name == class_getName(wanted) ? name : "id<" + name + ">";
  if (object == nil) {
    refuse(std::string(call) + " got nil; it must be an " + expected);
  }
  const std::string got = is_handle(object) ? "MTLBuffer" : class_getName([object class]);
  refuse(std::string(call) + " got the wrong kind of argument, an object of class " + got + "; it must be an " +
         expected);
}

} // namespace metalsim::metal

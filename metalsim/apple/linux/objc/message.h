// Sending messages from C: cast these to the method's type before calling them.
#pragma once

#include <objc/objc.h>

struct objc_super {
  __unsafe_unretained _Nonnull id receiver;
  __unsafe_unretained _Nonnull Class super_class;
};

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wincompatible-library-redeclaration"
OBJC_EXPORT void objc_msgSend(void /* id self, SEL op, ... */);
OBJC_EXPORT void objc_msgSend_stret(void /* id self, SEL op, ... */);
OBJC_EXPORT void objc_msgSend_fpret(void /* id self, SEL op, ... */);
#pragma clang diagnostic pop

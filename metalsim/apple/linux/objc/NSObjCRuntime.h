#pragma once

#include <limits.h>
#include <objc/objc.h>

#define NSINTEGER_DEFINED 1
typedef long NSInteger;
typedef unsigned long NSUInteger;

#define NSIntegerMax LONG_MAX
#define NSIntegerMin LONG_MIN
#define NSUIntegerMax ULONG_MAX

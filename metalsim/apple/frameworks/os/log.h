// The system's log, to which nothing is written here.
#pragma once

#include <os/availability.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __OBJC__
#include <objc/NSObject.h>
@protocol OS_os_log <NSObject>
@end
typedef NSObject<OS_os_log>* os_log_t;
#define OS_LOG_DISABLED ((os_log_t)nil)
#else
typedef struct os_log_s* os_log_t;
#define OS_LOG_DISABLED ((os_log_t)0)
#endif

typedef uint8_t os_log_type_t;
#define OS_LOG_TYPE_DEFAULT ((os_log_type_t)0x00)
#define OS_LOG_TYPE_INFO ((os_log_type_t)0x01)
#define OS_LOG_TYPE_DEBUG ((os_log_type_t)0x02)
#define OS_LOG_TYPE_ERROR ((os_log_type_t)0x10)
#define OS_LOG_TYPE_FAULT ((os_log_type_t)0x11)

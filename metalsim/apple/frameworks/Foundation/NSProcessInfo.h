// The process and the system it runs on: the described Mac.
#pragma once

#include <Foundation/NSObject.h>

NS_ASSUME_NONNULL_BEGIN

@class NSArray<ObjectType>, NSDictionary<KeyType, ObjectType>, NSString;

typedef struct {
  NSInteger majorVersion;
  NSInteger minorVersion;
  NSInteger patchVersion;
} NSOperatingSystemVersion;

typedef NS_ENUM(NSInteger, NSProcessInfoThermalState) {
  NSProcessInfoThermalStateNominal,
  NSProcessInfoThermalStateFair,
  NSProcessInfoThermalStateSerious,
  NSProcessInfoThermalStateCritical,
};

__attribute__((visibility("default")))
@interface NSProcessInfo : NSObject
@property(class, readonly, strong) NSProcessInfo* processInfo;

@property(readonly, copy) NSDictionary<NSString*, NSString*>* environment;
@property(readonly, copy) NSArray<NSString*>* arguments;
@property(readonly, copy) NSString* hostName;
@property(copy) NSString* processName;
@property(readonly) int processIdentifier;
@property(readonly, copy) NSString* operatingSystemVersionString;
@property(readonly) NSOperatingSystemVersion operatingSystemVersion API_AVAILABLE(macos(10.10));
@property(readonly) NSUInteger processorCount API_AVAILABLE(macos(10.5));
@property(readonly) NSUInteger activeProcessorCount API_AVAILABLE(macos(10.5));
@property(readonly) unsigned long long physicalMemory API_AVAILABLE(macos(10.5));
@property(readonly) NSTimeInterval systemUptime API_AVAILABLE(macos(10.6));
@property(readonly) NSProcessInfoThermalState thermalState API_AVAILABLE(macos(10.10.3));
@property(readonly, getter=isLowPowerModeEnabled) BOOL lowPowerModeEnabled API_AVAILABLE(macos(12.0));
- (BOOL)isOperatingSystemAtLeastVersion:(NSOperatingSystemVersion)version API_AVAILABLE(macos(10.10));
@end

NS_ASSUME_NONNULL_END

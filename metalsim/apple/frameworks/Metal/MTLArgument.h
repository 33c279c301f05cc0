// Types of a function's arguments and constants.
#pragma once

#include <Metal/MTLTypes.h>

NS_ASSUME_NONNULL_BEGIN

typedef NS_ENUM(NSUInteger, MTLDataType) {
  MTLDataTypeNone = 0,

  MTLDataTypeStruct = 1,
  MTLDataTypeArray = 2,

  MTLDataTypeFloat = 3,
  MTLDataTypeFloat2 = 4,
  MTLDataTypeFloat3 = 5,
  MTLDataTypeFloat4 = 6,

  MTLDataTypeFloat2x2 = 7,
  MTLDataTypeFloat2x3 = 8,
  MTLDataTypeFloat2x4 = 9,
  MTLDataTypeFloat3x2 = 10,
  MTLDataTypeFloat3x3 = 11,
  MTLDataTypeFloat3x4 = 12,
  MTLDataTypeFloat4x2 = 13,
  MTLDataTypeFloat4x3 = 14,
  MTLDataTypeFloat4x4 = 15,

  MTLDataTypeHalf = 16,
  MTLDataTypeHalf2 = 17,
  MTLDataTypeHalf3 = 18,
  MTLDataTypeHalf4 = 19,

  MTLDataTypeInt = 29,
  MTLDataTypeInt2 = 30,
  MTLDataTypeInt3 = 31,
  MTLDataTypeInt4 = 32,

  MTLDataTypeUInt = 33,
  MTLDataTypeUInt2 = 34,
  MTLDataTypeUInt3 = 35,
  MTLDataTypeUInt4 = 36,

  MTLDataTypeShort = 37,
  MTLDataTypeShort2 = 38,
  MTLDataTypeShort3 = 39,
  MTLDataTypeShort4 = 40,

  MTLDataTypeUShort = 41,
  MTLDataTypeUShort2 = 42,
  MTLDataTypeUShort3 = 43,
  MTLDataTypeUShort4 = 44,

  MTLDataTypeChar = 45,
  MTLDataTypeChar2 = 46,
  MTLDataTypeChar3 = 47,
  MTLDataTypeChar4 = 48,

  MTLDataTypeUChar = 49,
  MTLDataTypeUChar2 = 50,
  MTLDataTypeUChar3 = 51,
  MTLDataTypeUChar4 = 52,

  MTLDataTypeBool = 53,
  MTLDataTypeBool2 = 54,
  MTLDataTypeBool3 = 55,
  MTLDataTypeBool4 = 56,

  MTLDataTypeTexture API_AVAILABLE(macos(10.13), ios(11.0)) = 58,
  MTLDataTypeSampler API_AVAILABLE(macos(10.13), ios(11.0)) = 59,
  MTLDataTypePointer API_AVAILABLE(macos(10.13), ios(11.0)) = 60,

  MTLDataTypeLong API_AVAILABLE(macos(12.0), ios(14.0)) = 81,
  MTLDataTypeLong2 API_AVAILABLE(macos(12.0), ios(14.0)) = 82,
  MTLDataTypeLong3 API_AVAILABLE(macos(12.0), ios(14.0)) = 83,
  MTLDataTypeLong4 API_AVAILABLE(macos(12.0), ios(14.0)) = 84,

  MTLDataTypeULong API_AVAILABLE(macos(12.0), ios(14.0)) = 85,
  MTLDataTypeULong2 API_AVAILABLE(macos(12.0), ios(14.0)) = 86,
  MTLDataTypeULong3 API_AVAILABLE(macos(12.0), ios(14.0)) = 87,
  MTLDataTypeULong4 API_AVAILABLE(macos(12.0), ios(14.0)) = 88,

  MTLDataTypeBFloat API_AVAILABLE(macos(14.0), ios(17.0)) = 121,
  MTLDataTypeBFloat2 API_AVAILABLE(macos(14.0), ios(17.0)) = 122,
  MTLDataTypeBFloat3 API_AVAILABLE(macos(14.0), ios(17.0)) = 123,
  MTLDataTypeBFloat4 API_AVAILABLE(macos(14.0), ios(17.0)) = 124,
} API_AVAILABLE(macos(10.11), ios(8.0));

typedef NS_ENUM(NSInteger, MTLBindingType) {
  MTLBindingTypeBuffer = 0,
  MTLBindingTypeThreadgroupMemory = 1,
  MTLBindingTypeTexture = 2,
  MTLBindingTypeSampler = 3,
} API_AVAILABLE(macos(13.0), ios(16.0));

typedef NS_ENUM(NSUInteger, MTLBindingAccess) {
  MTLBindingAccessReadOnly = 0,
  MTLBindingAccessReadWrite = 1,
  MTLBindingAccessWriteOnly = 2,
} API_AVAILABLE(macos(10.11), ios(8.0));

API_AVAILABLE(macos(13.0), ios(16.0))
@protocol MTLBinding <NSObject>
@property(readonly) NSString* name;
@property(readonly) MTLBindingType type;
@property(readonly) MTLBindingAccess access;
@property(readonly) NSUInteger index;
@property(readonly, getter=isUsed) BOOL used;
@property(readonly, getter=isArgument) BOOL argument;
@end

API_AVAILABLE(macos(13.0), ios(16.0))
@protocol MTLBufferBinding <MTLBinding>
@property(readonly) NSUInteger bufferAlignment;
@property(readonly) NSUInteger bufferDataSize;
@property(readonly) MTLDataType bufferDataType;
@end

NS_ASSUME_NONNULL_END

// Locations of files.
#pragma once

#include <Foundation/NSObject.h>

NS_ASSUME_NONNULL_BEGIN

@class NSString;

__attribute__((visibility("default")))
@interface NSURL : NSObject<NSCopying>
- (instancetype)initFileURLWithPath:(NSString*)path;
+ (NSURL*)fileURLWithPath:(NSString*)path;
+ (NSURL*)fileURLWithPath:(NSString*)path isDirectory:(BOOL)isDirectory API_AVAILABLE(macos(10.5));
- (nullable instancetype)initWithString:(NSString*)text;
+ (nullable instancetype)URLWithString:(NSString*)text;

@property(nullable, readonly, copy) NSString* absoluteString;
@property(nullable, readonly, copy) NSString* scheme;
@property(nullable, readonly, copy) NSString* path;
@property(nullable, readonly, copy) NSString* lastPathComponent API_AVAILABLE(macos(10.6));
@property(nullable, readonly, copy) NSString* pathExtension API_AVAILABLE(macos(10.6));
@property(nullable, readonly, copy) NSURL* URLByDeletingLastPathComponent API_AVAILABLE(macos(10.6));
- (nullable NSURL*)URLByAppendingPathComponent:(NSString*)component API_AVAILABLE(macos(10.6));
@property(readonly, getter=isFileURL) BOOL fileURL;
@property(readonly) const char* fileSystemRepresentation NS_RETURNS_INNER_POINTER API_AVAILABLE(macos(10.9));
@end

NS_ASSUME_NONNULL_END

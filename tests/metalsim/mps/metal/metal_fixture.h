// Short ways to a device, pipelines and buffers, for the test programs.
#pragma once

#import "check.h"
#include "test_compiler.h"

#import <Metal/Metal.h>

#include <vector>

inline id<MTLDevice> device() {
  static id<MTLDevice> const the_device = MTLCreateSystemDefaultDevice();
  return the_device;
}

inline id<MTLLibrary> new_library(NSString* source) {
  test_compiler();
  NSError* error = nil;
  id<MTLLibrary> const library = [device() newLibraryWithSource:source options:nil error:&error];
  if (library == nil) {
    throw std::runtime_error("no library: " + text_of(error));
  }
  return library;
}

/// Autoreleased.
inline id<MTLComputePipelineState> pipeline(NSString* kernel) {
  id<MTLLibrary> const library = new_library(kernel);
  id<MTLFunction> const function = [library newFunctionWithName:kernel];
  NSError* error = nil;
  id<MTLComputePipelineState> const made = [device() newComputePipelineStateWithFunction:function error:&error];
  [function release];
  [library release];
  if (made == nil) {
    throw std::runtime_error("no pipeline: " + text_of(error));
  }
  return [made autorelease];
}

/// Autoreleased; shared storage.
inline id<MTLBuffer> buffer(NSUInteger length) {
  return [[device() newBufferWithLength:length options:MTLResourceStorageModeShared] autorelease];
}

template <class T> id<MTLBuffer> buffer_of(const std::vector<T>& values) {
  return [[device() newBufferWithBytes:values.data()
                                length:values.size() * sizeof(T)
                               options:MTLResourceStorageModeShared] autorelease];
}

template <class T> T* contents(id<MTLBuffer> buffer) {
  return static_cast<T*>([buffer contents]);
}

inline id<MTLCommandQueue> queue() {
  return [[device() newCommandQueue] autorelease];
}

inline void set_constant(id<MTLComputeCommandEncoder> encoder, uint32_t value, NSUInteger index) {
  [encoder setBytes:&value length:sizeof value atIndex:index];
}

inline void dispatch(id<MTLComputeCommandEncoder> encoder, NSUInteger threads, NSUInteger group = 32) {
  [encoder dispatchThreads:MTLSizeMake(threads, 1, 1) threadsPerThreadgroup:MTLSizeMake(group, 1, 1)];
}

/// Ends the encoder, commits, and waits.
inline void finish(id<MTLCommandBuffer> commands, id<MTLCommandEncoder> encoder) {
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
}

/// Whether METALSIM_EXECUTION is this; "deferred" if it is not set.
inline bool execution_is(const char* mode) {
  const char* const set = getenv("METALSIM_EXECUTION");
  return std::string(set == nullptr || *set == '\0' ? "deferred" : set) == mode;
}

#import "device.h"

#import "architecture.h"
#import "buffers.h"
#import "command_queues.h"
#include "described_mac.h"
#import "events.h"
#import "heaps.h"
#import "libraries.h"
#include "limits.h"
#import "pipelines.h"
#import "reflection.h"
#include "statistics.h"

#include <chrono>

using namespace metalsim::metal;

@interface SoftwareDevice : NSObject <MTLDevice>
@end

@implementation SoftwareDevice

// ---- what it is

- (NSString*)name {
  return string(metalsim::described_mac().gpu);
}

- (uint64_t)registryID {
  return 0x100000001;
}

- (MTLArchitecture*)architecture {
  return device_architecture();
}

- (MTLSize)maxThreadsPerThreadgroup {
  return MTLSizeMake(metalsim::abi::kMaxThreads, metalsim::abi::kMaxThreads, metalsim::abi::kMaxThreads);
}

- (BOOL)isLowPower {
  return NO;
}

- (BOOL)isHeadless {
  return NO;
}

- (BOOL)isRemovable {
  return NO;
}

- (BOOL)hasUnifiedMemory {
  return YES;
}

- (MTLDeviceLocation)location {
  return MTLDeviceLocationBuiltIn;
}

- (MTLArgumentBuffersTier)argumentBuffersSupport {
  return MTLArgumentBuffersTier2;
}

- (uint64_t)recommendedMaxWorkingSetSize {
  return kRecommendedWorkingSet;
}

- (NSUInteger)currentAllocatedSize {
  return statistics.live_bytes;
}

- (NSUInteger)maxThreadgroupMemoryLength {
  return metalsim::abi::kThreadgroupMemory;
}

- (NSUInteger)maxBufferLength {
  return kMaxBufferLength;
}

- (BOOL)supportsFamily:(MTLGPUFamily)family {
  const metalsim::DescribedMac mac = metalsim::described_mac();
  switch (family) {
  case MTLGPUFamilyMac2:
  case MTLGPUFamilyCommon1:
  case MTLGPUFamilyCommon2:
  case MTLGPUFamilyCommon3:
  case MTLGPUFamilyMetal3:
    return YES;
  case MTLGPUFamilyMetal4:
    return mac.macos_major >= 26;
  default:
    return family >= MTLGPUFamilyApple1 && family < MTLGPUFamilyApple1 + mac.family;
  }
}

- (void)sampleTimestamps:(MTLTimestamp*)cpuTimestamp gpuTimestamp:(MTLTimestamp*)gpuTimestamp {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  *cpuTimestamp = *gpuTimestamp = static_cast<MTLTimestamp>(std::chrono::nanoseconds(now).count());
}

// ---- what it makes

- (id<MTLCommandQueue>)newCommandQueue {
  return [[SoftwareCommandQueue alloc] init];
}

- (id<MTLCommandQueue>)newCommandQueueWithMaxCommandBufferCount:(NSUInteger)count {
  return [self newCommandQueue];
}

- (MTLSizeAndAlign)heapBufferSizeAndAlignWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
  return heap_size_and_align(length);
}

- (id<MTLHeap>)newHeapWithDescriptor:(MTLHeapDescriptor*)descriptor {
  check_kind(descriptor, [MTLHeapDescriptor class], "MTLHeapDescriptor", "-[MTLDevice newHeapWithDescriptor:]");
  return [[SoftwareHeap alloc] initWithDescriptor:descriptor];
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
  return new_buffer("-[MTLDevice newBufferWithLength:options:]", length, options, nil);
}

- (id<MTLBuffer>)newBufferWithBytes:(const void*)bytes length:(NSUInteger)length options:(MTLResourceOptions)options {
  return new_buffer_with_bytes(bytes, length, options);
}

- (id<MTLBuffer>)newBufferWithBytesNoCopy:(void*)bytes
                                   length:(NSUInteger)length
                                  options:(MTLResourceOptions)options
                              deallocator:(void (^)(void*, NSUInteger))deallocator {
  return new_buffer_without_copy(bytes, length, options, deallocator);
}

- (id<MTLLibrary>)newDefaultLibrary {
  return nil;
}

- (id<MTLLibrary>)newDefaultLibraryWithBundle:(NSBundle*)bundle error:(NSError**)error {
  return fail(error, MTLLibraryErrorDomain, MTLLibraryErrorFileNotFound,
              "-[MTLDevice newDefaultLibraryWithBundle:error:] found no default.metallib: there are no bundles here; "
              "compile the source with newLibraryWithSource:options:error:");
}

- (id<MTLLibrary>)newLibraryWithFile:(NSString*)path error:(NSError**)error {
  return new_library_of_file(path, error);
}

- (id<MTLLibrary>)newLibraryWithURL:(NSURL*)url error:(NSError**)error {
  return new_library_of_file([url path], error);
}

- (id<MTLLibrary>)newLibraryWithData:(dispatch_data_t)data error:(NSError**)error {
  return refuse_compiled_library("-[MTLDevice newLibraryWithData:error:]", error);
}

- (id<MTLLibrary>)newLibraryWithSource:(NSString*)source options:(MTLCompileOptions*)options error:(NSError**)error {
  return new_library(source, options, error);
}

- (void)newLibraryWithSource:(NSString*)source
                     options:(MTLCompileOptions*)options
           completionHandler:(MTLNewLibraryCompletionHandler)completionHandler {
  NSError* error = nil;
  id<MTLLibrary> const library = new_library(source, options, &error);
  completionHandler(library, error);
  [library release];
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)function error:(NSError**)error {
  return new_pipeline(function, error);
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                                           options:(MTLPipelineOption)options
                                                        reflection:(MTLAutoreleasedComputePipelineReflection*)reflection
                                                             error:(NSError**)error {
  id<MTLComputePipelineState> const pipeline = new_pipeline(function, error);
  if (reflection != nullptr) {
    *reflection = [pipeline reflection];
  }
  return pipeline;
}

- (void)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                          completionHandler:(MTLNewComputePipelineStateCompletionHandler)completionHandler {
  NSError* error = nil;
  id<MTLComputePipelineState> const pipeline = new_pipeline(function, &error);
  completionHandler(pipeline, error);
  [pipeline release];
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                                             options:(MTLPipelineOption)options
                                                          reflection:
                                                              (MTLAutoreleasedComputePipelineReflection*)reflection
                                                               error:(NSError**)error {
  id<MTLComputePipelineState> const pipeline = new_pipeline(descriptor, error);
  if (reflection != nullptr) {
    *reflection = [pipeline reflection];
  }
  return pipeline;
}

- (void)newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                      options:(MTLPipelineOption)options
                            completionHandler:(void (^)(id<MTLComputePipelineState>, MTLComputePipelineReflection*,
                                                        NSError*))completionHandler {
  NSError* error = nil;
  id<MTLComputePipelineState> const pipeline = new_pipeline(descriptor, &error);
  completionHandler(pipeline, [pipeline reflection], error);
  [pipeline release];
}

- (id<MTLFence>)newFence {
  return [[SoftwareFence alloc] init];
}

- (id<MTLEvent>)newEvent {
  return [[SoftwareEvent alloc] init];
}

- (id<MTLSharedEvent>)newSharedEvent {
  return [[SoftwareSharedEvent alloc] init];
}

@end

namespace metalsim::metal {

id<MTLDevice> the_device() {
  static SoftwareDevice* const device = [[SoftwareDevice alloc] init];
  return device;
}

} // namespace metalsim::metal

id<MTLDevice> MTLCreateSystemDefaultDevice() {
  return [the_device() retain];
}

NSArray<id<MTLDevice>>* MTLCopyAllDevices() {
  return [@[ the_device() ] retain];
}

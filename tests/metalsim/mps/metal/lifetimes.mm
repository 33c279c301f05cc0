// Nothing is left behind: objects of every class, after work of every kind.
#import "metal_fixture.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#include "../../../../metalsim/native/metal/device_memory.h"

#include <algorithm>
#include <iterator>

/// Of the Objective-C runtime.
extern "C" long metalsim_live_objects(const char* class_name);

namespace {

const char* const kClasses[] = {
    "SoftwareBuffer",
    "SoftwareBlitCommandEncoder",
    "SoftwareCommandBuffer",
    "SoftwareCommandQueue",
    "SoftwareComputeCommandEncoder",
    "SoftwareComputePipelineState",
    "SoftwareEvent",
    "SoftwareFunction",
    "SoftwareHeap",
    "SoftwareLibrary",
    "SoftwareSharedEvent",
    "MPSCommandBuffer",
    "MTLCompileOptions",
    "MTLComputePipelineDescriptor",
    "MTLComputePipelineReflection",
    "MTLFunctionConstant",
    "MTLFunctionConstantValues",
    "MTLHeapDescriptor",
    "NSError",
};

void encode(id<MTLCommandBuffer> commands, id<MTLComputePipelineState> add, id<MTLBuffer> x) {
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  encoder.label = @"encoder";
  [encoder setComputePipelineState:add];
  [encoder setBuffer:x offset:0 atIndex:0];
  dispatch(encoder, 1, 1);
  [encoder endEncoding];
  id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
  [blit fillBuffer:x range:NSMakeRange(0, 4) value:0];
  [blit endEncoding];
}

void work() {
  id<MTLComputePipelineState> const add = pipeline(@"add_one");
  id<MTLCommandQueue> const same = queue();
  id<MTLBuffer> const x = buffer(64);
  id<MTLSharedEvent> const event = [[device() newSharedEvent] autorelease];
  id<MTLCommandBuffer> const commands = [same commandBuffer];
  encode(commands, add, x);
  [commands encodeSignalEvent:event value:1];
  [commands addCompletedHandler:^(id<MTLCommandBuffer> done) {
    static_cast<void>([done status] + [x length]);
  }];
  [commands commit];
  [commands waitUntilCompleted];

  MPSCommandBuffer* const continued = [MPSCommandBuffer commandBufferFromCommandQueue:same];
  encode(continued, add, x);
  id<MTLCommandBuffer> const first = [continued rootCommandBuffer];
  [continued commitAndContinue];
  check([continued rootCommandBuffer] != first);
  check_equal([continued retainedReferences], YES);
  encode(continued, add, x);
  [continued commit];
  [continued waitUntilCompleted];
  check_equal([first status], MTLCommandBufferStatusCompleted);
}

void failures_leave_nothing() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"overrun")];
  [encoder setBuffer:buffer(4) offset:0 atIndex:0];
  dispatch(encoder, 1, 1);
  finish(commands, encoder);
  check([commands error] != nil);
  check_refused("has been committed", [&] { [commands commit]; });
  [device() newLibraryWithSource:@"wrong" options:nil error:nil];
}

void nothing_stays() {
  @autoreleasepool {
    work(); // what is made once
    failures_leave_nothing();
  }
  long before[std::size(kClasses)];
  std::transform(std::begin(kClasses), std::end(kClasses), before, metalsim_live_objects);
  const MetalsimStatistics statistics = metalsim_statistics();
  for (int i = 0; i < 5; ++i) {
    @autoreleasepool {
      work();
      failures_leave_nothing();
    }
  }
  for (size_t i = 0; i < std::size(kClasses); ++i) {
    const long now = metalsim_live_objects(kClasses[i]);
    if (now != before[i]) {
      report(std::to_string(now - before[i]) + " objects left of class " + kClasses[i], Place::current());
    }
  }
  check_equal(metalsim_statistics().live_buffers, statistics.live_buffers);
  check_equal(metalsim_statistics().live_bytes, statistics.live_bytes);
  check_equal(test_compiler().live_libraries, 0);
}

void references_are_kept_until_the_end() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  const uint64_t before = metalsim_statistics().live_buffers;
  @autoreleasepool {
    encode(commands, pipeline(@"add_one"), buffer(64));
  }
  check_equal(metalsim_statistics().live_buffers, before + 1);
  [commands commit];
  [commands waitUntilCompleted];
  check_equal(metalsim_statistics().live_buffers, before);
}

} // namespace

int main() {
  run_case("nothing_stays", nothing_stays);
  run_case("references_are_kept_until_the_end", references_are_kept_until_the_end);
  return failures;
}

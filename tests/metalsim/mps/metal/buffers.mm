// Buffers, heaps, the device and its books.
#import "metal_fixture.h"

#include "../../../../metalsim/native/metal/device_memory.h"

#include <cmath>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace {

sigjmp_buf after_fault;

void on_fault(int) {
  siglongjmp(after_fault, 1);
}

/// Whether reading a byte there ends in a signal.
bool faults(const volatile char* address) {
  struct sigaction action = {};
  struct sigaction before;
  action.sa_handler = on_fault;
  sigaction(SIGSEGV, &action, &before);
  bool has_faulted = true;
  if (sigsetjmp(after_fault, 1) == 0) {
    static_cast<void>(*address);
    has_faulted = false;
  }
  sigaction(SIGSEGV, &before, nullptr);
  return has_faulted;
}

void new_memory_is_no_number() {
  id<MTLBuffer> const x = buffer(1000 * sizeof(float));
  check_equal([x length], 4000u);
  for (int i = 0; i < 1000; ++i) {
    check(std::isnan(contents<float>(x)[i]));
  }
}

void handles_are_no_pointers() {
  id<MTLBuffer> const x = buffer(64);
  check(faults((const char*)(void*)x));
  check(faults((const char*)(void*)x + 32));
  check((void*)[x retain] == (void*)x);
  [x release];
  check((void*)[[x retain] autorelease] == (void*)x);
  check((void*)[x self] == (void*)x);
  check([x isEqual:x]);
  check(![x isEqual:buffer(64)]);
  check([x conformsToProtocol:@protocol(MTLBuffer)]);
  NSArray<id<MTLBuffer>>* const list = @[ x, buffer(4) ];
  check([list objectAtIndex:0] == x);
  check([list containsObject:x]);
}

void memory_ends_at_an_inaccessible_page() {
  id<MTLBuffer> const x = buffer(4096 + 16);
  const char* const first = contents<const char>(x);
  check(!faults(first));
  check(!faults(first + [x length] - 1));
  check(faults(first + [x length]));
}

void private_memory_is_hidden() {
  id<MTLBuffer> const hidden = [[device() newBufferWithLength:64 options:MTLResourceStorageModePrivate] autorelease];
  check([hidden contents] == nullptr);
  check_equal([hidden storageMode], MTLStorageModePrivate);
  check(metalsim_buffer_contents((void*)hidden) != nullptr);
  check_equal(metalsim_buffer_length((void*)hidden), 64u);
  check(metalsim_buffer_contents(nullptr) == nullptr);
  check_refused("an address 4 bytes inside", [&] { metalsim_buffer_contents((char*)(void*)hidden + 4); });
}

void host_memory_is_not_copied() {
  void* page = nullptr;
  check_equal(posix_memalign(&page, 4096, 4096), 0);
  std::memset(page, 7, 4096);
  __block void* given_back = nullptr;
  @autoreleasepool {
    id<MTLBuffer> const x = [[device() newBufferWithBytesNoCopy:page
                                                         length:4096
                                                        options:MTLResourceStorageModeShared
                                                    deallocator:^(void* pointer, NSUInteger length) {
                                                      check_equal(length, 4096u);
                                                      given_back = pointer;
                                                    }] autorelease];
    check([x contents] == page);
    check(given_back == nullptr);
    id<MTLCommandBuffer> const commands = [queue() commandBuffer];
    id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
    [blit fillBuffer:x range:NSMakeRange(0, 1) value:9];
    finish(commands, blit);
  }
  check(given_back == page);
  check_equal(static_cast<char*>(page)[0], 9);
  check_equal(static_cast<char*>(page)[1], 7);
  std::free(page);
}

void giant_buffers_cost_nothing() {
  const NSUInteger giant = NSUInteger{20} << 30;
  id<MTLBuffer> const x = [[device() newBufferWithLength:giant options:MTLResourceStorageModeShared] autorelease];
  check(x != nil);
  contents<char>(x)[giant - 1] = 1;
  check_equal(contents<char>(x)[giant / 2], 0);
}

void books_are_kept() {
  const MetalsimStatistics before = metalsim_statistics();
  @autoreleasepool {
    buffer(1000);
    buffer(24);
    check_equal(metalsim_statistics().live_buffers, before.live_buffers + 2);
    check_equal(metalsim_statistics().live_bytes, before.live_bytes + 1024);
    check_equal([device() currentAllocatedSize], before.live_bytes + 1024);
  }
  check_equal(metalsim_statistics().live_buffers, before.live_buffers);
  check_equal(metalsim_statistics().live_bytes, before.live_bytes);
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  [commands commit];
  [commands waitUntilCompleted];
  check_equal(metalsim_statistics().command_buffers, before.command_buffers + 1);
  check_equal(metalsim_statistics().completed_command_buffers, before.completed_command_buffers + 1);
}

void labels_and_purging() {
  id<MTLBuffer> const x = buffer_of<float>({1, 2});
  x.label = @"queries";
  check([x.label isEqual:@"queries"]);
  check([x device] == device());
  check_equal([x setPurgeableState:MTLPurgeableStateKeepCurrent], MTLPurgeableStateNonVolatile);
  check_equal(contents<float>(x)[1], 2);
  [x setPurgeableState:MTLPurgeableStateEmpty];
  check(std::isnan(contents<float>(x)[1]));
}

void heaps_keep_the_books() {
  MTLHeapDescriptor* const descriptor = [[[MTLHeapDescriptor alloc] init] autorelease];
  descriptor.size = 1024;
  descriptor.resourceOptions = MTLResourceStorageModePrivate | MTLResourceHazardTrackingModeTracked;
  check_equal(descriptor.storageMode, MTLStorageModePrivate);
  id<MTLHeap> const heap = [[device() newHeapWithDescriptor:descriptor] autorelease];
  @autoreleasepool {
    id<MTLBuffer> const first = [[heap newBufferWithLength:300 options:MTLResourceStorageModePrivate] autorelease];
    check([first heap] == heap);
    check_equal([heap usedSize], 512u);
    check([heap newBufferWithLength:600 options:MTLResourceStorageModePrivate] == nil);
    check_equal([heap maxAvailableSizeWithAlignment:256], 512u);
    check_refused("another storage mode than the heap's",
                  [&] { [heap newBufferWithLength:4 options:MTLResourceStorageModeShared]; });
  }
  check_equal([heap usedSize], 0u);
}

void the_device_describes_itself() {
  check([[device() name] isEqual:@"Apple M4 Pro"]);
  check([device().architecture.name isEqual:@"applegpu_g16s"]);
  check([device() supportsFamily:MTLGPUFamilyApple9]);
  check(![device() supportsFamily:MTLGPUFamilyApple10]);
  check([device() supportsFamily:MTLGPUFamilyMetal3]);
  check(![device() supportsFamily:MTLGPUFamilyMetal4]);
  check_equal([device() maxThreadgroupMemoryLength], 32768u);
  check_equal([device() maxThreadsPerThreadgroup].width, 1024u);
  check([device() hasUnifiedMemory]);
  check_equal([[MTLCopyAllDevices() autorelease] count], 1u);
  NSError* error = nil;
  MTLCaptureManager* const captures = [MTLCaptureManager sharedCaptureManager];
  check(![captures startCaptureWithDescriptor:[[[MTLCaptureDescriptor alloc] init] autorelease] error:&error]);
  check_text(text_of(error), "capture on a Mac");
}

} // namespace

int main() {
  run_case("new_memory_is_no_number", new_memory_is_no_number);
  run_case("handles_are_no_pointers", handles_are_no_pointers);
  run_case("memory_ends_at_an_inaccessible_page", memory_ends_at_an_inaccessible_page);
  run_case("private_memory_is_hidden", private_memory_is_hidden);
  run_case("host_memory_is_not_copied", host_memory_is_not_copied);
  run_case("giant_buffers_cost_nothing", giant_buffers_cost_nothing);
  run_case("books_are_kept", books_are_kept);
  run_case("labels_and_purging", labels_and_purging);
  run_case("heaps_keep_the_books", heaps_keep_the_books);
  run_case("the_device_describes_itself", the_device_describes_itself);
  return failures;
}

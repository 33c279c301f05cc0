// Events, shared events and their listeners, fences.
#import "metal_fixture.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace {

/// A command buffer that appends a digit, between waiting for an event and signalling it.
id<MTLCommandBuffer> append(id<MTLCommandQueue> queue, id<MTLBuffer> number, uint32_t digit, id<MTLEvent> event,
                            uint64_t awaited, uint64_t signaled) {
  id<MTLCommandBuffer> const commands = [queue commandBuffer];
  if (awaited != 0) {
    [commands encodeWaitForEvent:event value:awaited];
  }
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"append_digit")];
  [encoder setBuffer:number offset:0 atIndex:0];
  set_constant(encoder, digit, 1);
  dispatch(encoder, 1, 1);
  [encoder endEncoding];
  [commands encodeSignalEvent:event value:signaled];
  return commands;
}

void events_order_queues() {
  if (execution_is("commit") || execution_is("eager")) {
    return; // a command buffer that waits for a later one would hold up the one thread that there is
  }
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLEvent> const event = [[device() newEvent] autorelease];
  id<MTLCommandQueue> const one = queue();
  id<MTLCommandQueue> const other = queue();
  id<MTLCommandBuffer> const second = append(one, number, 2, event, 1, 2);
  id<MTLCommandBuffer> const first = append(other, number, 1, event, 0, 1);
  const auto start = std::chrono::steady_clock::now();
  [second commit];
  [first commit];
  [second waitUntilCompleted];
  check(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1500));
  [first waitUntilCompleted];
  check([second error] == nil);
  check_equal(*contents<uint32_t>(number), 12u);
}

void host_signals() {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLSharedEvent> const event = [[device() newSharedEvent] autorelease];
  std::thread signaler([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    event.signaledValue = 5;
  });
  id<MTLCommandBuffer> const commands = append(queue(), number, 1, event, 5, 6);
  [commands commit];
  [commands waitUntilCompleted];
  signaler.join();
  check([commands error] == nil);
  check_equal(event.signaledValue, 6u);
}

void host_waits() {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLSharedEvent> const event = [[device() newSharedEvent] autorelease];
  check(![event waitUntilSignaledValue:1 timeoutMS:1]);
  [append(queue(), number, 1, event, 0, 3) commit];
  check([event waitUntilSignaledValue:3 timeoutMS:5000]);
  [append(queue(), number, 1, event, 0, 4) commit];
  while (event.signaledValue < 4) { // asks again and again
    std::this_thread::yield();
  }
}

void listeners_are_told() {
  static std::atomic<uint64_t> told = 0;
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLSharedEvent> const event = [[device() newSharedEvent] autorelease];
  MTLSharedEventListener* const listener = [[[MTLSharedEventListener alloc] init] autorelease];
  [event notifyListener:listener
                atValue:2
                  block:^(id<MTLSharedEvent> signaled, uint64_t value) {
                    told = value + ([signaled device] == device() ? 100 : 0);
                  }];
  event.signaledValue = 1;
  id<MTLCommandBuffer> const commands = append(queue(), number, 1, event, 1, 2);
  [commands commit];
  [commands waitUntilCompleted];
  for (int i = 0; i < 500 && told == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  check_equal(told.load(), 102u);
  dispatch_sync(listener.dispatchQueue, ^{
                });
}

void a_wait_for_nothing_ends() {
  if (!execution_is("deferred")) {
    return; // once is enough of a wait
  }
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLEvent> const event = [[device() newEvent] autorelease];
  id<MTLCommandBuffer> const commands = append(queue(), number, 1, event, 9, 10);
  [commands commit];
  [commands waitUntilCompleted];
  check_equal([[commands error] code], static_cast<NSInteger>(MTLCommandBufferErrorTimeout));
  check_text(text_of([commands error]), "waited 5 seconds for an event to reach 9, but it is at 0");
  check_equal(*contents<uint32_t>(number), 0u);
}

void fences_are_accepted() {
  id<MTLFence> const fence = [[device() newFence] autorelease];
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
  [blit updateFence:fence];
  [blit endEncoding];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder waitForFence:fence];
  finish(commands, encoder);
  check([commands error] == nil);
}

} // namespace

int main() {
  run_case("events_order_queues", events_order_queues);
  run_case("host_signals", host_signals);
  run_case("host_waits", host_waits);
  run_case("listeners_are_told", listeners_are_told);
  run_case("a_wait_for_nothing_ends", a_wait_for_nothing_ends);
  run_case("fences_are_accepted", fences_are_accepted);
  return failures;
}

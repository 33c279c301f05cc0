// Mistakes that only show because the device runs later than the host: each must go wrong here, except in eager mode.
#import "metal_fixture.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

/// Of METALSIM_EXECUTION_DELAY_US.
constexpr std::chrono::milliseconds kDelay(20);

/// Whether work has not run when commit returns; in `thread` that is so because of the delay.
bool runs_later() {
  return execution_is("deferred") || execution_is("thread");
}

void parameter_buffer_is_read_at_execution() {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLBuffer> const digit = buffer_of<uint32_t>({1});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"append_digit")];
  [encoder setBuffer:number offset:0 atIndex:0];
  [encoder setBuffer:digit offset:0 atIndex:1];
  dispatch(encoder, 1, 1);
  *contents<uint32_t>(digit) = 2; // the mistake: the first dispatch is still to come
  dispatch(encoder, 1, 1);
  finish(commands, encoder);
  check_equal(*contents<uint32_t>(number), execution_is("eager") ? 12u : 22u);
}

void result_is_not_there_before_the_wait() {
  id<MTLBuffer> const x = buffer_of<float>({1});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"add_one")];
  [encoder setBuffer:x offset:0 atIndex:0];
  dispatch(encoder, 1, 1);
  [encoder endEncoding];
  check_equal(*contents<float>(x), execution_is("eager") ? 2 : 1);
  const Clock::time_point start = Clock::now();
  [commands commit];
  const float seen = *contents<float>(x);
  const MTLCommandBufferStatus status = [commands status];
  if (!execution_is("thread") || Clock::now() - start < kDelay) { // else this thread was not the faster one
    check_equal(seen, runs_later() ? 1 : 2);
    check_equal(status < MTLCommandBufferStatusCompleted, runs_later());
  }
  [commands waitUntilCompleted];
  check_equal(*contents<float>(x), 2);
}

/// Encodes a dispatch that uses a buffer which is released before the execution, and returns the command buffer.
id<MTLCommandBuffer> with_released_buffer(bool retains) {
  id<MTLCommandQueue> const made = queue();
  id<MTLCommandBuffer> const commands = retains ? [made commandBuffer] : [made commandBufferWithUnretainedReferences];
  id<MTLComputePipelineState> const add = pipeline(@"add_one");
  @autoreleasepool {
    id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:add];
    [encoder setBuffer:buffer_of<float>({1}) offset:0 atIndex:0];
    dispatch(encoder, 1, 1);
    [encoder endEncoding];
  }
  [commands commit];
  [commands waitUntilCompleted];
  return commands;
}

void unretained_temporaries_must_live() {
  check([with_released_buffer(true) error] == nil);
  id<MTLCommandBuffer> const failed = with_released_buffer(false);
  if (execution_is("eager")) {
    check([failed error] == nil);
    return;
  }
  check_equal([failed status], MTLCommandBufferStatusError);
  check_text(text_of([failed error]), "execution of kernel 'add_one' found that the buffer bound at index 0 had been "
                                      "released");
}

void unretained_pipelines_must_live() {
  id<MTLCommandBuffer> const commands = [queue() commandBufferWithUnretainedReferences];
  id<MTLBuffer> const x = buffer_of<float>({1});
  @autoreleasepool {
    id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline(@"add_one")];
    [encoder setBuffer:x offset:0 atIndex:0];
    dispatch(encoder, 1, 1);
    [encoder endEncoding];
  }
  [commands commit];
  [commands waitUntilCompleted];
  if (!execution_is("eager")) {
    check_text(text_of([commands error]), "began after its pipeline had been released");
  }
}

void unretained_blits_must_live() {
  id<MTLCommandBuffer> const commands = [queue() commandBufferWithUnretainedReferences];
  @autoreleasepool {
    id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
    [blit fillBuffer:buffer(16) range:NSMakeRange(0, 16) value:1];
    [blit endEncoding];
  }
  [commands commit];
  [commands waitUntilCompleted];
  if (!execution_is("eager")) {
    check_text(text_of([commands error]), "ran after one of its buffers had been released");
  }
}

void nothing_runs_after_a_failure() {
  id<MTLCommandBuffer> const commands = [queue() commandBufferWithUnretainedReferences];
  id<MTLBuffer> const x = buffer_of<float>({1});
  id<MTLComputePipelineState> const add = pipeline(@"add_one");
  id<MTLComputePipelineState> const overrun = pipeline(@"overrun");
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setBuffer:x offset:0 atIndex:0];
  [encoder setComputePipelineState:add];
  dispatch(encoder, 1, 1);
  [encoder setComputePipelineState:overrun];
  dispatch(encoder, 1, 1);
  [encoder setComputePipelineState:add];
  dispatch(encoder, 1, 1);
  finish(commands, encoder);
  check_equal([commands status], MTLCommandBufferStatusError);
  check_equal(*contents<float>(x), 2);
}

/// Host code may learn of the end without a wait: it asks again and again, or a handler tells it.
void polling_ends() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  [commands commit];
  while ([commands status] != MTLCommandBufferStatusCompleted) {
    std::this_thread::yield();
  }
}

void handlers_are_called_without_a_wait() {
  static std::atomic<bool> is_done = false; // blocks cannot move an atomic
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  [commands addCompletedHandler:^(id<MTLCommandBuffer>) {
    is_done = true;
  }];
  [commands commit];
  for (int i = 0; i < 1000 && !is_done; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  check(is_done);
}

void many_threads() {
  id<MTLCommandQueue> const shared = queue();
  id<MTLComputePipelineState> const add = pipeline(@"add_one");
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        @autoreleasepool {
          id<MTLBuffer> const x = buffer_of<float>(std::vector<float>(64, static_cast<float>(round)));
          id<MTLCommandBuffer> const commands = [shared commandBuffer];
          id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
          [encoder setComputePipelineState:add];
          [encoder setBuffer:x offset:0 atIndex:0];
          dispatch(encoder, 64);
          finish(commands, encoder);
          wrong += contents<float>(x)[63] != static_cast<float>(round + 1);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  check_equal(wrong.load(), 0);
}

} // namespace

int main() {
  setenv("METALSIM_EXECUTION_DELAY_US", "20000", 1);
  run_case("parameter_buffer_is_read_at_execution", parameter_buffer_is_read_at_execution);
  run_case("result_is_not_there_before_the_wait", result_is_not_there_before_the_wait);
  run_case("unretained_temporaries_must_live", unretained_temporaries_must_live);
  run_case("unretained_pipelines_must_live", unretained_pipelines_must_live);
  run_case("unretained_blits_must_live", unretained_blits_must_live);
  run_case("nothing_runs_after_a_failure", nothing_runs_after_a_failure);
  run_case("polling_ends", polling_ends);
  run_case("handlers_are_called_without_a_wait", handlers_are_called_without_a_wait);
  run_case("many_threads", many_threads);
  return failures;
}

// Dispatches, copies and their order, in whatever mode METALSIM_EXECUTION says.
#import "metal_fixture.h"

#include <cmath>

namespace {

void dispatch_adds_one() {
  id<MTLBuffer> const x = buffer_of<float>(std::vector<float>(1000, 2));
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"add_one")];
  [encoder setBuffer:x offset:0 atIndex:0];
  dispatch(encoder, 1000);
  finish(commands, encoder);
  check_equal([commands status], MTLCommandBufferStatusCompleted);
  check([commands error] == nil);
  check([commands GPUEndTime] >= [commands GPUStartTime]);
  check([commands GPUStartTime] > 0);
  for (int i = 0; i < 1000; ++i) {
    check_equal(contents<float>(x)[i], 3);
  }
}

void bytes_and_offsets() {
  id<MTLBuffer> const out = buffer(16 * sizeof(float));
  id<MTLBuffer> const in = buffer_of<float>({0, 1, 2, 3, 4, 5, 6, 7});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"scale")];
  const id<MTLBuffer> both[] = {out, in};
  const NSUInteger offsets[] = {0, 16};
  [encoder setBuffers:both offsets:offsets withRange:NSMakeRange(0, 2)];
  ScaleParameters parameters = {10, 1};
  [encoder setBytes:&parameters length:sizeof parameters atIndex:2];
  parameters = {0, 0}; // the encoder has a copy
  dispatch(encoder, 4);
  [encoder setBufferOffset:16 atIndex:0];
  [encoder setBufferOffset:0 atIndex:1];
  dispatch(encoder, 4);
  finish(commands, encoder);
  const float expected[] = {41, 51, 61, 71, 1, 11, 21, 31};
  for (int i = 0; i < 8; ++i) {
    check_equal(contents<float>(out)[i], expected[i]);
  }
  check(std::isnan(contents<float>(out)[8])); // nobody wrote it
}

void edge_threadgroups_are_partial() {
  id<MTLBuffer> const sizes = buffer(10 * 5 * 3 * sizeof(uint32_t));
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"describe_grid")];
  [encoder setBuffer:sizes offset:0 atIndex:0];
  [encoder dispatchThreads:MTLSizeMake(10, 5, 3) threadsPerThreadgroup:MTLSizeMake(4, 4, 2)];
  finish(commands, encoder);
  const auto at = [&](int x, int y, int z) { return contents<uint32_t>(sizes)[(z * 5 + y) * 10 + x]; };
  check_equal(at(0, 0, 0), 4u | 4u << 8 | 2u << 16);
  check_equal(at(9, 0, 0), 2u | 4u << 8 | 2u << 16);
  check_equal(at(9, 4, 0), 2u | 1u << 8 | 2u << 16);
  check_equal(at(9, 4, 2), 2u | 1u << 8 | 1u << 16);
}

void threadgroups_are_full() {
  id<MTLBuffer> const sizes = buffer(12 * sizeof(uint32_t));
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"describe_grid")];
  [encoder setBuffer:sizes offset:0 atIndex:0];
  [encoder dispatchThreadgroups:MTLSizeMake(3, 1, 1) threadsPerThreadgroup:MTLSizeMake(4, 1, 1)];
  finish(commands, encoder);
  check_equal(contents<uint32_t>(sizes)[11], 4u | 1u << 8 | 1u << 16);
}

void threadgroup_memory_is_there() {
  id<MTLBuffer> const out = buffer(64 * sizeof(uint32_t));
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"through_threadgroup_memory")];
  [encoder setBuffer:out offset:0 atIndex:0];
  [encoder setThreadgroupMemoryLength:32 * sizeof(uint32_t) atIndex:0];
  dispatch(encoder, 64);
  finish(commands, encoder);
  check_equal(contents<uint32_t>(out)[63], 189u);
}

void grid_is_read_at_execution() {
  id<MTLBuffer> const x = buffer_of<float>(std::vector<float>(64, 0));
  id<MTLBuffer> const threadgroups = buffer_of<uint32_t>({9, 9, 9, 1, 1, 1});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const add = [commands computeCommandEncoder];
  [add setComputePipelineState:pipeline(@"add_one")];
  [add setBuffer:x offset:0 atIndex:0];
  [add dispatchThreadgroupsWithIndirectBuffer:threadgroups
                         indirectBufferOffset:12
                        threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
  if (!execution_is("eager")) {
    contents<uint32_t>(threadgroups)[3] = 2;
  }
  finish(commands, add);
  check_equal(contents<float>(x)[31], 1);
  check_equal(contents<float>(x)[32], execution_is("eager") ? 0 : 1);
}

void indirect_grid_may_be_empty() {
  id<MTLBuffer> const x = buffer_of<float>({5});
  id<MTLBuffer> const threadgroups = buffer_of<uint32_t>({0, 1, 1});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"add_one")];
  [encoder setBuffer:x offset:0 atIndex:0];
  [encoder dispatchThreadgroupsWithIndirectBuffer:threadgroups
                             indirectBufferOffset:0
                            threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  finish(commands, encoder);
  check([commands error] == nil);
  check_equal(contents<float>(x)[0], 5);
}

/// Encodes the digits 1 to 3 with a barrier behind the first `before` of them, and returns the number they make.
uint32_t order_of_dispatches(MTLDispatchType type, int before) {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoderWithDispatchType:type];
  [encoder setComputePipelineState:pipeline(@"append_digit")];
  [encoder setBuffer:number offset:0 atIndex:0];
  for (uint32_t digit = 1; digit <= 3; ++digit) {
    set_constant(encoder, digit, 1);
    dispatch(encoder, 1, 1);
    if (static_cast<int>(digit) == before) {
      [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
    }
  }
  finish(commands, encoder);
  return *contents<uint32_t>(number);
}

void serial_encoders_keep_the_order() {
  check_equal(order_of_dispatches(MTLDispatchTypeSerial, 0), 123u);
}

void concurrent_encoders_do_not() {
  check_equal(order_of_dispatches(MTLDispatchTypeConcurrent, 0), execution_is("eager") ? 123u : 321u);
}

void barriers_restore_it() {
  check_equal(order_of_dispatches(MTLDispatchTypeConcurrent, 1), execution_is("eager") ? 123u : 132u);
  check_equal(order_of_dispatches(MTLDispatchTypeConcurrent, 2), execution_is("eager") ? 123u : 213u);
}

void blits_copy_and_fill() {
  id<MTLBuffer> const from = buffer_of<uint8_t>({1, 2, 3, 4, 5, 6, 7, 8});
  id<MTLBuffer> const hidden = [[device() newBufferWithLength:8 options:MTLResourceStorageModePrivate] autorelease];
  id<MTLBuffer> const to = buffer(8);
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLBlitCommandEncoder> const blit = [commands blitCommandEncoder];
  [blit copyFromBuffer:from sourceOffset:0 toBuffer:hidden destinationOffset:0 size:8];
  [blit copyFromBuffer:hidden sourceOffset:2 toBuffer:to destinationOffset:1 size:4];
  [blit fillBuffer:to range:NSMakeRange(5, 3) value:0xAB];
  finish(commands, blit);
  const uint8_t expected[] = {0xFF, 3, 4, 5, 6, 0xAB, 0xAB, 0xAB};
  for (int i = 0; i < 8; ++i) {
    check_equal(contents<uint8_t>(to)[i], expected[i]);
  }
}

void command_buffers_run_in_order() {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLCommandQueue> const same = queue();
  id<MTLComputePipelineState> const append = pipeline(@"append_digit");
  const auto encode = [&](uint32_t digit) {
    id<MTLCommandBuffer> const commands = [same commandBuffer];
    id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:append];
    [encoder setBuffer:number offset:0 atIndex:0];
    set_constant(encoder, digit, 1);
    dispatch(encoder, 1, 1);
    [encoder endEncoding];
    return commands;
  };
  if (execution_is("eager")) {
    return; // they run as they are encoded
  }
  id<MTLCommandBuffer> const first = encode(1);
  id<MTLCommandBuffer> const second = encode(2);
  id<MTLCommandBuffer> const third = encode(3);
  [second enqueue];
  check_equal([second status], MTLCommandBufferStatusEnqueued);
  [first commit];
  [third commit];
  [second commit];
  [third waitUntilCompleted];
  check_equal(*contents<uint32_t>(number), 213u);
  check_equal([first status], MTLCommandBufferStatusCompleted);
}

void handlers_are_called() {
  __block int scheduled = 0;
  __block int completed = 0;
  __block MTLCommandBufferStatus status = MTLCommandBufferStatusNotEnqueued;
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  [commands addScheduledHandler:^(id<MTLCommandBuffer>) {
    ++scheduled;
  }];
  for (int i = 0; i < 2; ++i) {
    [commands addCompletedHandler:^(id<MTLCommandBuffer> completedCommands) {
      ++completed;
      status = [completedCommands status];
    }];
  }
  [commands commit];
  [commands waitUntilScheduled];
  [commands waitUntilCompleted];
  check_equal(scheduled, 1);
  check_equal(completed, 2);
  check_equal(status, MTLCommandBufferStatusCompleted);
}

void a_handler_may_wait_for_a_later_one() {
  id<MTLCommandQueue> const same = queue();
  id<MTLCommandBuffer> const first = [same commandBuffer];
  __block bool has_waited = false;
  [first addCompletedHandler:^(id<MTLCommandBuffer> done) {
    id<MTLCommandBuffer> const second = [same commandBuffer];
    [second commit];
    [second waitUntilCompleted];
    [done waitUntilCompleted];
    has_waited = [second status] == MTLCommandBufferStatusCompleted;
  }];
  [first commit];
  [first waitUntilCompleted];
  check(has_waited);
}

void a_fault_is_the_command_buffers_error() {
  id<MTLBuffer> const x = buffer(64);
  id<MTLCommandQueue> const same = queue();
  id<MTLCommandBuffer> const commands = [same commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"overrun")];
  [encoder setBuffer:x offset:0 atIndex:0];
  dispatch(encoder, 1, 1);
  finish(commands, encoder);
  check_equal([commands status], MTLCommandBufferStatusError);
  check_equal([[commands error] code], static_cast<NSInteger>(MTLCommandBufferErrorPageFault));
  check([[[commands error] domain] isEqual:MTLCommandBufferErrorDomain]);
  check_text(text_of([commands error]), "kernel 'overrun'");
  check_text(text_of([commands error]), "a read of memory that is not mapped");
  check_text(text_of([commands error]), "buffer 0, byte 64");
  // The queue goes on.
  id<MTLCommandBuffer> const next = [same commandBuffer];
  [next commit];
  [next waitUntilCompleted];
  check_equal([next status], MTLCommandBufferStatusCompleted);
}

} // namespace

int main() {
  run_case("dispatch_adds_one", dispatch_adds_one);
  run_case("bytes_and_offsets", bytes_and_offsets);
  run_case("edge_threadgroups_are_partial", edge_threadgroups_are_partial);
  run_case("threadgroups_are_full", threadgroups_are_full);
  run_case("threadgroup_memory_is_there", threadgroup_memory_is_there);
  run_case("grid_is_read_at_execution", grid_is_read_at_execution);
  run_case("indirect_grid_may_be_empty", indirect_grid_may_be_empty);
  run_case("serial_encoders_keep_the_order", serial_encoders_keep_the_order);
  run_case("concurrent_encoders_do_not", concurrent_encoders_do_not);
  run_case("barriers_restore_it", barriers_restore_it);
  run_case("blits_copy_and_fill", blits_copy_and_fill);
  run_case("command_buffers_run_in_order", command_buffers_run_in_order);
  run_case("handlers_are_called", handlers_are_called);
  run_case("a_handler_may_wait_for_a_later_one", a_handler_may_wait_for_a_later_one);
  run_case("a_fault_is_the_command_buffers_error", a_fault_is_the_command_buffers_error);
  return failures;
}

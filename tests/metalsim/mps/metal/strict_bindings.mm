// METALSIM_STRICT_BINDINGS=1: a dispatch may use only what its own operation has set on the shared encoder.
#import "metal_fixture.h"

#include "../../../../metalsim/native/metal/device_memory.h"

namespace {

const char* const kSentence = "which an earlier operation left on the shared encoder";

void bindings_of_another_operation() {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  id<MTLComputePipelineState> const append = pipeline(@"append_digit");
  metalsim_begin_operation((void*)encoder);
  [encoder setComputePipelineState:append];
  [encoder setBuffer:number offset:0 atIndex:0];
  set_constant(encoder, 1, 1);
  dispatch(encoder, 1, 1);
  dispatch(encoder, 1, 1); // of the same operation

  metalsim_begin_operation((void*)encoder);
  check_refused("uses a pipeline, which an earlier operation left", [&] { dispatch(encoder, 1, 1); });
  [encoder setComputePipelineState:append];
  check_refused("uses what is bound to 'number' at index 0, which an earlier operation left",
                [&] { dispatch(encoder, 1, 1); });
  [encoder setBufferOffset:0 atIndex:0];
  check_refused("'digit' at index 1", [&] { dispatch(encoder, 1, 1); });
  set_constant(encoder, 2, 1);
  dispatch(encoder, 1, 1);
  finish(commands, encoder);
  check_equal(*contents<uint32_t>(number), 112u);
}

void threadgroup_memory_of_another_operation() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setThreadgroupMemoryLength:16 atIndex:0];
  metalsim_begin_operation((void*)encoder);
  [encoder setComputePipelineState:pipeline(@"half_greedy")];
  check_refused(kSentence, [&] { dispatch(encoder, 1, 1); });
  [encoder setThreadgroupMemoryLength:16 atIndex:0];
  dispatch(encoder, 1, 1);
  finish(commands, encoder);
}

void what_the_kernel_does_not_use() {
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setBuffer:buffer(4) offset:0 atIndex:0];
  metalsim_begin_operation((void*)encoder);
  [encoder setComputePipelineState:pipeline(@"leaves_out")];
  dispatch(encoder, 1, 1);
  finish(commands, encoder);
}

} // namespace

int main() {
  run_case("bindings_of_another_operation", bindings_of_another_operation);
  run_case("threadgroup_memory_of_another_operation", threadgroup_memory_of_another_operation);
  run_case("what_the_kernel_does_not_use", what_the_kernel_does_not_use);
  return failures;
}

// While the compiler observes, a dispatch runs when it is encoded, after everything before it, and its findings are
// thrown to who encodes it.
#import "metal_fixture.h"

namespace {

/// Observes as long as it lives.
class Observing {
public:
  Observing() { test_compiler().is_observing = true; }
  ~Observing() { test_compiler().is_observing = false; }
  Observing(const Observing&) = delete;
  Observing& operator=(const Observing&) = delete;
};

void append(id<MTLComputeCommandEncoder> encoder, id<MTLBuffer> number, uint32_t digit) {
  [encoder setComputePipelineState:pipeline(@"append_digit")];
  [encoder setBuffer:number offset:0 atIndex:0];
  set_constant(encoder, digit, 1);
  dispatch(encoder, 1, 1);
}

void everything_before_it_runs_first() {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLCommandQueue> const same = queue();
  id<MTLCommandBuffer> const earlier = [same commandBuffer];
  id<MTLComputeCommandEncoder> const first = [earlier computeCommandEncoder];
  append(first, number, 1);
  [first endEncoding];
  [earlier commit];
  id<MTLCommandBuffer> const commands = [same commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  append(encoder, number, 2);
  const int before = test_compiler().observed;
  {
    const Observing on;
    append(encoder, number, 3);
    check_equal(*contents<uint32_t>(number), 123u);
  }
  check_equal(test_compiler().observed, before + 1);
  append(encoder, number, 4);
  finish(commands, encoder);
  check_equal(*contents<uint32_t>(number), 1234u);
  check([commands error] == nil);
}

void findings_are_thrown_to_the_caller() {
  id<MTLBuffer> const number = buffer_of<uint32_t>({0});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder =
      [commands computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent];
  append(encoder, number, 1);
  [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
  {
    const Observing on;
    test_compiler().observed_finding = "race on buffer 0";
    try {
      append(encoder, number, 2);
      check(false);
    } catch (const std::runtime_error& error) {
      check_text(error.what(), "race on buffer 0");
    }
    append(encoder, number, 3);
  }
  append(encoder, number, 4);
  append(encoder, number, 5);
  [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];
  finish(commands, encoder);
  check_equal([commands status], MTLCommandBufferStatusCompleted);
  check_equal(*contents<uint32_t>(number), execution_is("eager") ? 1345u : 1354u);
}

void failed_command_buffers_observe_nothing() {
  id<MTLBuffer> const x = buffer_of<float>({1});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setBuffer:x offset:0 atIndex:0];
  [encoder setComputePipelineState:pipeline(@"overrun")];
  dispatch(encoder, 1, 1);
  const int before = test_compiler().observed;
  {
    const Observing on;
    [encoder setComputePipelineState:pipeline(@"add_one")];
    dispatch(encoder, 1, 1);
  }
  check_equal(test_compiler().observed, before);
  finish(commands, encoder);
  check_text(text_of([commands error]), "kernel 'overrun'");
}

} // namespace

int main() {
  run_case("everything_before_it_runs_first", everything_before_it_runs_first);
  run_case("findings_are_thrown_to_the_caller", findings_are_thrown_to_the_caller);
  run_case("failed_command_buffers_observe_nothing", failed_command_buffers_observe_nothing);
  return failures;
}

// METALSIM_MAX_PRODUCTS=100: a command buffer that takes more matrix products fails as if it had kept the GPU too long.
#import "metal_fixture.h"

namespace {

void add_one(id<MTLComputeCommandEncoder> encoder, id<MTLBuffer> x, uint64_t products) {
  test_compiler().products = products;
  [encoder setComputePipelineState:pipeline(@"add_one")];
  [encoder setBuffer:x offset:0 atIndex:0];
  dispatch(encoder, 1, 1);
}

void too_many_in_one_command_buffer() {
  id<MTLBuffer> const x = buffer_of<float>({1});
  id<MTLCommandBuffer> const commands = [queue() commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  add_one(encoder, x, 60);
  add_one(encoder, x, 41);
  add_one(encoder, x, 0);
  finish(commands, encoder);
  check_equal([commands status], MTLCommandBufferStatusError);
  check_equal([[commands error] code], MTLCommandBufferErrorTimeout);
  check_text(text_of([commands error]), "kIOGPUCommandBufferCallbackErrorImpactingInteractivity");
  check_text(text_of([commands error]), "took 101 matrix products, and METALSIM_MAX_PRODUCTS allows 100");
  check_equal(*contents<float>(x), 3.0f); // nothing runs after the failure
}

void as_many_in_two() {
  id<MTLBuffer> const x = buffer_of<float>({1});
  id<MTLCommandQueue> const same = queue();
  for (int i = 0; i < 2; ++i) {
    id<MTLCommandBuffer> const commands = [same commandBuffer];
    id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
    add_one(encoder, x, 100);
    finish(commands, encoder);
    check([commands error] == nil);
  }
  check_equal(*contents<float>(x), 3.0f);
}

} // namespace

int main() {
  run_case("too_many_in_one_command_buffer", too_many_in_one_command_buffer);
  run_case("as_many_in_two", as_many_in_two);
  return failures;
}

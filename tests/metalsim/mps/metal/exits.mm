// A program that ends while its command buffers still run: with a thread of the queue's they are waited for.
#import "metal_fixture.h"

namespace {

id<MTLCommandBuffer> append(id<MTLCommandQueue> queue, id<MTLBuffer> x) {
  id<MTLCommandBuffer> const commands = [queue commandBuffer];
  id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline(@"add_one")];
  [encoder setBuffer:x offset:0 atIndex:0];
  dispatch(encoder, 64);
  [encoder endEncoding];
  [commands commit];
  return commands;
}

} // namespace

int main() {
  @autoreleasepool {
    id<MTLBuffer> const x = buffer(64 * sizeof(float));
    id<MTLCommandQueue> const same = queue();
    [append(same, x) waitUntilCompleted];
    for (int i = 0; i < 20; ++i) {
      append(same, x);
    }
  }
  return 0;
}

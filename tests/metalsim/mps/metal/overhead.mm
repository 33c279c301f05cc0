// What encoding costs: prints the nanoseconds of one operation (two buffers, bytes, a pipeline, a dispatch). Fails only
// if that is out of all proportion, because other programs may have the machine.
#import "metal_fixture.h"

#include <algorithm>
#include <chrono>

namespace {

using Clock = std::chrono::steady_clock;

double nanoseconds_of(int operations, const std::function<void()>& encode) {
  const Clock::time_point start = Clock::now();
  encode();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / operations;
}

void encoding_is_cheap() {
  constexpr int kOperations = 20000;
  id<MTLComputePipelineState> const many = pipeline(@"many");
  id<MTLBuffer> const a = buffer(4096);
  id<MTLBuffer> const b = buffer(4096);
  double best = 1e12;
  for (int round = 0; round < 5; ++round) {
    @autoreleasepool {
      id<MTLCommandBuffer> const commands = [queue() commandBuffer];
      id<MTLComputeCommandEncoder> const encoder = [commands computeCommandEncoder];
      const double now = nanoseconds_of(kOperations, [&] {
        for (int i = 0; i < kOperations; ++i) {
          [encoder setComputePipelineState:many];
          [encoder setBuffer:a offset:0 atIndex:0];
          [encoder setBuffer:b offset:0 atIndex:1];
          const ScaleParameters parameters = {};
          [encoder setBytes:&parameters length:sizeof parameters atIndex:2];
          dispatch(encoder, 1024, 256);
        }
      });
      best = std::min(best, now);
      [encoder endEncoding]; // the command buffer goes without having been committed
    }
  }
  std::printf("%.0f ns for an operation\n", best);
  check(best < 20000);
}

} // namespace

int main() {
  run_case("encoding_is_cheap", encoding_is_cheap);
  return failures;
}

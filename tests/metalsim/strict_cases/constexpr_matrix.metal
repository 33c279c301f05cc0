// rule: metal-constexpr
// at: 7
// report: gfx-rs/naga#703: "non-constexpr constructor 'matrix' cannot be used"
#include <metal_stdlib>
using namespace metal;

constexpr constant float2x2 kTurn = {float2(0.0f, 1.0f), float2(1.0f, 0.0f)};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = kTurn[0].x;
}

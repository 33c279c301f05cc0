// rule: metal-constexpr
// at: 8
// report: gfx-rs/wgpu#3212: "METAL_FUNC int min(int x, int y)"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  constexpr int kRows = min(8, 4);
  data[thread_index] = kRows;
}

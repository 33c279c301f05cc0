// rule: metal-overload
// at: 9
// report: gfx-rs/wgpu#10277: "call to 'select' is ambiguous"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const ulong place = thread_index;
  data[thread_index] = select(place, 1u, place == 0u);
}

// rule: metal-overload
// at: 9
// report: gfx-rs/wgpu#3212, tinygrad/tinygrad#5838: "call to 'min' is ambiguous"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = min(count, -2147483648);
}

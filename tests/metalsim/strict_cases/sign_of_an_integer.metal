// rule: metal-overload
// at: 9
// report: gfx-rs/naga#2463: no int overload of sign()
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = sign(count);
}

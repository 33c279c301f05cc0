// rule: metal-overload
// at: 8
// report: amzeratul/halley#79: "call to 'clamp' is ambiguous"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = clamp(data[thread_index], -1, 1);
}

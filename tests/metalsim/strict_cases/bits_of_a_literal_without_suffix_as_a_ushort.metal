// rule: metal-as-type
// at: 8
// report: shader-slang/slang#11837: 61440.0 is no half
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = as_type<ushort>(61440.0);
}

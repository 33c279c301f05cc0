// rule: metal-overload
// at: 13
// report: tracel-ai/cubecl#909: "no matching function for call to 'simd_sum'"
#include <metal_stdlib>
using namespace metal;

struct Four {
  float a, b, c, d;
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const Four four = {data[0], data[1], data[2], data[3]};
  data[thread_index] = simd_sum(four).a;
}

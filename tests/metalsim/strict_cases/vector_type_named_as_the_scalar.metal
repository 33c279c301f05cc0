// rule: metal-undeclared
// at: 8
// report: shader-slang/slang#8211: "unknown type name 'uint8_t2'"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const uint8_t2 pair = uint8_t2(thread_index);
  data[thread_index] = pair.x;
}

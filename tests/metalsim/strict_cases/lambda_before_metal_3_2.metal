// rule: metal-lambda
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  auto twice = [](float value) { return 2.0f * value; };
  data[thread_index] = twice(data[thread_index]);
}

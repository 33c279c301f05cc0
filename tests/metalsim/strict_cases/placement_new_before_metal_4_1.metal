// rule: metal-placement-new
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float value = data[thread_index];
  thread float* copy_of_value = new (&value) float(3.0f);
  data[thread_index] = *copy_of_value;
}

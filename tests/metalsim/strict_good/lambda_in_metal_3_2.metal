// language: 3.2
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float scale = data[0];
  auto scaled = [=](float value) { return scale * value; };
  data[thread_index] = scaled(data[thread_index]);
}

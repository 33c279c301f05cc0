// rule: metal-threadgroup-constructor
// at: 8
// report: ggml-org/llama.cpp#26646: "no matching constructor"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup half4x4 tiles[4];
  tiles[thread_index % 4][0] = half4(data[thread_index]);
  data[thread_index] = tiles[0][0].x;
}

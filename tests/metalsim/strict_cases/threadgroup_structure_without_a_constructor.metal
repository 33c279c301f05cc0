// rule: metal-threadgroup-constructor
// at: 13
// report: ggml-org/llama.cpp#26646: "no matching constructor"
#include <metal_stdlib>
using namespace metal;

struct Score {
  float value;
  Score(float from) : value(from) {}
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup Score scores[4];
  scores[thread_index % 4].value = data[thread_index];
  data[thread_index] = scores[0].value;
}

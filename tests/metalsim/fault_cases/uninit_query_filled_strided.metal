// expect: UninitializedReadError
// at: 22, 24
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32, 64], "fill": "normal"},
//   "2": {"dtype": "float32", "shape": [32], "fill": 0}
// }}
// The lanes fill their own copy of the query strided, as if it were shared, and then read all of it.
#include <metal_stdlib>
using namespace metal;

constant uint head_dim = 64;

kernel void score(const device float* query [[buffer(0)]], const device float* keys [[buffer(1)]],
                  device float* scores [[buffer(2)]], uint lane [[thread_index_in_simdgroup]]) {
  float q[head_dim];
  for (uint d = lane; d < head_dim; d += 32) {
    q[d] = query[d];
  }
  float sum = 0.0f;
  for (uint d = 0; d < head_dim; d++) {
    sum += q[d] * keys[lane * head_dim + d];
  }
  scores[lane] = sum;
}

// expect: DivergenceError
// at: 21
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [8, 8], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [8, 8], "fill": "normal"},
//   "2": {"dtype": "float32", "shape": [8, 8], "fill": 0}
// }}
// Half of the lanes multiply matrices that are spread over all of them.
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void multiply(const device float* left [[buffer(0)]], const device float* right [[buffer(1)]],
                     device float* out [[buffer(2)]], uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 a;
  simdgroup_float8x8 b;
  simdgroup_float8x8 sum(0.0f);
  simdgroup_load(a, left, 8);
  simdgroup_load(b, right, 8);
  if (lane < 16) {
    simdgroup_multiply_accumulate(sum, a, b, sum);
  }
  simdgroup_store(sum, out, 8);
}

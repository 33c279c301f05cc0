// expect: RaceError
// also: UninitializedReadError
// at: 13, 14
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [32], "fill": "normal"}
// }}
// The kernel trusts that the lanes of a simdgroup run in lockstep, and exchanges values without any barrier.
#include <metal_stdlib>
using namespace metal;

kernel void swap_pairs(device float* query [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float row[32];
  row[lane] = query[lane];
  query[lane] = row[lane ^ 1];
}

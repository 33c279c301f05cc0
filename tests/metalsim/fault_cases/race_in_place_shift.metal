// expect: RaceError
// at: 11
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [63], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"}
// }}
// The cache is shifted by one token in place: a thread reads the row that its neighbour overwrites.
#include <metal_stdlib>
using namespace metal;

kernel void shift_cache(device float* cache [[buffer(0)]], uint token [[thread_index_in_threadgroup]]) {
  cache[token] = cache[token + 1];
}

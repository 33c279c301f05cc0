// expect: RaceError
// at: 14
// dispatch: {"threadgroups": [3], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [3, 8, 4], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [24, 4], "fill": 0}
// }}
// Output tiles have eight rows but start every seven: two threadgroups write one row.
#include <metal_stdlib>
using namespace metal;

kernel void write_tiles(const device float* accumulators [[buffer(0)]], device float* out [[buffer(1)]],
                        uint tile [[threadgroup_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
  uint row = tile * 7 + t / 4;
  out[row * 4 + t % 4] = accumulators[tile * 32 + t];
}

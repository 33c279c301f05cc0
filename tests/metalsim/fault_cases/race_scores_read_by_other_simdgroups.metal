// expect: RaceError
// also: UninitializedReadError
// at: 18, 19
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [128], "buffers": {
//   "0": {"dtype": "float32", "shape": [4, 8, 8], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [4, 8, 8], "fill": 0}
// }}
// Every simdgroup stores its fragment of the scores, and loads its neighbour's without a barrier.
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

kernel void exchange_fragments(const device float* scores [[buffer(0)]], device float* out [[buffer(1)]],
                               uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  threadgroup float tile[4 * 64];
  simdgroup_float8x8 matrix_tile;
  simdgroup_load(matrix_tile, scores + simdgroup * 64, 8);
  simdgroup_store(matrix_tile, tile + simdgroup * 64, 8);
  simdgroup_load(matrix_tile, tile + (simdgroup + 3) % 4 * 64, 8);
  simdgroup_store(matrix_tile, out + simdgroup * 64, 8);
}

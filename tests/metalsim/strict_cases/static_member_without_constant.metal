// rule: metal-program-scope-variable
// at: 7
#include <metal_stdlib>
using namespace metal;

struct Tile {
  static constexpr int rows = 8;
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = Tile::rows;
}

#include <metal_stdlib>
using namespace metal;

constant float weights[4] = {1.0f, 2.0f, 3.0f, 4.0f};
constant constexpr float scale = 0.5f;
static constant constexpr const int width = 32;
constant int half_width = width / 2;

struct Tile {
  static constant constexpr const int rows = 8;
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = weights[thread_index & 3] * scale + Tile::rows + half_width;
}

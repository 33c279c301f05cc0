// rule: metal-generic-this
// at: 14
// language: 4.1
#include <metal_stdlib>
using namespace metal;

struct Tile {
  float values[4];
  Tile() thread : values{0, 0, 0, 0} {}
};
struct Block {
  Tile tile;
  uint lane;
  Block(uint lane) : lane(lane) {}
};

kernel void f(device float* data [[buffer(0)]], uint index [[thread_position_in_grid]]) {
  Block block(index);
  data[0] = block.tile.values[1];
}

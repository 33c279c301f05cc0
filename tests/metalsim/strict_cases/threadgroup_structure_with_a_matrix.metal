// rule: metal-threadgroup-constructor
// at: 13
// report: KhronosGroup/SPIRV-Cross#1770: "call to implicitly-deleted default constructor"
#include <metal_stdlib>
using namespace metal;

struct Tile {
  float2x2 weights;
  float scale;
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup Tile tile;
  tile.weights[0] = float2(data[thread_index]);
  data[thread_index] = tile.weights[0].x;
}

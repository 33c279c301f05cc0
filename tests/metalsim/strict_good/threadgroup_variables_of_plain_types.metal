// What threadgroup memory holds without a constructor of its own: ggml-org/llama.cpp#26646 shows the way around matrices.
#include <metal_stdlib>
using namespace metal;

struct Tile {
  float4 columns[4];
  half scale;
  float total() const thread { return columns[0].x; }
};

struct Score {
  float value;
  Score() = default;
  Score(float from) : value(from) {}
};

union Bits {
  float number;
  uint word;
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup half numbers[64];
  threadgroup half4x4* tiles = reinterpret_cast<threadgroup half4x4*>(numbers);
  threadgroup Tile tile;
  threadgroup Score scores[4];
  threadgroup Bits bits[2];
  threadgroup packed_float3 packed[2];
  threadgroup array<float, 4> row;
  threadgroup atomic_uint count;
  float4x4 own = float4x4(1.0f);
  half2x2 several[2];
  several[0][0] = half2(1.0h);
  tiles[0][0] = half4(data[thread_index]);
  tile.columns[0] = float4(data[thread_index]);
  scores[0].value = data[thread_index];
  bits[0].number = data[thread_index];
  packed[0] = packed_float3(data[thread_index]);
  row[0] = data[thread_index];
  atomic_store_explicit(&count, 0u, memory_order_relaxed);
  data[thread_index] = own[0].x + several[0][0].x + tiles[0][0].x;
}

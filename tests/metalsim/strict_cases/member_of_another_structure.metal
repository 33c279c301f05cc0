// rule: metal-undeclared
// at: 14
// report: spiritbuun/buun-llama-cpp#76: "no member named 'signs'"
#include <metal_stdlib>
using namespace metal;

struct Block {
  half norm;
  uchar quants[64];
};

kernel void copy(device float* data [[buffer(0)]], const device Block* block [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = block->signs[0];
}

// rule: metal-reserved-type
// at: 6
#include <metal_stdlib>
using namespace metal;

typedef bfloat bfloat16;

kernel void clear(device bfloat16* data [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  data[thread_index] = bfloat16(0.0f);
}

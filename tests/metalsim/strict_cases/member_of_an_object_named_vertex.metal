// rule: metal-reserved-name
// at: 11
#include <metal_stdlib>
using namespace metal;

struct Corner {
  float4 vertex;
};

kernel void weigh(device Corner* corners [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  corners[thread_index].vertex = 1.0f;
}

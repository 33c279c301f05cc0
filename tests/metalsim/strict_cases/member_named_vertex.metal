// rule: metal-reserved-name
// at: 8
#include <metal_stdlib>
using namespace metal;

// Apple's words for this: "declaration does not declare anything".
struct Corner {
  float4 vertex;
  float weight;
};

kernel void weigh(device Corner* corners [[buffer(0)]],
                  uint thread_index [[thread_position_in_grid]]) {
  corners[thread_index].weight = 1.0f;
}

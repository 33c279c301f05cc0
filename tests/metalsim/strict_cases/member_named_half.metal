// rule: metal-reserved-name
// at: 6
#include <metal_stdlib>
using namespace metal;
struct Range {
  float half;
};

kernel void widen(device Range* ranges [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  ranges[thread_index] = Range{1.0f};
}

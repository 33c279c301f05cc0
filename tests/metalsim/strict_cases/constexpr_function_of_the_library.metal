// rule: metal-constexpr
// at: 7
// report: ml-explore/mlx#107: "non-constexpr function 'fmod' cannot be used"
#include <metal_stdlib>
using namespace metal;

constexpr float rest(float value) { return fmod(value, 4.0f); }

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = rest(data[thread_index]);
}

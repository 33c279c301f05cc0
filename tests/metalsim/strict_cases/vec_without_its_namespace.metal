// rule: metal-undeclared
// at: 7
// report: ml-explore/mlx#3337: "no template named 'vec'; did you mean 'metal::vec'?"
#include <metal_stdlib>

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const vec<float, 2> pair = {data[0], data[1]};
  data[thread_index] = pair.x;
}

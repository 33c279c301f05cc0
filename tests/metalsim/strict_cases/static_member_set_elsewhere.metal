// rule: metal-constant-initializer
// at: 8
// report: ml-explore/mlx#14: "variable in constant address space must be initialized"
#include <metal_stdlib>
using namespace metal;

template <typename T> struct Limits {
  static const constant T top;
};
template <> const constant int Limits<int>::top = 7;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = Limits<int>::top;
}

// rule: metal-variable-length-array
// at: 10
// report: KhronosGroup/MoltenVK#1106: "variable length arrays are not supported in Metal"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  const int size = count;
  threadgroup float2 shared[size];
  shared[0] = data[0];
  data[thread_index] = shared[0].x;
}

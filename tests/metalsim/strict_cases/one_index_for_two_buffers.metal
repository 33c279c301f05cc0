// rule: metal-kernel-parameter
// at: 7
// report: KhronosGroup/MoltenVK#2576: "cannot reserve 'buffer' resource location at index 8"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], const device float* rows [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = rows[thread_index];
}

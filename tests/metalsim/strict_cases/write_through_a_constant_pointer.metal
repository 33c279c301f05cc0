// rule: metal-constant-write
// at: 9
// report: KhronosGroup/SPIRV-Cross#2552: "read-only variable is not assignable"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], const device float* rows [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  rows[thread_index] = data[thread_index];
}

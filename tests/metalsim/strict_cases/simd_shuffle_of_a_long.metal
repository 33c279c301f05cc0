// rule: metal-overload
// at: 9
// report: llvm/offload-test-suite#672: simd_shuffle has no 64-bit types
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const long place = thread_index;
  data[thread_index] = simd_shuffle(place, ushort(0));
}

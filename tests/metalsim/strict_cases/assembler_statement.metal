// rule: metal-assembler
// at: 8
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  asm volatile("" ::: "memory");
  data[thread_index] = 1.0f;
}

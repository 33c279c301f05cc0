// rule: metal-main
// at: 6
#include <metal_stdlib>
using namespace metal;

int main() {
  return 0;
}

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = 1.0f;
}

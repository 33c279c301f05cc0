// rule: metal-vector-comparison
// at: 8
#include <metal_stdlib>
using namespace metal;

template <typename T>
T count_less(vec<T, 4> a, vec<T, 4> b) {
  vec<T, 4> counts = vec<T, 4>(a < b);
  return counts.x + counts.y + counts.z + counts.w;
}

kernel void copy(device float4* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index].x = count_less(data[thread_index], data[thread_index + 32]);
}

// rule: metal-address-space
// at: 8
#include <metal_stdlib>
using namespace metal;

template <typename T>
struct Row {
  T* begin;
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Row<float> row;
  row.begin = data;
  data[thread_index] = row.begin[0];
}

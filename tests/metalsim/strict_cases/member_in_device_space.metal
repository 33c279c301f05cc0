// rule: metal-address-space-place
// at: 7
#include <metal_stdlib>
using namespace metal;

struct Row {
  device float first;
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Row row;
  data[thread_index] = row.first;
}

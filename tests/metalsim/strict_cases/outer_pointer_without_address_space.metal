// rule: metal-address-space
// at: 9
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  device float* rows[2] = {data, data + 4};
  device float** row = rows;
  row[1][thread_index] = 1.0f;
}

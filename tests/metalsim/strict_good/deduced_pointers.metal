#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  auto row = data + 4;
  const device auto& first = row[0];
  for (auto pointer = row; pointer < row + 2; pointer++) {
    *pointer = first;
  }
  data[thread_index] = row[thread_index];
}

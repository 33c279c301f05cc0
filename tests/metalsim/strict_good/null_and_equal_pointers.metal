#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  device float* row = nullptr;
  if (count > 0) {
    row = data + count;
  }
  const device float* bytes = reinterpret_cast<const device float*>((const device uint8_t*)data + 4);
  data[thread_index] = row != nullptr ? row[0] : bytes[0];
}

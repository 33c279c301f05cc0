#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  long offset = long(count) << 33;
  ulong bits = 1ul << 40;
  int64_t stride = 4l;
  uint64_t mask = 0xffffffffffful;
  size_t bytes = sizeof(float) * count;
  data[thread_index] = float(offset + stride) + float(bits & mask) + float(bytes);
}

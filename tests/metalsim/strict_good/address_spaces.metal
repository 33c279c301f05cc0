#include <metal_stdlib>
using namespace metal;

void increment(thread float& value) {
  value += 1.0f;
}

constant int* count_address(constant int* count) {
  return count;
}

template <typename P>
float first(P values) {
  return values[0];
}

float sum(float thread const* values) {
  return values[0];
}

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  threadgroup float* row = tile;
  float value = data[thread_index];
  thread float* pointer = &value;
  const thread float& reference = value;
  increment(value);
  device float* rows[2] = {data, data + 4};
  device float* thread* outer = rows;
  row[thread_index] = *pointer + reference + outer[0][0] + first(data) + first(count_address(&count)) + sum(&value);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  data[thread_index] = row[31 - thread_index];
}

// The Metal source of the probe's kernels: right ones, and one for each fault that the checks must find.
#pragma once

namespace probe {

inline constexpr const char* kSource = R"metal(
#include <metal_stdlib>
using namespace metal;

constant bool has_bias [[function_constant(0)]];
constant float bias [[function_constant(1)]];

struct Scale {
  uint count;
  float factor;
};

kernel void scale(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], constant Scale& p [[buffer(2)]],
                  uint i [[thread_position_in_grid]]) {
  if (i < p.count) {
    y[i] = x[i] * p.factor + (has_bias ? bias : 0.0f);
  }
}

// Without a bound of its own: the grid must not be larger than the data.
kernel void scale_unbounded(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                            constant Scale& p [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  y[i] = x[i] * p.factor;
}

kernel void row_sum(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                    constant long* strides [[buffer(2)]], constant uint& columns [[buffer(3)]],
                    threadgroup float* partial [[threadgroup(0)]], uint row [[threadgroup_position_in_grid]],
                    uint thread_index [[thread_index_in_threadgroup]], uint threads [[threads_per_threadgroup]]) {
  float sum = 0;
  for (uint column = thread_index; column < columns; column += threads) {
    sum += x[row * strides[0] + column * strides[1]];
  }
  partial[thread_index] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (thread_index == 0) {
    float total = 0;
    for (uint i = 0; i < threads; ++i) {
      total += partial[i];
    }
    y[row] = total;
  }
}

// The barrier between reading another thread's element and replacing one's own is missing.
kernel void reverse_racing(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                           uint i [[thread_index_in_threadgroup]], uint threads [[threads_per_threadgroup]],
                           uint position [[thread_position_in_grid]]) {
  threadgroup float tile[256];
  tile[i] = x[position];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  tile[i] = 2 * tile[threads - 1 - i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[position] = tile[i];
}

kernel void read_uninitialised(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]],
                               uint position [[thread_position_in_grid]]) {
  threadgroup float tile[64];
  if (i > 0) {
    tile[i] = 1;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[position] = tile[0];
}

kernel void diverging(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]],
                      uint position [[thread_position_in_grid]]) {
  if (i < 40) {
    threadgroup_barrier(mem_flags::mem_device);
  }
  y[position] = 1;
}

kernel void too_much_threadgroup_memory(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
  threadgroup float tile[66 * 128];
  tile[i] = i;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[i] = tile[i ^ 1];
}
)metal";

} // namespace probe

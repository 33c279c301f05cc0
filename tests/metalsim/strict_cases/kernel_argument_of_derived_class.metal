// rule: metal-kernel-parameter
// at: 14
#include <metal_stdlib>
using namespace metal;

struct Base {
  int count;
};

struct Derived : Base {
  int stride;
};

kernel void copy(device float* data [[buffer(0)]], constant Derived& params [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = float(params.count + params.stride);
}

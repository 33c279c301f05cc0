// rule: metal-constant-write
// at: 12
#include <metal_stdlib>
using namespace metal;

struct Params {
  int count;
};

kernel void copy(device float* data [[buffer(0)]], constant Params* params [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  params->count = 3;
  data[thread_index] = params->count;
}

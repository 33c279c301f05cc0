// rule: metal-kernel-parameter
// at: 9
// report: shader-slang/slang#6573: cannot be used in buffer pointee
#include <metal_stdlib>
using namespace metal;

struct Nothing {};

kernel void copy(device float* data [[buffer(0)]], constant Nothing& nothing [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = 0.0f;
}

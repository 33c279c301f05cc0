// rule: metal-conversion
// at: 10
// report: gfx-rs/naga#694: "assigning to 'float2 *' from incompatible type 'float2'"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  float2 pair = data[0];
  thread float2* place = &pair;
  place = fract(*place);
  data[thread_index] = pair.x;
}

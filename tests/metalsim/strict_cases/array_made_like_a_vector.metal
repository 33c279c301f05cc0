// rule: none
// at: 10
// report: gfx-rs/naga#623: "array types cannot be value-initialized"
#include <metal_stdlib>
using namespace metal;

typedef float Row[2];

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const Row row = Row(data[0], data[1]);
  data[thread_index] = row[1];
}

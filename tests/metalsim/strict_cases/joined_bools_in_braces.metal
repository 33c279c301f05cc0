// rule: metal-narrowing
// at: 12
// report: gfx-rs/wgpu#9805: "cannot be narrowed from type 'int' to 'bool'"
#include <metal_stdlib>
using namespace metal;

struct Sight {
  bool is_seen;
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const Sight sight = {false | (thread_index > 9)};
  data[thread_index] = sight.is_seen ? 1.0f : 0.0f;
}

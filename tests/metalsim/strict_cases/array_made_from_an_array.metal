// rule: metal-conversion
// at: 15
// report: gfx-rs/naga#614: "cannot initialize an array element of type 'float'"
#include <metal_stdlib>
using namespace metal;

typedef float Row[2];
struct Rows {
  float scale;
  Row row;
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const Row row = {data[0], data[1]};
  const Rows rows = {1.0f, row};
  data[thread_index] = rows.row[1];
}

// rule: metal-narrowing
// at: 13
// report: tracel-ai/cubecl#1163: "type 'float' cannot be narrowed to 'int'"
#include <metal_stdlib>
using namespace metal;

struct Place {
  int row;
};

kernel void copy(device float* data [[buffer(0)]], constant int& count [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  const Place place = {count - 4 * floor(float(count) / 4.0f)};
  data[thread_index] = place.row;
}

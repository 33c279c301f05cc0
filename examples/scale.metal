// A first kernel for metalsim: scales the elements of a buffer. metalsim/README.md runs it.
#include <metal_stdlib>
using namespace metal;

constant float factor [[function_constant(0)]];

kernel void scale(device half* values [[buffer(0)]],
                  constant int& count [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
  if (int(i) < count) {
    values[i] = half(float(values[i]) * factor);
  }
}

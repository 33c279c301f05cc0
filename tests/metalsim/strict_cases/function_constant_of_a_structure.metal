// rule: metal-function-constant
// at: 11
#include <metal_stdlib>
using namespace metal;

struct Size {
  int rows;
  int columns;
};

constant Size size [[function_constant(0)]];

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = float(size.rows);
}

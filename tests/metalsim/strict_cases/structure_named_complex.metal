// rule: metal-reserved-type
// at: 7
#include <metal_stdlib>
using namespace metal;

// Apple's words for this: "definition of type 'complex' conflicts with typedef of the same name".
struct complex {
  float real, imaginary;
};

kernel void conjugate(device complex* data [[buffer(0)]], uint thread_index [[thread_position_in_grid]]) {
  data[thread_index].imaginary = -data[thread_index].imaginary;
}

// rule: metal-overload
// at: 12
// report: KhronosGroup/SPIRV-Cross#387: "no matching constructor for initialization"
#include <metal_stdlib>
using namespace metal;

struct Pair {
  float a, b;
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = Pair(data[0], data[1]).b;
}

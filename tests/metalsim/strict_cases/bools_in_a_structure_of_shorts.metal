// rule: metal-conversion
// at: 13
// report: KhronosGroup/SPIRV-Cross#2151: "cannot initialize a member subobject of type 'short4'"
#include <metal_stdlib>
using namespace metal;

struct Flags {
  short4 all;
};

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  const bool4 seen = bool4(true);
  const Flags flags = {seen};
  data[thread_index] = flags.all.x;
}

#include <metal_stdlib>
using namespace metal;

struct Params {
  int count;
  float scale;
};

kernel void copy(device float* data [[buffer(0)]], constant Params& params [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Params local = params;
  threadgroup Params shared;
  shared = params;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  Params copy_of_shared = shared;
  data[thread_index] = float(local.count + copy_of_shared.count) + params.scale;
}

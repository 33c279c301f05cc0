#include <metal_stdlib>
using namespace metal;

typedef uint3 Place;

kernel void vectors(device float* data [[buffer(0)]], uint3 group [[threadgroup_position_in_grid]],
                    ushort3 position [[thread_position_in_threadgroup]], ushort3 size [[threads_per_threadgroup]],
                    metal::uint3 groups [[threadgroups_per_grid]], ushort index [[thread_index_in_threadgroup]],
                    uint lane [[thread_index_in_simdgroup]]) {
  data[group.x * size.x + position.x] = groups.x + index + lane;
}

kernel void scalars(device float* data [[buffer(0)]], const uint32_t position [[thread_position_in_grid]],
                    uint size [[threads_per_grid]], ushort in_group [[thread_position_in_threadgroup]],
                    uint index [[thread_index_in_threadgroup]]) {
  data[position] = size + in_group + index;
}

kernel void aliases(device float* data [[buffer(0)]], Place position [[thread_position_in_grid]],
                    uint3 size [[threads_per_grid]]) {
  data[position.x] = size.x;
}

// Instantiations with the template's own types, however they are written.
#include <metal_stdlib>
using namespace metal;

namespace kernels {

struct Strides {
  long row;
};

template <typename T, int N = 4>
kernel void copy(device T* to [[buffer(0)]], const device T* from [[buffer(1)]], constant Strides& strides [[buffer(2)]],
                 const constant int* counts [[buffer(3)]], threadgroup T* shared [[threadgroup(0)]],
                 uint3 group [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]]) {
  shared[lane] = from[lane + strides.row * N];
  to[lane] = shared[lane] + T(counts[0] + group.x);
}

template [[host_name("copy_float")]] kernel decltype(copy<float>) copy<float>;
template [[host_name("copy_float_8")]] [[kernel]] decltype(copy<float, 8>) copy<float, 8>;

typedef decltype(copy<half>) copy_half_t;
template [[host_name("copy_half")]] kernel copy_half_t copy<half>;
template [[host_name("copy_half_8")]] kernel copy_half_t copy<half, 8>;

template [[host_name("copy_int")]] kernel void copy<int>(device int* to [[buffer(0)]], device const int* from [[buffer(1)]],
                                                         const constant Strides& strides [[buffer(2)]],
                                                         constant int* counts [[buffer(3)]],
                                                         threadgroup int*, uint3 group, const uint lane);

} // namespace kernels

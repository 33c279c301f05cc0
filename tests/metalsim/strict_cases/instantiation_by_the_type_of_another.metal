// rule: metal-instantiation
// at: 13
// report: ggml-org/whisper.cpp#3009: "explicit instantiation does not refer to a function template"
#include <metal_stdlib>
using namespace metal;

template <typename T> kernel void copy(device T* to [[buffer(0)]], const device T* from [[buffer(1)]]) {
  to[0] = from[0];
}

typedef decltype(copy<float>) copy_t;
template [[host_name("copy_float")]] kernel copy_t copy<float>;
template [[host_name("copy_half")]] kernel copy_t copy<half>;


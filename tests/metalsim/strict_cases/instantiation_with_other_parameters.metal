// rule: metal-instantiation
// at: 11
// report: ggml-org/whisper.cpp#3009: "explicit instantiation does not refer to a function template"
#include <metal_stdlib>
using namespace metal;

template <typename T> kernel void copy(device T* to [[buffer(0)]], const device T* from [[buffer(1)]]) {
  to[0] = from[0];
}

template [[host_name("copy_float")]] kernel void copy<float>(device float* to [[buffer(0)]],
                                                              device float* from [[buffer(1)]]);


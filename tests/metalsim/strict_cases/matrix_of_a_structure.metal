// rule: metal-matrix
// at: 10
// report: EricLBuehler/mistral.rs#1116: "failed requirement 'is_scalar<_MLX_BFloat16>::value'"
#include <metal_stdlib>
using namespace metal;

struct Bfloat {
  ushort bits;
};
typedef matrix<Bfloat, 4, 4> Bfloat4x4;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  data[thread_index] = 0.0f;
}

// language: 3.1
// What is in no specification, and public kernels that Apple's compiler takes use all the same: docs/known_good.md.
#include <metal_stdlib>
using namespace metal;

#define SMALLER(a, b) ((a) < (b) ? (a) : (b))

#ifndef __HAVE_BFLOAT__
#error "Metal has bfloat from 3.1 on"
#endif

template <typename T> struct Indexed {
  uint index;
  T value;
};
template <typename T> struct _numeric_limits_impl<Indexed<T>> {
  static constexpr Indexed<T> lowest() { return Indexed<T>{0, numeric_limits<T>::lowest()}; }
};

static_assert(vec_elements<float>::value == 1 && vec_elements<half3>::value == 3, "components");
static_assert(__is_valid_simdgroup_type<float4>::value && !__is_valid_simdgroup_type<Indexed<float>>::value, "types");
static_assert(!__is_valid_simdgroup_type<long>::value, "64 bits are no type of the simdgroup's functions");

typedef matrix<bfloat, 4, 4> bfloat4x4;

template <short COUNT> inline void widen(const device bfloat4x4* in, device float4x4* out) {
  assert(COUNT > 0);
  // A macro in a pragma: clang expands it where it compiles.
#pragma unroll (SMALLER(COUNT / 2, 4))
  for (short i = 0; i < COUNT; ++i) {
    out[i] = float4x4(in[i]);
  }
}

kernel void f(const device bfloat4x4* in [[buffer(0)]], device float4x4* out [[buffer(1)]], device float* least [[buffer(2)]]) {
  widen<8>(in, out);
  least[0] = numeric_limits<Indexed<float>>::lowest().value;
}

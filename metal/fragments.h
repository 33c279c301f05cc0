// 8x8 fragments of a simdgroup: which elements a lane holds, and how they get into registers and out.
//
// A lane holds two neighbours of one row:
//
//     lane        bit 4   bit 3   bits 2, 1   bit 0          column  0 1   2 3   4 5   6 7
//     row         4                2, 1                      row 0   L0    L1    L8    L9
//     column              4                   2              row 1   L2    L3    L10   L11
//                                                            ...
// so the four lanes of a row differ in bits 0 and 3, and a reduction along rows is a shuffle by xor 1 and xor 8.
//
// Fragments are loaded element by element in place of simdgroup_load, which needs eight evenly strided rows: here each
// lane brings the pointers to its own rows, so that the last rows of a sequence and rows of a paged cache are no
// special case. Elements in device memory are only aligned as elements, since views may begin and step anywhere.
//
// So a fragment is what a lane holds of it, a vector of two. A simdgroup_matrix is made of it where matrices are
// multiplied, and nowhere else: Apple's has 64 elements a lane, of which the first two are the lane's and the others
// nobody's, so that a matrix in an array, a member or a result is 256 bytes until the optimiser has seen through it.
//
// What takes or returns fragments is METAL_FUNC, that is always inline: a call would bring them to memory.
#pragma once

#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_stdlib>

namespace fused_attn {
using namespace metal;

constant constexpr uint kFragment = 8; ///< rows and columns
constant constexpr uint kLanes = 32;   ///< of a simdgroup

/// A lane's two elements.
template <typename T> using Fragment = vec<T, 2>;

/// Where a lane's first element is; the second one is in the next column.
struct LanePlace {
  ushort row, column;
};

METAL_FUNC LanePlace lane_place(ushort lane) {
  return {ushort((lane >> 1 & 3) | (lane >> 2 & 4)), ushort((lane & 1) << 1 | (lane >> 1 & 4))};
}

/// A lane's elements in a matrix.
template <typename T> METAL_FUNC thread Fragment<T>& own_elements(thread simdgroup_matrix<T, 8, 8>& matrix) {
  return reinterpret_cast<thread Fragment<T>&>(matrix.thread_elements());
}

/// sum += a b
template <typename A, typename B>
METAL_FUNC void multiply_add(thread Fragment<float>& sum, Fragment<A> a, Fragment<B> b) {
  simdgroup_matrix<A, 8, 8> left;
  simdgroup_matrix<B, 8, 8> right;
  simdgroup_matrix<float, 8, 8> total;
  own_elements(left) = a;
  own_elements(right) = b;
  own_elements(total) = sum;
  simdgroup_multiply_accumulate(total, left, right, total);
  sum = own_elements(total);
}

/// The numbers with their signs turned. Of bfloat it turns the sign bits: nobody is known to have compiled a minus
/// before a vector of them.
template <typename T> METAL_FUNC vec<T, 2> negated(vec<T, 2> pair) {
  return -pair;
}
METAL_FUNC bfloat2 negated(bfloat2 pair) {
  return as_type<bfloat2>(as_type<uint>(pair) ^ 0x80008000u);
}

/// Vectors of unsigned integers that have the size of elements: bits are moved, numbers are not looked at.
template <uint size> struct Bits;
template <> struct Bits<2> {
  typedef packed_ushort2 packed2;
  typedef packed_ushort4 packed4;
  typedef ushort2 vector2;
  typedef ushort4 vector4;
};
template <> struct Bits<4> {
  typedef packed_uint2 packed2;
  typedef packed_uint4 packed4;
  typedef uint2 vector2;
  typedef uint4 vector4;
};

template <typename T> METAL_FUNC vec<T, 2> load_2(const device T* source) {
  typedef Bits<sizeof(T)> B;
  return as_type<vec<T, 2>>(typename B::vector2(*reinterpret_cast<const device typename B::packed2*>(source)));
}
template <typename T> METAL_FUNC vec<T, 4> load_4(const device T* source) {
  typedef Bits<sizeof(T)> B;
  return as_type<vec<T, 4>>(typename B::vector4(*reinterpret_cast<const device typename B::packed4*>(source)));
}
/// Rows in threadgroup memory begin at multiples of 16 bytes.
template <typename T> METAL_FUNC vec<T, 2> load_2(const threadgroup T* source) {
  return *reinterpret_cast<const threadgroup vec<T, 2>*>(source);
}
template <typename T> METAL_FUNC void store_2(device T* target, vec<T, 2> pair) {
  typedef Bits<sizeof(T)> B;
  *reinterpret_cast<device typename B::packed2*>(target) = as_type<typename B::vector2>(pair);
}

/// Loads bfloat as float without arithmetic: a bfloat is the upper half of a float. M1 and M2 have no bfloat hardware,
/// and would shift for four cycles.
METAL_FUNC float4 widened(bfloat4 values) {
  const ushort4 upper = as_type<ushort4>(values);
  const float2 low = as_type<float2>(ushort4(0, upper.x, 0, upper.y));
  const float2 high = as_type<float2>(ushort4(0, upper.z, 0, upper.w));
  return float4(low, high);
}
METAL_FUNC float2 widened(bfloat2 values) {
  const ushort2 upper = as_type<ushort2>(values);
  return as_type<float2>(ushort4(0, upper.x, 0, upper.y));
}
METAL_FUNC float4 widened(half4 values) {
  return float4(values);
}
METAL_FUNC float2 widened(half2 values) {
  return float2(values);
}
METAL_FUNC float4 widened(float4 values) {
  return values;
}
METAL_FUNC float2 widened(float2 values) {
  return values;
}

/// The same numbers as another type of element: nothing to do, or widening.
template <typename To, typename From> struct Convert;
template <typename T> struct Convert<T, T> {
  template <int n> METAL_FUNC static vec<T, n> run(vec<T, n> values) { return values; }
};
template <> struct Convert<float, half> {
  template <int n> METAL_FUNC static vec<float, n> run(vec<half, n> values) { return widened(values); }
};
template <> struct Convert<float, bfloat> {
  template <int n> METAL_FUNC static vec<float, n> run(vec<bfloat, n> values) { return widened(values); }
};

/// The largest of a row, in all its lanes.
METAL_FUNC float row_max(float value) {
  value = max(value, simd_shuffle_xor(value, 1));
  return max(value, simd_shuffle_xor(value, 8));
}
METAL_FUNC float row_sum(float value) {
  value += simd_shuffle_xor(value, 1);
  return value + simd_shuffle_xor(value, 8);
}

} // namespace fused_attn

// Rows of a head, loaded 16 bytes at a time.
//
// A load of 16 bytes by each of the four lanes of a fragment's row brings 64 bytes of it: a piece, enough for several
// 8x8 fragments. A product does not care in which order it sums, nor do columns of values in which order they are
// computed, so the columns of a fragment need not be neighbours: of a piece of n fragments, fragment f takes of each
// lane its f-th pair.
//
//     columns of a piece of 4 fragments (16-bit types)   0 1   2 3   4 5   6 7   8 9  10 11   ...   30 31
//     are loaded by the row's lane                        0     0     0     0     1     1      ...     3
//     and belong to fragment                              0     1     2     3     0     1      ...     3
//
// What is left of a row after its whole pieces comes in a piece of two fragments and one of a single one.
#pragma once

#include <metal_stdlib>

#include "fragments.h"
#include "function_constants.h"
#include "kv_source.h"

namespace fused_attn {
using namespace metal;

constant constexpr uint kLoadBytes = 16;
constant constexpr uint kLoadElements = kLoadBytes / sizeof(Element);
constant constexpr uint kLoadPairs = kLoadElements / 2; ///< also the fragments of a whole piece
constant constexpr uint kRowLanes = 4;                  ///< lanes that share a row of a fragment

/// Elements as words of 32 bits: the i-th pair or four of them, and what is loaded element by element.
template <typename T, uint size> struct ElementBits;
template <typename T> struct ElementBits<T, 2> {
  METAL_FUNC static vec<T, 2> pair(uint4 words, uint i) { return as_type<vec<T, 2>>(words[i]); }
  METAL_FUNC static vec<T, 4> quad(uint4 words, uint i) { return as_type<vec<T, 4>>(i == 0 ? words.xy : words.zw); }
  METAL_FUNC static uint4 load_16(const device T* source) {
    return uint4(as_type<uint2>(load_4(source)), as_type<uint2>(load_4(source + 4)));
  }
  METAL_FUNC static uint2 load_8(const device T* source) { return as_type<uint2>(load_4(source)); }
  METAL_FUNC static uint load_4_bytes(const device T* source) { return as_type<uint>(load_2(source)); }
};
template <typename T> struct ElementBits<T, 4> {
  METAL_FUNC static vec<T, 2> pair(uint4 words, uint i) {
    return as_type<vec<T, 2>>(uint2(words[2 * i], words[2 * i + 1]));
  }
  METAL_FUNC static vec<T, 4> quad(uint4 words, uint) { return as_type<vec<T, 4>>(words); }
  METAL_FUNC static uint4 load_16(const device T* source) { return as_type<uint4>(load_4(source)); }
  METAL_FUNC static uint2 load_8(const device T* source) { return as_type<uint2>(load_2(source)); }
  METAL_FUNC static uint load_4_bytes(const device T* source) { return as_type<uint>(*source); }
};
typedef ElementBits<Element, sizeof(Element)> Bytes;

/// The words of 16, 8 or 4 bytes of a row; the rest is 0. A lane's part of a row in threadgroup memory is always
/// aligned.
template <uint bytes> struct Words;
template <> struct Words<16> {
  METAL_FUNC static uint4 load(const device Element* source) {
    return has_aligned_rows ? *reinterpret_cast<const device uint4*>(source) : Bytes::load_16(source);
  }
  METAL_FUNC static uint4 load(const threadgroup Element* source) {
    return *reinterpret_cast<const threadgroup uint4*>(source);
  }
};
template <> struct Words<8> {
  METAL_FUNC static uint4 load(const device Element* source) {
    return uint4(has_aligned_rows ? *reinterpret_cast<const device uint2*>(source) : Bytes::load_8(source), 0, 0);
  }
  METAL_FUNC static uint4 load(const threadgroup Element* source) {
    return uint4(*reinterpret_cast<const threadgroup uint2*>(source), 0, 0);
  }
};
template <> struct Words<4> {
  METAL_FUNC static uint4 load(const device Element* source) {
    return uint4(has_aligned_rows ? *reinterpret_cast<const device uint*>(source) : Bytes::load_4_bytes(source), 0, 0,
                 0);
  }
  METAL_FUNC static uint4 load(const threadgroup Element* source) {
    return uint4(*reinterpret_cast<const threadgroup uint*>(source), 0, 0, 0);
  }
};

/// The pieces of a row of `blocks` fragments.
template <uint blocks> struct Pieces {
  static constexpr constant uint kWhole = blocks / kLoadPairs * kLoadPairs; ///< fragments in whole pieces
  static constexpr constant bool kHasPairOfBlocks = blocks - kWhole >= 2;
  static constexpr constant bool kHasSingleBlock = blocks % 2 != 0;

  /// Fragments of the piece that fragment `d` is in, and the first of them.
  METAL_FUNC static uint size(uint d) { return d < kWhole ? kLoadPairs : kHasPairOfBlocks && d < kWhole + 2 ? 2 : 1; }
  METAL_FUNC static uint begin(uint d) {
    return d < kWhole ? d / kLoadPairs * kLoadPairs : size(d) == 2 ? kWhole : blocks - 1;
  }
  /// The column of the row that is column `x` of fragment `d`.
  METAL_FUNC static uint column(uint d, uint x) {
    return begin(d) * kFragment + x / 2 * (2 * size(d)) + (d - begin(d)) * 2 + x % 2;
  }
};

} // namespace fused_attn

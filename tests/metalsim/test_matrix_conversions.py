"""Conversions around matrix products.

The runtime takes the elements of all matrices as floats. A kernel that multiplies half or bfloat converts nothing
nevertheless; one that widens its operands itself does.
"""

from typing import Any

import numpy as np
import pytest

import metalsim

LANES = 32
FRAGMENT = 64  #: elements of a matrix, each a conversion if it is converted

SOURCE = """
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

template <typename A, typename B>
inline void multiply(simdgroup_matrix<A, 8, 8> a, simdgroup_matrix<B, 8, 8> b, device float* out) {
  simdgroup_float8x8 c = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  simdgroup_multiply_accumulate(c, a, b, c);
  simdgroup_store(c, out, 8);
}

/// The elements of a lane, in the one form in which Apple's compiler is known to give both at once.
template <typename T>
inline thread vec<T, 2>& elements(thread simdgroup_matrix<T, 8, 8>& matrix) {
  return reinterpret_cast<thread vec<T, 2>&>(matrix.thread_elements());
}

/// The elements of a lane, loaded by hand as a kernel does whose rows are not evenly strided.
inline simdgroup_matrix<ELEMENT, 8, 8> gathered(const device ELEMENT* x, uint lane) {
  simdgroup_matrix<ELEMENT, 8, 8> matrix;
  elements(matrix) = vec<ELEMENT, 2>(x[2 * lane], x[2 * lane + 1]);
  return matrix;
}

inline simdgroup_float8x8 widened(simdgroup_matrix<ELEMENT, 8, 8> narrow) {
  simdgroup_float8x8 wide;
  elements(wide) = float2(elements(narrow));
  return wide;
}

kernel void loaded(const device ELEMENT* x [[buffer(0)]], device float* out [[buffer(1)]]) {
  simdgroup_matrix<ELEMENT, 8, 8> a, b;
  simdgroup_load(a, x, 8);
  simdgroup_load(b, x, 8, 0, true);
  multiply(a, b, out);
}

kernel void loaded_by_hand(const device ELEMENT* x [[buffer(0)]], device float* out [[buffer(1)]],
                           uint lane [[thread_index_in_simdgroup]]) {
  multiply(gathered(x, lane), gathered(x + 64, lane), out);
}

/// The elements of one of two matrices, chosen at run time.
kernel void chosen(const device ELEMENT* x [[buffer(0)]], device float* out [[buffer(1)]],
                   uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_matrix<ELEMENT, 8, 8> a = gathered(x, lane);
  if (x[127] > ELEMENT(0.0f)) {
    a = gathered(x + 64, lane);
  }
  multiply(a, a, out);
}

kernel void wide_by_narrow(const device ELEMENT* x [[buffer(0)]], device float* out [[buffer(1)]],
                           uint lane [[thread_index_in_simdgroup]]) {
  multiply(make_filled_simdgroup_matrix<float, 8, 8>(0.5f), gathered(x, lane), out);
}

kernel void both_widened(const device ELEMENT* x [[buffer(0)]], device float* out [[buffer(1)]],
                         uint lane [[thread_index_in_simdgroup]]) {
  multiply(widened(gathered(x, lane)), widened(gathered(x + 64, lane)), out);
}

kernel void one_widened(const device ELEMENT* x [[buffer(0)]], device float* out [[buffer(1)]],
                        uint lane [[thread_index_in_simdgroup]]) {
  multiply(widened(gathered(x, lane)), gathered(x + 64, lane), out);
}

/// What is multiplied as it is, and needed as a float besides.
kernel void also_stored(const device ELEMENT* x [[buffer(0)]], device float* out [[buffer(1)]],
                        uint lane [[thread_index_in_simdgroup]]) {
  const simdgroup_matrix<ELEMENT, 8, 8> a = gathered(x, lane);
  multiply(a, gathered(x + 64, lane), out);
  out[64 + lane] = float(a.thread_elements()[0]);
}

kernel void narrowed_result(const device ELEMENT* x [[buffer(0)]], device ELEMENT* out [[buffer(1)]],
                            uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 c = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  simdgroup_multiply_accumulate(c, gathered(x, lane), gathered(x + 64, lane), c);
  *reinterpret_cast<device vec<ELEMENT, 2>*>(out + 2 * lane) = vec<ELEMENT, 2>(elements(c));
}
"""

WIDENING = {"half": "f16>f32", "bfloat": "bf16>f32"}
NARROWING = {"half": "f32>f16", "bfloat": "f32>bf16"}


def conversions(element: str, kernel: str) -> dict[str, int]:
    pipeline = metalsim.compile(SOURCE, defines={"ELEMENT": element}).pipeline(kernel)
    x: Any = np.zeros(128, np.uint16)
    out = np.zeros(96, np.float32)
    counts = pipeline.dispatch((1,), (LANES,), {0: x, 1: out}, count=True).counts
    assert sum(counts.matrix_products.values()) == 1
    return {kind: number for kind, number in counts.conversions.items() if number}


@pytest.mark.parametrize("element", ["half", "bfloat"])
@pytest.mark.parametrize("kernel", ["loaded", "loaded_by_hand", "chosen", "wide_by_narrow"])
def test_products_of_16_bits_convert_nothing(element: str, kernel: str) -> None:
    assert conversions(element, kernel) == {}


@pytest.mark.parametrize("element", ["half", "bfloat"])
@pytest.mark.parametrize(("kernel", "number"), [("both_widened", 2 * FRAGMENT), ("one_widened", FRAGMENT)])
def test_widening_by_the_kernel_is_counted(element: str, kernel: str, number: int) -> None:
    assert conversions(element, kernel) == {WIDENING[element]: number}


@pytest.mark.parametrize("element", ["half", "bfloat"])
def test_an_operand_that_is_needed_as_a_float_besides_is_counted(element: str) -> None:
    assert conversions(element, "also_stored") == {WIDENING[element]: LANES}


@pytest.mark.parametrize("element", ["half", "bfloat"])
def test_a_result_that_is_narrowed_is_counted(element: str) -> None:
    assert conversions(element, "narrowed_result") == {NARROWING[element]: FRAGMENT}

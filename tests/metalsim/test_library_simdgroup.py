"""Exchanges, reductions, votes and matrices of simdgroups: kernels of library.metal against numpy and torch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kernel_evaluation import HEADER, NUMPY, TORCH, equal, run

import metalsim

SOURCE = Path(__file__).parent / "kernels" / "library.metal"
THREADS = 64


@pytest.fixture(scope="module")
def library() -> metalsim.Library:
    return metalsim.compile(SOURCE)


# Simdgroups. Two of them, to see that they do not mix.


def simd_values(kind: str, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    element, width = (kind[:-1], int(kind[-1])) if kind[-1].isdigit() else (kind, 1)
    return generator.integers(0, 100, (THREADS, 4 if width == 3 else width)).astype(NUMPY[element])


@pytest.mark.parametrize("kind", ["float", "half", "uchar", "short", "int", "half4", "float3", "uint2"])
@pytest.mark.parametrize("parameter", [0, 1, 5, 16, 31])
def test_exchanges(library, kind, parameter):
    x, fill = simd_values(kind, 10), simd_values(kind, 11)
    out = np.zeros((18, *x.shape), x.dtype)
    run(library.pipeline(f"exchange_{kind}"), {0: x, 1: fill, 2: out, 3: np.uint32([parameter])}, THREADS)
    p, p4, p8 = parameter, parameter % 4, parameter % 8
    thread = np.arange(THREADS)
    lane, first, quad, eighth = thread % 32, thread // 32 * 32, thread // 4 * 4, thread // 8 * 8

    def around(from_lane: Any, base: Any, width: int) -> Any:
        return x[base + from_lane % width]

    def filled(distance: int, base: Any, width: int) -> Any:
        source = thread - base + distance
        inside = (source >= 0) & (source < width)
        return np.where(inside[:, None], around(source, base, width), fill[base + source % width])

    rows = {
        0: x[first + (lane * 7 + p) % 32],
        1: x[first + (lane ^ p)],
        4: around(lane - p, first, 32),
        5: around(lane + p, first, 32),
        6: filled(-p, first, 32),
        7: filled(p, first, 32),
        8: x[first + p],
        9: x[first],
        10: x[quad + (thread + p) % 4],
        11: x[quad + (lane % 4 ^ p4)],
        12: x[quad + p4],
        13: around(lane % 4 - p4, quad, 4),
        14: around(lane % 4 + p4, quad, 4),
        15: filled(-p8, eighth, 8),
        16: filled(p8, eighth, 8),
        17: x[quad],
    }
    components = slice(0, 3) if kind == "float3" else slice(None)
    for row, expected in rows.items():
        np.testing.assert_array_equal(out[row][:, components], expected[:, components], err_msg=f"row {row}")
    # What comes from outside of the simdgroup is undefined.
    equal(out[2][lane >= p, components], around(lane - p, first, 32)[lane >= p, components])
    equal(out[3][lane + p < 32, components], around(lane + p, first, 32)[lane + p < 32, components])


@pytest.mark.parametrize("kind", ["float", "half", "char", "ushort", "int", "uint", "float2"])
def test_reductions(library, kind):
    """Numbers so small that no order of operations rounds; products of ones, twos and a minus."""
    element = kind.rstrip("2")
    generator = np.random.default_rng(12)
    width = 2 if kind == "float2" else 1
    x = generator.choice([1, 1, 1, 1, 2], (THREADS, width)).astype(NUMPY[element])
    x[3::32] = -1 if element in ("float", "half", "int", "char") else 1
    if element == "half":
        x[:, 0] = np.where(np.arange(THREADS) % 8 == 0, x[:, 0], np.abs(np.sign(x[:, 0])))
    out = np.zeros((14, THREADS, width), x.dtype)
    run(library.pipeline(f"reduce_{kind}"), {0: x, 1: out}, THREADS)
    exact = x.astype(np.int64)
    simd, quad = exact.reshape(2, 32, width), exact.reshape(16, 4, width)

    def spread(reduced: Any, size: int) -> Any:
        return np.repeat(reduced, size, axis=0).reshape(THREADS, width)

    def exclusive(scanned: Any, start: int) -> Any:
        return np.concatenate([np.full_like(scanned[:, :1], start), scanned[:, :-1]], axis=1)

    expected = [
        *(spread(f(simd, axis=1), 32) for f in (np.sum, np.prod, np.min, np.max)),
        simd.cumsum(1),
        exclusive(simd.cumsum(1), 0),
        simd.cumprod(1),
        exclusive(simd.cumprod(1), 1),
        *(spread(f(quad, axis=1), 4) for f in (np.sum, np.prod, np.min, np.max)),
        quad.cumsum(1),
        exclusive(quad.cumsum(1), 0),
    ]
    for row, values in enumerate(expected):
        np.testing.assert_array_equal(out[row], values.reshape(THREADS, width).astype(x.dtype), err_msg=f"row {row}")


@pytest.mark.parametrize("kind", ["int", "uchar"])
def test_bitwise_reductions(library, kind):
    x = np.random.default_rng(13).integers(0, 256, THREADS).astype(NUMPY[kind]) | NUMPY[kind](64)
    out = np.zeros((6, THREADS), x.dtype)
    run(library.pipeline(f"reduce_bits_{kind}"), {0: x, 1: out}, THREADS)
    functions = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)
    expected = [f.reduce(x.reshape(-1, size), axis=1).repeat(size) for size in (32, 4) for f in functions]
    equal(out, np.stack(expected))


def test_votes(library):
    x = (np.random.default_rng(14).random(96) < 0.5).astype(np.uint32)
    x[32:64] = 1
    x[64:] = 0
    out = np.zeros((7, 96), np.uint32)
    run(library.pipeline("votes"), {0: x, 1: out}, 96)
    bits = (x.reshape(3, 32).astype(np.uint64) << np.arange(32, dtype=np.uint64)).sum(1).astype(np.uint32).repeat(32)

    def any_and_all(size: int) -> Any:
        groups = x.reshape(-1, size) != 0
        return (groups.any(1) + 2 * groups.all(1)).astype(np.uint32).repeat(size)

    lane = np.arange(96) % 32
    equal(out[0], bits)
    equal(out[1], any_and_all(32))
    equal(out[2], any_and_all(32))
    equal(out[3], np.full(96, 2**32 - 1, np.uint32))
    equal(out[4], lane == 0)
    equal(out[5], any_and_all(4))
    equal(out[6], lane % 4 == 0)


# Matrices of a simdgroup


def test_matrix_layout(library):
    """Lane l has two neighbours of row (q & 4) + l / 2 % 4, from column (q & 2) * 2 + l % 2 * 2 on, where q = l / 4."""
    matrix = np.arange(64, dtype=np.float32)
    out = np.zeros((3, 64), np.float32)
    run(library.pipeline("matrix_layout"), {0: matrix, 1: out}, 32)
    lane = np.arange(32)
    quad = lane // 4
    row, column = (quad & 4) + lane // 2 % 4, (quad & 2) * 2 + lane % 2 * 2
    equal(out[0].reshape(32, 2), np.stack([row * 8 + column, row * 8 + column + 1], axis=1))
    equal(out[1].reshape(8, 8), np.eye(8) * 3)
    equal(out[2], np.full(64, 5))


@pytest.mark.parametrize("kind", ["float", "half", "bfloat"])
@pytest.mark.parametrize(("row", "x", "y"), [(8, 0, 0), (24, 3, 5)])
@pytest.mark.parametrize("transposed_load", [False, True])
@pytest.mark.parametrize("transposed_store", [False, True])
def test_matrix_loads_and_stores(library, kind, row, x, y, transposed_load, transposed_store):
    memory = torch.arange(24 * 24, dtype=torch.float32).remainder(251).to(TORCH[kind])
    out = torch.zeros(64 + 24 * 24, dtype=TORCH[kind])
    shape = np.uint32([row, x, y, transposed_load, transposed_store])
    run(library.pipeline(f"matrix_access_{kind}"), {0: memory, 1: out, 2: shape}, 32)
    matrix = memory[: 24 * 24 // row * row].reshape(-1, row)[y : y + 8, x : x + 8]
    matrix = matrix.T if transposed_load else matrix
    tile = torch.zeros(24, 24, dtype=TORCH[kind])
    tile[3:11, 2:10] = matrix.T if transposed_store else matrix
    torch.testing.assert_close(out[:64].reshape(8, 8), matrix, rtol=0, atol=0)
    torch.testing.assert_close(out[64:].reshape(24, 24), tile, rtol=0, atol=0)


PRODUCTS = [
    ("float", "float", "float"),
    ("float", "half", "half"),
    ("float", "bfloat", "bfloat"),
    ("float", "float", "half"),
    ("float", "float", "bfloat"),
    ("float", "bfloat", "half"),
    ("half", "half", "half"),
    ("bfloat", "bfloat", "bfloat"),
    ("float", "half", "float"),
    ("half", "float", "half"),
    ("half", "float", "bfloat"),
]


@pytest.mark.parametrize(("d", "a", "b"), PRODUCTS)
def test_matrix_products(library, d, a, b):
    generator = torch.Generator().manual_seed(15)
    x, y, z = (torch.randn(8, 8, generator=generator).to(TORCH[kind]) for kind in (a, b, d))
    out = torch.zeros(2, 8, 8, dtype=TORCH[d])
    run(library.pipeline(f"matrix_product_{d}_{a}_{b}"), {0: x, 1: y, 2: z, 3: out}, 32)
    product = x.double() @ y.double()
    expected = torch.stack([product + z.double(), product])
    # Rounded once to D after sums of nine terms in float.
    limit = torch.finfo(TORCH[d]).eps * expected.abs() / 2 + 9 * 2.0**-24 * 16
    assert ((out.double() - expected).abs() <= limit).all()


@pytest.mark.parametrize(
    ("d", "a", "b", "c"),
    [
        ("half", "half", "half", "float"),
        ("half", "float", "float", "float"),
        ("float", "half", "half", "half"),
        ("float", "bfloat", "bfloat", "bfloat"),
    ],
)
def test_products_that_no_kernel_has(d, a, b, c):
    text = f"""#include <metal_simdgroup_matrix>
{HEADER}
kernel void f(device {d}* out [[buffer(0)]]) {{
  simdgroup_matrix<{d}, 8, 8> z = make_filled_simdgroup_matrix<{d}, 8, 8>({d}(0.0f));
  simdgroup_matrix<{a}, 8, 8> x = make_filled_simdgroup_matrix<{a}, 8, 8>({a}(0.0f));
  simdgroup_matrix<{b}, 8, 8> y = make_filled_simdgroup_matrix<{b}, 8, 8>({b}(0.0f));
  simdgroup_matrix<{c}, 8, 8> w = make_filled_simdgroup_matrix<{c}, 8, 8>({c}(0.0f));
  simdgroup_multiply_accumulate(z, x, y, w);
  simdgroup_store(z, out);
}}
"""
    with pytest.raises(metalsim.CompileError):
        metalsim.compile(text).pipeline("f")


def test_what_the_library_counts():
    """What compiled code does not show: fragments once for a simdgroup, functions for each thread and component."""
    text = f"""#include <metal_simdgroup_matrix>
{HEADER}
kernel void f(const device float* in [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]],
              uint simdgroup [[simdgroup_index_in_threadgroup]]) {{
  threadgroup float tile[2][64];
  simdgroup_float8x8 matrix;
  simdgroup_load(matrix, in);
  simdgroup_store(matrix, tile[simdgroup]);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_load(matrix, tile[simdgroup]);
  simdgroup_load(matrix, tile[simdgroup], 8, ulong2(0, 0), true);
  const float2 power = exp2(float2(in[i], matrix.thread_elements()[0]));
  out[i] = power.x + power.y + log(in[i]) + fast::exp(in[i]) + tanh(in[i]) + rsqrt(in[i]);
}}
"""
    x = np.random.default_rng(16).random(THREADS, np.float32)
    out = np.zeros_like(x)
    counts = (
        metalsim.compile(text)
        .pipeline("f")
        .dispatch(
            threadgroups=(1, 1, 1),
            threads_per_threadgroup=(THREADS, 1, 1),
            buffers={0: x, 1: out},
            check=True,
            count=True,
        )
        .counts
    )
    assert counts is not None
    assert counts.fragment_loads == {"device": 2, "threadgroup": 4}
    assert counts.fragment_stores == {"threadgroup": 2}
    assert counts.exponentials == 3 * THREADS
    assert counts.logarithms == THREADS
    assert counts.transcendentals == THREADS
    assert counts.square_roots == THREADS


def test_matrices_are_as_large_as_apples():
    """<64 x float> and <64 x half> in AIR, although a thread has two of the elements; copies keep these two."""
    text = f"""#include <metal_simdgroup_matrix>
{HEADER}
struct Pair {{
  char first;
  simdgroup_half8x8 matrix;
}};
kernel void f(device float* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {{
  Pair pair;
  pair.matrix = simdgroup_half8x8(half(lane));
  pair.matrix.thread_elements()[0] = lane;
  reinterpret_cast<thread half2&>(pair.matrix.thread_elements()).y = 100 + lane;
  const Pair copies[2] = {{pair, pair}};
  const auto elements = copies[lane & 1].matrix.thread_elements();
  out[lane] = elements[0];
  out[32 + lane] = elements[1];
  out[64] = sizeof(simdgroup_float8x8);
  out[65] = alignof(simdgroup_bfloat8x8);
  out[66] = sizeof(Pair);
}}
"""
    out = np.zeros(67, np.float32)
    metalsim.compile(text).pipeline("f").dispatch((1,), (32,), {0: out}, check=True)
    assert out.tolist() == [*range(32), *range(100, 132), 256, 128, 256]

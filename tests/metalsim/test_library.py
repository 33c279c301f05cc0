"""Metal's standard library without its functions of numbers: one kernel of library.metal for each group.

test_library_functions.py has those. The references are numpy, torch, and the definitions of Apple's specification.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kernel_evaluation import HEADER, NUMPY, TORCH, equal, run

import metalsim

SOURCE = Path(__file__).parent / "kernels" / "library.metal"


@pytest.fixture(scope="module")
def library() -> metalsim.Library:
    return metalsim.compile(SOURCE)


# Conversions and arithmetic


def numbers_for(dtype: torch.dtype) -> torch.Tensor:
    """Numbers of both signs and all magnitudes, ties between two halves or bfloats, infinities and NaN."""
    generator = torch.Generator().manual_seed(1)
    wide = torch.randn(200, generator=generator) * torch.exp2(
        torch.randint(-20, 20, (200,), generator=generator).float()
    )
    ties = torch.cat(
        [1 + torch.arange(20) * 2.0**-12, 1 + torch.arange(20) * 2.0**-9, 65503 + torch.arange(0, 34, 1.0)]
    )
    edges = torch.tensor([0.0, -0.0, 6e-8, 65519.9, 65520.0, 3.3895e38, math.inf, -math.inf, math.nan])
    numbers = torch.cat([wide, ties, -ties, edges])
    return numbers[: len(numbers) // 4 * 4].to(dtype)


@pytest.mark.parametrize(
    ("source", "target", "width"),
    [
        ("float", "half", ""),
        ("float", "bfloat", ""),
        ("half", "bfloat", ""),
        ("bfloat", "half", ""),
        ("bfloat", "float", ""),
        ("float", "half", "4"),
        ("float", "bfloat", "4"),
        ("half", "bfloat", "4"),
        ("bfloat", "half", "4"),
    ],
)
def test_conversions_of_floats_round_to_nearest_even(library, source, target, width):
    numbers = numbers_for(TORCH[source])
    out = torch.empty(len(numbers), dtype=TORCH[target])
    threads = len(numbers) // int(width or 1)
    run(library.pipeline(f"convert_{source}{width}_to_{target}{width}"), {0: numbers, 1: out}, threads)
    torch.testing.assert_close(out, numbers.to(TORCH[target]), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("float_to_int", np.float32([1.9, -1.9, 0.0, 2e9]), np.int32([1, -1, 0, 2_000_000_000])),
        ("float4_to_int4", np.float32([1.9, -1.9, 0.5, -7.0]), np.int32([1, -1, 0, -7])),
        ("int4_to_float4", np.int32([1, -1, 16777217, 7]), np.float32([1, -1, 16777216, 7])),
        ("int_to_half", np.int32([1, -2049, 2051, 65519, 70000, -5, 0, 3]), None),
        ("int_to_uchar", np.int32([255, 256, -1, 300]), np.uint8([255, 0, 255, 44])),
        ("int4_to_uchar4", np.int32([255, 256, -1, 300]), np.uint8([255, 0, 255, 44])),
        ("float_to_bool", np.float32([0.0, -0.0, 0.25, np.nan]), np.bool_([False, False, True, True])),
    ],
)
def test_conversions_of_integers(library, name, given, expected):
    if expected is None:
        with np.errstate(over="ignore"):
            expected = given.astype(np.float16)
    out = np.zeros_like(expected)
    threads = len(given) // 4 if "4" in name else len(given)
    run(library.pipeline(f"convert_{name}"), {0: given, 1: out}, threads)
    equal(out, expected)


@pytest.mark.parametrize("kind", ["float", "half", "bfloat"])
def test_arithmetic_rounds_every_operation(library, kind):
    generator = torch.Generator().manual_seed(2)
    x, y = (torch.randn(256, generator=generator).to(TORCH[kind]) for _ in range(2))
    out = torch.empty(512, dtype=TORCH[kind])
    run(library.pipeline(f"arithmetic_{kind}"), {0: x, 1: y, 2: out}, 256)
    torch.testing.assert_close(out, torch.cat([x * y - x, (x + y) / y]), rtol=0, atol=0)


# Vectors and memory


def test_vectors(library):
    out = np.zeros((11, 4), np.float32)
    run(library.pipeline("vectors"), {0: out}, 1)
    expected = [
        [1, 3, 2, 4],
        [-1, 1, 2, 0],
        [1.5, 1.5, 1.5, 2],
        [1, 2, 2, 3],
        [7, 8, 9, 10],
        [1, 2, 2, 1],
        [2.5, 2.5, 3, 4],
        [1.5, 2, 3, 3.5],
        [1.75, 2.25, 2.75, 3.25],
        [1, 2, -3, -4],
        [1, 2, 3, 4],
    ]
    equal(out, np.float32(expected))


def test_vectors_of_bool(library):
    x = np.float32([[1, -1, np.nan, np.inf], [1, 2, 3, 4], [-1, -2, -3, -np.inf]])
    mask = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0]], np.bool_)
    out = np.zeros((3, 4, 4), np.bool_)
    tests = np.zeros((3, 2), np.uint32)
    run(library.pipeline("bool_vectors"), {0: x, 1: mask, 2: out, 3: tests}, 3)
    positive = x > 0
    equal(out, np.stack([positive & mask, positive | ~mask, np.isnan(x) | np.isinf(x), mask[:, ::-1]], axis=1))
    equal(tests, np.stack([positive.any(1), positive.all(1)], axis=1).astype(np.uint32))


def test_packed_vectors(library):
    generator = np.random.default_rng(7)
    x = generator.integers(-8, 8, (5, 3)).astype(np.float32)
    y = generator.integers(-8, 8, (5, 3)).astype(np.float16)
    out = np.zeros((5, 3), np.float32)
    lengths = np.zeros(5, np.float32)
    run(library.pipeline("packed"), {0: x, 1: y, 2: out, 3: lengths}, 5)
    total = x + y
    equal(out, total[:, ::-1])
    equal(lengths, (x * total).sum(1) + x[:, 1] + y[:, 2] + (x * x).sum(1))


def test_sizes_and_alignments(library):
    out = np.zeros(35, np.uint32)
    run(library.pipeline("sizes"), {0: out}, 1)
    vectors = [2, 2, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32]
    packed = [3, 1, 6, 2, 12, 4, 16, 4]
    equal(out, np.uint32([*vectors, 2, 4, 4, 4, *packed, 48, 16, 16, 8, 8, 4, 6]))


@pytest.mark.parametrize("kind", ["float", "half", "bfloat"])
def test_limits_of_floats(library, kind):
    information = torch.finfo(TORCH[kind])
    out = torch.zeros(6, dtype=TORCH[kind])
    digits = np.zeros(1, np.int32)
    run(library.pipeline(f"limits_{kind}"), {0: out, 1: digits}, 1)
    expected = [information.max, information.min, information.tiny, information.eps, math.inf, math.nan]
    torch.testing.assert_close(out, torch.tensor(expected, dtype=TORCH[kind]), rtol=0, atol=0, equal_nan=True)
    assert digits[0] == {"float": 24, "half": 11, "bfloat": 8}[kind]


@pytest.mark.parametrize("kind", ["char", "ushort", "int", "uint", "long", "ulong"])
def test_limits_of_integers(library, kind):
    information = np.iinfo(NUMPY[kind])
    out = np.zeros(6, NUMPY[kind])
    digits = np.zeros(1, np.int32)
    run(library.pipeline(f"limits_{kind}"), {0: out, 1: digits}, 1)
    equal(out, np.array([information.max, information.min, information.min, 0, 0, 0], NUMPY[kind]))
    assert digits[0] == information.bits - (information.min < 0)


def test_geometry(library):
    generator = np.random.default_rng(8)
    x, y = (generator.standard_normal((6, 3)).astype(np.float32) for _ in range(2))
    out = np.zeros((6, 16), np.float32)
    run(library.pipeline("geometry"), {0: x, 1: y, 2: out}, 6)
    unit_x, unit_y = (
        a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x.astype(np.float64), y.astype(np.float64))
    )
    product = (x * y).sum(1, keepdims=True)
    mirrored = x - 2 * (unit_y * x).sum(1, keepdims=True) * unit_y
    facing = np.where(product < 0, x, -x)
    gap = np.linalg.norm(x - y, axis=1, keepdims=True)
    expected = [
        np.cross(x, y),
        unit_x,
        mirrored,
        facing,
        product,
        np.linalg.norm(x, axis=1, keepdims=True),
        gap,
        gap**2,
    ]
    np.testing.assert_allclose(out, np.concatenate(expected, axis=1), rtol=2e-5, atol=2e-6)


def test_matrices_of_a_thread(library):
    x = np.random.default_rng(9).standard_normal(15).astype(np.float32)
    out = np.zeros(18, np.float32)
    run(library.pipeline("matrices"), {0: x, 1: out}, 1)
    a, b = x[:9].reshape(3, 3).T, x[9:].reshape(2, 3).T  # columns lie one after the other
    expected = [(a @ b).T.ravel(), b.ravel(), a @ b[:, 0], a[:, 0] @ b, [np.linalg.det(a)]]
    np.testing.assert_allclose(out, np.concatenate(expected), rtol=1e-5, atol=1e-5)


def test_packing():
    text = f"""{HEADER}
kernel void f(const device float4* in [[buffer(0)]], device uint* out [[buffer(1)]], device float4* back [[buffer(2)]],
              uint i [[thread_position_in_grid]]) {{
  out[i * 6] = pack_float_to_unorm4x8(in[i]);
  out[i * 6 + 1] = pack_float_to_snorm4x8(in[i]);
  out[i * 6 + 2] = pack_float_to_unorm2x16(in[i].xy);
  out[i * 6 + 3] = pack_float_to_snorm2x16(in[i].xy);
  out[i * 6 + 4] = pack_float_to_unorm10a2(in[i]);
  out[i * 6 + 5] = pack_float_to_unorm565(in[i].xyz);
  back[i * 4] = unpack_unorm4x8_to_float(out[i * 6]);
  back[i * 4 + 1] = unpack_snorm4x8_to_float(out[i * 6 + 1]);
  back[i * 4 + 2] = float4(unpack_unorm10a2_to_float(out[i * 6 + 4]));
  back[i * 4 + 3] = unpack_unorm4x8_srgb_to_float(pack_float_to_srgb_unorm4x8(in[i]));
}}
"""
    x = np.float32([[0, 1, 0.5, 0.25], [-1, 2, -0.5, 1], [0.1, 0.9, 0.3, 0.7]])
    out = np.zeros((3, 6), np.uint32)
    back = np.zeros((3, 4, 4), np.float32)
    run(metalsim.compile(text).pipeline("f"), {0: x, 1: out, 2: back}, 3)
    unsigned, signed = np.clip(x, 0, 1), np.clip(x, -1, 1)

    def packed(values: Any, bits: int) -> Any:
        fields = np.rint(values).astype(np.int64) & ((1 << bits) - 1)
        return (fields << bits * np.arange(values.shape[1])).sum(1)

    equal(out[:, 0], packed(unsigned * np.float32(255), 8))
    equal(out[:, 1], packed(signed * np.float32(127), 8))
    equal(out[:, 2], packed(unsigned[:, :2] * np.float32(65535), 16))
    equal(out[:, 3], packed(signed[:, :2] * np.float32(32767), 16))
    equal(
        out[:, 4], packed(unsigned[:, :3] * np.float32(1023), 10) | np.rint(unsigned[:, 3] * 3).astype(np.int64) << 30
    )
    red, green, blue = np.rint(unsigned[:, :3] * np.float32([31, 63, 31])).astype(np.int64).T
    equal(out[:, 5], red << 11 | green << 5 | blue)
    np.testing.assert_allclose(back[:, 0], unsigned, atol=0.5 / 255)
    np.testing.assert_allclose(back[:, 1], signed, atol=0.5 / 127)
    np.testing.assert_allclose(back[:, 2, :3], unsigned[:, :3], atol=0.5 / 1023)
    np.testing.assert_allclose(back[:, 3], unsigned, atol=0.01)


# Atomics and positions


def test_atomics(library):
    count, groups = 192, 3
    ints = np.int32([0, 0, 1000, -1000])
    uints = np.uint32([2**32 - 1, 0, 0, 0, 0, 0])
    floats = np.float32([0, 0, 1e-30])
    seen = np.zeros(count, np.uint32)
    pipeline = library.pipeline("atomics")
    pipeline.dispatch(
        threadgroups=(groups, 1, 1),
        threads_per_threadgroup=(count // groups, 1, 1),
        buffers={0: ints, 1: uints, 2: floats, 3: seen},
    )
    value = np.arange(count) - 50
    equal(ints, [value.sum(), -value.sum(), -50, count - 51])
    one_group = np.arange(count // groups).sum()
    expected = [0, (1 << 31) - 1, np.bitwise_xor.reduce(np.arange(count)), count, groups * one_group, groups * 7]
    equal(uints, np.uint32(expected))
    equal(np.sort(seen), np.arange(count))
    equal(floats[:2], np.float32([count / 2, -value.sum()]))
    np.testing.assert_allclose(floats[2], 1e-30 * 1.5**count, rtol=1e-4)


def test_positions(library):
    groups, threads = (2, 1, 3), (5, 4, 2)
    grid = tuple(g * t for g, t in zip(groups, threads, strict=True))
    out = np.zeros((*reversed(grid), 16), np.uint32)
    library.pipeline("positions").dispatch(threadgroups=groups, threads_per_threadgroup=threads, buffers={0: out})
    z, y, x = np.meshgrid(*(np.arange(size) for size in reversed(grid)), indexing="ij")
    inside = (x % threads[0], y % threads[1], z % threads[2])
    index = (inside[2] * threads[1] + inside[1]) * threads[0] + inside[0]
    size, same = math.prod(threads), np.ones_like(x)
    expected = [x // threads[0], y // threads[1], z // threads[2], *inside, same * groups[0], same * size, index]
    expected += [index % 32, index // 32, same * 2, same * 32, index // 4, index % 4, same * grid[2]]
    equal(out, np.stack(expected, axis=-1))


# What does not compile


@pytest.mark.parametrize(
    "expression",
    [
        "max(1, 2u)",  # two integer types
        "max(x, 1)",  # float and int
        "min(x, half(1.0h))",  # float and half
        "clamp(x, 0, 1)",
        "exp(1)",  # int could be float or half
        "max(float4(x), half4(1.0h)).x",
        "simd_sum(1l)",  # no simdgroup functions with 64 bits
        "std::max(x, x)",
        "float(float2(x))",
        "float4(float2(x), x).x",  # too few components
        "float(dot(float2(x), float3(x)))",
    ],
)
def test_calls_that_metal_refuses(expression):
    text = f"{HEADER}kernel void f(device float* out [[buffer(0)]]) {{ float x = out[0]; out[1] = {expression}; }}\n"
    with pytest.raises(metalsim.CompileError):
        metalsim.compile(text).pipeline("f")


def test_memory_spaces_of_atomics():
    """There is no atomic float in threadgroup memory."""
    text = f"""{HEADER}
kernel void f(device float* out [[buffer(0)]]) {{
  threadgroup atomic_float sum;
  atomic_fetch_add_explicit(&sum, 1.0f, memory_order_relaxed);
  out[0] = 1.0f;
}}
"""
    with pytest.raises(metalsim.CompileError):
        metalsim.compile(text).pipeline("f")

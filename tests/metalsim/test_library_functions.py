"""Functions of Metal's standard library that turn numbers into numbers: rows of tables, of which kernels are made.

The reference is numpy in float64 for real functions and Python's integers for the others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_evaluation import HEADER, NUMPY, equal, evaluate, run

import metalsim

# Real functions: what numpy calls them, and their arguments made of x, y and z in (0, 1). Both sides compute the arguments in
# the type of the test; numpy computes the function in float64.

Arguments = Callable[[Any, Any, Any], tuple[Any, ...]]


def half_turns(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: function(np.pi * x)


REAL_FUNCTIONS: dict[str, tuple[Callable[..., Any], Arguments]] = {
    "acos(x)": (np.arccos, lambda x, y, z: (x,)),
    "acosh(x + 1)": (np.arccosh, lambda x, y, z: (x + 1,)),
    "asin(x)": (np.arcsin, lambda x, y, z: (x,)),
    "asinh(x)": (np.arcsinh, lambda x, y, z: (x,)),
    "atan(x)": (np.arctan, lambda x, y, z: (x,)),
    "atan2(x, y)": (np.arctan2, lambda x, y, z: (x, y)),
    "atanh(x)": (np.arctanh, lambda x, y, z: (x,)),
    "ceil(x * 8)": (np.ceil, lambda x, y, z: (x * 8,)),
    "copysign(x, y - z)": (np.copysign, lambda x, y, z: (x, y - z)),
    "cos(x * 8)": (np.cos, lambda x, y, z: (x * 8,)),
    "cosh(x)": (np.cosh, lambda x, y, z: (x,)),
    "cospi(x)": (half_turns(np.cos), lambda x, y, z: (x,)),
    "divide(x, y)": (np.divide, lambda x, y, z: (x, y)),
    "exp(x)": (np.exp, lambda x, y, z: (x,)),
    "exp2(x)": (np.exp2, lambda x, y, z: (x,)),
    "exp10(x)": (lambda x: np.power(10, x), lambda x, y, z: (x,)),
    "fabs(-x)": (np.abs, lambda x, y, z: (-x,)),
    "abs(-x)": (np.abs, lambda x, y, z: (-x,)),
    "fdim(x, y)": (lambda x, y: np.maximum(x - y, 0), lambda x, y, z: (x, y)),
    "floor(x * 8)": (np.floor, lambda x, y, z: (x * 8,)),
    "fma(x, y, z)": (lambda x, y, z: x * y + z, lambda x, y, z: (x, y, z)),
    "fmax(x, y)": (np.maximum, lambda x, y, z: (x, y)),
    "max(x, y)": (np.maximum, lambda x, y, z: (x, y)),
    "fmin(x, y)": (np.minimum, lambda x, y, z: (x, y)),
    "min(x, y)": (np.minimum, lambda x, y, z: (x, y)),
    "fmax3(x, y, z)": (lambda *xyz: np.max(xyz, axis=0), lambda x, y, z: (x, y, z)),
    "max3(x, y, z)": (lambda *xyz: np.max(xyz, axis=0), lambda x, y, z: (x, y, z)),
    "fmin3(x, y, z)": (lambda *xyz: np.min(xyz, axis=0), lambda x, y, z: (x, y, z)),
    "min3(x, y, z)": (lambda *xyz: np.min(xyz, axis=0), lambda x, y, z: (x, y, z)),
    "fmedian3(x, y, z)": (lambda *xyz: np.median(xyz, axis=0), lambda x, y, z: (x, y, z)),
    "median3(x, y, z)": (lambda *xyz: np.median(xyz, axis=0), lambda x, y, z: (x, y, z)),
    "fmod(x * 8, y)": (np.fmod, lambda x, y, z: (x * 8, y)),
    "fract(x * 8)": (lambda x: x % 1, lambda x, y, z: (x * 8,)),
    "log(x)": (np.log, lambda x, y, z: (x,)),
    "log2(x)": (np.log2, lambda x, y, z: (x,)),
    "log10(x)": (np.log10, lambda x, y, z: (x,)),
    "pow(x, y)": (np.power, lambda x, y, z: (x, y)),
    "powr(x, y)": (np.power, lambda x, y, z: (x, y)),
    "rint(x * 8)": (np.rint, lambda x, y, z: (x * 8,)),
    "round(x * 8)": (lambda x: np.floor(x + 0.5), lambda x, y, z: (x * 8,)),
    "rsqrt(x)": (lambda x: 1 / np.sqrt(x), lambda x, y, z: (x,)),
    "sin(x * 8)": (np.sin, lambda x, y, z: (x * 8,)),
    "sinh(x)": (np.sinh, lambda x, y, z: (x,)),
    "sinpi(x)": (half_turns(np.sin), lambda x, y, z: (x,)),
    "sqrt(x)": (np.sqrt, lambda x, y, z: (x,)),
    "tan(x)": (np.tan, lambda x, y, z: (x,)),
    "tanh(x)": (np.tanh, lambda x, y, z: (x,)),
    "tanpi(x / 4)": (half_turns(np.tan), lambda x, y, z: (x / 4,)),
    "trunc(x * -8)": (np.trunc, lambda x, y, z: (x * -8,)),
    "clamp(x, y / 2, y / 2 + z)": (np.clip, lambda x, y, z: (x, y / 2, y / 2 + z)),
    "saturate(x * 2)": (lambda x: np.clip(x, 0, 1), lambda x, y, z: (x * 2,)),
    "sign(x - y)": (np.sign, lambda x, y, z: (x - y,)),
    "step(x, y)": (lambda x, y: np.where(y < x, 0, 1), lambda x, y, z: (x, y)),
    "ldexp(x, 3)": (lambda x: x * 8, lambda x, y, z: (x,)),
}

#: Of several operations, each of which rounds.
COMPOSED_FUNCTIONS: dict[str, tuple[Callable[..., Any], Arguments]] = {
    "mix(x, y, z)": (lambda x, y, z: x + (y - x) * z, lambda x, y, z: (x, y, z)),
    "smoothstep(x - x, x - x + 1, y)": (lambda y: y * y * (3 - 2 * y), lambda x, y, z: (y,)),
}

EPSILON = {"float": 2.0**-23, "half": 2.0**-10}


def expected_values(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*(argument.astype(np.float64) for argument in arguments))


def uniform(kind: str, count: int, seed: int) -> list[Any]:
    generator = np.random.default_rng(seed)
    return [generator.uniform(0.02, 0.98, count).astype(NUMPY[kind]) for _ in range(3)]


@pytest.mark.parametrize(("kind", "width"), [("float", 1), ("half", 1), ("float", 3), ("half", 4)])
def test_real_functions(kind, width):
    """A half is rounded once; a float is as good as the host's functions, two units of the last place."""
    out, xyz = evaluate(REAL_FUNCTIONS, kind, width, uniform(kind, 256, 3))
    units = 0.501 if kind == "half" else 2
    for row, (expression, (function, arguments)) in enumerate(REAL_FUNCTIONS.items()):
        expected = expected_values(function, arguments(*xyz))
        error = np.abs(out[row] - expected) / EPSILON[kind]
        assert (error <= units * np.abs(expected)).all(), f"{expression}: off by {error.max()} epsilon"


@pytest.mark.parametrize(("kind", "width"), [("float", 1), ("half", 1), ("float", 3), ("half", 4)])
def test_composed_functions(kind, width):
    out, xyz = evaluate(COMPOSED_FUNCTIONS, kind, width, uniform(kind, 256, 3))
    for row, (expression, (function, arguments)) in enumerate(COMPOSED_FUNCTIONS.items()):
        error = np.abs(out[row] - expected_values(function, arguments(*xyz))) / EPSILON[kind]
        assert (error <= 2).all(), f"{expression}: off by {error.max()} epsilon"


@pytest.mark.parametrize("namespace", ["metal::fast", "metal::precise"])
@pytest.mark.parametrize("width", [1, 2])
def test_functions_of_fast_and_precise(namespace, width):
    names = ["exp2(x)", "exp(x)", "log(x)", "tanh(x)", "rsqrt(x)", "pow(x, y)", "divide(x, y)", "fmax(x, y)", "abs(-x)"]
    out, xyz = evaluate([f"{namespace}::{name}" for name in names], "float", width, uniform("float", 128, 4))
    for row, name in enumerate(names):
        function, arguments = REAL_FUNCTIONS[name]
        np.testing.assert_allclose(out[row], expected_values(function, arguments(*xyz)), rtol=3e-7, err_msg=name)


@pytest.mark.parametrize("kind", ["float", "half"])
@pytest.mark.parametrize(
    ("expression", "x", "expected"),
    [
        ("fmax(x, y)", [np.nan, 1, np.nan, -np.inf], [2, 2, 2, 2]),
        ("max(x, y)", [np.nan, 3, np.inf, -np.inf], [2, 3, np.inf, 2]),
        ("min(y, x)", [np.nan, 3, np.inf, -np.inf], [2, 2, 2, -np.inf]),
        ("fmin(x, x)", [np.nan, 3, np.inf, -np.inf], [np.nan, 3, np.inf, -np.inf]),
        ("clamp(x, y, y + 1)", [np.nan, 9, 2.5, -np.inf], [2, 3, 2.5, 2]),
        ("saturate(x)", [np.nan, 0.25, np.inf, -1], [0, 0.25, 1, 0]),
        ("sign(x)", [np.nan, -0.0, np.inf, -7], [0, -0.0, 1, -1]),
        ("rint(x)", [0.5, 1.5, -0.5, -2.5], [0, 2, -0.0, -2]),
        ("round(x)", [0.5, 1.5, -0.5, -2.5], [1, 2, -1, -3]),
        ("exp(x)", [-np.inf, np.inf, np.nan, 0], [0, np.inf, np.nan, 1]),
        ("exp2(x)", [-np.inf, np.inf, np.nan, 3], [0, np.inf, np.nan, 8]),
        ("log(x)", [0, np.inf, -1, 1], [-np.inf, np.inf, np.nan, 0]),
        ("rsqrt(x)", [0, np.inf, -1, 4], [np.inf, 0, np.nan, 0.5]),
        ("tanh(x)", [-np.inf, np.inf, np.nan, -0.0], [-1, 1, np.nan, -0.0]),
        ("cospi(x)", [0.5, 1, 1.5, 2], [0, -1, 0, 1]),
        ("fract(x)", [-0.25, 3, 2.75, -1], [0.75, 0, 0.75, 0]),
    ],
)
def test_edges(kind, expression, x, expected):
    """NaN gives way to a number in minimum and maximum; ties, zeros and infinities go where Apple's specification says."""
    given = np.array(x, NUMPY[kind])
    out, _ = evaluate([expression], kind, 1, [given, np.full_like(given, 2), given])
    equal(out[0, :, 0], np.array(expected, NUMPY[kind]))
    equal(np.signbit(out[0, :, 0]) | np.isnan(expected), np.signbit(expected) | np.isnan(expected))


def test_fma_of_halves_rounds_once():
    x, y, z = uniform("half", 1 << 14, 5)
    out, _ = evaluate(["fma(x, y, z)", "nextafter(x, y)"], "half", 1, [x, y, z])
    exact = x.astype(np.float64) * y.astype(np.float64) + z.astype(np.float64)
    equal(out[0, :, 0], exact.astype(np.float16))
    equal(out[1, :, 0], np.nextafter(x, y))


def test_functions_with_two_results():
    text = f"""{HEADER}
kernel void two(const device float* in [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {{
  int exponent;
  float whole;
  float cosine;
  out[i * 8] = frexp(in[i], exponent);
  out[i * 8 + 1] = exponent;
  out[i * 8 + 2] = modf(in[i], whole);
  out[i * 8 + 3] = whole;
  out[i * 8 + 4] = sincos(in[i], cosine);
  out[i * 8 + 5] = cosine;
  out[i * 8 + 6] = ilogb(in[i]);
  int2 exponents;
  out[i * 8 + 7] = frexp(float2(in[i], 1.0f), exponents).x + exponents.y;
}}
"""
    x = np.float32([0.75, -3.25, 100.5, 1e-3])
    out = np.zeros((4, 8), np.float32)
    run(metalsim.compile(text).pipeline("two"), {0: x, 1: out}, 4)
    fraction, exponent = np.frexp(x)
    part, whole = np.modf(x)
    expected = [fraction, exponent, part, whole, np.sin(x), np.cos(x), exponent - 1, fraction + 1]
    np.testing.assert_allclose(out.T, np.stack(expected), rtol=1e-6)


# Integers. Python's integers are the reference; `bits` is the type's width.


def wrap(value: int, kind: str) -> int:
    return int(np.array(value & (1 << 64) - 1, np.uint64).astype(NUMPY[kind]))


def saturate(value: int, kind: str) -> int:
    information = np.iinfo(NUMPY[kind])
    return min(max(value, int(information.min)), int(information.max))


def field(value: int, offset: int, count: int, is_signed: bool) -> int:
    bits = value >> offset & (1 << count) - 1
    return bits - (1 << count) if is_signed and bits >> (count - 1) else bits


INTEGER_FUNCTIONS: dict[str, Callable[[int, int, int, str, int], int]] = {
    "abs(x)": lambda x, y, z, kind, bits: abs(x),
    "addsat(x, y)": lambda x, y, z, kind, bits: saturate(x + y, kind),
    "subsat(x, y)": lambda x, y, z, kind, bits: saturate(x - y, kind),
    "clamp(x, min(y, z), max(y, z))": lambda x, y, z, kind, bits: min(max(x, min(y, z)), max(y, z)),
    "clz(x)": lambda x, y, z, kind, bits: bits - (x & (1 << bits) - 1).bit_length(),
    "ctz(x)": lambda x, y, z, kind, bits: bits if x == 0 else (x & -x).bit_length() - 1,
    "popcount(x)": lambda x, y, z, kind, bits: (x & (1 << bits) - 1).bit_count(),
    "reverse_bits(x)": lambda x, y, z, kind, bits: int(f"{x & (1 << bits) - 1:0{bits}b}"[::-1], 2),
    "hadd(x, y)": lambda x, y, z, kind, bits: (x + y) >> 1,
    "rhadd(x, y)": lambda x, y, z, kind, bits: (x + y + 1) >> 1,
    "max(x, y)": lambda x, y, z, kind, bits: max(x, y),
    "min(x, y)": lambda x, y, z, kind, bits: min(x, y),
    "max3(x, y, z)": lambda x, y, z, kind, bits: max(x, y, z),
    "min3(x, y, z)": lambda x, y, z, kind, bits: min(x, y, z),
    "median3(x, y, z)": lambda x, y, z, kind, bits: sorted((x, y, z))[1],
    "mulhi(x, y)": lambda x, y, z, kind, bits: x * y >> bits,
    "madhi(x, y, z)": lambda x, y, z, kind, bits: (x * y >> bits) + z,
    "madsat(x, y, z)": lambda x, y, z, kind, bits: saturate(x * y + z, kind),
    "rotate(x, y)": lambda x, y, z, kind, bits: (
        (x & (1 << bits) - 1) << y % bits | (x & (1 << bits) - 1) >> (bits - y % bits)
    ),
}
FIELD_FUNCTIONS = {
    "extract_bits(x, 2, 5)": lambda x, y, z, kind, bits: field(x, 2, 5, not kind.startswith("u")),
    "insert_bits(x, y, 3, 4)": lambda x, y, z, kind, bits: x & ~(15 << 3) | (y & 15) << 3,
}


@pytest.mark.parametrize("kind", ["char", "uchar", "short", "ushort", "int", "uint", "long", "ulong"])
@pytest.mark.parametrize("width", [1, 3])
def test_integer_functions(kind, width):
    information = np.iinfo(NUMPY[kind])
    generator = np.random.default_rng(6)
    edges = np.array(
        [information.min, information.max, 0, 1, information.max - 1, information.min + 1, 5, 3], NUMPY[kind]
    )
    arguments = []
    for shift in range(3):
        random = generator.integers(information.min, information.max, 96, NUMPY[kind], endpoint=True)
        small = generator.integers(0, 20, 24).astype(NUMPY[kind])
        arguments.append(np.concatenate([np.roll(edges, shift), random, small]))
    table = INTEGER_FUNCTIONS | (FIELD_FUNCTIONS if width == 1 else {})
    out, (x, y, z) = evaluate(list(table), kind, width, arguments)
    triples = [tuple(int(v) for v in triple) for triple in zip(x.ravel(), y.ravel(), z.ravel(), strict=True)]
    for row, (expression, reference) in enumerate(table.items()):
        expected = np.array([wrap(reference(*triple, kind, information.bits), kind) for triple in triples], NUMPY[kind])
        np.testing.assert_array_equal(out[row].ravel(), expected, err_msg=expression)


def test_integer_functions_of_some_types():
    """Of these, absdiff is unsigned; mul24 and mad24 exist for int and uint."""
    text = f"""{HEADER}
kernel void f(const device int2* in [[buffer(0)]], device uint4* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {{
  const int x = in[i].x;
  const int y = in[i].y;
  out[i] = uint4(absdiff(x, y), as_type<uint>(mul24(x, y)), as_type<uint>(mad24(x, y, 3)), uint(abs(int2(x, y)).y));
}}
"""
    x = np.int32([[3, -7], [-(2**31), 2**31 - 1], [1000, 2000], [-5, -5]])
    out = np.zeros((4, 4), np.uint32)
    run(metalsim.compile(text).pipeline("f"), {0: x, 1: out}, 4)
    equal(out[:, 0], np.uint32([10, 2**32 - 1, 1000, 0]))
    equal(out[[0, 2, 3], 1].view(np.int32), np.int32([-21, 2_000_000, 25]))
    equal(out[[0, 2, 3], 2].view(np.int32), np.int32([-18, 2_000_003, 28]))
    equal(out[[0, 2, 3], 3], np.uint32([7, 2000, 5]))


# Relations


@pytest.mark.parametrize("kind", ["float", "half"])
def test_relations(kind):
    smallest = 2.0**-24 if kind == "half" else 2.0**-126
    x = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan, smallest], NUMPY[kind])
    y = np.array([np.nan, 0.0, 1.5, 2.5, np.inf, 0.0, np.nan, 1.0], NUMPY[kind])
    names = [
        "isnan(x)",
        "isinf(x)",
        "isfinite(x)",
        "isnormal(x)",
        "signbit(x)",
        "isordered(x, y)",
        "isunordered(x, y)",
        "x < y",
    ]
    names.append("select(x, y, x < y)")
    converted = [f"{kind}({name})" for name in names]
    out, _ = evaluate(converted, kind, 1, [x, y, y])
    unordered = np.isnan(x) | np.isnan(y)
    normal = np.array([0, 0, 1, 1, 0, 0, 0, kind == "float"])
    expected = [np.isnan(x), np.isinf(x), np.isfinite(x), normal, np.signbit(x), ~unordered, unordered, x < y]
    equal(out[:8, :, 0], np.array(expected, NUMPY[kind]))
    equal(out[8, :, 0], np.where(x < y, y, x))

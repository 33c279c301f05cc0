"""Writes the shim's tables: ``python generate.py OUTPUT_DIR``.

Metal declares each of its functions for each type. So does the shim for scalars, because a call with numbers of two types
must be ambiguous as it is in Metal; vectors are templates (see library/vector_functions.h). The files belong to a build, not
to the source.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

INTEGERS = ("char", "uchar", "short", "ushort", "int", "uint", "long", "ulong")
REALS = ("float", "half")
#: What simdgroup and quadgroup functions exist for: nothing with 64 bits.
SIMD_TYPES = ("float", "half", "char", "uchar", "short", "ushort", "int", "uint")
WIDTHS = (2, 3, 4)

#: Functions of real numbers that are computed in float, by the number of arguments.
REAL_FUNCTIONS = {
    1: "acos acosh asin asinh atan atanh ceil cos cosh cospi exp exp10 exp2 fabs floor fract log log10 log2 rint round rsqrt "
    "sin sinh sinpi sqrt tan tanh tanpi trunc",
    2: "atan2 copysign divide fdim fmax fmin fmod pow powr",
    3: "fmax3 fmedian3 fmin3",
}
#: The same, computed in the type itself.
OWN_PRECISION_FUNCTIONS = {1: "saturate sign", 2: "nextafter step", 3: "fma mix smoothstep"}
#: Functions of real numbers and integers.
NUMBER_FUNCTIONS = {1: "abs", 2: "max min", 3: "clamp max3 median3 min3"}
INTEGER_FUNCTIONS = {
    1: "clz ctz popcount reverse_bits",
    2: "addsat hadd mulhi rhadd rotate subsat",
    3: "madhi madsat",
}
#: Functions of integers with 32 bits.
INT_FUNCTIONS = {2: "mul24", 3: "mad24"}

REDUCTIONS = {
    "sum": SIMD_TYPES,
    "product": SIMD_TYPES,
    "min": SIMD_TYPES,
    "max": SIMD_TYPES,
    "and": SIMD_TYPES[2:],
    "or": SIMD_TYPES[2:],
    "xor": SIMD_TYPES[2:],
    "prefix_inclusive_sum": SIMD_TYPES,
    "prefix_exclusive_sum": SIMD_TYPES,
    "prefix_inclusive_product": SIMD_TYPES,
    "prefix_exclusive_product": SIMD_TYPES,
}
EXCHANGES = (
    "broadcast",
    "shuffle",
    "shuffle_xor",
    "shuffle_up",
    "shuffle_down",
    "shuffle_rotate_up",
    "shuffle_rotate_down",
)
FILLS = ("shuffle_and_fill_up", "shuffle_and_fill_down")

INLINE = "METALSIM_INLINE"
ARGUMENTS = ("x", "y", "z")
BFLOAT_TEMPLATE = (
    "template <typename T, typename... None, METALSIM_REQUIRES(__is_same(T, bfloat) && sizeof...(None) == 0)>"
)


def entries(table: dict[int, str]) -> Iterator[tuple[str, int]]:
    """Yield the functions of a table with the number of their arguments."""
    for arity, names in table.items():
        for name in names.split():
            yield name, arity


def parameters(types: Sequence[str]) -> str:
    """Return the text of a parameter list."""
    return ", ".join(f"{of} {name}" for of, name in zip(types, ARGUMENTS, strict=False))


def call(form: str, arity: int) -> str:
    """Return the text of an argument list, in each of which ``{}`` is the parameter."""
    return ", ".join(form.format(name) for name in ARGUMENTS[:arity])


def vector_overloads(name: str, arity: int, condition: str) -> Iterator[str]:
    """Yield a function for vectors: by components, and for vectors mixed with scalars."""
    yield (
        f"template <typename T, int N, METALSIM_REQUIRES({condition})> {INLINE} vec<T, N> {name}("
        f"{parameters(['vec<T, N>'] * arity)}) {{\n"
        "  vec<T, N> result;\n"
        "  for (int i = 0; i < N; ++i) {\n"
        f"    result[i] = {name}({call('T({}[i])', arity)});\n"
        "  }\n"
        "  return result;\n"
        "}"
    )
    types = ["A", "B", "C"][:arity]
    declared = ", ".join(f"typename {of}" for of in types)
    yield (
        f"template <{declared}, typename V = ::metalsim::shim::MixedVector<{', '.join(types)}>>\n"
        f"{INLINE} V {name}({parameters(types)}) {{ return {name}({call('::metalsim::shim::widen<V>({})', arity)}); }}"
    )


def scalar_overload(name: str, arity: int, of: str, implementation: str, through: str = "") -> str:
    """Return a function for one type of numbers, computed in the type ``through`` where that is another one."""
    body = f"{implementation}({call(f'{through}({{}})' if through else '{}', arity)})"
    if through:
        body = f"{of}({body})"
    return f"{INLINE} {of} {name}({parameters([of] * arity)}) {{ return {body}; }}"


def bfloat_overload(name: str, arity: int) -> str:
    """Return what makes a bfloat a float where it could become an integer just as well.

    The empty pack makes it the last choice: any overload for bfloat that a user declares is better.
    """
    return (
        f"{BFLOAT_TEMPLATE}\n"
        f"{INLINE} float {name}({parameters(['T'] * arity)}, None...) {{ return {name}({call('float({})', arity)}); }}"
    )


def in_namespace(name: str, lines: Sequence[str]) -> str:
    """Return declarations inside a namespace."""
    return "\n".join([f"namespace {name} {{", *lines, f"}} // namespace {name}", ""])


def vector_types() -> str:
    """Return the names of the vector types, and of packed ones' elements."""
    names = {of: of for of in (*INTEGERS, "half", "bfloat", "float")}
    lines = [
        f"typedef {of} {name}{width} __attribute__((ext_vector_type({width})));"
        for name, of in names.items()
        for width in WIDTHS
    ]
    using = [f"using ::{name}{width};" for name in names for width in WIDTHS]
    lines.append(in_namespace("metal", using))
    lines.append(in_namespace("simd", using))
    lines += [
        f"typedef ::{name}{width} {prefix}_{name}{width};"
        for prefix in ("simd", "vector")
        for name in names
        for width in WIDTHS
    ]
    return "\n".join(lines) + "\n"


def packed_types() -> str:
    """Return the names of the packed vector types."""
    elements = (*INTEGERS, "half", "bfloat", "float", "bool")
    lines = [
        f"typedef metalsim::shim::PackedVector<{of}, {width}> packed_{of}{width};"
        for of in elements
        for width in WIDTHS
    ]
    lines.append(in_namespace("metal", [f"using ::packed_{of}{width};" for of in elements for width in WIDTHS]))
    return "\n".join(lines) + "\n"


def matrix_types() -> str:
    """Return the names of the matrix types."""
    shapes = [f"{of}{columns}x{rows}" for of in REALS for columns in WIDTHS for rows in WIDTHS]
    lines = [
        f"typedef metal::matrix<{of}, {columns}, {rows}> {of}{columns}x{rows};"
        for of in REALS
        for columns in WIDTHS
        for rows in WIDTHS
    ]
    lines.append(in_namespace("metal", [f"using ::{shape};" for shape in shapes]))
    lines.append(in_namespace("simd", [f"using ::{shape};" for shape in shapes]))
    return "\n".join(lines) + "\n"


def math() -> str:
    """Return the mathematical functions, in namespace metal and, of float only, in metal::fast and metal::precise."""
    scalar = "::metalsim::shim::scalar"
    common: list[str] = []
    for name, arity in entries(REAL_FUNCTIONS):
        common.append(scalar_overload(name, arity, "float", f"{scalar}::{name}"))
        common.append(scalar_overload(name, arity, "half", f"{scalar}::{name}", "float"))
        common += vector_overloads(name, arity, "::metalsim::shim::is_real<T>")
    for name, arity in entries(OWN_PRECISION_FUNCTIONS):
        common += [scalar_overload(name, arity, of, f"{scalar}::{name}") for of in REALS]
        common += vector_overloads(name, arity, "::metalsim::shim::is_real<T>")
    for name, arity in entries(NUMBER_FUNCTIONS):
        common.append(scalar_overload(name, arity, "float", f"{scalar}::{name}"))
        common.append(scalar_overload(name, arity, "half", f"{scalar}::{name}", "float"))
    single: list[str] = []
    for table in (REAL_FUNCTIONS, OWN_PRECISION_FUNCTIONS, NUMBER_FUNCTIONS):
        for name, arity in entries(table):
            single.append(scalar_overload(name, arity, "float", f"{scalar}::{name}"))
            single += vector_overloads(name, arity, "__is_same(T, float)")
    return "\n".join(
        [in_namespace("metal", common), in_namespace("metal::fast", single), in_namespace("metal::precise", single)]
    )


def integer() -> str:
    """Return the functions of integers, and for vectors those of all numbers."""
    lines: list[str] = []
    implementation = "::metalsim::shim::integer"
    for name, arity in entries(NUMBER_FUNCTIONS):
        lines += [scalar_overload(name, arity, of, f"{implementation}::{name}<{of}>") for of in INTEGERS]
        lines.append(bfloat_overload(name, arity))
        lines += vector_overloads(name, arity, "::metalsim::shim::is_real<T> || ::metalsim::shim::is_integer<T>")
    for table, types in ((INTEGER_FUNCTIONS, INTEGERS), (INT_FUNCTIONS, ("int", "uint"))):
        for name, arity in entries(table):
            lines += [scalar_overload(name, arity, of, f"{implementation}::{name}<{of}>") for of in types]
            lines += vector_overloads(name, arity, "::metalsim::shim::is_integer<T>")
    for of in INTEGERS:
        unsigned = of if of.startswith("u") else f"u{of}"
        lines.append(f"{INLINE} {unsigned} absdiff({of} x, {of} y) {{ return {implementation}::absdiff<{of}>(x, y); }}")
    return in_namespace("metal", lines)


def group_function(
    name: str, types: Sequence[str], implementation: str, extra: str, passed: str, data: int = 1
) -> Iterator[str]:
    """Yield a simdgroup or quadgroup function: of ``data`` values, and ``extra`` parameters that are ``passed`` on."""

    def body(form: str) -> str:
        return f"{{ return {implementation}({call(form, data)}{passed}); }}"

    for of in types:
        yield f"{INLINE} {of} {name}({parameters([of] * data)}{extra}) {body('{}')}"
    if "float" in types and "=" not in extra:
        yield (
            f"{BFLOAT_TEMPLATE}\n"
            f"{INLINE} float {name}({parameters(['T'] * data)}{extra}, None...) {body('static_cast<float>({})')}"
        )
    condition = "::metalsim::shim::is_simd_number<T>" + (
        "" if "float" in types else " && ::metalsim::shim::is_integer<T>"
    )
    yield (
        f"template <typename T, int N, METALSIM_REQUIRES({condition})>\n"
        f"{INLINE} vec<T, N> {name}({parameters(['vec<T, N>'] * data)}{extra}) {body('{}')}"
    )


def simdgroup() -> str:
    """Return the functions in which threads of a simdgroup or a quad exchange values."""
    lines: list[str] = []
    for name, types in REDUCTIONS.items():
        reduction = f"bit_{name}" if name in ("and", "or", "xor") else name
        for group, op in (("simd", "reduce"), ("quad", "quad_reduce")):
            call_text = (
                f"::metalsim::shim::reduce<::metalsim::abi::Collective::{op}, ::metalsim::abi::Reduction::{reduction}>"
            )
            lines += group_function(f"{group}_{name}", types, call_text, "", "")
    for name in EXCHANGES:
        exchange = f"::metalsim::shim::exchange<::metalsim::abi::Collective::{name}>"
        lines += group_function(f"simd_{name}", SIMD_TYPES, exchange, ", ushort lane", ", lane")
        if "rotate" in name:
            exchange = f"::metalsim::shim::quad_{name.removeprefix('shuffle_')}"
        else:
            exchange = f"::metalsim::shim::exchange<::metalsim::abi::Collective::quad_{name}>"
        lines += group_function(f"quad_{name}", SIMD_TYPES, exchange, ", ushort lane", ", lane")
    lines += group_function(
        "simd_broadcast_first",
        SIMD_TYPES,
        "::metalsim::shim::exchange<::metalsim::abi::Collective::broadcast_first>",
        "",
        ", 0",
    )
    lines += group_function("quad_broadcast_first", SIMD_TYPES, "::metalsim::shim::quad_broadcast_first", "", "")
    for name in FILLS:
        fill = f"::metalsim::shim::exchange_and_fill<::metalsim::abi::Collective::{name}>"
        extra = ", ushort delta, ushort modulo = ::metalsim::abi::kSimdWidth"
        lines += group_function(f"simd_{name}", SIMD_TYPES, fill, extra, ", delta, modulo", data=2)
    return in_namespace("metal", lines)


def builtins() -> str:
    """Return the compiler's own functions that Apple's headers call, and MLX as well."""
    scalar = "::metalsim::shim::scalar"
    lines: list[str] = []
    for name, arity in entries(REAL_FUNCTIONS):
        declared = f"{parameters(['float'] * arity)}, bool"
        lines.append(f"{INLINE} float __metal_{name}({declared}) {{ return {scalar}::{name}({call('{}', arity)}); }}")
    groups = [(name, "T x", "x") for name in (*REDUCTIONS, "broadcast_first")]
    groups += [(name, "T x, ushort lane", "x, lane") for name in EXCHANGES]
    groups += [(name, "T x, T fill, ushort delta, ushort modulo", "x, fill, delta, modulo") for name in FILLS]
    for name, declared, passed in groups:
        if name in REDUCTIONS and "float" not in REDUCTIONS[name]:
            # MLX passes a float, though no header does.
            passed = "::metalsim::shim::bitwise_operand(x)"
        lines.append(
            f"template <typename T> {INLINE} T __metal_simd_{name}({declared}) {{ return T(metal::simd_{name}({passed})); }}"
        )
    return "\n".join(lines) + "\n"


FILES = {
    "metalsim_vector_types.h": vector_types,
    "metalsim_packed_types.h": packed_types,
    "metalsim_matrix_types.h": matrix_types,
    "metalsim_math.h": math,
    "metalsim_integer.h": integer,
    "metalsim_simdgroup.h": simdgroup,
    "metalsim_builtins.h": builtins,
}


def main() -> None:
    """Write all tables to the folder that the command line names."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: generate.py OUTPUT_DIR")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(f"// Written by shim/generate.py.\n#pragma once\n\n{text()}")


if __name__ == "__main__":
    main()

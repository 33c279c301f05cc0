"""Everything of Metal that the kernels use has a witness that Apple takes it in that form: see metalsim/witnesses.py.

What is looked at: every choice of macros that kernel_plan can make, in each type (matrix_cases.py), at the smallest or the
largest head dim that it is made for; and the files that kernel_plan has no choice for. What a use is called depends on types
and on what the preprocessor selects. Each choice is therefore looked at with one of the three K/V sources, in turn, since
those change nothing but kv_source.h and what the kernels bind; and function constants, aligned rows for instance, choose
nothing here: both branches are in the syntax tree.
"""

import functools
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matrix_cases
import pytest
from launch import METAL
from launch_plan import SOURCES
from matrix_cases import ELEMENTS

from metalsim import witnesses
from metalsim.frontend.uses import Use

Library = tuple[str, dict[str, object]]


def libraries() -> list[Library]:
    """Return files with the macros that they are compiled with."""
    found: list[Library] = []
    for choice, turn in zip(matrix_cases.choices(), itertools.cycle(range(2 * len(SOURCES)))):
        head_dim = choice.head_dims[turn // len(SOURCES) - 1]
        macros = {
            "FUSED_ATTN_HEAD_DIM": head_dim,
            "FUSED_ATTN_HEAD_DIM_V": head_dim,
            "FUSED_ATTN_KV_SOURCE": turn % len(SOURCES),
        }
        found.append((choice.file, dict(choice.macros) | macros))
    found += [("reduce.metal", {"FUSED_ATTN_ELEMENT": e, "FUSED_ATTN_HEAD_DIM_V": 64}) for e in ELEMENTS]
    found.append(("mask_tiles.metal", {"FUSED_ATTN_QUERY_TILE": 32, "FUSED_ATTN_KEY_TILE": 32}))
    found.append(("kv_cache.metal", {}))
    return found


@functools.cache
def uses_of_kernels() -> frozenset[Use]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda library: witnesses.uses(METAL / library[0], [METAL], library[1]), libraries())
        return frozenset(itertools.chain.from_iterable(found))


def test_every_file_and_type_is_looked_at() -> None:
    found = libraries()
    assert {file for file, _ in found} == {path.name for path in METAL.glob("*.metal")}
    combinations = {(file, m["FUSED_ATTN_ELEMENT"], m["FUSED_ATTN_KV_SOURCE"]) for file, m in found if len(m) > 3}
    assert combinations == set(itertools.product(("decode.metal", "prefill.metal"), ELEMENTS, range(len(SOURCES))))
    assert {Path(use.file).name for use in uses_of_kernels()} == {path.name for path in METAL.iterdir()}


def test_every_use_has_a_witness() -> None:
    missing = witnesses.without_witness(uses_of_kernels(), witnesses.read_table())
    assert not missing, "\n".join(missing)


def test_every_row_is_for_something() -> None:
    table = witnesses.read_table()
    used = {table.row_for(key) for key in {use.key for use in uses_of_kernels()}}
    idle = [f"witnesses.txt:{row.line}: no kernel uses '{row.text}'" for row in table.rows if row not in used]
    assert not idle, "\n".join(idle)
    cited = {witness.split()[0] for row in table.rows for witness in row.witnesses}
    assert cited == set(table.sources), "a source that no row names"


#: What no row is for, one thing a line; a line may show more than one of it.
PLANTED = """
#include <metal_math>                                            // header metal_math
#include <metal_stdlib>
using namespace metal;
constant bool is_long [[function_constant(0)]];                  // attribute function_constant(number)
constant float kHalf = 0.5f;                                     // form constant at global scope
constant constexpr float kPi = M_PI_F;                           // macro M_PI_F
struct Pair {
  float a, b;
  float sum() const { return a + b; }                            // form member function, no address space
};
float total(const thread Pair& pair) {
  return pair.a + pair.b;
}
kernel void planted(device float* out [[buffer(0)]],             // attribute buffer(number)
                    uint width [[threads_per_simdgroup]],        // attribute threads_per_simdgroup uint
                    ushort lane [[thread_index_in_simdgroup]]) {
  short4 four = 1;                                               // type short4 | implicit conversion int -> short4
  const float angle = sin(kPi * kHalf);                          // function sin(float)
  const float2 turned = fma(float2(angle), angle, float2(1.0f)); // function fma(float2, float, float2)
  const half other = simd_shuffle_xor(half(angle), 1);           // function simd_shuffle_xor(half, ushort)
  const bfloat2 pair = bfloat2(turned) / bfloat2(turned);        // operator /(bfloat2, bfloat2)
  device int* words = reinterpret_cast<device int*>(out);        // reinterpret_cast device float* -> device int*
#pragma unroll                                                   // pragma unroll
  for (uint i = 0; i < width; ++i) {
    words[i] = lane;
  }
  out[lane] = total({turned.x, float(other)});
  out[lane + 1] = four.wzyx.x + float(pair.y) + Pair{1, 2}.sum(); // component short4.wzyx | component short4.x
}
"""


def test_what_has_no_witness_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "planted.metal"
    path.write_text(PLANTED)
    expected = [
        f"{path}:{number}: no witness that Apple takes '{key}': add a line"
        for number, line in enumerate(PLANTED.splitlines(), 1)
        for key in line.partition("// ")[2].split(" | ")
        if key
    ]
    missing = witnesses.without_witness(witnesses.uses(path), witnesses.read_table())
    assert sorted(line.split(" to metalsim")[0] for line in missing) == sorted(expected)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("function max(float, float) <- BOOK 6.5", "line 1 .*'BOOK 6.5' must be the tag of a source"),
        ("source SPEC of Apple\nfunction max(float) <- SPEC", "line 2 .*'SPEC' must be the tag .* and a place in it"),
        ("source SPEC of Apple\ntype {WIDE}4 <- SPEC 2.2", "line 2 .*there is no set 'WIDE'; define it above"),
        ("function max(float, float)", "line 1 of the table of witnesses must be"),
    ],
    ids=["tag", "place", "set", "kind"],
)
def test_a_table_that_is_wrong_is_refused(table: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        witnesses.read_table(table)


def test_a_word_of_a_set_is_the_same_throughout_a_row() -> None:
    table = witnesses.read_table(
        "source SPEC of Apple\nset REAL half float\nset WIDTH '' 2\n"
        "function fma({REAL}{WIDTH}, {REAL}{WIDTH}) <- SPEC 6.5\nconversion {REAL:1} -> {REAL:2} <- SPEC 2.21"
    )
    for key in ("function fma(half2, half2)", "function fma(float, float)", "conversion half -> float"):
        assert table.row_for(key) is not None
    for key in ("function fma(half, float)", "function fma(half2, half)", "function fma(bfloat, bfloat)"):
        assert table.row_for(key) is None

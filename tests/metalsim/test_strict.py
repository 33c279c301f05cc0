"""The strict pass: what Apple's Metal compiler refuses is refused, with the rule and its section of the specification.

``strict_cases/`` has one mistake in each file, and its first lines say which rule has to find it in which line, and which
public report shows Apple's compiler refusing the like.
``strict_good/`` has what looks like a mistake and is none. PyTorch's and MLX's attention kernels, which Apple's compiler
accepts, must be accepted as they are; PyTorch's must be refused after each of a dozen small changes.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import real_kernels
import torch

import metalsim
from metalsim.air.wheels import WheelUnavailableError

HERE = Path(__file__).parent
CASES = sorted((HERE / "strict_cases").glob("*.metal"))
GOOD = sorted((HERE / "strict_good").glob("*.metal"))
TORCH_INCLUDE = Path(torch.__file__).parent / "include"
KERNELS = "ATen/native/mps/kernels"


def marked(text: str, word: str, default: str = "") -> str:
    """Return what ``// word: ...`` says at the top of a case."""
    match = re.search(rf"^// {word}: (\S+)$", text, re.MULTILINE)
    return match[1] if match else default


def compile_case(path: Path) -> None:
    metalsim.compile(path, language_version=marked(path.read_text(), "language", "3.1"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_mistake_is_refused(path: Path) -> None:
    text = path.read_text()
    rule = marked(text, "rule")
    line = int(marked(text, "at"))
    found_by = None if rule == "none" else rule  # what is wrong in every C++ has no rule
    with pytest.raises(metalsim.CompileError) as refusal:
        compile_case(path)
    found = [(d.file, d.line, d.rule) for d in refusal.value.diagnostics]
    assert (str(path), line, found_by) in found, refusal.value
    for diagnostic in refusal.value.diagnostics:
        if diagnostic.rule is not None:
            assert diagnostic.severity == "error"
            assert re.match(r"\d", diagnostic.section or ""), diagnostic
            assert diagnostic.column > 0


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_near_miss_is_accepted(path: Path) -> None:
    compile_case(path)


def test_rules_of_the_table_have_cases() -> None:
    """Every rule that the table of the strict pass lists is tried by a case."""
    table = (Path(metalsim.__file__).parent / "native" / "strict" / "rules.def").read_text()
    rules = {f"metal-{name}" for name in re.findall(r'^METALSIM_RULE\(\w+, "([\w-]+)"', table, re.MULTILINE)}
    tried = {marked(path.read_text(), "rule") for path in CASES}
    assert rules - tried == set()


def test_macros_of_the_headers_are_no_names() -> None:
    """gfx-rs/naga#709: Apple's compiler refuses ``float MAXFLOAT``. SPIRV-Cross and naga avoid all of these names."""
    names = "MAXFLOAT INFINITY NAN HUGE_VALF FLT_MIN FLT_EPSILON HALF_MAX MAXHALF INT_MAX M_PI_F M_LOG2E_H METAL_FUNC"
    lines = [f"inline void f{index}() {{ float {name} = 1.0f; }}" for index, name in enumerate(names.split())]
    with pytest.raises(metalsim.CompileError) as refusal:
        metalsim.compile("\n".join(["#include <metal_stdlib>", *lines]))
    assert {d.line - 2 for d in refusal.value.diagnostics} == set(range(len(lines))), refusal.value


def test_refusal_says_where_the_specification_has_it() -> None:
    source = (
        "kernel void f(device float* data [[buffer(0)]]) {\n  double wide = data[0];\n  data[1] = float(wide);\n}\n"
    )
    with pytest.raises(metalsim.CompileError) as refusal:
        metalsim.compile(source)
    first = refusal.value.diagnostics[0]
    assert (first.line, first.column) == (2, 3)
    assert first.rule == "metal-double"
    assert first.section == '2.1 "Scalar Data Types"'
    assert "program_source:2:3: error: this is a double" in str(refusal.value)


def test_strict_can_be_turned_off() -> None:
    source = (
        "kernel void f(device float* data [[buffer(0)]]) {\n  double wide = data[0];\n  data[1] = float(wide);\n}\n"
    )
    assert metalsim.compile(source, strict=False).kernel_names == ("f",)


@dataclass(frozen=True)
class Change:
    """A mistake to be made in PrefillAttention.h, and the rule that has to find it."""

    name: str
    before: str
    after: str
    rule: str


CHANGES = [
    Change("threadgroup dropped from a member", "  threadgroup T* dst;", "  T* dst;", "metal-address-space"),
    Change("device dropped from a member", "  const device T* src;", "  const T* src;", "metal-address-space"),
    Change(
        "thread dropped from a parameter",
        "      thread const frag_type& inp_vals,\n      thread T* reduced_vals",
        "      const frag_type& inp_vals,\n      thread T* reduced_vals",
        "metal-address-space",
    ),
    Change(
        "double", "  float adjusted_scale = params->scale;", "  double adjusted_scale = params->scale;", "metal-double"
    ),
    Change("std::max", "return metal::max(x, y);", "return std::max(x, y);", "metal-std-namespace"),
    Change(
        "output in another address space",
        "  device T* O_tile = O +",
        "  thread T* O_tile = O +",
        "metal-address-space-conversion",
    ),
    Change(
        "kernel parameter without an attribute",
        "uint simd_lane_id [[thread_index_in_simdgroup]],",
        "uint simd_lane_id,",
        "metal-kernel-parameter",
    ),
    Change(
        "threadgroup array passed as device memory",
        "VBlockLoader loader_v(V, v_seq_stride, Vs,",
        "VBlockLoader loader_v(Vs, v_seq_stride, Vs,",
        "metal-overload",
    ),
    Change(
        "program-scope variable without constant",
        "struct PrefillAttnMaskParams {",
        "static const float kLog2e = 1.44f;\nstruct PrefillAttnMaskParams {",
        "metal-program-scope-variable",
    ),
    Change(
        "three components for two",
        "loader_q.load_safe(short2(BD, q_block_size));",
        "loader_q.load_safe(short2(BD, q_block_size, 0));",
        "metal-vector-constructor",
    ),
    Change(
        "threadgroup variable with an initializer",
        "  threadgroup T KV_smem[tgp_mem_s];",
        "  threadgroup T KV_smem[tgp_mem_s] = {T(0)};",
        "metal-threadgroup-variable",
    ),
    Change(
        "write through constant",
        "  const int q_seq_len = params->qL;",
        "  const int q_seq_len = params->qL; params->kL = 3;",
        "metal-constant-write",
    ),
]


def attention_source(folder: Path, header: str) -> Path:
    path = folder / "attention.metal"
    path.write_text(
        "#include <metal_simdgroup>\n#include <metal_simdgroup_matrix>\n#include <metal_stdlib>\n"
        f"#include <c10/metal/utils.h>\nusing namespace metal;\n#include <{KERNELS}/{header}>\n"
    )
    return path


@pytest.mark.parametrize("header", ["PrefillAttention.h", "DecodeAttention.h"])
def test_attention_of_the_installed_pytorch_is_accepted(tmp_path: Path, header: str) -> None:
    library = metalsim.compile(attention_source(tmp_path, header), include_dirs=[TORCH_INCLUDE])
    assert len(library.kernel_names) > 50


@pytest.mark.parametrize("source", real_kernels.SOURCES, ids=lambda source: source.name)
def test_kernels_that_apple_compiled_are_accepted(source: real_kernels.Source) -> None:
    try:
        headers = source.headers()
    except WheelUnavailableError as reason:
        pytest.skip(str(reason))
    assert metalsim.compile(source.text, [headers]).kernel_names


@pytest.mark.parametrize("source", [real_kernels.MLX_STEEL, real_kernels.TORCH_PREFILL], ids=lambda source: source.name)
def test_known_kernels_and_the_generic_this_of_metal_4_1(source: real_kernels.Source) -> None:
    """MLX's kernels are those of its fix for Metal 4.1; PyTorch 2.13 has `thread frag_type& frag_at(...)` without it."""
    try:
        headers = source.headers()
    except WheelUnavailableError as reason:
        pytest.skip(str(reason))
    if source is real_kernels.MLX_STEEL:
        assert metalsim.compile(source.text, [headers], language_version="4.1").kernel_names
        return
    with pytest.raises(metalsim.CompileError) as refusal:
        metalsim.compile(source.text, [headers], language_version="4.1")
    assert {d.rule for d in refusal.value.diagnostics} == {"metal-generic-this"}
    assert all("parameters of 'frag_at'" in d.message for d in refusal.value.diagnostics)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_mistake_in_attention_of_pytorch_is_refused(tmp_path: Path, change: Change) -> None:
    text = (TORCH_INCLUDE / KERNELS / "PrefillAttention.h").read_text()
    assert change.before in text, "PyTorch's kernel has changed: choose another place for this mistake"
    changed = tmp_path / KERNELS / "PrefillAttention.h"
    changed.parent.mkdir(parents=True)
    changed.write_text(text.replace(change.before, change.after, 1))
    line = text[: text.index(change.before)].count("\n") + 1
    with pytest.raises(metalsim.CompileError) as refusal:
        metalsim.compile(attention_source(tmp_path, "PrefillAttention.h"), include_dirs=[tmp_path, TORCH_INCLUDE])
    found = [(d.rule, d.line) for d in refusal.value.diagnostics if d.file == str(changed)]
    assert any(rule == change.rule and line <= at <= line + 3 for rule, at in found), refusal.value

"""The front end as a whole: what is not Metal's stays as it is, and the kernels of PyTorch and MLX are all found."""

import string
from pathlib import Path

import pytest
import torch
from frontend_text import translated, words
from hypothesis import given
from hypothesis import strategies as st

from metalsim.air import wheels
from metalsim.errors import CompileError, ValidationError
from metalsim.frontend import Translation, preprocess, translate
from metalsim.frontend.tokens import tokenize


def test_findings_are_in_the_order_of_the_source():
    source = "kernel void f(uint i) {}\nthreadgroup int a;\nconstant int b [[function_constant(1)]] = 2;\nkernel int g() {}\n"
    assert [found.line for found in translate(source).findings] == [1, 2, 3, 4]


def test_attributes_of_cxx_stay():
    source = "[[maybe_unused]] int a; [[clang::noinline]] void f([[maybe_unused]] int b [[color(0)]]);"
    assert translated(source) == "[[maybe_unused]] int a; [[clang::noinline]] void f([[maybe_unused]] int b );"
    assert translated("void f(int a [[maybe_unused, user(x)]]);") == "void f(int a [[maybe_unused, ]]);"


def test_lines_and_markers_are_kept():
    source = (
        '# 1 "a.metal"\nkernel void f(\n    device float* a\n        [[buffer(0)]]) {\n#pragma clang loop unroll(full)\n'
        '  threadgroup float s\n      [4];\n}\n# 7 "b.h"\ntemplate <typename T> kernel void g(\n  device T* a) {}\n'
        'template [[host_name("g")]]\n# 20 "b.h"\n  kernel void\n  g<half>(\n  device half* a);\nint last;\n'
    )
    text = translate(source).text
    kept = [line for line in source.splitlines() if line.startswith("#")]
    assert [line for line in text.splitlines() if line.startswith("#")] == kept
    assert text.count("\n") == source.count("\n")
    assert text.splitlines()[-1] == "int last;"
    assert translate(source).kernels["g"].line == 21


# ---- what is not Metal's stays as it is

IDENTIFIER = st.text(string.ascii_lowercase, min_size=1, max_size=3).map(lambda name: "v_" + name)
TYPE = st.sampled_from(
    ["int", "float", "uint", "const device float*", "thread bool&", "pair<int, box<float>>", "float4"]
)
OPERATOR = st.sampled_from([" + ", " < ", " > ", " >> ", " << ", " && ", ", ", " = ", " <= ", " - ", " ? 1 : "])
ATOM = st.one_of(
    IDENTIFIER,
    st.integers(0, 99).map(str),
    st.sampled_from(
        ["1.5f", '"(<{"', "'}'", "box<int>::value", "static_cast<int>(v_x)", "int(v_y)", "[](int a) { return a; }"]
    ),
)
EXPRESSION = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        st.tuples(inner, OPERATOR, inner).map("".join),
        st.tuples(inner, st.sampled_from([".", "->"]), IDENTIFIER).map("".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(IDENTIFIER, inner).map(lambda both: f"{both[0]}({both[1]})"),
        st.tuples(IDENTIFIER, inner).map(lambda both: f"{both[0]}[{both[1]}]"),
    ),
    max_leaves=8,
)
STATEMENT = st.recursive(
    st.one_of(
        EXPRESSION.map(lambda text: f"{text};"),
        st.tuples(TYPE, IDENTIFIER, EXPRESSION).map(lambda parts: f"{parts[0]} {parts[1]} = {parts[2]};"),
        st.sampled_from(
            ["return;", "using v_u = int;", "struct v_s { int a; void f() const {} };", "/* { */", "// (\n", "\n"]
        ),
    ),
    lambda inner: st.one_of(
        st.tuples(EXPRESSION, inner).map(lambda parts: f"if ({parts[0]}) {{ {parts[1]} }}"),
        st.tuples(EXPRESSION, inner).map(lambda parts: f"for (int i = 0; i < {parts[0]}; ++i) {parts[1]}\n"),
        st.lists(inner, max_size=3).map("\n".join),
    ),
    max_leaves=6,
)
DECLARATION = st.one_of(
    st.tuples(TYPE, IDENTIFIER, TYPE, IDENTIFIER, STATEMENT).map(
        lambda p: f"{p[0]} {p[1]}({p[2]} {p[3]}) {{\n  {p[4]}\n}}\n"
    ),
    st.tuples(IDENTIFIER, TYPE, STATEMENT).map(
        lambda p: f"struct {p[0]} : base<{p[1].rstrip('*&')}> {{\n  int a[2];\n  void f() {{ {p[2]} }}\n}};\n"
    ),
    st.tuples(IDENTIFIER, STATEMENT).map(lambda p: f"namespace {p[0]} {{ void g(int a = 1) {{ {p[1]} }} }}\n"),
    st.tuples(IDENTIFIER, EXPRESSION).map(lambda p: f"template <int {p[0]}>\nconstexpr int h = {p[1]};\n"),
    st.just('# 12 "x.h" 2\n'),
    st.just("enum class E : int { A = 1 << 2, B };\n"),
)


@given(st.lists(DECLARATION, max_size=5).map("".join))
def test_text_without_metal_syntax_is_not_changed(source):
    result = translate(source)
    assert result.text == source
    assert (result.kernels, result.constants, result.findings) == ({}, {}, ())


METAL_WORDS = st.sampled_from(
    [
        "kernel",
        "threadgroup",
        "device",
        "constant",
        "thread",
        "template",
        "typename",
        "T",
        "float4",
        "half",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
        ",",
        ";",
        ":",
        "=",
        "[[",
        "]]",
        "buffer",
        "function_constant",
        "host_name",
        '"x"',
        "0",
        "1.5",
        "x",
        "y",
        "struct",
        "using",
        "operator",
        "->",
        "::",
        "&",
        "*",
        "decltype",
        "void",
    ]
)


@given(st.lists(METAL_WORDS, max_size=40))
def test_nonsense_is_translated_or_refused_but_never_crashes(tokens):
    source = "\n".join([" ".join(tokens[::2]), " ".join(tokens[1::2])])
    try:
        lines = translate(source).text.count("\n") + 1
    except CompileError as error:
        lines = max(2, error.diagnostics[0].line)  # a line of the source
    assert lines == 2


# ---- preprocessing, and the kernels of PyTorch and MLX


def test_preprocess_defines(tmp_path):
    path = tmp_path / "a.metal"
    path.write_text(
        '#include <metal_stdlib>\n#include "b.h"\n/* { */ int version = __METAL_VERSION__, on = ON, off = OFF, n = N; // }\n'
        "#if defined(__METAL__) && !defined(__linux__) && !defined(__x86_64__)\nlong cxx = __cplusplus;\n#endif\n"
    )
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "b.h").write_text("int b;\n")
    defines = {"ON": True, "OFF": False, "N": 3}
    text = preprocess(path, [tmp_path / "include"], defines, "3.1")
    assert "int version = 310, on = 1, off = 0, n = 3;" in words(text)
    assert "cxx = 201402L" in text
    assert [(t.file, t.line) for t in tokenize(text) if t.text in ("b", "version")] == [
        (str(tmp_path / "include" / "b.h"), 1),
        (str(path), 3),
    ]
    assert "version = 400" in preprocess(path, [tmp_path / "include"], defines, "4.0")
    assert "cxx = 201703L" in preprocess(path, [tmp_path / "include"], defines, "4.0")


def test_macros_of_loop_pragmas_are_expanded(tmp_path):
    """As clang does where it compiles; `clang -E` leaves them as they are, and their definitions are gone after it."""
    path = tmp_path / "a.metal"
    lines = ["#define LEAST(a, b) ((a) < (b) ? (a) : (b))", "#define N 4", '_Pragma("unroll(N)") int a;', "#undef N"]
    lines += [
        "#pragma unroll (LEAST(N, 2 * M))",
        "int b;",
        "#define N 8",
        "#pragma clang loop unroll_count(N)",
        "int c;",
    ]
    lines += ["#pragma unroll", "int d;", "#pragma clang loop unroll(full)", "int LEAST;"]
    path.write_text("\n".join(lines) + "\n")
    text = preprocess(path, [], {"M": 3}, "3.1")
    pragmas = [line.replace(" ", "") for line in text.splitlines() if line.startswith("#pragma")]
    wanted = [
        "unroll(4)",
        "unroll(((N)<(2*3)?(N):(2*3)))",
        "clangloopunroll_count(8)",
        "unroll",
        "clangloopunroll(full)",
    ]
    assert pragmas == [f"#pragma{pragma}" for pragma in wanted]
    assert [(t.text, t.line) for t in tokenize(text) if t.text in "abcd"] == [("a", 3), ("b", 6), ("c", 9), ("d", 11)]


def test_bfloat_has_its_macro_from_3_1_on(tmp_path):
    path = tmp_path / "a.metal"
    path.write_text("bool has_bfloat = __HAVE_BFLOAT__;\n")
    assert "has_bfloat = 1" in preprocess(path, [], {}, "3.1")
    assert "has_bfloat = __HAVE_BFLOAT__" in preprocess(path, [], {}, "3.0")


def test_preprocess_reports_errors_with_their_line(tmp_path):
    path = tmp_path / "a.metal"
    path.write_text("#include <metal_stdlib>\n#include <tiles.h>\n")
    with pytest.raises(CompileError, match=r"'tiles\.h' file not found") as caught:
        preprocess(path, [], {}, "3.1")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.file, diagnostic.line, diagnostic.severity) == (str(path), 2, "fatal error")
    assert (diagnostic.rule, diagnostic.section) == (None, None)


@pytest.mark.parametrize("header", ["cmath", "cstdint", "algorithm", "vector", "math.h", "stdint.h"])
def test_headers_of_standard_cxx_are_refused_by_rule(tmp_path, header):
    path = tmp_path / "a.metal"
    path.write_text(f"#include <metal_stdlib>\n#include <{header}>\n")
    with pytest.raises(CompileError, match="include <metal_stdlib> and use namespace metal") as caught:
        preprocess(path, [], {}, "3.1")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.file, diagnostic.line, diagnostic.severity) == (str(path), 2, "error")
    assert diagnostic.message.startswith(f"'{header}' is a header of the C++ standard library")
    assert (diagnostic.rule, diagnostic.section) == ("metal-standard-header", '6.1 "Namespace and Header Files"')


@pytest.mark.parametrize("header", ["cmath", "vector", "complex.h"])
def test_headers_of_the_user_may_have_names_of_standard_cxx(tmp_path, header):
    path = tmp_path / "a.metal"
    path.write_text(f'#include "{header}"\n')
    (tmp_path / header).write_text("int found;\n")
    assert "int found;" in preprocess(path, [], {}, "3.1")


@pytest.mark.parametrize("version", ["2.3", "3", "5.0", "metal3.1", "3.1.1"])
def test_unknown_language_versions_are_refused(tmp_path, version):
    with pytest.raises(ValidationError, match="language_version"):
        preprocess(tmp_path / "a.metal", [], {}, version)


def headers(tmp_path: Path, include: Path, lines: list[str]) -> Translation:
    path = tmp_path / "kernels.metal"
    path.write_text("\n".join(lines) + "\n")
    text = preprocess(path, [include], {}, "3.1")
    result = translate(text)
    assert result.findings == ()
    assert result.text.count("\n") == text.count("\n")
    assert [kernel.number for kernel in result.kernels.values()] == list(range(len(result.kernels)))
    return result


TORCH = Path(torch.__file__).parent / "include"
PREFILL = ["#include <metal_stdlib>", "#include <c10/metal/utils.h>", "using namespace metal;"]
PREFILL += ["#include <ATen/native/mps/kernels/PrefillAttention.h>"]


def test_prefill_kernels_of_pytorch(tmp_path):
    result = headers(tmp_path, TORCH, PREFILL)
    # 3 types, 7 shapes; without a mask, or with an additive or boolean one; causal or not
    assert len(result.kernels) == 3 * 7 * 3 * 2
    kernel = result.kernels["prefill_attention_float16_bq32_bk16_bd128_wm4_wn1_hm1_dc0_maskbool_"]
    assert kernel.max_threads == 128
    assert [p.kind for p in kernel.parameters[7:]] == [
        "thread_index_in_simdgroup",
        "simdgroup_index_in_threadgroup",
        "threadgroup_position_in_grid",
        "thread_position_in_threadgroup",
    ]
    assert (kernel.parameters[6].name, kernel.parameters[6].type) == ("mask", "const device bool*")
    assert result.text.count("METALSIM_THREADGROUP_VARIABLE(") == 2


def test_decode_kernels_of_pytorch(tmp_path):
    lines = [*PREFILL[:-1], "#include <ATen/native/mps/kernels/DecodeAttention.h>"]
    result = headers(tmp_path, TORCH, lines)
    assert len(result.kernels) == 3 * 4 * (4 + 4 + 1)  # types, head dimensions; masks of both passes, aggregation
    assert result.kernels["sdpa_vector_2pass_2_bfloat_96"].parameters[0].type == "const device bfloat*"


def test_helpers_of_pytorch(tmp_path):
    names = sorted(path.name for path in (TORCH / "c10" / "metal").glob("*.h"))
    assert "atomic.h" in names
    result = headers(tmp_path, TORCH, ["#include <metal_stdlib>", *(f"#include <c10/metal/{name}>" for name in names)])
    assert result.kernels == {}


MLX = "mlx/backend/metal/kernels"


def mlx_headers() -> Path:
    try:
        return wheels.mlx_headers()
    except wheels.WheelUnavailableError as error:
        pytest.skip(str(error))


def test_steel_attention_of_mlx(tmp_path):
    lines = [f'#include "{MLX}/utils.h"', f'#include "{MLX}/steel/attn/kernels/steel_attention.h"']
    lines += ['instantiate_kernel("steel_" "64", attention, half, 32, 32, 64, 64, 4, 1, half, float)']
    lines += ['instantiate_kernel("steel_" "80", attention, bfloat16_t, 32, 32, 80, 80, 4, 1, bool)']
    result = headers(tmp_path, mlx_headers(), lines)
    assert list(result.kernels) == ["steel_64", "steel_80"]
    assert {c.name: c.index for c in result.constants.values()} == {
        "align_Q": 200,
        "align_K": 201,
        "has_mask": 300,
        "do_causal": 301,
        "has_sinks": 302,
        "save_lse": 303,
    }
    parameters = {p.name: p for p in result.kernels["steel_80"].parameters}
    assert parameters["mask"].enabled_by == "has_mask"
    assert parameters["mask"].type == "const device bool*"
    assert result.kernels["steel_64"].max_threads == 128


def test_vector_attention_of_mlx(tmp_path):
    lines = [f'#include "{MLX}/utils.h"', f'#include "{MLX}/sdpa_vector.h"']
    lines += ['instantiate_kernel("vector", sdpa_vector, half, 64, 64)']
    lines += ['instantiate_kernel("vector_1", sdpa_vector_2pass_1, half, 64)']
    lines += ['instantiate_kernel("vector_2", sdpa_vector_2pass_2, half, 64)']
    result = headers(tmp_path, mlx_headers(), lines)
    assert list(result.kernels) == ["vector", "vector_1", "vector_2"]
    assert [p.index for p in result.kernels["vector_2"].parameters[:5]] == [0, 1, 2, 3, 4]
    assert len(result.constants) == 7


def test_fourier_transform_of_mlx(tmp_path):
    lines = [f'#include "{MLX}/utils.h"', f'#include "{MLX}/fft.h"']
    lines += ['instantiate_kernel("fft_256", fft, 256, float2, float2)']
    result = headers(tmp_path, mlx_headers(), lines)
    assert "fft_256" in result.kernels
    # STEEL_CONST is `static constant constexpr const`.
    assert [c.index for c in result.constants.values()] == list(range(23))
    inverse = next(line for line in result.text.splitlines() if "METALSIM_FUNCTION_CONSTANT(bool, 0)" in line)
    assert words(inverse) == "static constant const bool inv_ = METALSIM_FUNCTION_CONSTANT(bool, 0) ;"

"""Kernels: their forms, their parameters, and which of them are refused."""

import pytest
from frontend_text import finding, words

from metalsim.frontend import translate


def arguments(*given: str) -> str:
    return f"METALSIM_ARGUMENTS({', '.join(f'METALSIM_ARGUMENT({text})' for text in given)})"


def test_plain_kernel():
    source = (
        "kernel void add(device float* a [[buffer(2)]], constant uint& n [[buffer(0)]],\n"
        "                threadgroup half* s [[threadgroup(1)]], uint3 tid [[thread_position_in_grid]]) {}"
    )
    result = translate(source)
    assert words(result.text) == (
        "kernel void add(device float* a , constant uint& n , threadgroup half* s , uint3 tid ) {} "
        'METALSIM_KERNEL_0("add", (add), 0, '
        + arguments(
            'buffer, 2, "a", true',
            'buffer, 0, "n", true',
            'threadgroup_memory, 1, "s", true',
            'thread_position_in_grid, 0, "tid", true',
        )
        + ")"
    )
    kernel = result.kernels["add"]
    assert (kernel.name, kernel.number, kernel.max_threads, kernel.line) == ("add", 0, None, 1)
    assert [(p.kind, p.index, p.name, p.type, p.enabled_by, p.line) for p in kernel.parameters] == [
        ("buffer", 2, "a", "device float*", None, 1),
        ("buffer", 0, "n", "constant uint&", None, 1),
        ("threadgroup_memory", 1, "s", "threadgroup half*", None, 2),
        ("thread_position_in_grid", 0, "tid", "uint3", None, 2),
    ]


@pytest.mark.parametrize(
    ("source", "host", "max_threads"),
    [
        ("[[kernel]] void f() {}", "f", None),
        ("[[kernel, max_total_threads_per_threadgroup(64)]] void f() {}", "f", 64),
        ("[[max_total_threads_per_threadgroup(4 * 32)]]\nkernel void f() {}", "f", 128),
        ("kernel [[max_total_threads_per_threadgroup(32)]] void f() {}", "f", 32),
        ("kernel void f() [[max_total_threads_per_threadgroup(32)]] {}", "f", 32),
        ("constant constexpr uint N = 96; [[kernel]] [[max_total_threads_per_threadgroup(N)]] void f() {}", "f", 96),
        ('[[host_name("other")]] kernel void f() {}', "other", None),
        ("namespace a { namespace b { kernel void f() {} } }", "a::b::f", None),
        ('extern "C" kernel void f() {}', "f", None),
        ("kernel void f(); kernel void f() {}", "f", None),
        ("void kernel f() {}", "f", None),
    ],
)
def test_forms_of_kernels(source, host, max_threads):
    result = translate(source)
    assert result.findings == ()
    assert {name: kernel.max_threads for name, kernel in result.kernels.items()} == {host: max_threads}
    assert f'METALSIM_KERNEL_0("{host}", (f), {max_threads or 0}, METALSIM_ARGUMENTS())' in result.text
    assert "[[" not in result.text
    assert "kernel" in result.text


TEMPLATE = """
template <typename T, int N, int M = N * 2, typename Mask = float>
[[kernel, max_total_threads_per_threadgroup(N* M + sizeof(T) * 0)]] void attend(
    const device T* q [[buffer(0)]], device Mask* m [[buffer(1)]], ushort lane [[thread_index_in_simdgroup]]) {}
"""


@pytest.mark.parametrize(
    ("instantiation", "expression", "max_threads", "types", "written"),
    [
        (
            'template [[host_name("a" "_" "b")]] [[kernel]] decltype(attend<half, 4>) attend<half, 4>;',
            "attend<half, 4>",
            "4* (4 * 2) + sizeof(half) * 0",
            ["const device half*", "device float*"],
            "decltype(attend<half, 4>)",
        ),
        (
            'template [[host_name("a_b")]] kernel void attend<vec<half, 2>, 4, 1, bool>(\n'
            "    const device half2* q [[buffer(0)]], device bool* m [[buffer(1)]],\n"
            "    ushort lane [[thread_index_in_simdgroup]]);",
            "attend<vec<half, 2>, 4, 1, bool>",
            "4* 1 + sizeof(vec<half, 2>) * 0",
            ["const device vec<half, 2>*", "device bool*"],
            "void(const device half2*, device bool*, ushort)",
        ),
        (
            'typedef decltype(attend<float, 1>) attend_t; template [[host_name("a_b")]] kernel attend_t attend<float, 1>;',
            "attend<float, 1>",
            "1* (1 * 2) + sizeof(float) * 0",
            ["const device float*", "device float*"],
            "attend_t",
        ),
    ],
)
def test_kernel_templates(instantiation, expression, max_threads, types, written):
    result = translate(TEMPLATE + instantiation)
    assert result.findings == ()
    (kernel,) = result.kernels.values()
    assert (kernel.name, kernel.number, kernel.max_threads, kernel.line) == ("a_b", 0, None, 5)
    assert [parameter.type for parameter in kernel.parameters] == [*types, "ushort"]
    registration = result.text[result.text.index("METALSIM_KERNEL_0") :]
    assert words(registration) == (
        f'METALSIM_KERNEL_0("a_b", ({expression}), {max_threads}, '
        + arguments('buffer, 0, "q", true', 'buffer, 1, "m", true', 'thread_index_in_simdgroup, 0, "lane", true')
        + f") METALSIM_INSTANCE_TYPE(({expression}), ({written}))"
    )


def test_maximum_of_threads_of_an_instantiation():
    source = (
        "template <int WM, int WN> [[kernel, max_total_threads_per_threadgroup(WM* WN * 32)]] void f() {}\n"
        'template [[host_name("f_4_2")]] [[kernel]] decltype(f<4, 1 + 1>) f<4, 1 + 1>;\n'
        'template [[host_name("f_1_1")]] [[kernel]] decltype(f<1, 1>) f<1, 1>;\n'
    )
    kernels = translate(source).kernels
    assert {name: (k.number, k.max_threads, k.line) for name, k in kernels.items()} == {
        "f_4_2": (0, 256, 2),
        "f_1_1": (1, 32, 3),
    }


def test_template_parameters_of_every_form():
    source = (
        "template <typename T, void (*load)(device const T*, thread T&), template <typename> class C, int = 2,\n"
        "          typename... A> kernel void f(device T* a [[buffer(0)]]) {}\n"
        'template [[host_name("f")]] kernel void f<half, get, Box, 3, int>(device half* a [[buffer(0)]]);'
    )
    result = translate(source)
    assert result.findings == ()
    assert [parameter.type for parameter in result.kernels["f"].parameters] == ["device half*"]


def test_instantiation_before_the_definition():
    source = (
        "namespace n { template <typename T> kernel void f(device T* a, uint i); }\n"
        'template [[host_name("f_half")]] kernel void ::n::f<half>(device half* a, uint i);\n'
        "namespace n { template <typename T>\n"
        "kernel void f(device T* a [[buffer(3)]], uint i [[thread_position_in_grid]]) {} }"
    )
    result = translate(source)
    assert result.findings == ()
    assert [parameter.index for parameter in result.kernels["f_half"].parameters] == [3, 0]
    assert 'METALSIM_KERNEL_0("f_half", (::n::f<half>), 0' in result.text


def test_templates_without_instantiation_cannot_be_run():
    source = TEMPLATE + "template void attend<float, 1>(const device float*, device float*, ushort);"
    assert translate(source).kernels == {}


def test_buffers_without_an_attribute_get_the_lowest_free_index():
    source = (
        "kernel void f(constant int& args, device const char* a, device char* b [[buffer(1)]], threadgroup float* s,\n"
        "    threadgroup float* t [[threadgroup(0)]], constant float* c, uint3 g[[threadgroup_position_in_grid]]) {}"
    )
    kernel = translate(source).kernels["f"]
    assert {p.name: (p.kind, p.index) for p in kernel.parameters} == {
        "args": ("buffer", 0),
        "a": ("buffer", 2),
        "b": ("buffer", 1),
        "s": ("threadgroup_memory", 1),
        "t": ("threadgroup_memory", 0),
        "c": ("buffer", 3),
        "g": ("threadgroup_position_in_grid", 0),
    }


def test_parameters_with_attributes_in_every_place():
    source = (
        "constant bool has_mask [[function_constant(0)]];\n"
        "kernel void f(device float* a\n    [[buffer(1), function_constant(has_mask)]], [[buffer(2)]] device float* b,\n"
        "    constant int s [[buffer(3)]] [2], uint [[thread_position_in_grid]] i,\n"
        "    const ushort w [[thread_execution_width]], unsigned int q [[quadgroups_per_threadgroup]],\n"
        "    const device float* const restrict r [[ buffer( 4 ) ]]) {}"
    )
    result = translate(source)
    assert result.findings == ()
    assert [(p.kind, p.index, p.name, p.enabled_by) for p in result.kernels["f"].parameters] == [
        ("buffer", 1, "a", "has_mask"),
        ("buffer", 2, "b", None),
        ("buffer", 3, "s", None),
        ("thread_position_in_grid", 0, "i", None),
        ("threads_per_simdgroup", 0, "w", None),
        ("quadgroups_per_threadgroup", 0, "q", None),
        ("buffer", 4, "r", None),
    ]
    assert 'METALSIM_ARGUMENT(buffer, 1, "a", has_mask)' in result.text


def test_one_index_for_two_parameters_that_constants_choose_from():
    source = (
        "constant bool x [[function_constant(0)]]; constant bool y = !x;\n"
        "kernel void f(device float* a [[buffer(0), function_constant(x)]],\n"
        "              device half* b [[buffer(0), function_constant(y)]]) {}"
    )
    result = translate(source)
    assert result.findings == ()
    assert [(p.index, p.enabled_by) for p in result.kernels["f"].parameters] == [(0, "x"), (0, "y")]


@pytest.mark.parametrize(
    ("source", "message", "rule"),
    [
        ("kernel void f(uint i) {}", "it must have the attribute of a built-in value", "metal-kernel-parameter"),
        (
            "kernel void f(thread float* p) {}",
            "it must have the attribute of a built-in value",
            "metal-kernel-parameter",
        ),
        ("kernel void f(float* p) {}", "it must have the attribute of a built-in value", "metal-kernel-parameter"),
        ("kernel void f(device float* p [[bufer(0)]]) {}", "[[bufer]]", "metal-kernel-parameter"),
        ("kernel void f(texture2d<float> t [[texture(0)]]) {}", "[[texture]]", "metal-kernel-parameter"),
        ("kernel void f(float4 v [[stage_in]]) {}", "[[stage_in]]", "metal-kernel-parameter"),
        (
            "kernel void f(int i [[thread_position_in_grid]]) {}",
            "must be of type ushort, ushort2",
            "metal-kernel-parameter",
        ),
        ("kernel void f(uint4 i [[thread_position_in_grid]]) {}", "but is uint4", "metal-kernel-parameter"),
        (
            "kernel void f(uint3 i [[thread_index_in_simdgroup]]) {}",
            "must be of type ushort or uint,",
            "metal-kernel-parameter",
        ),
        (
            "kernel void f(unsigned long i [[thread_position_in_grid]]) {}",
            "but is unsigned long",
            "metal-kernel-parameter",
        ),
        ("kernel void f(device float* a [[buffer(31)]]) {}", "from 0 to 30", "metal-kernel-parameter"),
        ("kernel void f(device float* a [[buffer(n)]]) {}", "from 0 to 30", "metal-kernel-parameter"),
        (
            "kernel void f(device float* a [[buffer(1)]], device half* b [[buffer(1)]]) {}",
            "is that of 'a'",
            "metal-kernel-parameter",
        ),
        (
            "kernel void f(threadgroup float* a [[buffer(0)]]) {}",
            "does not fit its address space",
            "metal-kernel-parameter",
        ),
        (
            "kernel void f(device float* a [[threadgroup(0)]]) {}",
            "does not fit its address space",
            "metal-kernel-parameter",
        ),
        (
            "kernel void f(device float* a [[buffer(0)]] [[buffer(1)]]) {}",
            "both [[buffer]] and [[buffer]]",
            "metal-kernel-parameter",
        ),
        (
            "kernel void f(device float* a [[buffer(0), function_constant(b)]]) {}",
            "must name a function constant, or",
            "metal-kernel-parameter",
        ),
        ("kernel int f() { return 0; }", "it must return void", "metal-kernel"),
        ("struct S { kernel void f() {} };", "it must be a function of its own", "metal-kernel"),
        (
            'kernel void f() {} [[host_name("f")]] kernel void g() {}',
            "defines a kernel of that name already",
            "metal-kernel",
        ),
        ('template [[host_name("f")]] kernel void g<float>();', "which is no kernel template", "metal-kernel"),
        (
            'template <int N> kernel void g() {} template [[host_name("f")]] kernel void g<1, 2>();',
            "that takes 2 arguments",
            "metal-kernel",
        ),
    ],
)
def test_kernels_that_are_refused(source, message, rule):
    found = finding("\n" + source)
    assert message in found.message
    assert (found.rule, found.line) == (rule, 2)
    assert found.section.startswith("5.")

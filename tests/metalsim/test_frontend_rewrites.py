"""What each construct of Metal becomes, kernels and constructors apart, and which of them are refused."""

import pytest
from frontend_text import finding, in_function, in_kernel, translated, words

from metalsim.frontend import translate

# ---- literals


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("1.0", "1.0f"),
        (".5", ".5f"),
        ("1.", "1.f"),
        ("1e5", "1e5f"),
        ("2.5e-3", "2.5e-3f"),
        ("0x1.8p3", "0x1.8p3f"),
        ("1'000.25", "1'000.25f"),
        ("1.0f", "1.0f"),
        ("1", "1"),
        ("0x1E5", "0x1E5"),
        ("10ul", "10ul"),
        ("0b101", "0b101"),
        ("1.0F", "1.0F"),
        ("1.5h", "((half)1.5f)"),
        ("2h", "((half)2.0f)"),
        ("1e-4h", "((half)1e-4f)"),
        ("1.0H", "((half)1.0f)"),
        ("1.5bf", "((bfloat)1.5f)"),
        ("3BF", "((bfloat)3.0f)"),
        ("0xbf", "0xbf"),
    ],
)
def test_literals(literal, expected):
    assert in_function(f"x = -{literal};") == f"x = -{expected};"


# ---- function constants


def test_function_constant():
    source = "constant bool causal [[function_constant(3)]];\nconstant uint n [[function_constant(0x10)]];"
    result = translate(source)
    assert words(result.text) == (
        "static constant bool causal = METALSIM_FUNCTION_CONSTANT(bool, 3) ; "
        "static constant uint n = METALSIM_FUNCTION_CONSTANT(uint, 16) ;"
    )
    constants = {name: (c.index, c.type, c.line) for name, c in result.constants.items()}
    assert constants == {"causal": (3, "bool", 1), "n": (16, "uint", 2)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "constant int a [[function_constant(0)]], b [[function_constant(1)]];",
            "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 0) , b = METALSIM_FUNCTION_CONSTANT(int, 1) ;",
        ),
        (
            "[[function_constant(7)]] constant half2 h;",
            "static constant half2 h = METALSIM_FUNCTION_CONSTANT(half2, 7);",
        ),
        (
            "static constant constexpr const bool a [[function_constant(2)]];",
            "static constant const bool a = METALSIM_FUNCTION_CONSTANT(bool, 2) ;",
        ),
        (
            "constant constexpr const bool x [[function_constant(0)]];",
            "static constant const bool x = METALSIM_FUNCTION_CONSTANT(bool, 0) ;",
        ),
        (
            "constexpr constant int a [[function_constant(0)]], b [[function_constant(1)]];",
            "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 0) , b = METALSIM_FUNCTION_CONSTANT(int, 1) ;",
        ),
        (
            "constant vec<float, 4> v [[function_constant(9)]];",
            "typedef vec<float, 4> metalsim_function_constant_type_9; static constant vec<float, 4> v = "
            "METALSIM_FUNCTION_CONSTANT(metalsim_function_constant_type_9, 9) ;",
        ),
        (
            "constant int a [[function_constant(300 + 1)]];",
            "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 301) ;",
        ),
        (
            "enum { FIRST = 4, SECOND }; constant int a [[function_constant(SECOND)]];",
            "enum { FIRST = 4, SECOND }; static constant int a = METALSIM_FUNCTION_CONSTANT(int, 5) ;",
        ),
        (
            "enum class Index : int { mask = 1 << 2 }; constant int a [[function_constant(Index::mask)]];",
            "enum class Index : int { mask = 1 << 2 }; static constant int a = METALSIM_FUNCTION_CONSTANT(int, 4) ;",
        ),
        (
            "constant int a [[function_constant(0)]]; constant bool b = is_function_constant_defined(a) && a > 1;",
            "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 0) ; "
            "constant bool b = METALSIM_CONSTANT_DEFINED(0) && a > 1;",
        ),
        (
            "constant int a [[function_constant(0)]]; constant bool b = metal::is_function_constant_defined(a);",
            "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 0) ; constant bool b = METALSIM_CONSTANT_DEFINED(0);",
        ),
    ],
)
def test_function_constant_forms(source, expected):
    assert translated(source) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("constant int a [[function_constant(1)]]; constant int b [[function_constant(1)]];", "is that of 'a' already"),
        ("constant int a [[function_constant(n)]];", "must be a constant"),
        ("constant int a [[function_constant(70000)]];", "must be a constant"),
        ("constant int a [[function_constant(1)]] = 3;", "must not have an initialiser"),
        ("constant float a[2] [[function_constant(1)]];", "must be a scalar or a vector"),
        ("constant int* a [[function_constant(1)]];", "must be a scalar or a vector"),
        ("const int a [[function_constant(1)]];", "must be declared in the constant address space"),
        ("void f() { constant int a [[function_constant(1)]]; }", "must be declared at program scope"),
        ("struct S { constant int a [[function_constant(1)]]; };", "must be declared at program scope"),
        ("constant bool b = is_function_constant_defined(c);", "needs a function constant's name, but has 'c'"),
    ],
)
def test_function_constants_that_are_refused(source, message):
    found = finding(source)
    assert message in found.message
    assert found.rule == "metal-function-constant"
    assert found.section.startswith("5.8.1")


# ---- threadgroup variables


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "threadgroup float a[4][8];",
            "typedef float metalsim_threadgroup_type_0[4][8]; "
            "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);",
        ),
        (
            "threadgroup T a[N * (M + 1)], b;",
            "typedef T metalsim_threadgroup_type_0[N * (M + 1)], metalsim_threadgroup_type_1; "
            "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a); "
            "METALSIM_THREADGROUP_VARIABLE(1, (metalsim_threadgroup_type_1), b);",
        ),
        (
            "alignas(16) threadgroup char a[64];",
            "typedef __attribute__((aligned(16))) char metalsim_threadgroup_type_0[64]; "
            "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);",
        ),
        (
            "threadgroup alignas(float4) half a[64];",
            "typedef __attribute__((aligned(alignof(float4)))) half metalsim_threadgroup_type_0[64]; "
            "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);",
        ),
        (
            "float threadgroup a;",
            "typedef float metalsim_threadgroup_type_0; METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);",
        ),
        ("threadgroup float* a[4];", "threadgroup float* a[4];"),  # an array of pointers is the thread's own
        (
            "device float* threadgroup a[4];",
            "typedef device float* metalsim_threadgroup_type_0[4]; "
            "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);",
        ),
        (
            "threadgroup T* p = a; threadgroup const half4& r = *q;",
            "threadgroup T* p = a; threadgroup const half4& r = *q;",
        ),
        (
            "threadgroup float (&a)[4] = b; threadgroup float (*c)[4] = &b;",
            "threadgroup float (&a)[4] = b; threadgroup float (*c)[4] = &b;",
        ),
        (
            "if (x) { threadgroup atomic<uint> n; }",
            "if (x) { typedef atomic<uint> metalsim_threadgroup_type_0; "
            "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), n); }",
        ),
        (
            "threadgroup_barrier(flags); *((threadgroup float4*)p) = x; pointer_element<threadgroup T*> y;",
            "threadgroup_barrier(flags); *((threadgroup float4*)p) = x; pointer_element<threadgroup T*> y;",
        ),
        ("f([](threadgroup float* p) { return p[0]; });", "f([](threadgroup float* p) { return p[0]; });"),
    ],
)
def test_threadgroup_variables(source, expected):
    assert in_kernel(source) == expected


def test_threadgroup_variables_are_numbered_through():
    text = translated("kernel void a() { threadgroup int x; } kernel void b() { threadgroup int x; }")
    assert "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), x)" in text
    assert "METALSIM_THREADGROUP_VARIABLE(1, (metalsim_threadgroup_type_1), x)" in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("threadgroup float a[4];", "not at program scope"),
        ("void f() { threadgroup float a[4]; }", "give other functions a threadgroup pointer"),
        ("struct S { threadgroup float a[4]; };", "a structure's members cannot be"),
        ("kernel void k() { threadgroup float a[1] = {0}; }", "must not have an initialiser"),
        ("kernel void k() { threadgroup float a{0}; }", "must not have an initialiser"),
        ("kernel void k() { threadgroup float *p = 0, a; }", "declare them in two"),
        ("kernel void k() { auto f = [&]() { threadgroup float a; }; }", "must be declared in a kernel"),
        ("kernel void k() { auto f = [&] { if (x) { threadgroup float a; } }; }", "must be declared in a kernel"),
    ],
)
def test_threadgroup_variables_that_are_refused(source, message):
    found = finding(source)
    assert message in found.message
    assert found.rule == "metal-threadgroup-variable"


def test_threadgroup_members_that_are_pointers_stay():
    source = "struct S { threadgroup T* p; const threadgroup float& r; };"
    assert translated(source) == source


# ---- array parameters


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("constant const int64_t strides[2]", "constant const int64_t * strides"),
        ("threadgroup float m[2][3], int n", "threadgroup float (*m)[3], int n"),
        ("device float a[]", "device float * a"),
        ("thread T vals[N]", "thread T vals[N]"),
        ("constant float (&a)[4], device T* p", "constant float (&a)[4], device T* p"),
        ("device float* a[4]", "device float* a[4]"),
        ("device float (*op)(int[2]), constant int s[2]", "device float (*op)(int[2]), constant int * s"),
        ("constant vec<T, (N > 2)> v[N] = x, int w[2]", "constant vec<T, (N > 2)> * v = x, int w[2]"),
    ],
)
def test_array_parameters(source, expected):
    assert translated(f"void f({source}) {{}}") == f"void f({expected}) {{}}"
    assert translated(f"struct S {{ S({source}); }};") == f"struct S {{ S({expected}); }};"


# ---- method qualifiers

THREAD = 'METALSIM_OBJECTS("thread;thread")'
DEVICE = 'METALSIM_OBJECTS("device;device")'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("struct S { void f() const thread {} };", f"struct S {{ void {THREAD} f() const {{}} }};"),
        (
            "struct S { S() thread : a(1), b{2} {} int a, b; };",
            f"struct S {{ {THREAD} S() : a(1), b{{2}} {{}} int a, b; }};",
        ),
        (
            "struct S { T operator()(T a) const thread { return a; } };",
            f"struct S {{ T {THREAD} operator()(T a) const {{ return a; }} }};",
        ),
        ("struct S { operator vec<T, 2>() const device; };", f"struct S {{ {DEVICE} operator vec<T, 2>() const ; }};"),
        (
            "struct S { int f() device { return 1; } int f() thread { return 2; } int g(); };",
            'struct S { int METALSIM_OBJECTS("thread;thread device") f() { return 2; } int g(); };',
        ),
        (
            "struct S { int f() device { return 1; } int f() constant { return 3; } int f() { return 2; } };",
            'struct S { int METALSIM_OBJECTS("none;none device constant") f() { return 2; } };',
        ),
        (
            "struct S { thread T& f() thread; device T& f() device; };",
            'struct S { thread T METALSIM_OBJECTS("thread;thread device") & f() ; };',
        ),
        (
            "struct S { int f() threadgroup; int f() device; };",
            'struct S { int METALSIM_OBJECTS("threadgroup;threadgroup device") f() ; };',
        ),
        (
            "struct S { int f(int a) thread; int f(float a) device; };",
            f"struct S {{ int {THREAD} f(int a) ; int {DEVICE} f(float a) ; }};",
        ),
        (
            "struct S { int f() const thread; int f() thread; };",
            f"struct S {{ int {THREAD} f() const ; int {THREAD} f() ; }};",
        ),
        (
            "struct S { template <typename U> void f(U a) thread; template <typename U> void f(U a) device; };",
            'struct S { template <typename U> void METALSIM_OBJECTS("thread;thread device") f(U a) ; };',
        ),
        (
            "struct S { template <typename U> if_a<U> f(U) thread; template <typename U> if_b<U> f(U) thread; };",
            f"struct S {{ template <typename U> if_a<U> {THREAD} f(U) ; template <typename U> if_b<U> {THREAD} f(U) ; }};",
        ),
        (
            "struct S { auto f(device T* p) thread -> device T* { return p; } };",
            f"struct S {{ auto {THREAD} f(device T* p) -> device T* {{ return p; }} }};",
        ),
        ("bool S<T>::f() const thread { return 1; }", f"bool {THREAD} S<T>::f() const {{ return 1; }}"),
    ],
)
def test_method_qualifiers(source, expected):
    assert translated(source).replace(") ;", ");").replace("const ;", "const;") == expected.replace(
        ") ;", ");"
    ).replace("const ;", "const;")


def test_dropped_overloads_keep_their_lines():
    source = (
        "struct S {\n  int f() thread {\n    return 1;\n  }\n  int f() device {\n    return 2;\n  }\n};\nint last;\n"
    )
    text = translate(source).text
    assert text.count("\n") == source.count("\n")
    assert text.splitlines()[8] == "int last;"
    assert "return 2" not in text

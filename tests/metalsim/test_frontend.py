"""The front end: what each construct of Metal becomes, what is refused, and that everything else stays as it is."""

import string
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metalsim.air import wheels
from metalsim.errors import CompileError
from metalsim.frontend import SourceFinding, Translation, preprocess, translate
from metalsim.frontend.declarations import scan
from metalsim.frontend.syntax import Declaration, DeclarationKind
from metalsim.frontend.tokens import Span, TokenStream, tokenize


def words(text: str) -> str:
    """Return a text with single spaces: the edits leave the white space around what they remove."""
    return " ".join(text.split())


def translated(source: str) -> str:
    result = translate(source)
    assert result.findings == (), result.findings
    return words(result.text)


def finding(source: str) -> SourceFinding:
    (found,) = translate(source).findings
    return found


def in_function(statements: str) -> str:
    """Return the translation of statements in a function's body."""
    text = translated("void f() { " + statements + " }")
    assert text.startswith("void f() { ")
    return text[len("void f() { ") : -len(" }")]


def in_kernel(statements: str) -> str:
    """Return the translation of statements in a kernel's body."""
    text = translated("kernel void k() { " + statements + " }")
    start, end = "kernel void k() { ", ' } METALSIM_KERNEL_0("k", (k), 0, METALSIM_ARGUMENTS())'
    assert text.startswith(start)
    assert text.endswith(end)
    return text[len(start) : -len(end)]


# ---- tokens


def test_tokens_know_their_place():
    tokens = tokenize('# 1 "a.metal"\nint a;\n# 40 "b.h" 2\n\n  b += 1.5e-3f;\n#pragma clang loop unroll(full)\nc')
    places = [(token.text, token.file, token.line, token.column) for token in tokens]
    assert places == [
        ("int", "a.metal", 1, 1),
        ("a", "a.metal", 1, 5),
        (";", "a.metal", 1, 6),
        ("b", "b.h", 41, 3),
        ("+=", "b.h", 41, 5),
        ("1.5e-3f", "b.h", 41, 8),
        (";", "b.h", 41, 15),
        ("c", "b.h", 43, 1),
    ]


def test_punctuation_never_joins_closing_angles():
    assert [token.text for token in tokenize("a<b<c>>d->e>=f<<g")] == list("a<b<c>>d") + [
        "->",
        "e",
        ">=",
        "f",
        "<<",
        "g",
    ]


def test_strings_comments_and_separators():
    source = "a(\"}/*\", '\\''); // {\n/* ( \n [ */ 1'000.5"
    assert [token.text for token in tokenize(source)] == ["a", "(", '"}/*"', ",", "'\\''", ")", ";", "1'000.5"]
    assert tokenize(source)[-1].line == 3


def angle_groups(source: str) -> list[str]:
    """Return what the matched angle brackets of a text enclose."""
    stream = TokenStream(source)
    pairs = [(i, stream.match[i]) for i, text in enumerate(stream.texts) if text == "<" and stream.match[i] > 0]
    return [words(stream.text(Span(begin, end + 1))) for begin, end in pairs]


@pytest.mark.parametrize(
    ("source", "groups"),
    [
        ("a<b<c>> d;", ["<b<c>>", "<c>"]),
        ("vec<T, 4> v = vec<T, 4>(x);", ["<T, 4>", "<T, 4>"]),
        ("int x = a >> 2; int y = 1 << b >> c;", []),
        ("if (a < b && c > d) e();", []),
        ("for (int i = 0; i < n; i++) { if (x > (y)) z(); }", []),
        ("f(a < b, c > d);", []),  # two comparisons; a declaration outside of parentheses
        ("a<b, c> d;", ["<b, c>"]),
        ("Qtile.template load<T, 1, LD, 1>(&Qs[o + d * s]);", ["<T, 1, LD, 1>"]),
        ("x = a < b ? c : d > e;", []),
        ("template <int N, bool B = N < 4> struct S;", ["<int N, bool B = N < 4>"]),
        ("metal::enable_if_t<metal::is_integral_v<T>&& metal::is_signed_v<T>, T> f();",
         ["<metal::is_integral_v<T>&& metal::is_signed_v<T>, T>", "<T>", "<T>"]),
        ("template <typename T> struct Array {}; x = y < Array<Array<int>>::size;", ["<typename T>", "<Array<int>>", "<int>"]),
        ("bool operator<(X a, X b); bool operator>(X a, X b); X operator>>(X a, int b);", []),
        ("if (i < limit) { threads<0>(i); }", ["<0>"]),
        ("while (a < b) { c > d; }", []),
        ("x = lane < 16 ? f<int>(1) : 0;", ["<int>"]),
        ("pointer_element<threadgroup T*> p;", ["<threadgroup T*>"]),
        ("static_assert(sizeof(T) < 4 || sizeof(T) > 8, \"\");", []),
        ("using M = matrix<half, (3 > 2), 4>;", ["<half, (3 > 2), 4>"]),
    ],
)  # fmt: skip
def test_angle_brackets(source, groups):
    assert angle_groups(source) == groups


@pytest.mark.parametrize(
    ("source", "line"),
    [("int a;\nvoid f( {\n}", 2), ("int a[\n)", 2), ("void f() {\n\n  if (a) {\n}\n", 1), ("}\n", 1)],
)
def test_unbalanced_brackets_are_reported_with_their_line(source, line):
    with pytest.raises(CompileError) as caught:
        translate(source)
    assert caught.value.diagnostics[0].line == line


# ---- declarations


def only(source: str, kind: DeclarationKind) -> tuple[TokenStream, Declaration]:
    stream = TokenStream(source)
    (found,) = [declaration for declaration in scan(stream).declarations if declaration.kind is kind]
    return stream, found


@pytest.mark.parametrize(
    ("source", "specifiers", "operators", "name", "parameters", "qualifiers"),
    [
        ("void f(int a);", "void", "", "f", "int a", ""),
        ("METAL_FUNC constexpr thread frag_type& at(short i) {}", "METAL_FUNC constexpr thread frag_type", "&", "at", "short i", ""),
        ("inline ::metal::enable_if_t<(N > 2), bool> less(T a) {}", "inline ::metal::enable_if_t<(N > 2), bool>", "", "less", "T a", ""),
        ("constexpr operator vec<T, 2>() const thread noexcept {}", "constexpr", "", "operator vec<T, 2>", "", "const thread noexcept"),
        ("T operator()(T a, T b) const device {}", "T", "", "operator()", "T a, T b", "const device"),
        ("bool operator<(X a) const {}", "bool", "", "operator<", "X a", "const"),
        ("auto f(int a) -> decltype(g(a)) {}", "auto", "", "f", "int a", "-> decltype(g(a))"),
        ("device float* const* f() {}", "device float", "* const*", "f", "", ""),
        ("Loader(int d) thread : dim(d), inner{d - 1} {}", "", "", "Loader", "int d", "thread"),
        ("decltype(a + b) f(int c) {}", "decltype(a + b)", "", "f", "int c", ""),
        ("unsigned int f(unsigned) {}", "unsigned int", "", "f", "unsigned", ""),
        ("[[nodiscard]] void f [[noreturn]] (int a) {}", "[[nodiscard]] void", "", "f", "int a", ""),
    ],
)  # fmt: skip
def test_functions_are_split(source, specifiers, operators, name, parameters, qualifiers):
    stream, found = only(source, DeclarationKind.FUNCTION)
    (declarator,) = found.declarators
    assert declarator.parameters is not None
    spans = (found.specifiers, declarator.operators, declarator.id, declarator.parameters, declarator.qualifiers)
    assert tuple(words(stream.text(span)) for span in spans) == (specifiers, operators, name, parameters, qualifiers)
    assert (found.body is not None) == source.endswith("}")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("int a, *b, c[2][3], (*d)(int, int), (&e)[4];", ["a", "b", "c", "d", "e"]),
        ("float4 a = float4(1, 2, 3, 4), b{};", ["a", "b"]),
        ("constant bool c [[function_constant(1)]], d [[function_constant(2)]];", ["c", "d"]),
        ("struct S { int x, y; } s, t;", ["s", "t", "x", "y"]),
        ("struct alignas(16) S final : A<B> {} s;", ["s"]),
        ("static constexpr int constant n = 8 / sizeof(U);", ["n"]),
        ("typedef struct { int x; } s, *t;", ["s", "t", "x"]),
        ("struct S s; enum E e = A, f;", ["s", "e", "f"]),
    ],
)
def test_declarators_are_split(source, names):
    stream = TokenStream(source)
    declarators = [declarator for found in scan(stream).declarations for declarator in found.declarators]
    assert [stream.texts[declarator.name] for declarator in declarators if declarator.name is not None] == names


def test_scopes_have_their_names():
    source = 'namespace a::b { inline namespace c { struct S { void f() { struct T { int x; }; } }; } } extern "C" { int g; }'
    unit = scan(TokenStream(source))
    found = {unit.qualified(d, d.declarators[0].name): d.kind for d in unit.declarations if d.declarators}
    assert found == {
        "a::b::c::S::f": DeclarationKind.FUNCTION,
        "a::b::c::S::T::x": DeclarationKind.VARIABLE,
        "g": DeclarationKind.VARIABLE,
    }


# ---- literals


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("1.0", "1.0f"), (".5", ".5f"), ("1.", "1.f"), ("1e5", "1e5f"), ("2.5e-3", "2.5e-3f"), ("0x1.8p3", "0x1.8p3f"),
        ("1'000.25", "1'000.25f"),
        ("1.0f", "1.0f"), ("1", "1"), ("0x1E5", "0x1E5"), ("10ul", "10ul"), ("0b101", "0b101"), ("1.0F", "1.0F"),
        ("1.5h", "((half)1.5f)"), ("2h", "((half)2.0f)"), ("1e-4h", "((half)1e-4f)"), ("1.0H", "((half)1.0f)"),
        ("1.5bf", "((bfloat)1.5f)"), ("3BF", "((bfloat)3.0f)"), ("0xbf", "0xbf"),
    ],
)  # fmt: skip
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
        ("constant int a [[function_constant(0)]], b [[function_constant(1)]];",
         "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 0) , b = METALSIM_FUNCTION_CONSTANT(int, 1) ;"),
        ("[[function_constant(7)]] constant half2 h;", "static constant half2 h = METALSIM_FUNCTION_CONSTANT(half2, 7);"),
        ("static constant constexpr const bool a [[function_constant(2)]];",
         "static constant const bool a = METALSIM_FUNCTION_CONSTANT(bool, 2) ;"),
        ("constant vec<float, 4> v [[function_constant(9)]];",
         "typedef vec<float, 4> metalsim_function_constant_type_9; static constant vec<float, 4> v = "
         "METALSIM_FUNCTION_CONSTANT(metalsim_function_constant_type_9, 9) ;"),
        ("constant int a [[function_constant(300 + 1)]];", "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 301) ;"),
        ("enum { FIRST = 4, SECOND }; constant int a [[function_constant(SECOND)]];",
         "enum { FIRST = 4, SECOND }; static constant int a = METALSIM_FUNCTION_CONSTANT(int, 5) ;"),
        ("enum class Index : int { mask = 1 << 2 }; constant int a [[function_constant(Index::mask)]];",
         "enum class Index : int { mask = 1 << 2 }; static constant int a = METALSIM_FUNCTION_CONSTANT(int, 4) ;"),
        ("constant int a [[function_constant(0)]]; constant bool b = is_function_constant_defined(a) && a > 1;",
         "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 0) ; constant bool b = METALSIM_CONSTANT_DEFINED(0) && a > 1;"),
        ("constant int a [[function_constant(0)]]; constant bool b = metal::is_function_constant_defined(a);",
         "static constant int a = METALSIM_FUNCTION_CONSTANT(int, 0) ; constant bool b = METALSIM_CONSTANT_DEFINED(0);"),
    ],
)  # fmt: skip
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
)  # fmt: skip
def test_function_constants_that_are_refused(source, message):
    found = finding(source)
    assert message in found.message
    assert found.rule == "metal-function-constant"
    assert found.section.startswith("5.8.1")


# ---- threadgroup variables


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("threadgroup float a[4][8];",
         "typedef float metalsim_threadgroup_type_0[4][8]; METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);"),
        ("threadgroup T a[N * (M + 1)], b;",
         "typedef T metalsim_threadgroup_type_0[N * (M + 1)], metalsim_threadgroup_type_1; "
         "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a); "
         "METALSIM_THREADGROUP_VARIABLE(1, (metalsim_threadgroup_type_1), b);"),
        ("alignas(16) threadgroup char a[64];",
         "typedef __attribute__((aligned(16))) char metalsim_threadgroup_type_0[64]; "
         "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);"),
        ("threadgroup alignas(float4) half a[64];",
         "typedef __attribute__((aligned(alignof(float4)))) half metalsim_threadgroup_type_0[64]; "
         "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);"),
        ("float threadgroup a;",
         "typedef float metalsim_threadgroup_type_0; METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);"),
        ("threadgroup float* a[4];", "threadgroup float* a[4];"),  # an array of pointers is the thread's own
        ("device float* threadgroup a[4];",
         "typedef device float* metalsim_threadgroup_type_0[4]; "
         "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), a);"),
        ("threadgroup T* p = a; threadgroup const half4& r = *q;", "threadgroup T* p = a; threadgroup const half4& r = *q;"),
        ("threadgroup float (&a)[4] = b; threadgroup float (*c)[4] = &b;",
         "threadgroup float (&a)[4] = b; threadgroup float (*c)[4] = &b;"),
        ("if (x) { threadgroup atomic<uint> n; }",
         "if (x) { typedef atomic<uint> metalsim_threadgroup_type_0; "
         "METALSIM_THREADGROUP_VARIABLE(0, (metalsim_threadgroup_type_0), n); }"),
        ("threadgroup_barrier(mem_flags::mem_threadgroup); *((threadgroup float4*)p) = x; pointer_element<threadgroup T*> y;",
         "threadgroup_barrier(mem_flags::mem_threadgroup); *((threadgroup float4*)p) = x; pointer_element<threadgroup T*> y;"),
        ("f([](threadgroup float* p) { return p[0]; });", "f([](threadgroup float* p) { return p[0]; });"),
    ],
)  # fmt: skip
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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("struct S { void f() const thread {} };", "struct S { void f() const {} };"),
        ("struct S { S() thread : a(1), b{2} {} int a, b; };", "struct S { S() : a(1), b{2} {} int a, b; };"),
        ("struct S { T operator()(T a) const thread { return a; } };", "struct S { T operator()(T a) const { return a; } };"),
        ("struct S { operator vec<T, 2>() const device; };", "struct S { operator vec<T, 2>() const ; };"),
        ("struct S { int f() device { return 1; } int f() thread { return 2; } int g(); };",
         "struct S { int f() { return 2; } int g(); };"),
        ("struct S { thread T& f() thread; device T& f() device; };", "struct S { thread T& f() ; };"),
        ("struct S { int f() threadgroup; int f() device; };", "struct S { int f() ; };"),
        ("struct S { int f(int a) thread; int f(float a) device; };", "struct S { int f(int a) ; int f(float a) ; };"),
        ("struct S { int f() const thread; int f() thread; };", "struct S { int f() const ; int f() ; };"),
        ("struct S { template <typename U> void f(U a) thread; template <typename U> void f(U a) device; };",
         "struct S { template <typename U> void f(U a) ; };"),
        ("struct S { template <typename U> if_a<U> f(U a) thread; template <typename U> if_b<U> f(U a) thread; };",
         "struct S { template <typename U> if_a<U> f(U a) ; template <typename U> if_b<U> f(U a) ; };"),
        ("struct S { auto f(device T* p) thread -> device T* { return p; } };",
         "struct S { auto f(device T* p) -> device T* { return p; } };"),
    ],
)  # fmt: skip
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


# ---- constructors


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = float4(a, b);", "x = METALSIM_MAKE(float4)(a, b);"),
        ("x = float4(float2(a), vec<float, 2>(b, half(c)));",
         "x = METALSIM_MAKE(float4)(METALSIM_MAKE(float2)(a), METALSIM_MAKE(vec<float, 2>)(b, METALSIM_MAKE(half)(c)));"),
        ("x = metal::float4(a) + ::metal::vec<T, 4>(b);",
         "x = METALSIM_MAKE(metal::float4)(a) + METALSIM_MAKE(::metal::vec<T, 4>)(b);"),
        ("x = static_cast<float4>(a);", "x = METALSIM_MAKE(float4)(a);"),
        ("x = static_cast<metal::vec<T, 4>>(a >> 2);", "x = METALSIM_MAKE(metal::vec<T, 4>)(a >> 2);"),
        ("x = static_cast<float>(a); y = static_cast<device float4*>(b); z = static_cast<thread float4&>(c);",
         "x = static_cast<float>(a); y = static_cast<device float4*>(b); z = static_cast<thread float4&>(c);"),
        ("x = (float4)a.b[i](c)->d * e;", "x = METALSIM_MAKE(float4)(a.b[i](c)->d) * e;"),
        ("x = -(half2)-y + (uint4)(z) / 2;", "x = -METALSIM_MAKE(half2)(-y) + METALSIM_MAKE(uint4)((z)) / 2;"),
        ("x = (float4)(half4)y;", "x = METALSIM_MAKE(float4)(METALSIM_MAKE(half4)(y));"),
        ("x = (vec<T, 4>)ns::f<int>(y);", "x = METALSIM_MAKE(vec<T, 4>)(ns::f<int>(y));"),
        ("return (float4)x;", "return METALSIM_MAKE(float4)(x);"),
        ("x = sizeof(float4) * alignof(half4) + sizeof (uint2);", "x = sizeof(float4) * alignof(half4) + sizeof (uint2);"),
        ("x = (device float4*)p; y = *(threadgroup const half4*)q;", "x = (device float4*)p; y = *(threadgroup const half4*)q;"),
        ("x = (float4){1, 2, 3, 4}; y = half2{a, b};", "x = (float4){1, 2, 3, 4}; y = half2{a, b};"),
        ("float4 v(a, b); const half2 w(c), u;", "float4 v = METALSIM_MAKE(float4)(a, b); const half2 w = METALSIM_MAKE(half2)(c), u;"),
        ("vec<T, 2> v(a);", "vec<T, 2> v = METALSIM_MAKE(vec<T, 2>)(a);"),
        ("float4 v = float4(0); float4 w;", "float4 v = METALSIM_MAKE(float4)(0); float4 w;"),
        ("for (uint2 i = uint2(0); all(i < uint2(4)); i += 1) {}",
         "for (uint2 i = METALSIM_MAKE(uint2)(0); all(i < METALSIM_MAKE(uint2)(4)); i += 1) {}"),
        ("x = c ? float2(a) : float2(b);", "x = c ? METALSIM_MAKE(float2)(a) : METALSIM_MAKE(float2)(b);"),
        ("x = a > float2(b);", "x = a > METALSIM_MAKE(float2)(b);"),
        ("float4 (*p)[2] = q; float4 (&r)[2] = s;", "float4 (*p)[2] = q; float4 (&r)[2] = s;"),
        ("auto f = [](float4 a) -> float4 { return float4(a.x); };",
         "auto f = [](float4 a) -> float4 { return METALSIM_MAKE(float4)(a.x); };"),
        ("x = float4(*p); y = ~uint2(z);", "x = METALSIM_MAKE(float4)(*p); y = ~METALSIM_MAKE(uint2)(z);"),
        ("x.float4(a); y->float4(b);", "x.float4(a); y->float4(b);"),
        ("x = float4();", "x = float4();"),
        ("x = decltype(y)(z);", "x = METALSIM_MAKE(decltype(y))(z);"),
        ("x = typename Op::type(y);", "x = METALSIM_MAKE(typename Op::type)(y);"),
        ("using U = pointer_element_t<P>; x = U(0); y = static_cast<U>(z);",
         "using U = pointer_element_t<P>; x = METALSIM_MAKE(U)(0); y = METALSIM_MAKE(U)(z);"),
        ("typedef metal::vec<T, 2> pair; x = pair(1, 2);", "typedef metal::vec<T, 2> pair; x = METALSIM_MAKE(pair)(1, 2);"),
        ("{ using U = half4; x = U(0); } U = 3; x = (U) - y;", "{ using U = half4; x = METALSIM_MAKE(U)(0); } U = 3; x = (U) - y;"),
        ("using F = float (*)(float); x = F(g);", "using F = float (*)(float); x = F(g);"),
        ("typedef float scalar; x = scalar(1);", "typedef float scalar; x = scalar(1);"),
    ],
)  # fmt: skip
def test_constructors_in_functions(source, expected):
    assert in_function(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("template <typename T> T f(T a) { return T(a, 1) + T(2); }",
         "template <typename T> T f(T a) { return METALSIM_MAKE(T)(a, 1) + METALSIM_MAKE(T)(2); }"),
        ("template <typename T> T f(T a, T (*op)(T, T)) { return op(a, (T)1); }",
         "template <typename T> T f(T a, T (*op)(T, T)) { return op(a, METALSIM_MAKE(T)(1)); }"),
        ("template <typename T> void f(T a = T(0), float2 b = float2(1, 2));",
         "template <typename T> void f(T a = METALSIM_MAKE(T)(0), float2 b = METALSIM_MAKE(float2)(1, 2));"),
        ("template <typename T> void f(); float g(float T) { return T * (T) - 1; }",
         "template <typename T> void f(); float g(float T) { return T * (T) - 1; }"),
        ("template <typename T> using four = metal::vec<T, 4>; auto f() { return four<half>(1); }",
         "template <typename T> using four = metal::vec<T, 4>; auto f() { return METALSIM_MAKE(four<half>)(1); }"),
        ("template <typename U, typename V> using common = decltype(U(0) + V(0));",
         "template <typename U, typename V> using common = decltype(METALSIM_MAKE(U)(0) + METALSIM_MAKE(V)(0));"),
        ("template <typename T> using fn = T(T, T);", "template <typename T> using fn = T(T, T);"),
        ("struct S { operator float4() const; float4 f(float4 a); };", "struct S { operator float4() const; float4 f(float4 a); };"),
        ("template <typename T> struct S : B<T> { using Base = B<T>; S(T x) : Base(x), v(float2(x)) {} float2 v; };",
         "template <typename T> struct S : B<T> { using Base = B<T>; S(T x) : Base(x), v(METALSIM_MAKE(float2)(x)) {} float2 v; };"),
        ("template <typename T> struct S { using frag = vec<T, 2>; frag v; void f() { v = frag(0); } };",
         "template <typename T> struct S { using frag = vec<T, 2>; frag v; void f() { v = METALSIM_MAKE(frag)(0); } };"),
        ("struct S { void f() { v = frag(0); } typedef half4 frag; };", # a member alias counts in the whole class
         "struct S { void f() { v = METALSIM_MAKE(frag)(0); } typedef half4 frag; };"),
        ("struct L { L(int a, int b); }; void f() { using loader = L; loader l(1, 2); auto m = loader(3, 4); }",
         "struct L { L(int a, int b); }; void f() { using loader = L; loader l(1, 2); auto m = loader(3, 4); }"),
        ("namespace n { using v4 = float4; } float4 f() { return n::v4(1); }",
         "namespace n { using v4 = float4; } float4 f() { return METALSIM_MAKE(n::v4)(1); }"),
        ("float4 g(float4 a), h(half2);", "float4 g(float4 a), h(half2);"),
        ("template <> struct X<float4(int)> {};", "template <> struct X<METALSIM_MAKE(float4)(int)> {};"),
    ],
)  # fmt: skip
def test_constructors_in_declarations(source, expected):
    assert translated(source) == expected


# ---- kernels


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
    ("instantiation", "expression", "max_threads", "types"),
    [
        ('template [[host_name("a" "_" "b")]] [[kernel]] decltype(attend<half, 4>) attend<half, 4>;',
         "attend<half, 4>", "4* (4 * 2) + sizeof(half) * 0", ["const device half*", "device float*"]),
        ('template [[host_name("a_b")]] kernel void attend<vec<half, 2>, 4, 1, bool>(\n'
         "    const device half2* q [[buffer(0)]], device bool* m [[buffer(1)]], ushort lane [[thread_index_in_simdgroup]]);",
         "attend<vec<half, 2>, 4, 1, bool>", "4* 1 + sizeof(vec<half, 2>) * 0", ["const device vec<half, 2>*", "device bool*"]),
        ('typedef decltype(attend<float, 1>) attend_t; template [[host_name("a_b")]] kernel attend_t attend<float, 1>;',
         "attend<float, 1>", "1* (1 * 2) + sizeof(float) * 0", ["const device float*", "device float*"]),
    ],
)  # fmt: skip
def test_kernel_templates(instantiation, expression, max_threads, types):
    result = translate(TEMPLATE + instantiation)
    assert result.findings == ()
    (kernel,) = result.kernels.values()
    assert (kernel.name, kernel.number, kernel.max_threads, kernel.line) == ("a_b", 0, None, 5)
    assert [parameter.type for parameter in kernel.parameters] == [*types, "ushort"]
    registration = result.text[result.text.index("METALSIM_KERNEL_0") :]
    assert words(registration) == (
        f'METALSIM_KERNEL_0("a_b", ({expression}), {max_threads}, '
        + arguments('buffer, 0, "q", true', 'buffer, 1, "m", true', 'thread_index_in_simdgroup, 0, "lane", true')
        + ")"
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
        "template <typename T, void (*load)(device const T*, thread T&), template <typename> class C, int = 2, typename... A>\n"
        "kernel void f(device T* a [[buffer(0)]]) {}\n"
        'template [[host_name("f")]] kernel void f<half, get, Box, 3, int>(device half* a [[buffer(0)]]);'
    )
    result = translate(source)
    assert result.findings == ()
    assert [parameter.type for parameter in result.kernels["f"].parameters] == ["device half*"]


def test_instantiation_before_the_definition():
    source = (
        "namespace n { template <typename T> kernel void f(device T* a, uint i); }\n"
        'template [[host_name("f_half")]] kernel void ::n::f<half>(device half* a, uint i);\n'
        "namespace n { template <typename T> kernel void f(device T* a [[buffer(3)]], uint i [[thread_position_in_grid]]) {} }"
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
        "              threadgroup float* t [[threadgroup(0)]], constant float* c, uint3 g[[threadgroup_position_in_grid]]) {}"
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
        "    constant int s [[buffer(3)]] [2], uint [[thread_position_in_grid]] i, const ushort w [[thread_execution_width]],\n"
        "    unsigned int q [[quadgroups_per_threadgroup]], const device float* const restrict r [[ buffer( 4 ) ]]) {}"
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
        "constant bool x [[function_constant(0)]]; constant bool y = !x; constant bool z [[function_constant(1)]];\n"
        "kernel void f(device float* a [[buffer(0), function_constant(x)]], device half* b [[buffer(0), function_constant(z)]]) {}"
    )
    assert [p.index for p in translate(source).kernels["f"].parameters] == [0, 0]


@pytest.mark.parametrize(
    ("source", "message", "rule"),
    [
        ("kernel void f(uint i) {}", "it must have the attribute of a built-in value", "metal-kernel-parameter"),
        ("kernel void f(thread float* p) {}", "it must have the attribute of a built-in value", "metal-kernel-parameter"),
        ("kernel void f(float* p) {}", "it must have the attribute of a built-in value", "metal-kernel-parameter"),
        ("kernel void f(device float* p [[bufer(0)]]) {}", "[[bufer]]", "metal-kernel-parameter"),
        ("kernel void f(texture2d<float> t [[texture(0)]]) {}", "[[texture]]", "metal-kernel-parameter"),
        ("kernel void f(float4 v [[stage_in]]) {}", "[[stage_in]]", "metal-kernel-parameter"),
        ("kernel void f(int i [[thread_position_in_grid]]) {}", "must be of type ushort, ushort2", "metal-kernel-parameter"),
        ("kernel void f(uint4 i [[thread_position_in_grid]]) {}", "but is uint4", "metal-kernel-parameter"),
        ("kernel void f(uint3 i [[thread_index_in_simdgroup]]) {}", "must be of type ushort or uint,", "metal-kernel-parameter"),
        ("kernel void f(unsigned long i [[thread_position_in_grid]]) {}", "but is unsigned long", "metal-kernel-parameter"),
        ("kernel void f(device float* a [[buffer(31)]]) {}", "from 0 to 30", "metal-kernel-parameter"),
        ("kernel void f(device float* a [[buffer(n)]]) {}", "from 0 to 30", "metal-kernel-parameter"),
        ("kernel void f(device float* a [[buffer(1)]], device half* b [[buffer(1)]]) {}", "is that of 'a'", "metal-kernel-parameter"),
        ("kernel void f(threadgroup float* a [[buffer(0)]]) {}", "does not fit its address space", "metal-kernel-parameter"),
        ("kernel void f(device float* a [[threadgroup(0)]]) {}", "does not fit its address space", "metal-kernel-parameter"),
        ("kernel void f(device float* a [[buffer(0)]] [[buffer(1)]]) {}", "both [[buffer]] and [[buffer]]", "metal-kernel-parameter"),
        ("kernel void f(device float* a [[buffer(0), function_constant(b)]]) {}", "must name a function constant", "metal-kernel-parameter"),
        ("kernel int f() { return 0; }", "it must return void", "metal-kernel"),
        ("struct S { kernel void f() {} };", "it must be a function of its own", "metal-kernel"),
        ('kernel void f() {} [[host_name("f")]] kernel void g() {}', "defines a kernel of that name already", "metal-kernel"),
        ('template [[host_name("f")]] kernel void g<float>();', "which is no kernel template", "metal-kernel"),
        ('template <int N> kernel void g() {} template [[host_name("f")]] kernel void g<1, 2>();', "that takes 2 arguments", "metal-kernel"),
    ],
)  # fmt: skip
def test_kernels_that_are_refused(source, message, rule):
    found = finding("\n" + source)
    assert message in found.message
    assert (found.rule, found.line) == (rule, 2)
    assert found.section.startswith("5.")


def test_findings_are_in_the_order_of_the_source():
    source = "kernel void f(uint i) {}\nthreadgroup int a;\nconstant int b [[function_constant(1)]] = 2;\nkernel void g(uint i) {}\n"
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
OPERATOR = st.sampled_from(
    [" + ", " < ", " > ", " >> ", " << ", " && ", ", ", " = ", "->", ".", " <= ", " - ", " ? 1 : "]
)
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
        text = translate(source).text
    except CompileError as error:
        assert error.diagnostics[0].line in (1, 2)
    else:
        assert text.count("\n") == 1


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


def test_preprocess_reports_errors_with_their_line(tmp_path):
    path = tmp_path / "a.metal"
    path.write_text("#include <metal_stdlib>\n#include <cmath>\n")
    with pytest.raises(CompileError, match="'cmath' file not found") as caught:
        preprocess(path, [], {}, "3.1")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.file, diagnostic.line, diagnostic.severity) == (str(path), 2, "fatal error")


@pytest.mark.parametrize("version", ["2.3", "3", "5.0", "metal3.1", "3.1.1"])
def test_unknown_language_versions_are_refused(tmp_path, version):
    with pytest.raises(ValueError, match="language_version"):
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

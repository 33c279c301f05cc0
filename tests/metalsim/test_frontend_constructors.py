"""Construction and conversion of vectors: what becomes METALSIM_MAKE, and what only looks like it."""

import pytest
from frontend_text import in_function, translated


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = float4(a, b);", "x = METALSIM_MAKE(float4)(a, b);"),
        (
            "x = float4(float2(a), vec<float, 2>(b, half(c)));",
            "x = METALSIM_MAKE(float4)(METALSIM_MAKE(float2)(a), METALSIM_MAKE(vec<float, 2>)(b, METALSIM_MAKE(half)(c)));",
        ),
        (
            "x = metal::float4(a) + ::metal::vec<T, 4>(b);",
            "x = METALSIM_MAKE(metal::float4)(a) + METALSIM_MAKE(::metal::vec<T, 4>)(b);",
        ),
        ("x = static_cast<float4>(a);", "x = METALSIM_MAKE(float4)(a);"),
        ("x = static_cast<metal::vec<T, 4>>(a >> 2);", "x = METALSIM_MAKE(metal::vec<T, 4>)(a >> 2);"),
        (
            "x = static_cast<float>(a); y = static_cast<device float4*>(b); z = static_cast<thread float4&>(c);",
            "x = static_cast<float>(a); y = static_cast<device float4*>(b); z = static_cast<thread float4&>(c);",
        ),
        ("x = (float4)a.b[i](c)->d * e;", "x = METALSIM_MAKE(float4)(a.b[i](c)->d) * e;"),
        ("x = -(half2)-y + (uint4)(z) / 2;", "x = -METALSIM_MAKE(half2)(-y) + METALSIM_MAKE(uint4)((z)) / 2;"),
        (
            "x = (float4)int4(1) + (float4)static_cast<int4>(y);",
            "x = METALSIM_MAKE(float4)(METALSIM_MAKE(int4)(1)) + METALSIM_MAKE(float4)(METALSIM_MAKE(int4)(y));",
        ),
        ("x = (float4)(half4)y;", "x = METALSIM_MAKE(float4)(METALSIM_MAKE(half4)(y));"),
        ("x = (vec<T, 4>)ns::f<int>(y);", "x = METALSIM_MAKE(vec<T, 4>)(ns::f<int>(y));"),
        (
            "x = (const float4)y + static_cast<half4 const>(z);",
            "x = METALSIM_MAKE( float4)(y) + METALSIM_MAKE(half4 )(z);",
        ),
        ("return (float4)x;", "return METALSIM_MAKE(float4)(x);"),
        (
            "x = sizeof(float4) * alignof(half4) + sizeof (uint2);",
            "x = sizeof(float4) * alignof(half4) + sizeof (uint2);",
        ),
        (
            "x = (device float4*)p; y = *(threadgroup const half4*)q;",
            "x = (device float4*)p; y = *(threadgroup const half4*)q;",
        ),
        ("x = (float4){1, 2, 3, 4}; y = half2{a, b};", "x = (float4){1, 2, 3, 4}; y = half2{a, b};"),
        (
            "float4 v(a, b); const half2 w(c), u;",
            "float4 v = METALSIM_MAKE(float4)(a, b); const half2 w = METALSIM_MAKE(half2)(c), u;",
        ),
        ("vec<T, 2> v(a);", "vec<T, 2> v = METALSIM_MAKE(vec<T, 2>)(a);"),
        ("float4 v = float4(0); float4 w;", "float4 v = METALSIM_MAKE(float4)(0); float4 w;"),
        (
            "for (uint2 i = uint2(0); all(i < uint2(4)); i += 1) {}",
            "for (uint2 i = METALSIM_MAKE(uint2)(0); all(i < METALSIM_MAKE(uint2)(4)); i += 1) {}",
        ),
        ("x = c ? float2(a) : float2(b);", "x = c ? METALSIM_MAKE(float2)(a) : METALSIM_MAKE(float2)(b);"),
        ("x = a > float2(b);", "x = a > METALSIM_MAKE(float2)(b);"),
        ("float4 (*p)[2] = q; float4 (&r)[2] = s;", "float4 (*p)[2] = q; float4 (&r)[2] = s;"),
        (
            "auto f = [](float4 a) -> float4 { return float4(a.x); };",
            "auto f = [](float4 a) -> float4 { return METALSIM_MAKE(float4)(a.x); };",
        ),
        ("x = float4(*p); y = ~uint2(z);", "x = METALSIM_MAKE(float4)(*p); y = ~METALSIM_MAKE(uint2)(z);"),
        ("x.float4(a); y->float4(b);", "x.float4(a); y->float4(b);"),
        ("x = float4();", "x = float4();"),
        ("x = decltype(y)(z);", "x = METALSIM_MAKE(decltype(y))(z);"),
        ("x = typename Op::type(y);", "x = METALSIM_MAKE(typename Op::type)(y);"),
        (
            "using U = pointer_element_t<P>; x = U(0); y = static_cast<U>(z);",
            "using U = pointer_element_t<P>; x = METALSIM_MAKE(U)(0); y = METALSIM_MAKE(U)(z);",
        ),
        (
            "typedef metal::vec<T, 2> pair; x = pair(1, 2);",
            "typedef metal::vec<T, 2> pair; x = METALSIM_MAKE(pair)(1, 2);",
        ),
        (
            "{ using U = half4; x = U(0); } U = 3; x = (U) - y;",
            "{ using U = half4; x = METALSIM_MAKE(U)(0); } U = 3; x = (U) - y;",
        ),
        ("using F = float (*)(float); x = F(g);", "using F = float (*)(float); x = F(g);"),
        ("typedef float scalar; x = scalar(1);", "typedef float scalar; x = scalar(1);"),
    ],
)
def test_constructors_in_functions(source, expected):
    assert in_function(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "template <typename T> T f(T a) { return T(a, 1) + T(2); }",
            "template <typename T> T f(T a) { return METALSIM_MAKE(T)(a, 1) + METALSIM_MAKE(T)(2); }",
        ),
        (
            "template <typename T> T f(T a, T (*op)(T, T)) { return op(a, (T)1); }",
            "template <typename T> T f(T a, T (*op)(T, T)) { return op(a, METALSIM_MAKE(T)(1)); }",
        ),
        (
            "template <typename T> void f(T a = T(0), float2 b = float2(1, 2));",
            "template <typename T> void f(T a = METALSIM_MAKE(T)(0), float2 b = METALSIM_MAKE(float2)(1, 2));",
        ),
        (
            "template <typename T> void f(); float g(float T) { return T * (T) - 1; }",
            "template <typename T> void f(); float g(float T) { return T * (T) - 1; }",
        ),
        (
            "template <typename T> using four = metal::vec<T, 4>; auto f() { return four<half>(1); }",
            "template <typename T> using four = metal::vec<T, 4>; auto f() { return METALSIM_MAKE(four<half>)(1); }",
        ),
        (
            "template <typename U, typename V> using common = decltype(U(0) + V(0));",
            "template <typename U, typename V> using common = decltype(METALSIM_MAKE(U)(0) + METALSIM_MAKE(V)(0));",
        ),
        ("template <typename T> using fn = T(T, T);", "template <typename T> using fn = T(T, T);"),
        (
            "struct S { operator float4() const; float4 f(float4 a); };",
            "struct S { operator float4() const; float4 f(float4 a); };",
        ),
        (
            "template <typename T> struct S : B<T> { using Base = B<T>; S(T x) : Base(x), v(float2(x)) {} float2 v; };",
            "template <typename T> struct S : B<T> { using Base = B<T>; "
            "S(T x) : Base(x), v(METALSIM_MAKE(float2)(x)) {} float2 v; };",
        ),
        (
            "template <typename T> struct S { using frag = vec<T, 2>; frag v; void f() { v = frag(0); } };",
            "template <typename T> struct S { using frag = vec<T, 2>; frag v; void f() { v = METALSIM_MAKE(frag)(0); } };",
        ),
        (
            "struct S { void f() { v = frag(0); } typedef half4 frag; };",  # a member alias counts in the whole class
            "struct S { void f() { v = METALSIM_MAKE(frag)(0); } typedef half4 frag; };",
        ),
        (
            "struct L { L(int a, int b); }; void f() { using loader = L; loader l(1, 2); auto m = loader(3, 4); }",
            "struct L { L(int a, int b); }; void f() { using loader = L; loader l(1, 2); auto m = loader(3, 4); }",
        ),
        (
            "struct S : B { using typename B::frag; void f() { v = frag(1, 2); } };",
            "struct S : B { using typename B::frag; void f() { v = METALSIM_MAKE(frag)(1, 2); } };",
        ),
        (
            "namespace n { using v4 = float4; } float4 f() { return n::v4(1); }",
            "namespace n { using v4 = float4; } float4 f() { return METALSIM_MAKE(n::v4)(1); }",
        ),
        ("float4 g(float4 a), h(half2);", "float4 g(float4 a), h(half2);"),
        ("template <> struct X<float4(int)> {};", "template <> struct X<METALSIM_MAKE(float4)(int)> {};"),
    ],
)
def test_constructors_in_declarations(source, expected):
    assert translated(source) == expected

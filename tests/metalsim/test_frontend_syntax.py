"""Tokens, brackets and declarations: how the front end reads a text before it changes any of it."""

import pytest
from frontend_text import words

from metalsim.errors import CompileError
from metalsim.frontend import translate
from metalsim.frontend.declarations import scan
from metalsim.frontend.syntax import Declaration, DeclarationKind
from metalsim.frontend.tokens import Span, TokenStream, tokenize

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
    assert " ".join(token.text for token in tokenize("a<b<c>>d->e>=f<<g")) == "a < b < c > > d -> e >= f << g"


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
        (
            "metal::enable_if_t<metal::is_integral_v<T>&& metal::is_signed_v<T>, T> f();",
            ["<metal::is_integral_v<T>&& metal::is_signed_v<T>, T>", "<T>", "<T>"],
        ),
        (
            "template <typename T> struct Array {}; x = y < Array<Array<int>>::size;",
            ["<typename T>", "<Array<int>>", "<int>"],
        ),
        ("bool operator<(X a, X b); bool operator>(X a, X b); X operator>>(X a, int b);", []),
        ("if (i < limit) { threads<0>(i); }", ["<0>"]),
        ("while (a < b) { c > d; }", []),
        ("x = lane < 16 ? f<int>(1) : 0;", ["<int>"]),
        ("pointer_element<threadgroup T*> p;", ["<threadgroup T*>"]),
        ('static_assert(sizeof(T) < 4 || sizeof(T) > 8, "");', []),
        ("using M = matrix<half, (3 > 2), 4>;", ["<half, (3 > 2), 4>"]),
    ],
)
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
        (
            "METAL_FUNC constexpr thread frag_type& at(short i) {}",
            "METAL_FUNC constexpr thread frag_type",
            "&",
            "at",
            "short i",
            "",
        ),
        (
            "inline ::metal::enable_if_t<(N > 2), bool> less(T a) {}",
            "inline ::metal::enable_if_t<(N > 2), bool>",
            "",
            "less",
            "T a",
            "",
        ),
        (
            "constexpr operator vec<T, 2>() const thread noexcept {}",
            "constexpr",
            "",
            "operator vec<T, 2>",
            "",
            "const thread noexcept",
        ),
        ("T operator()(T a, T b) const device {}", "T", "", "operator()", "T a, T b", "const device"),
        ("bool operator<(X a) const {}", "bool", "", "operator<", "X a", "const"),
        ("auto f(int a) -> decltype(g(a)) {}", "auto", "", "f", "int a", "-> decltype(g(a))"),
        ("device float* const* f() {}", "device float", "* const*", "f", "", ""),
        ("Loader(int d) thread : dim(d), inner{d - 1} {}", "", "", "Loader", "int d", "thread"),
        ("decltype(a + b) f(int c) {}", "decltype(a + b)", "", "f", "int c", ""),
        ("unsigned int f(unsigned) {}", "unsigned int", "", "f", "unsigned", ""),
        ("[[nodiscard]] void f [[noreturn]] (int a) {}", "[[nodiscard]] void", "", "f", "int a", ""),
    ],
)
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

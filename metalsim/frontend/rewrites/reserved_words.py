"""Words that Metal adds to C++'s keywords: they name no variable, member, function, type, namespace or template parameter.

The shim makes macros of some of them and nothing of others, so clang would take them for names, or see no name at all.

Where they are known from: all are in Apple's specification (4, 5.1), and in the lists of names that two compilers to Metal
avoid, get_reserved_keyword_set() of SPIRV-Cross' spirv_msl.cpp and naga's back/msl/keywords.rs. Reports of what Apple's
compiler says: `float4 vertex` in KhronosGroup/MoltenVK#112 ("declaration does not declare anything", "expected
unqualified-id"), a member `vertex` in gfx-rs/wgpu#7378, `float4 fragment` in CrossGL/crosstl#1140. SPIRV-Cross avoids
`compute`, too; nothing else says that it is a word of Metal's, and it is left alone, as are `simdgroup` and `visible`, which
kernels that Apple compiled use. Macros such as INFINITY are no names either: the preprocessor replaces them before this.
"""

from metalsim.frontend.rewrites.context import Context
from metalsim.frontend.syntax import ADDRESS_SPACES
from metalsim.frontend.tokens import TokenStream

_RULE = "metal-reserved-name"
_STAGES = frozenset({"kernel", "vertex", "fragment"})
_STAGE_SECTION = '5.1 "Functions"'
_SPACE_SECTION = '4 "Address Spaces"'

#: What may stand before a function's stage with attributes: the end of what precedes the declaration, and specifiers.
_BEFORE_STAGE = frozenset({"", ";", "{", "}", "]", ")", ":", "template", "inline", "static", "constexpr", "extern"})
#: What may stand before an address space that qualifies a member function.
_BEFORE_QUALIFIER = frozenset({")", "const", "volatile", "noexcept", "override", "final"} | ADDRESS_SPACES)


def refuse_reserved_words(context: Context) -> None:
    """Reports each of the words where it is not used as Metal means it."""
    stream = context.stream
    index = 0
    while index < len(stream):
        text = stream.texts[index]
        if stream.is_attribute(index):
            index = stream.match[index]  # [[kernel]]
        elif text in _STAGES and not _is_stage(stream, index):
            message = f"'{text}' is a word of Metal's for functions that the GPU starts; choose another name"
            context.report(index, _RULE, message, _STAGE_SECTION)
        elif text in ADDRESS_SPACES and not _is_space(stream, index):
            message = f"'{text}' is an address space; choose another name"
            context.report(index, _RULE, message, _SPACE_SECTION)
        index += 1


def _is_stage(stream: TokenStream, index: int) -> bool:
    """Whether the word marks a function: `kernel void f()`, `void kernel f()`, `template <...> kernel [[...]] void f()`."""
    if not stream.is_attribute(index + 1):
        return stream.is_identifier(index + 1) or stream.text_at(index + 1) == "::"
    before = stream.text_at(index - 1)
    if before == ">":  # of a template's parameters, or of the type of what has this name
        return stream.text_at(stream.match[index - 1] - 1) == "template"
    return before in _BEFORE_STAGE or before.startswith('"')  # extern "C" kernel


def _is_space(stream: TokenStream, index: int) -> bool:
    """Whether the word belongs to the type that follows, to a pointer or reference, or to a member function."""
    following = stream.text_at(index + 1)
    is_nested = following == "(" and stream.text_at(index + 2) in ("*", "&", "&&")  # `device (*name)[4]`
    before = stream.text_at(index - 1)
    is_qualifier = before in _BEFORE_QUALIFIER or (before in ("&", "&&") and stream.text_at(index - 2) == ")")
    return is_qualifier or is_nested or following in ("*", "&", "&&", "::") or stream.is_identifier(index + 1)

"""Types of a kernel's positions and sizes, which have to fit each other.

Apple's specification, 5.2.3.6, below its table of attributes: vectors have the same number of components; a position and the
size that bounds it have one type; where the position in a threadgroup is made of uint, so is the index in it. Whether scalars
and vectors may be mixed it does not say. None of the 331 kernels of MLX, ggml, candle, uzu and vllm-metal that have several
of these attributes does so, and here it is refused.
"""

import re
from collections.abc import Sequence

from metalsim.frontend.words import words

#: What may be a vector.
POSITIONS = words(
    """
    thread_position_in_grid threadgroup_position_in_grid thread_position_in_threadgroup threads_per_grid
    threadgroups_per_grid threads_per_threadgroup dispatch_threads_per_threadgroup
    """
)
_SAME_TYPE = (
    words("thread_position_in_grid threads_per_grid"),
    words("thread_position_in_threadgroup threads_per_threadgroup dispatch_threads_per_threadgroup"),
)
_POSITION = ("thread_position_in_threadgroup", "uint")
_INDEX = ("thread_index_in_threadgroup", "ushort")
_TYPE = re.compile(r"(uint|ushort)(?:32_t|16_t)?([23]?)")


def disagreement(types: dict[str, tuple[str, str]], attribute: str, type_words: Sequence[str]) -> str | None:
    """Returns what is wrong with the type of a parameter, in view of the parameters before it.

    Args:
        types: element and width by attribute, so far; the parameter is added, unless only clang knows what its type is.
        attribute: of the parameter.
        type_words: its type as the source spells it.
    """
    match = _TYPE.fullmatch(type_words[-1]) if type_words else None
    if match is None:
        return None
    element, width = match.groups()
    for other, (other_element, other_width) in types.items():
        both = {attribute, other}
        must_have = None
        if both <= POSITIONS and width != other_width:
            must_have = "as many components as"
        elif any(both <= group for group in _SAME_TYPE) and element != other_element:
            must_have = "the type of"
        elif {(attribute, element), (other, other_element)} == {_POSITION, _INDEX}:
            must_have = "the elements of"
        if must_have is not None:
            return f"[[{attribute}]] must have {must_have} [[{other}]], {other_element}{other_width}, but is {element}{width}"
    types[attribute] = (element, width)
    return None

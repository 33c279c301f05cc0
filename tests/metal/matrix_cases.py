"""The cases of the kernel matrix: every kernel that kernel_plan can choose, and what its calls ask of it.

kernel_plan itself is asked what it chooses, for all GPU families, types, head dims and numbers of rows; so a row that is
added to its tables, and any row whose tiles change, has cases at once. Each choice is run on keys that are dense, packed
and paged; of the vector kernels, one table row that is four kernels, each two of rows, type and source meet. The rules for
scores, and how tensors lie in memory, are drawn for each case such that every two of their levels that a call can have
together, and every level and every form of a kernel, meet in at least one case.
"""

import itertools
import random
from collections import defaultdict
from typing import Any, NamedTuple

from launch_plan import CORES, SOURCES

from torch_fused_attn import _C

FAMILIES = (7, 8, 9, 10)
ELEMENTS = ("half", "bfloat", "float")
HEAD_DIMS = tuple(range(8, 257, 8))
MAX_ROWS = 32
#: Macros of a library that say what a call is, and not what was chosen for it.
OF_THE_CALL = ("FUSED_ATTN_HEAD_DIM", "FUSED_ATTN_HEAD_DIM_V", "FUSED_ATTN_KV_SOURCE")


class Choice(NamedTuple):
    """Macros that kernel_plan chooses, and the calls that it chooses them for."""

    file: str
    macros: tuple[tuple[str, str], ...]
    family: int
    head_dims: tuple[int, ...]  #: neighbours, smallest first
    rows: tuple[int, ...]  #: that share a kv head's keys; none for prefill

    def __str__(self) -> str:
        values = [value for name, value in self.macros if name != "FUSED_ATTN_ELEMENT"]
        element = dict(self.macros)["FUSED_ATTN_ELEMENT"]
        return "-".join([self.file.removesuffix(".metal"), element, f"D{self.head_dims[-1]}", *values])

    def number(self, name: str) -> int:
        return int(dict(self.macros)[f"FUSED_ATTN_{name}"])

    @property
    def element(self) -> str:
        return dict(self.macros)["FUSED_ATTN_ELEMENT"]

    @property
    def is_decode(self) -> bool:
        return self.file == "decode.metal"

    @property
    def form(self) -> str:
        """Name the code that the macros select."""
        macros = dict(self.macros)
        if not self.is_decode:
            if macros["FUSED_ATTN_STAGED"] == "0":
                return "direct"
            return "staged" if macros["FUSED_ATTN_STAGE_ELEMENT"] == self.element else "widened"
        if self.number("ROWS") <= 4:
            return "vector"
        if self.number("ROWS") > 8 * self.number("ROW_TILES"):
            return "staged matrix"
        return "matrix" if self.number("ROW_TILES") == 1 else "two matrices"


def _chosen(family: int, element: str, head_dim: int, rows: int) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return file and macros; ``rows`` 0: prefill."""
    sizes = {"num_heads": 1, "len_q": 64} if rows == 0 else {"num_heads": rows, "len_q": 1}
    plan = _C.kernel_plan(
        family=family, cores=CORES, element=element, batch=1, num_kv_heads=1, len_k=64,
        head_dim=head_dim, head_dim_v=head_dim, **sizes,
    )["attention"]  # fmt: skip
    return plan["file"], tuple(sorted(item for item in plan["macros"].items() if item[0] not in OF_THE_CALL))


def choices() -> list[Choice]:
    """Return everything that kernel_plan chooses."""
    found: dict[Any, set[tuple[int, int, int]]] = defaultdict(set)
    for family, element, head_dim, rows in itertools.product(FAMILIES, ELEMENTS, HEAD_DIMS, range(MAX_ROWS + 1)):
        found[_chosen(family, element, head_dim, rows)].add((head_dim, rows, family))
    result = []
    for (file, macros), calls in found.items():
        family = min(family for *_, family in calls)
        head_dims = {head_dim for head_dim, *_ in calls}
        rows = tuple(sorted({rows for _, rows, _ in calls if rows}))
        ends = [head_dim for head_dim in sorted(head_dims) if head_dim + 8 not in head_dims]
        for before, end in itertools.pairwise([0, *ends]):
            run = tuple(head_dim for head_dim in sorted(head_dims) if before < head_dim <= end)
            result.append(Choice(file, macros, family, run, rows))
    return result


class Case(NamedTuple):
    """A choice, a K/V source, and one level of each factor; which levels a factor has, :func:`levels` says."""

    choice: Choice
    form: str
    source: str
    head_dims: str
    mask: str
    window: str
    alibi: str
    softcap: str
    sinks: str
    scale: str
    alignment: str
    blocks: str
    splits: str

    def __str__(self) -> str:
        named = [level for level in self[2:] if level not in ("", "largest", "aligned")]
        return "-".join([str(self.choice), *named])

    @property
    def keywords(self) -> str:
        """Return the names of prefill_cases.keywords."""
        return "+".join(name for name in (self.window, self.alibi, self.softcap, self.sinks, self.scale) if name)


def levels(choice: Choice, source: str) -> list[list[Any]]:
    """Return the levels of each factor that a call can have, in the order of Case."""
    is_dense, is_paged = source == "dense", source == "paged"
    windows = ["", "causal", "left", "left+right", "causal+left", "left0"]
    return [
        [choice],
        [choice.form],
        [source],
        ["smallest", "largest", "wide_key", "wide_value"] if is_dense else ["smallest", "largest"],
        ["", "bool_block", "bool_1HLS", "float_BHLS", "half_strided", "bfloat_B11S"] if is_dense else [""],
        [*windows, "top_left", "top_left+left+right"] if is_dense else windows,
        ["", "alibi", "batch_alibi"],
        ["", "softcap"],
        ["", "sinks"],
        ["", "scale", "negative_scale"],
        ["aligned", "odd"],
        ["runs", "fragments", "any"] if is_paged else [""],
        ["", "split"] if choice.is_decode else [""],
    ]


def _pairs(case: Case) -> set[tuple[Any, Any]]:
    return set(itertools.combinations(enumerate(case[1:]), 2))


def cells() -> list[tuple[Choice, str]]:
    """Return each choice with the K/V sources that it is run on."""
    found = []
    for choice in choices():
        turn = choice.number("ROWS") + ELEMENTS.index(choice.element) if choice.form == "vector" else None
        found += [(choice, source) for n, source in enumerate(SOURCES) if turn is None or n == turn % len(SOURCES)]
    return found


def possible_pairs() -> set[tuple[Any, Any]]:
    """Return every two levels of different factors that a call can have together."""
    found: set[tuple[Any, Any]] = set()
    for choice, source in cells():
        for (a, first), (b, second) in itertools.combinations(enumerate(levels(choice, source)[1:]), 2):
            found |= {((a, x), (b, y)) for x, y in itertools.product(first, second)}
    return found


def cases(candidates: int = 40) -> list[Case]:
    """Return one case for each choice and source, and more until all pairs of levels have met."""
    generator = random.Random(0)
    once = cells()
    uncovered = possible_pairs()
    found: list[Case] = []
    for n, cell in enumerate(itertools.cycle(once)):
        if n >= len(once) and not uncovered:
            break
        drawn = [Case(*(generator.choice(factor) for factor in levels(*cell))) for _ in range(candidates)]
        best = max(drawn, key=lambda case: len(_pairs(case) & uncovered))
        if n < len(once) or _pairs(best) & uncovered:
            found.append(best)
            uncovered -= _pairs(best)
    return found

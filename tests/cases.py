"""The cases that the operators are run on: every factor's levels, the inputs that they stand for, and pairs of them.

A case picks one level of each factor. All combinations would be millions, so :func:`all_pairs` picks cases such that
every two levels of different factors meet in at least one of them. This file has dense attention's cases and what all
operators share; ``packed_cases.py`` has those of packed and paged attention.
"""

import itertools
import random
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from torch_fused_attn import alibi_slopes

Shape = tuple[int, int, int, int]


class Case(NamedTuple):
    """One level of each factor of dense attention."""

    dtype: torch.dtype
    head_dims: tuple[int, int]  # of query and key, and of value
    heads: tuple[int, int]  # query heads and key/value heads
    lengths: tuple[int, int]  # queries and keys
    layout: str
    mask: str
    keywords: str

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        numbers = "-".join(f"{name}{a}x{b}" for name, (a, b) in zip("DHL", (self[1:4]), strict=True))
        return "-".join([dtype, numbers, self.layout, self.mask, self.keywords])

    @property
    def batch(self) -> int:
        """Two, so that batch strides matter, but one where the float64 reference would take long."""
        return 2 if self.heads[0] * self.lengths[0] * self.lengths[1] <= 2**17 else 1


# Tile sizes are powers of two from 16 to 512; a length just below, at and just above each, on either side, and 0 and 1.
LENGTHS = [(0, 0), (0, 5), (5, 0), (1, 1), (1, 17), (17, 1), (1, 128), (1, 513), (2, 300), (300, 2), (31, 33), (32, 32)]
LENGTHS += [
    (33, 31),
    (63, 64),
    (64, 65),
    (65, 63),
    (127, 129),
    (128, 128),
    (129, 127),
    (255, 257),
    (257, 256),
    (513, 513),
]
HEAD_DIMS = [(d, d) for d in (1, 3, 7, 8, 16, 32, 40, 64, 80, 96, 100, 128, 160, 192, 255, 256)]
HEAD_DIMS += [(192, 128), (64, 200), (40, 1), (1, 64), (256, 3)]
HEADS = [(4, 4), (4, 2), (6, 2), (8, 2), (8, 1), (16, 1), (64, 1)]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def randn(*shape: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Draw on the CPU, so that every device sees the same numbers."""
    return torch.randn(*shape).to(device, dtype)


def _inside_nan(shape: Shape, margins: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a view into a larger tensor of NaN, ``margins`` wide on both sides of each dimension."""
    outer = torch.full([n + 2 * m for n, m in zip(shape, margins, strict=True)], torch.nan, dtype=dtype, device=device)
    view = outer[tuple(slice(m, m + n) for n, m in zip(shape, margins, strict=True))]
    return view.copy_(randn(*shape, dtype=dtype, device=device))


def _permuted(order: tuple[int, ...]) -> Callable[..., list[Tensor]]:
    """Return a layout whose memory has the dimensions of [B, H, L, D] in this order."""

    def build(shapes: list[Shape], **options: object) -> list[Tensor]:
        back = [order.index(i) for i in range(4)]
        return [randn(*(shape[i] for i in order), **options).permute(back) for shape in shapes]

    return build


def _sliced(shapes: list[Shape], **options: object) -> list[Tensor]:
    return [_inside_nan(shape, (1, 1, 2, 3), **options) for shape in shapes]


def _packed(shapes: list[Shape], **options: object) -> list[Tensor]:
    """Slice query, key and value from one [B, L, Hq + 2 * Hkv, D] buffer, as a fused projection gives them."""
    batch, length, dim = (max(shape[i] for shape in shapes) for i in (0, 2, 3))
    buffer = randn(batch, length, sum(shape[1] for shape in shapes), dim, **options)
    views = buffer.split([shape[1] for shape in shapes], dim=2)
    return [v[:, : s[2], :, : s[3]].transpose(1, 2) for v, s in zip(views, shapes, strict=True)]


def _expanded(dim: int) -> Callable[..., list[Tensor]]:
    """Return a layout in which keys and values have stride 0 along this dimension."""

    def build(shapes: list[Shape], **options: object) -> list[Tensor]:
        query, *others = shapes
        narrow = [[1 if i == dim and n else n for i, n in enumerate(shape)] for shape in others]
        return [randn(*query, **options)] + [
            randn(*n, **options).expand(s) for n, s in zip(narrow, others, strict=True)
        ]

    return build


LAYOUTS: dict[str, Callable[..., list[Tensor]]] = {
    "bhld": _permuted((0, 1, 2, 3)),
    "blhd": _permuted((0, 2, 1, 3)),
    "hlbd": _permuted((1, 2, 0, 3)),
    "sliced": _sliced,
    "packed": _packed,
    "batch_expanded": _expanded(0),
    "heads_expanded": _expanded(1),
}

# A mask is named by what it holds and its shape, one letter a dimension of [B, H, L, S], "1" where it is broadcast.
# "strided" is a transposed view of every second element.
MASKS = ["none"] + [f"{kind}_{shape}" for kind in ("bool", "float") for shape in ("LS", "BHLS", "B11S", "scalar")]
MASKS += ["bool_S", "bool_1H11", "bool_BHL1", "bool_1HLS", "bool_strided", "float_HLS", "float_B1LS", "float_BHL1"]
MASKS += ["half_LS", "half_BHLS", "half_strided", "half_1H1S", "half_B11S"]  # in query's dtype, which may be fp32


def make_mask(name: str, shape: Shape, dtype: torch.dtype, device: torch.device) -> Tensor | None:
    """Build the mask of this name for scores of ``shape``; the first row of a mask with both L and S sees no key."""
    if name == "none":
        return None
    kind, layout = name.split("_")
    sizes = dict(zip("BHLS", shape, strict=True))
    letters = {"strided": "BHLS", "scalar": ""}.get(layout, layout)
    mask = torch.randn([sizes.get(letter, 1) for letter in letters])
    visible = mask > -1.0
    if mask.dim() >= 2 and min(mask.shape[-2:]) > 1:
        visible[..., 0, :] = False
    mask = visible if kind == "bool" else mask.masked_fill(~visible, -torch.inf)
    mask = mask.to(device, {"bool": torch.bool, "float": torch.float32, "half": dtype}[kind])
    if layout == "strided":
        b, h, queries, keys = shape
        mask = mask.new_empty(b, h, 2 * keys, queries).mT[..., ::2].copy_(mask)
    return mask


# Sets of keywords, each named in make_keywords; every one alone, those that could disturb each other, and all together.
KEYWORDS = ["", "causal", "top_left", "left", "right", "left+right", "left0", "right0", "left0+right0", "left_all"]
KEYWORDS += ["causal+left", "causal+right", "causal+left_all", "top_left+left", "top_left+left+right"]
KEYWORDS += ["alibi", "batch_alibi", "causal+alibi", "top_left+alibi", "left+alibi", "softcap", "softcap+alibi"]
KEYWORDS += ["sinks", "fp32_sinks", "no_sinks", "causal+sinks", "left0+sinks", "softcap+sinks"]
KEYWORDS += ["scale", "negative_scale", "zero_scale", "negative_scale+softcap+alibi"]
KEYWORDS += ["causal+left+batch_alibi+softcap+sinks+scale", "top_left+left+right+alibi+softcap+fp32_sinks+scale"]


def make_keywords(names: str, batch: int, heads: int, dtype: torch.dtype, device: torch.device) -> dict:
    """Build the operator's keywords that these names, joined by "+", stand for."""
    slopes = alibi_slopes(heads)
    sinks = torch.randn(heads)
    meanings = {
        "causal": {"is_causal": True},
        "top_left": {"is_causal": True, "causal_alignment": "top_left"},
        "left": {"window_left": 20},
        "left0": {"window_left": 0},
        "left_all": {"window_left": 10_000},
        "right": {"window_right": 9},
        "right0": {"window_right": 0},
        "alibi": {"alibi_slopes": slopes},
        "batch_alibi": {"alibi_slopes": slopes * (1 + torch.arange(batch) % 4 / 2)[:, None]},
        "softcap": {"softcap": 1.5},
        "sinks": {"sinks": sinks.to(dtype)},
        "fp32_sinks": {"sinks": sinks},
        "no_sinks": {"sinks": torch.full((heads,), -torch.inf)},
        "scale": {"scale": 0.21},
        "negative_scale": {"scale": -0.13},
        "zero_scale": {"scale": 0.0},
    }
    keywords = {k: v for name in names.split("+") if name for k, v in meanings[name].items()}
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in keywords.items()}


def make_inputs(case: Case, device: torch.device) -> tuple[list[Tensor], dict]:
    """Build query, key and value of a case, and its keywords."""
    (heads, kv_heads), (queries, keys), (dim, value_dim) = case.heads, case.lengths, case.head_dims
    options = {"dtype": case.dtype, "device": device}
    shapes = [
        (case.batch, heads, queries, dim),
        (case.batch, kv_heads, keys, dim),
        (case.batch, kv_heads, keys, value_dim),
    ]
    keywords = make_keywords(case.keywords, case.batch, heads, **options)
    keywords["attn_mask"] = make_mask(case.mask, (case.batch, heads, queries, keys), **options)
    return LAYOUTS[case.layout](shapes, **options), keywords


def all_pairs(*factors: list, is_affordable: Callable[..., bool], candidates: int = 30) -> list[tuple]:
    """Cover every two levels of different factors: start from an uncovered pair, fill in what covers most others."""
    generator = random.Random(0)
    columns = list(itertools.combinations(range(len(factors)), 2))

    def pairs(levels: list[int]) -> list[tuple]:
        return [((a, levels[a]), (b, levels[b])) for a, b in columns]

    grids = (itertools.product(range(len(factors[a])), range(len(factors[b]))) for a, b in columns)
    uncovered = {((a, i), (b, j)): None for (a, b), grid in zip(columns, grids, strict=True) for i, j in grid}
    cases = []
    while uncovered:
        start = next(iter(uncovered))
        best, gain = None, 0
        for _ in range(candidates):
            levels = [generator.randrange(len(factor)) for factor in factors]
            for column, level in start:
                levels[column] = level
            case = tuple(factor[i] for factor, i in zip(factors, levels, strict=True))
            new = sum(pair in uncovered for pair in pairs(levels))
            if new > gain and is_affordable(*case):
                best, gain = (case, pairs(levels)), new
        if best is None:
            del uncovered[start]  # only unaffordable cases were found that have this pair
            continue
        cases.append(best[0])
        for pair in best[1]:
            uncovered.pop(pair, None)
    return cases


def _is_affordable(dtype: torch.dtype, dims: tuple, heads: tuple, lengths: tuple, *_: str) -> bool:
    """Leave out what takes the float64 reference more than about half a second; the operators would accept it."""
    return heads[0] * lengths[0] * lengths[1] * (32 + sum(dims)) <= 2**27


def dense_cases() -> list[Case]:
    """Return the table of cases for ``forward``."""
    factors = (DTYPES, HEAD_DIMS, HEADS, LENGTHS, list(LAYOUTS), MASKS, KEYWORDS)
    return [Case(*levels) for levels in all_pairs(*factors, is_affordable=_is_affordable)]

"""The cases that the prefill kernel is run on, and the inputs that they stand for.

Sizes are those at which a tile begins or ends: tiles are small here, so that a few hundred keys are many of them.
"""

import torch
from launch import Tiles
from torch import Tensor

HALF, BFLOAT, FLOAT = torch.float16, torch.bfloat16, torch.float32

#: One choice of each kind: K and V staged; fragments from device memory with one and two row tiles a simdgroup.
STAGED = Tiles(simdgroups=2, row_tiles=1, key_tile=16, staged=True)
DIRECT = Tiles(simdgroups=2, row_tiles=2, key_tile=16, staged=False)
KINDS = [STAGED, DIRECT]

#: Queries and keys: 0 and 1, and a tile (16 rows, 32 rows, 16 keys) and one less and more, on either side.
LENGTHS = [(1, 1), (1, 17), (17, 1), (15, 16), (16, 15), (16, 16), (17, 17), (31, 33), (33, 31), (32, 48), (64, 65)]
LENGTHS += [(65, 63), (7, 100), (100, 7), (70, 93)]

#: Sets of keywords. Slopes, sinks and masks are made in :func:`keywords`.
KEYWORDS = ["", "causal", "top_left", "left", "right", "left+right", "left0", "left0+right0", "causal+left"]
KEYWORDS += ["top_left+left+right", "far_left", "alibi", "batch_alibi", "causal+alibi", "top_left+alibi", "softcap"]
KEYWORDS += ["sinks", "no_sinks", "left0+sinks", "negative_scale", "zero_scale", "negative_scale+softcap+alibi"]
KEYWORDS += ["causal+left+batch_alibi+softcap+sinks+scale"]

#: Kinds of mask and the dimensions of [batch, head, query, key] that they have.
MASKS = ["bool_BHLS", "bool_LS", "bool_B11S", "bool_1HL1", "bool_scalar", "bool_strided", "float_BHLS", "float_1HLS"]
MASKS += ["float_B11S", "half_LS", "half_strided", "bfloat_BHLS", "lowest_LS", "zero_BHLS", "bool_block"]


def keywords(names: str, batch: int, heads: int) -> dict:
    """Build the operator's keywords that these names, joined by "+", stand for."""
    slopes = 2.0 ** -torch.arange(1, heads + 1)
    meanings = {
        "causal": {"is_causal": True},
        "top_left": {"is_causal": True, "causal_alignment": "top_left"},
        "left": {"window_left": 20},
        "left0": {"window_left": 0},
        "far_left": {"window_left": 10_000},
        "right": {"window_right": 9},
        "right0": {"window_right": 0},
        "alibi": {"alibi_slopes": slopes},
        "batch_alibi": {"alibi_slopes": slopes * (1 + torch.arange(batch) % 4 / 2)[:, None]},
        "softcap": {"softcap": 1.5},
        "sinks": {"sinks": torch.randn(heads)},
        "no_sinks": {"sinks": torch.full((heads,), -torch.inf)},
        "scale": {"scale": 0.21},
        "negative_scale": {"scale": -0.13},
        "zero_scale": {"scale": 0.0},
    }
    return {key: value for name in names.split("+") if name for key, value in meanings[name].items()}


def make_mask(name: str, shape: tuple[int, int, int, int]) -> Tensor:
    """Build the mask of this name for scores of ``shape``; where it has both L and S, the first row sees no key."""
    kind, layout = name.split("_")
    sizes = dict(zip("BHLS", shape, strict=True))
    letters = {"strided": "BHLS", "scalar": "", "block": "BHLS"}.get(layout, layout)
    numbers = torch.randn([sizes.get(letter, 1) for letter in letters])
    visible = numbers > -1.0
    if layout == "block":  # whole tiles that are hidden, visible, and both, in each head others
        visible[:] = True
        for n, own in enumerate(visible.flatten(0, 1)):
            own[:, 16 * (n % 3) : 16 * (n % 3) + 32] = False
        visible[..., 40:, 48:] = False
        visible[..., -1, -1] = True
    elif numbers.dim() >= 2 and min(numbers.shape[-2:]) > 1:
        visible[..., 0, :] = False
    if kind == "bool":
        mask = visible
    elif kind == "zero":
        mask = torch.zeros_like(numbers)
    else:
        hidden = torch.finfo(FLOAT).min if kind == "lowest" else -torch.inf
        mask = numbers.masked_fill(~visible, hidden).to({"half": HALF, "bfloat": BFLOAT}.get(kind, FLOAT))
    if layout == "strided":
        b, h, queries, keys = shape
        mask = mask.new_empty(b, h, 2 * keys, queries).mT[..., ::2].copy_(mask)
    return mask


def dense(
    batch: int,
    heads: tuple[int, int],
    lengths: tuple[int, int],
    head_dims: tuple[int, int],
    dtype: torch.dtype,
    layout: str = "bhld",
) -> list[Tensor]:
    """Return query, key and value; "blhd": heads of a token side by side; "sliced": views into NaN, oddly aligned."""
    (queries, keys), (dim, dim_v) = lengths, head_dims
    shapes = [(batch, heads[0], queries, dim), (batch, heads[1], keys, dim), (batch, heads[1], keys, dim_v)]
    tensors = [torch.randn(shape).to(dtype) for shape in shapes]
    if layout == "blhd":
        return [x.transpose(1, 2).contiguous().transpose(1, 2) for x in tensors]
    if layout == "sliced":
        outer = [
            torch.full([n + 2 * m for n, m in zip(x.shape, (1, 1, 2, 3), strict=True)], torch.nan, dtype=dtype)
            for x in tensors
        ]
        return [o[1:-1, 1:-1, 2:-2, 3:-3].copy_(x) for o, x in zip(outer, tensors, strict=True)]
    return tensors

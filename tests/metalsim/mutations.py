"""Mistakes put into attention kernels of PyTorch and MLX, one at a time: what they are computed on.

The mistakes are in mutations/*.txt; tests/mutation.py says how they are written and what must come of each.
"""

from collections.abc import Callable
from pathlib import Path

import real_kernels
import torch
from mutation import Mutation, read_mutations
from real_kernels import Case, attention_inputs

import metalsim
from metalsim import cache

_FOLDER = Path(__file__).parent / "mutations"

#: What is left out of a header, as no workload needs it: kernels for other types, which would double the time to compile it.
_LEFT_OUT = {
    "ATen/native/mps/kernels/PrefillAttention.h": (
        "    instantiate_attn_mask_helper(bfloat16, bfloat)\n        instantiate_attn_mask_helper(float32, float)\n"
    ),
    "ATen/native/mps/kernels/DecodeAttention.h": "INSTANTIATE_SDPA_VECTOR_HEADS(float);\n",
}


def compile_mutated(mutation: Mutation, source: real_kernels.Source) -> metalsim.Library:
    """Compile a source with the mistake in its header."""
    text = mutation.apply((source.headers() / mutation.header).read_text())
    text = text.replace(_LEFT_OUT.get(mutation.header, "\0"), "")

    def build(folder: Path) -> None:
        changed = folder / mutation.header
        changed.parent.mkdir(parents=True)
        changed.write_text(text)

    # In a folder whose name does not change, so that the kernels are compiled once and then come out of the cache.
    folder = cache.entry("mutations", cache.digest(mutation.header, text), build)
    return metalsim.compile(source.text, [folder, source.headers()])


def mutations() -> list[Mutation]:
    """Return all mutations."""
    return read_mutations(_FOLDER)


def _prefill(queries: int, keys: int, *, causal: bool = False) -> Case:
    return real_kernels.torch_prefill(*attention_inputs(1, 4, 2, queries, keys, 64, torch.float16), causal=causal)


def _masked_prefill() -> Case:
    mask = torch.rand(1, 1, 40, 50, generator=torch.Generator().manual_seed(0)) > 0.3
    mask[..., 5, :] = False  # a query that sees nothing
    return real_kernels.torch_prefill(*attention_inputs(1, 2, 2, 40, 50, 64, torch.float16), mask=mask)


def _decode(*, causal: bool = False, two_pass: bool = False) -> Case:
    inputs = attention_inputs(1, 4, 2, 2, 77, 64, torch.float16)
    return real_kernels.torch_decode(*inputs, causal=causal, two_pass=two_pass)


def _steel(queries: int, keys: int, *, causal: bool = False) -> Case:
    return real_kernels.mlx_steel(*attention_inputs(1, 4, 2, queries, keys, 64, torch.float16), causal=causal)


def _vector(*, causal: bool = False) -> Case:
    return real_kernels.mlx_vector(*attention_inputs(1, 4, 2, 2, 77, 64, torch.float16), causal=causal)


#: What kernels compute: queries and keys that fill tiles of 32, or "ragged" ones; two query heads share a key head.
WORKLOADS: dict[str, Callable[[], Case]] = {
    "prefill": lambda: _prefill(64, 64),
    "prefill, ragged": lambda: _prefill(40, 50),
    "prefill, causal": lambda: _prefill(64, 64, causal=True),
    "prefill, masked": _masked_prefill,
    "decode": lambda: _decode(),
    "decode, causal": lambda: _decode(causal=True),
    "decode, split": lambda: _decode(two_pass=True),
    "steel": lambda: _steel(64, 64),
    "steel, ragged": lambda: _steel(40, 50),
    "steel, causal": lambda: _steel(40, 72, causal=True),
    "vector": lambda: _vector(),
    "vector, causal": lambda: _vector(causal=True),
}

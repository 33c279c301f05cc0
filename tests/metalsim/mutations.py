"""Mistakes put into attention kernels of PyTorch and MLX, one at a time, and what must come of each.

The mistakes are in mutations/*.txt. There, ``header:`` names the header that the mutations after it change.
A mutation is

    == what is wrong
    workload: the attention that the changed kernel computes, a name of WORKLOADS
    expected: an outcome, see below
    occurrence: which one, from 1, if the header has the text several times; otherwise it must be there exactly once
    reason: why a harmless one does no harm, or a harmful one is missed
    -the text that is replaced, and
    +the text that takes its place; both may have several lines, and need not begin or end with a line

An outcome is
    rejected               the compiler, or Metal's own validation, refuses the kernel
    reported: KIND         a check finds it while the kernel runs; KIND as in metalsim.Finding
    numerically caught     no check can know what was meant, but the result is not attention
    harmless               the result is the same bit by bit
    missed                 nothing shows, although the mistake does harm; ``reason`` says why
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import real_kernels
import torch
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


@dataclass(frozen=True)
class Mutation:
    """One mistake; the module's comment says what the attributes are."""

    name: str
    header: str
    workload: str
    expected: str
    occurrence: int | None
    reason: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Return the header with the mistake.

        Raises:
            ValueError: if the text to replace is not there as often as expected.
        """
        found = text.count(self.old)
        if self.occurrence is None and found != 1:
            raise ValueError(
                f"mutation '{self.name}': its text must be in {self.header} once, but is there {found} times"
            )
        if found < (self.occurrence or 1):
            raise ValueError(f"mutation '{self.name}': {self.header} has its text {found} times, not {self.occurrence}")
        parts = text.split(self.old)
        before = self.occurrence or 1
        return self.old.join(parts[:before]) + self.new + self.old.join(parts[before:])

    def compile(self, source: real_kernels.Source) -> metalsim.Library:
        """Compile a source with the mistake in its header."""
        text = self.apply((source.headers() / self.header).read_text())
        text = text.replace(_LEFT_OUT.get(self.header, "\0"), "")

        def build(folder: Path) -> None:
            changed = folder / self.header
            changed.parent.mkdir(parents=True)
            changed.write_text(text)

        # In a folder whose name does not change, so that the kernels are compiled once and then come out of the cache.
        folder = cache.entry("mutations", cache.digest(self.header, text), build)
        return metalsim.compile(source.text, [folder, source.headers()])


def _read(text: str) -> list[Mutation]:
    mutations = []
    header = ""
    for block in re.split(r"\n\n(?===|header:)", text.rstrip("\n")):
        if block.startswith("header: "):
            header = block.removeprefix("header: ")
            continue
        lines = block.split("\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line[0] not in "-+")
        old, new = ("\n".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
        name = lines[0].removeprefix("== ")
        occurrence = int(fields["occurrence"]) if "occurrence" in fields else None
        reason = fields.get("reason", "")
        mutations.append(Mutation(name, header, fields["workload"], fields["expected"], occurrence, reason, old, new))
    return mutations


def mutations() -> list[Mutation]:
    """Return all mutations, those of one file in its order."""
    return [mutation for path in sorted(_FOLDER.glob("*.txt")) for mutation in _read(path.read_text())]


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

"""The goals: for each, a value of every call that it is about, and whether the worst of them meets it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.kernels.cases import Auxiliary, Decode, Prefill
from bench.kernels.figures import AuxiliaryFigures, DecodeFigures, PrefillFigures

OURS = "fused_attn"
#: Figures by (call, chip), then by whose kernels they are of.
PrefillTable = Mapping[tuple[Prefill, str], Mapping[str, PrefillFigures]]
DecodeTable = Mapping[tuple[Decode, str], Mapping[str, DecodeFigures]]
#: Of ours alone: what others have of these kernels takes part in nothing that is compared.
AuxiliaryTable = Mapping[tuple[Auxiliary, str], Mapping[str, AuxiliaryFigures]]

_ROUNDING = 0.005  #: goals have two decimals


@dataclass(frozen=True)
class Goal:
    """A figure, what it may be at most, and what it is, by call."""

    name: str
    at_most: float
    kind: str  #: "counted" or "modelled"
    values: Mapping[str, float]

    @property
    def worst(self) -> tuple[str, float]:
        return max(self.values.items(), key=lambda entry: entry[1])

    @property
    def met(self) -> int:
        return sum(value < self.at_most + _ROUNDING for value in self.values.values())

    @property
    def is_met(self) -> bool:
        return self.met == len(self.values)


def label(case: Prefill | Decode | Auxiliary, chip: str) -> str:
    return f"{case.name}, {chip}"


def time_ratio(row: Mapping[str, PrefillFigures] | Mapping[str, DecodeFigures]) -> float:
    """Return our modelled time over that of the best of the others."""
    return row[OURS].time.seconds / min(figures.time.seconds for name, figures in row.items() if name != OURS)


def best_other(row: Mapping[str, PrefillFigures] | Mapping[str, DecodeFigures]) -> str:
    return min((name for name in row if name != OURS), key=lambda name: row[name].time.seconds)


def floor_ratio(row: Mapping[str, DecodeFigures]) -> float:
    """Return the ratio that kernels would have which do nothing but wait for the DRAM."""
    return row[OURS].dram_seconds / row[best_other(row)].time.seconds


def is_staged(figures: PrefillFigures) -> bool:
    return figures.threadgroup_memory > 0


def all_goals(prefill: PrefillTable, decode: DecodeTable, auxiliary: AuxiliaryTable) -> Iterator[Goal]:
    """Yield the goals for which there are calls."""
    memory = _memory(prefill, decode, auxiliary)
    for group in (_prefill_counts(prefill), memory, _prefill_times(prefill), _decode(decode)):
        yield from (goal for goal in group if goal.values)


def _prefill_counts(table: PrefillTable) -> Iterator[Goal]:
    ours = {key: row[OURS] for key, row in table.items()}

    def goal(name: str, at_most: float, values: Mapping[tuple[Prefill, str], float]) -> Goal:
        return Goal(name, at_most, "counted", {label(*key): value for key, value in values.items()})

    yield goal(
        "matrix products issued ÷ the fewest the visited tiles need", 1.0, {key: f.products for key, f in ours.items()}
    )
    yield goal(
        "tiles visited ÷ tiles that hold an unmasked score, causal N=1024",
        1.0,
        {key: f.tiles for key, f in ours.items() if key[0].is_causal},
    )
    yield goal(
        "operand conversions per product, fp16",
        0.0,
        {key: f.conversions for key, f in ours.items() if key[0].dtype_name == "fp16"},
    )
    yield goal(
        "threadgroup barriers per K/V tile, staged", 2.0, {key: f.barriers for key, f in ours.items() if is_staged(f)}
    )
    yield goal("the same, direct", 0.0, {key: f.barriers for key, f in ours.items() if not is_staged(f)})
    yield goal(
        "device bytes loaded, prefill ÷ PyTorch's",
        1.0,
        {key: row[OURS].loaded_bytes / row["PyTorch"].loaded_bytes for key, row in table.items()},
    )


def _memory(*tables: PrefillTable | DecodeTable | AuxiliaryTable) -> Iterator[Goal]:
    ours = {label(*key): row[OURS] for table in tables for key, row in table.items()}
    banks = {key: figures.banks for key, figures in ours.items() if figures.banks is not None}
    yield Goal("threadgroup bank cycles ÷ accesses", 1.05, "counted", banks)
    yield Goal(
        "threadgroup memory of any pipeline, KiB",
        32.0,
        "counted",
        {key: figures.threadgroup_memory / 1024 for key, figures in ours.items()},
    )
    yield Goal(
        "bytes of per-thread arrays indexed at run time",
        0.0,
        "counted",
        {key: figures.indexed_bytes for key, figures in ours.items()},
    )


def _prefill_times(table: PrefillTable) -> Iterator[Goal]:
    ratios = {key: time_ratio(row) for key, row in table.items()}

    def goal(name: str, at_most: float, values: Mapping[tuple[Prefill, str], float]) -> Goal:
        return Goal(name, at_most, "modelled", {label(*key): value for key, value in values.items()})

    what = "time ÷ best of PyTorch and MLX, prefill"
    for chip in dict.fromkeys(chip for _, chip in table):
        values = {key: ratio for key, ratio in ratios.items() if key[0].dtype_name == "fp16" and key[1] == chip}
        yield goal(f"{what} fp16, {chip}", 0.87, values)
    yield goal(
        f"{what} bf16, M1 Max",
        0.70,
        {key: ratio for key, ratio in ratios.items() if key[0].dtype_name == "bf16" and key[1] == "M1 Max"},
    )
    yield goal(
        f"{what} fp32 D128",
        0.70,
        {key: ratio for key, ratio in ratios.items() if (key[0].dtype_name, key[0].head_dim) == ("fp32", 128)},
    )


def _decode(table: DecodeTable) -> Iterator[Goal]:
    yield Goal(
        "K/V bytes loaded in decode ÷ K/V bytes",
        1.05,
        "counted",
        {label(*key): row[OURS].kv_bytes for key, row in table.items()},
    )
    for is_paged in (False, True):
        yield Goal(
            f"time ÷ best of PyTorch and MLX, decode gqa 8, {'paged' if is_paged else 'contiguous'}",
            0.60,
            "modelled",
            {
                label(case, chip): time_ratio(row)
                for (case, chip), row in table.items()
                if case.group == 8 and case.is_paged == is_paged
            },
        )

"""The part "Counts, and the modelled bound" of each page in docs/kernels, out of bench/results/kernels.json."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.kernels.cases import (
    BLOCK_SIZE,
    CACHE_HEAD_DIM,
    CACHE_HEADS,
    CONTEXT,
    DECODE_HEADS,
    DTYPES,
    FAMILIES,
    HEADS,
    LENGTH,
)
from bench.kernels.figures import microseconds
from bench.kernels.goals import OURS
from bench.report import table

Row = Mapping[str, Any]

MODELLED = "modelled, never run"
HOW = (
    "Counted by [metalsim](../../metalsim/README.md), for the kernels that `kernel_plan` chooses for each chip; times are "
    "modelled, never run on Apple hardware. PyTorch's and MLX's own figures, and what the model is calibrated on, are in "
    "[bench/README.md](../../bench/README.md)."
)


def _ratio(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _time(row: Row) -> str:
    return microseconds(row["seconds"], row["low"], row["high"])


def _dram_share(row: Row) -> str:
    return f"{row['dram_seconds'] / row['seconds']:.2f}"


def _ours(rows: Sequence[Row], kind: str) -> list[Row]:
    return [row for row in rows if (row["kind"], row["kernel"]) == (kind, OURS)]


def _each(cell: Callable[[Row], str], *rows: Row) -> str:
    """Return the cell of every row, once where they are the same."""
    return " / ".join(dict.fromkeys(map(cell, rows)))


def prefill(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table for each dtype."""
    header: tuple[str, ...] = (
        "call",
        "kernel for",
        "products ÷ fewest",
        "barriers a tile",
        "bank cycles ÷ accesses",
        "loaded, MB",
    )
    header += ("threadgroup memory, KiB", f"{MODELLED}, us", "bound by", "÷ best of PyTorch and MLX")
    yield f"Batch 1, {HEADS} heads, {LENGTH} queries and keys. {HOW}"
    for dtype in DTYPES:
        own = [row for row in _ours(rows, "prefill") if row["dtype_name"] == dtype]
        yield f"#### {dtype}"
        yield _table(header, map(_prefill_row, own))


def _prefill_row(row: Row) -> tuple[str, ...]:
    return (
        f"D{row['head_dim']} {'causal' if row['is_causal'] else 'full'}",
        row["chip"],
        _ratio(row["products"]),
        _ratio(row["barriers"]),
        _ratio(row["banks"]),
        f"{row['loaded_bytes'] / 1e6:.0f}",
        f"{row['threadgroup_memory'] / 1024:.1f}",
        _time(row),
        row["bound"],
        _ratio(row["over_best_other"]),
    )


def decode(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table for each chip, with a paged call beside the contiguous one."""
    header: tuple[str, ...] = (
        "call",
        "K/V bytes ÷ K/V",
        f"contiguous, {MODELLED}, us",
        f"paged, {MODELLED}, us",
        "bound by",
    )
    header += ("DRAM alone ÷ time", "÷ best of PyTorch and MLX")
    yield (
        f"fp16, batch 1, {DECODE_HEADS} heads of which gqa share a kv head, one query, {CONTEXT} keys; paged: blocks of "
        f"{BLOCK_SIZE}. Cells with two figures are contiguous / paged. {HOW}"
    )
    for chip in FAMILIES:
        own = [row for row in _ours(rows, "decode") if row["chip"] == chip]
        paged = {(row["group"], row["head_dim"]): row for row in own if row["is_paged"]}
        pairs = [(row, paged[row["group"], row["head_dim"]]) for row in own if not row["is_paged"]]
        yield f"#### Kernels for {chip}"
        yield _table(header, (_decode_row(*pair) for pair in pairs))


def _decode_row(contiguous: Row, paged: Row) -> tuple[str, ...]:
    rows = (contiguous, paged)
    return (
        f"gqa {contiguous['group']} D{contiguous['head_dim']}",
        _each(lambda row: _ratio(row["kv_bytes"]), *rows),
        _time(contiguous),
        _time(paged),
        _each(lambda row: row["bound"], *rows),
        _each(_dram_share, *rows),
        _each(lambda row: _ratio(row["over_best_other"]), *rows),
    )


def mask_tiles(rows: Sequence[Row]) -> Iterator[str]:
    own = [row for row in _ours(rows, "auxiliary") if row["function"] == "label_mask_tiles"]
    header: tuple[str, ...] = (
        "mask",
        "kernel for",
        "mask loaded ÷ its bytes",
        "labels stored ÷ fewest",
        "barriers a tile",
    )
    header += (f"{MODELLED}, us", "bound by", "DRAM alone ÷ time", "÷ time of D64 full fp16 prefill")
    calls = {row["chip"]: row for row in _ours(rows, "prefill") if row["call"] == "D64 full fp16"}
    yield (
        f"A mask [{LENGTH}, {LENGTH}] that all heads share, with the tiles of D64 fp16 prefill; the last column is over the "
        f"time of such a call without a mask, {HEADS} heads. {HOW}"
    )
    yield _table(
        header,
        (
            (
                row["element"],
                row["chip"],
                _ratio(row["loaded"]),
                _ratio(row["stored"]),
                _ratio(row["barriers"]),
                _time(row),
                row["bound"],
                _dram_share(row),
                f"{row['seconds'] / calls[row['chip']]['seconds']:.3f}",
            )
            for row in own
        ),
    )


def merges_and_cache(rows: Sequence[Row]) -> Iterator[str]:
    """Yield one table: these kernels are the same for all chips, and so are their counts."""
    own = [row for row in _ours(rows, "auxiliary") if row["function"] != "label_mask_tiles"]
    by_call: dict[str, dict[str, Row]] = {}
    for row in own:
        by_call.setdefault(row["call"], {})[row["chip"]] = row
    header: tuple[str, ...] = (
        "call",
        "loaded ÷ fewest",
        "stored ÷ fewest",
        "MB that must be moved",
        "barriers of a threadgroup",
    )
    header += (*(f"{chip}, {MODELLED}, us" for chip in FAMILIES), "bound by", "DRAM alone ÷ time")
    yield (
        f"fp16; merges: {DECODE_HEADS} heads, head dim {CACHE_HEAD_DIM}, a row a head for `merge_splits`; cache: "
        f"{CACHE_HEADS} kv heads, head dim {CACHE_HEAD_DIM}, blocks of {BLOCK_SIZE}. Cells with two figures are "
        f"{' / '.join(FAMILIES)}. {HOW}"
    )
    yield _table(header, (_merge_row([found[chip] for chip in FAMILIES]) for found in by_call.values()))


def _merge_row(chips: Sequence[Row]) -> tuple[str, ...]:
    return (
        f"`{chips[0]['function']}`, {chips[0]['what']}",
        _each(lambda row: _ratio(row["loaded"]), *chips),
        _each(lambda row: _ratio(row["stored"]), *chips),
        f"{chips[0]['fewest_bytes'] / 1e6:.2f}",
        _each(lambda row: _ratio(row["barriers"]), *chips),
        *map(_time, chips),
        _each(lambda row: row["bound"], *chips),
        _each(_dram_share, *chips),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(table(header, rows))


#: By the name of the page in docs/kernels.
PAGES: dict[str, Callable[[Sequence[Row]], Iterator[str]]] = {
    "prefill": prefill,
    "mask_tiles": mask_tiles,
    "decode": decode,
    "merges_and_cache": merges_and_cache,
}


def text_of(page: str, rows: Sequence[Row]) -> str:
    """Return what a page says of the rows of kernels.json."""
    return "\n\n".join(PAGES[page](rows)) + "\n"

"""Plots of what was counted, modelled and measured on a GPU; bench/report.py has that of the CPU's times."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.nvidia.names import CHIPS, NAIVE, NATIVE, OURS

Row = Mapping[str, Any]

_COLOURS = {
    f"{OURS}, M1 Max": "#0b5fa5",
    f"{OURS}, M4 Pro": "#3fa7d6",
    "PyTorch": "#d1570a",
    "MLX": "#8f5fb0",
    NAIVE: "#7a7a7a",
    NATIVE: "#3c8c40",
}


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _finish(figure: Any, path: Path, title: str) -> None:
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    _pyplot().close(figure)


def _style(axis: Any) -> None:
    axis.grid(alpha=0.25)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _legend(axis: Any) -> None:
    if axis.has_data():
        axis.legend(fontsize=7.5, frameon=False)


def _lines(axis: Any, rows: Sequence[Row], over: str) -> None:
    """Draw milliseconds of each kernel over a field of the rows; of PyTorch's and MLX's passes, the faster."""
    for kernel, colour in _COLOURS.items():
        points: dict[int, float] = {}
        for row in rows:
            if row["kernel"].startswith(kernel) and "median" in row:
                points[row[over]] = min(points.get(row[over], float("inf")), row["median"] * 1e3)
        if points:
            style = "--" if kernel in (NATIVE, NAIVE) else "-"
            axis.plot(*zip(*sorted(points.items()), strict=True), style, color=colour, marker="o", ms=4, label=kernel)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    _style(axis)


def gpu_prefill(path: Path, rows: Sequence[Row], gpu: str) -> None:
    """Draw time against N, fp16."""
    chosen = [row for row in rows if row["kind"] == "PrefillTiming" and not row["window"] and row["dtype"] == "fp16"]
    figure, axes = _pyplot().subplots(2, 3, figsize=(14, 8), sharex=True)
    for line, is_causal in zip(axes, (False, True), strict=True):
        for axis, head_dim in zip(line, (64, 96, 128), strict=True):
            of = [row for row in chosen if (row["is_causal"], row["head_dim"]) == (is_causal, head_dim)]
            _lines(axis, of, "length")
            axis.set_title(f"D{head_dim}, {'causal' if is_causal else 'full'}", fontsize=10, loc="left")
            lengths = sorted({row["length"] for row in of})
            axis.set_xticks(lengths, [str(length) for length in lengths])
        line[0].set_ylabel("milliseconds a call")
    _legend(axes[0][0])
    for axis in axes[1]:
        axis.set_xlabel("queries and keys N (batch 4096 / N, at least 1)")
    _finish(
        figure,
        path,
        f"Prefill, fp16, 16 heads: Metal kernels on one {gpu}, measured through metalsim.cuda. Not Apple times",
    )


def gpu_decode(path: Path, rows: Sequence[Row], gpu: str) -> None:
    """Draw time against the context, fp16 D128 batch 16."""
    chosen = [row for row in rows if row["kind"] == "DecodeTiming"]
    chosen = [row for row in chosen if (row["dtype"], row["head_dim"], row["batch"]) == ("fp16", 128, 16)]
    figure, axes = _pyplot().subplots(2, 4, figsize=(16, 7.5), sharex=True)
    for line, is_paged in zip(axes, (False, True), strict=True):
        for axis, group in zip(line, (1, 4, 8, 16), strict=True):
            own = [row for row in chosen if row["group"] == group and row["is_paged"] == is_paged]
            _lines(axis, own, "context")
            axis.set_title(f"gqa {group}, {'paged' if is_paged else 'contiguous'}", fontsize=10, loc="left")
            contexts = sorted({row["context"] for row in own})
            axis.set_xticks(contexts, [f"{context // 1024}K" for context in contexts])
        line[0].set_ylabel("milliseconds a call")
    _legend(axes[0][0])
    for axis in axes[1]:
        axis.set_xlabel("context")
    title = f"Decode, fp16 D128, 32 heads, batch 16, on one {gpu}, measured through metalsim.cuda. Not Apple times"
    _finish(figure, path, title)


def kernel_bytes(path: Path, rows: Sequence[Row]) -> None:
    """Draw bytes loaded from device memory over the fewest: of query, key and value each once."""
    figure, axes = _pyplot().subplots(1, 2, figsize=(15, 5.5))
    for axis, kind in zip(axes, ("prefill", "decode"), strict=True):
        own = [row for row in rows if row["kind"] == kind and "fp16" in row["call"]]
        calls = list(dict.fromkeys(row["call"] for row in own if "contiguous" in row["call"] or kind == "prefill"))
        bars: dict[str, dict[str, float]] = {}
        for row in own:
            name = f"{OURS}, {row['chip']}" if row["kernel"] == OURS else row["kernel"].split(",")[0]
            bars.setdefault(name, {})[row["call"]] = row["bytes_over_fewest"]
        width = 0.8 / len(bars)
        for n, (name, values) in enumerate(bars.items()):
            places = [x + (n - len(bars) / 2 + 0.5) * width for x in range(len(calls))]
            axis.bar(places, [values.get(call, 0) for call in calls], width, color=_COLOURS.get(name), label=name)
        axis.set_xticks(range(len(calls)), calls, rotation=40, ha="right", fontsize=8)
        axis.axhline(1, color="black", lw=0.8, ls="--")
        axis.set_ylabel("bytes loaded ÷ fewest")
        axis.set_title(
            f"{kind}: {'Q, K and V' if kind == 'prefill' else 'K and V'} once each is 1", fontsize=10, loc="left"
        )
        axis.set_yscale("log")
        _style(axis)
    axes[0].legend(fontsize=8, frameon=False)
    _finish(figure, path, "Bytes loaded from device memory, counted by metalsim: facts of the kernels, of no machine")


def utilisation(path: Path, rows: Sequence[Row]) -> None:
    """Draw the modelled share of the peak rate of matrix products, with its range."""
    own = [row for row in rows if row["kind"] == "prefill"]
    figure, axes = _pyplot().subplots(1, len(CHIPS), figsize=(15, 5.5), sharey=True)
    for axis, chip in zip(axes, CHIPS, strict=True):
        calls = list(dict.fromkeys(row["call"] for row in own))
        kernels = list(dict.fromkeys(row["kernel"] for row in own))
        for n, kernel in enumerate(kernels):
            values = {row["call"]: row for row in own if (row["chip"], row["kernel"]) == (chip, kernel)}
            shares = [values[call]["peak_seconds"] / values[call]["seconds"] for call in calls]
            low = [s - values[c]["peak_seconds"] / values[c]["high"] for s, c in zip(shares, calls, strict=True)]
            high = [values[c]["peak_seconds"] / values[c]["low"] - s for s, c in zip(shares, calls, strict=True)]
            places = [x + (n - len(kernels) / 2 + 0.5) * 0.2 for x in range(len(calls))]
            colour = _COLOURS.get(kernel, _COLOURS[f"{OURS}, {chip}"])
            axis.errorbar(places, shares, yerr=[low, high], fmt="o", ms=4, capsize=2, lw=1, color=colour, label=kernel)
        axis.set_xticks(range(len(calls)), calls, rotation=60, ha="right", fontsize=7.5)
        axis.set_title(f"{chip}, kernels planned for it", fontsize=10, loc="left")
        axis.set_ylim(0, 1)
        _style(axis)
    axes[0].set_ylabel("share of the peak rate of matrix products")
    axes[0].legend(fontsize=8, frameon=False)
    _finish(figure, path, "Utilisation in prefill (N = 1024), with its range: modelled, never run on Apple hardware")

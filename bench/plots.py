"""Plots of what was counted, modelled and measured on a GPU; bench/report.py has that of the CPU's times.

A title begins with the kind of its figures: counted, modelled, or measured and on what.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.nvidia.names import CHIPS, NAIVE, NATIVE, OURS

Row = Mapping[str, Any]

_COLOURS = {
    **dict(zip((f"{OURS}, {chip}" for chip in CHIPS), ("#0b5fa5", "#3fa7d6"), strict=True)),
    "PyTorch": "#d1570a",
    "MLX": "#8f5fb0",
    NAIVE: "#7a7a7a",
    NATIVE: "#3c8c40",
}
_LABELS = {
    **{f"{OURS}, {chip}": f"{OURS}, kernels for {chip}" for chip in CHIPS},
    "PyTorch": "PyTorch's Metal kernels",
    "MLX": "MLX's Metal kernels",
    NAIVE: "a naive Metal kernel",
}
#: Of two lines that may lie on each other, one has large open marks, the other small full ones.
_OPEN = (next(iter(_COLOURS)), "PyTorch")
_DTYPES = ("fp16", "bf16", "fp32")


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _finish(figure: Any, path: Path, title: str) -> None:
    """Write a figure with its title and one legend for all panels, below them."""
    entries: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    order = [name for name in (_LABELS.get(kernel, kernel) for kernel in _COLOURS) if name in entries]
    figure.suptitle(title, fontsize=12)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    columns = len(order) if len(order) <= 5 else 3
    handles = [entries[name] for name in order]
    figure.legend(handles, order, loc="lower center", ncols=max(1, columns), fontsize=10, frameon=False)
    figure.savefig(path, dpi=90)
    _pyplot().close(figure)


def _style(axis: Any) -> None:
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _log(axis: Any, digits: Sequence[float]) -> None:
    """Let a logarithmic y axis have plain numbers, at powers of ten times these digits."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=digits, numticks=20))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())


def _thousands(lengths: Iterable[int]) -> list[str]:
    return [f"{length // 1024}K" for length in lengths]


def _lines(axis: Any, rows: Sequence[Row], over: str) -> None:
    """Draw milliseconds of each kernel over a field of the rows; of PyTorch's and MLX's passes, the faster."""
    for kernel, colour in _COLOURS.items():
        points: dict[int, float] = {}
        for row in rows:
            if row["kernel"].startswith(kernel) and "median" in row:
                points[row[over]] = min(points.get(row[over], float("inf")), row["median"] * 1e3)
        if points:
            style = "--" if kernel in (NATIVE, NAIVE) else "-"
            marks = {"ms": 8, "mfc": "none", "mew": 1.5} if kernel in _OPEN else {"ms": 4}
            name = _LABELS.get(kernel, kernel)
            axis.plot(*zip(*sorted(points.items()), strict=True), style, color=colour, marker="o", label=name, **marks)
    axis.set_xscale("log", base=2)
    _log(axis, (1,))
    axis.minorticks_off()
    lengths = sorted({row[over] for row in rows})
    axis.set_xticks(lengths, _thousands(lengths))
    _style(axis)


def gpu_prefill(path: Path, rows: Sequence[Row], gpu: str) -> None:
    """Draw time against N, fp16."""
    chosen = [row for row in rows if row["kind"] == "PrefillTiming" and not row["window"] and row["dtype"] == "fp16"]
    figure, axes = _pyplot().subplots(2, 3, figsize=(14, 9), sharex=True, sharey=True)
    for line, is_causal in zip(axes, (False, True), strict=True):
        for axis, head_dim in zip(line, (64, 96, 128), strict=True):
            of = [row for row in chosen if (row["is_causal"], row["head_dim"]) == (is_causal, head_dim)]
            _lines(axis, of, "length")
            axis.set_title(f"head dim {head_dim}, {'causal' if is_causal else 'full'}", fontsize=11, loc="left")
        line[0].set_ylabel("milliseconds a call")
    for axis in axes[1]:
        axis.set_xlabel("queries and keys N (batch 4K / N, at least 1)")
    title = f"Measured on one {gpu} through metalsim.cuda, not Apple times: prefill, fp16, 16 heads; lower is better"
    _finish(figure, path, title)


def gpu_decode(path: Path, rows: Sequence[Row], gpu: str) -> None:
    """Draw time against the context, fp16 D128 batch 16."""
    chosen = [row for row in rows if row["kind"] == "DecodeTiming"]
    chosen = [row for row in chosen if (row["dtype"], row["head_dim"], row["batch"]) == ("fp16", 128, 16)]
    figure, axes = _pyplot().subplots(2, 4, figsize=(16, 8.5), sharex=True, sharey=True)
    for line, is_paged in zip(axes, (False, True), strict=True):
        for axis, group in zip(line, (1, 4, 8, 16), strict=True):
            own = [row for row in chosen if row["group"] == group and row["is_paged"] == is_paged]
            _lines(axis, own, "context")
            axis.set_title(f"gqa {group}, {'paged' if is_paged else 'contiguous'}", fontsize=11, loc="left")
        line[0].set_ylabel("milliseconds a call")
    for axis in axes[1]:
        axis.set_xlabel("keys")
    title = (
        f"Measured on one {gpu} through metalsim.cuda, not Apple times: decode, fp16, head dim 128, 32 heads, batch 16"
    )
    _finish(figure, path, f"{title}\nlower is better; PyTorch and MLX have no Metal kernel for paged caches")


def kernel_bytes(path: Path, rows: Sequence[Row]) -> None:
    """Draw bytes loaded from device memory over the fewest: of query, key and value each once."""
    figure, axes = _pyplot().subplots(1, 2, figsize=(15, 6), width_ratios=(1, 1.7))
    for axis, kind in zip(axes, ("prefill", "decode"), strict=True):
        own = [row for row in rows if row["kind"] == kind and row["dtype_name"] == "fp16" and not row.get("is_paged")]
        calls = list(dict.fromkeys(row["call"] for row in own))
        bars: dict[str, dict[str, float]] = {name: {} for name in _COLOURS}
        for row in own:
            name = f"{OURS}, {row['chip']}" if row["kernel"] == OURS else row["kernel"].split(",")[0]
            bars[name][row["call"]] = min(row["bytes_over_fewest"], bars[name].get(row["call"], float("inf")))
        bars = {name: values for name, values in bars.items() if values}
        width = 0.8 / len(bars)
        for n, (name, values) in enumerate(bars.items()):
            places = [x + (n - len(bars) / 2 + 0.5) * width for x in range(len(calls))]
            label = _LABELS.get(name, name)
            axis.bar(places, [values[call] for call in calls], width, color=_COLOURS[name], label=label)
        names = [call.replace(" contiguous", "").replace(" fp16", "") for call in calls]
        axis.set_xticks(range(len(calls)), names, rotation=40, ha="right", fontsize=10)
        axis.axhline(1, color="black", lw=0.8, ls="--")
        least = "Q, K and V" if kind == "prefill" else "K and V"
        what = "prefill" if kind == "prefill" else "decode, contiguous"
        axis.set_title(f"{what}: 1 (dashed) is {least} once each", fontsize=11, loc="left")
        _log(axis, (1, 2, 5))
        axis.set_ylim(bottom=0.5)
        _style(axis)
    axes[0].set_ylabel("bytes loaded ÷ fewest, logarithmic")
    _finish(
        figure, path, "Counted by metalsim: bytes loaded from device memory, fp16. Facts of the kernels, of no machine"
    )


def utilisation(path: Path, rows: Sequence[Row]) -> None:
    """Draw the modelled share of the peak rate of matrix products, with its range."""
    own = [row for row in rows if row["kind"] == "prefill"]
    calls = [call for dtype in _DTYPES for call in dict.fromkeys(r["call"] for r in own if r["dtype_name"] == dtype)]
    kernels = list(dict.fromkeys(row["kernel"] for row in own))
    figure, axes = _pyplot().subplots(1, len(CHIPS), figsize=(16, 6.5), sharey=True)
    for axis, chip in zip(axes, CHIPS, strict=True):
        for n, kernel in enumerate(kernels):
            values = {row["call"]: row for row in own if (row["chip"], row["kernel"]) == (chip, kernel)}
            shares = [values[call]["peak_seconds"] / values[call]["seconds"] for call in calls]
            low = [s - values[c]["peak_seconds"] / values[c]["high"] for s, c in zip(shares, calls, strict=True)]
            high = [values[c]["peak_seconds"] / values[c]["low"] - s for s, c in zip(shares, calls, strict=True)]
            places = [x + (n - len(kernels) / 2 + 0.5) * 0.25 for x in range(len(calls))]
            name = f"{OURS}, {chip}" if kernel == OURS else kernel
            style = {"fmt": "o", "ms": 5, "capsize": 2, "lw": 1.2}
            label = _LABELS.get(name, name)
            axis.errorbar(places, shares, yerr=[low, high], color=_COLOURS[name], label=label, **style)
        _name_calls(axis, calls)
        axis.axhline(1, color="black", lw=0.8, ls="--")
        axis.set_title(f"{chip}: 1 (dashed) is its peak", fontsize=11, loc="left")
        axis.set_ylim(0, 1.3)
        _style(axis)
    axes[0].set_ylabel("share of the peak rate of matrix products")
    title = "Modelled, never run on Apple hardware: utilisation in prefill (N = 1024), with the model's range"
    _finish(figure, path, title)


def _name_calls(axis: Any, calls: Sequence[str]) -> None:
    """Name calls of prefill below an axis, their dtypes above groups of them."""
    names = [call.rsplit(" ", 1)[0] for call in calls]
    axis.set_xticks(range(len(calls)), names, rotation=60, ha="right", fontsize=9.5)
    for dtype in _DTYPES:
        own = [n for n, call in enumerate(calls) if call.endswith(dtype)]
        if own:
            axis.text((own[0] + own[-1]) / 2, 1.24, dtype, ha="center", fontsize=11)
            if own[0]:
                axis.axvline(own[0] - 0.5, color="#999999", lw=0.8)

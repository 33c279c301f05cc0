"""Each family of kernels: compiled in all dtypes and common head dims, then launched by the smallest call that selects it."""

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from torch_fused_attn.doctor import environment
from torch_fused_attn.doctor.finding import Finding, failed, ok, skipped
from torch_fused_attn.kernel_error import KernelError

#: What is compiled. Elements are the kernels' names of dtypes.
HEAD_DIMS = (64, 96, 128, 256)
ELEMENTS = {"fp32": "float", "fp16": "half", "bf16": "bfloat"}

#: A kernel as ``_C.kernel_plan`` describes it, and as the doctor calls it.
Labelled = tuple[str, dict[str, Any]]

HEAD_DIM, BLOCK_SIZE = 64, 16
#: Keys of a call whose work is split among threadgroups, and merged again.
SPLIT_KEYS = 2048


@dataclass(frozen=True)
class Plans:
    """What kernels there are for a GPU, element and head dim.

    Attributes:
        gpu: its family and cores.
        dtype_name: a key of ``ELEMENTS``.
        head_dim: of keys and values.
    """

    gpu: tuple[int, int]
    dtype_name: str
    head_dim: int

    def attention(self, rows: int, keys: int, heads: int, *sources: str, mask: str = "none") -> Iterator[Labelled]:
        """Yield the kernels of a call for each of the places where keys and values can lie."""
        family, cores = self.gpu
        for source in sources:
            plan = _c().kernel_plan(
                family=family,
                cores=cores,
                element=ELEMENTS[self.dtype_name],
                source=source,
                batch=1,
                num_heads=heads,
                num_kv_heads=1,
                len_q=rows,
                len_k=keys,
                total_q=rows,
                head_dim=self.head_dim,
                head_dim_v=self.head_dim,
                block_size=BLOCK_SIZE,
                mask=mask,
                has_aligned_rows=True,
            )
            for launch in (plan["mask_tiles"], plan["attention"], plan["merge"]):
                if launch is not None:
                    yield f"{launch['kernel']} {self.dtype_name} D{self.head_dim} {source}, {rows * heads} rows", launch

    def merge_states(self) -> Iterator[Labelled]:
        """Yield the kernel of the operator of this name."""
        launch = _c().merge_plan(ELEMENTS[self.dtype_name], self.head_dim)
        yield f"merge_states {self.dtype_name} D{self.head_dim}", launch


def _c() -> Any:
    return importlib.import_module("torch_fused_attn._C")


@dataclass(frozen=True)
class Family:
    """A family of kernels.

    Attributes:
        name: as docs/kernels.md has it.
        launched: the kernels that the call launches.
        call: makes tensors on a device, and returns a call that launches them.
        kernels: all that are compiled.
    """

    name: str
    launched: tuple[str, ...]
    call: Callable[[str], Callable[[], object]]
    kernels: Callable[[Plans], Iterable[Labelled]]


def _random(device: str, *sizes: int, dtype: torch.dtype = torch.float16) -> Tensor:
    return torch.randn(*sizes, dtype=dtype).to(device)


def _attention(device: str, rows: int, keys: int, heads: int, *, masked: bool = False) -> Callable[[], object]:
    query, key = _random(device, 1, heads, rows, HEAD_DIM), _random(device, 1, 1, keys, HEAD_DIM)
    mask = torch.ones(rows, keys, dtype=torch.bool).to(device) if masked else None
    return lambda: torch.ops.fused_attn.forward(query, key, key, attn_mask=mask)


def _merge_states(device: str) -> Callable[[], object]:
    out, lse = _random(device, 1, 1, 4, HEAD_DIM), _random(device, 1, 1, 4, dtype=torch.float32)
    return lambda: torch.ops.fused_attn.merge_states(out, lse, out, lse)


def _reshape_and_cache(device: str) -> Callable[[], object]:
    tokens, cache = _random(device, 4, 1, HEAD_DIM), _random(device, 2, BLOCK_SIZE, 1, HEAD_DIM)
    other, slots = cache.clone(), torch.arange(4).to(device)
    return lambda: torch.ops.fused_attn.reshape_and_cache_(tokens, tokens, cache, other, slots)


def _copy_blocks(device: str) -> Callable[[], object]:
    cache = _random(device, 2, BLOCK_SIZE, 1, HEAD_DIM)
    other, pairs = cache.clone(), torch.tensor([[0, 1]]).to(device)
    return lambda: torch.ops.fused_attn.copy_blocks_(cache, other, pairs)


FAMILIES = (
    Family(
        "prefill",
        ("prefill",),
        lambda device: _attention(device, 16, 16, 1),
        lambda plans: plans.attention(1024, 1024, 1, "dense", "packed", "paged"),
    ),
    Family(
        "mask tiles",
        ("label_mask_tiles", "prefill"),
        lambda device: _attention(device, 16, 16, 1, masked=True),
        lambda plans: plans.attention(1024, 1024, 1, "dense", mask="bool"),
    ),
    Family(
        "decode, rows as vectors",
        ("decode",),
        lambda device: _attention(device, 1, 16, 1),
        lambda plans: (kernel for rows in (1, 4) for kernel in plans.attention(1, 16, rows, "dense", "paged")),
    ),
    Family(
        "decode, rows as matrices",
        ("decode",),
        lambda device: _attention(device, 1, 16, 8),
        lambda plans: (kernel for rows in (8, 32) for kernel in plans.attention(1, 16, rows, "dense", "paged")),
    ),
    Family(
        "merge of split keys",
        ("decode", "merge_splits"),
        lambda device: _attention(device, 1, SPLIT_KEYS, 1),
        lambda plans: plans.attention(1, SPLIT_KEYS, 1, "dense"),
    ),
    Family("merge of states", ("merge_states",), _merge_states, Plans.merge_states),
    Family(
        "cache writes",
        ("reshape_and_cache",),
        _reshape_and_cache,
        lambda _: [("reshape_and_cache", _c().cache_plan(1))],
    ),
    Family("block copies", ("copy_blocks",), _copy_blocks, lambda _: [("copy_blocks", _c().copy_plan(1, 1))]),
)


@dataclass(frozen=True)
class Compiled:
    """What became of a kernel.

    Attributes:
        label: what the doctor calls it.
        seconds: how long it took.
        error: why there is none.
    """

    label: str
    seconds: float
    error: Exception | None


def _compile(label: str, launch: dict[str, Any]) -> Compiled:
    """Compile a kernel as the backend does, without running it. Python's other threads go on meanwhile."""
    constants: dict[int, bool | int] = launch["constants"]
    bools = {index: value for index, value in constants.items() if isinstance(value, bool)}
    uints = {index: value for index, value in constants.items() if index not in bools}
    start, error = time.perf_counter(), None
    try:
        torch.ops.fused_attn.mps_compile(
            launch["file"], launch["kernel"], launch["macros"], bools, uints, launch["threads"]
        )
    except Exception as raised:
        error = raised
    return Compiled(label, time.perf_counter() - start, error)


def _show_progress(done: int, total: int) -> None:
    """Draw a bar, where somebody looks at it; the last call takes it away."""
    if sys.stderr.isatty():
        width = 40
        line = f"  compiling [{'#' * (width * done // total):<{width}}] {done} of {total}"
        print(f"\r{line if done < total else ' ' * len(line)}", end="\r", file=sys.stderr, flush=True)


def compile_all(kernels: dict[str, list[Labelled]]) -> dict[str, list[Compiled]]:
    """Compile kernels, as many at once as there are processors.

    Args:
        kernels: by the name of their family.

    Returns:
        What became of each, likewise, in the same order. A kernel that two families need is compiled once, for the first.
    """
    seen: set[str] = set()
    done: dict[str, dict[str, Compiled]] = {family: {} for family in kernels}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {}
        for family, of_family in kernels.items():
            for label, launch in of_family:
                key = str([launch[name] for name in ("library", "kernel", "constants", "threads")])
                if key not in seen:
                    seen.add(key)
                    jobs[pool.submit(_compile, label, launch)] = family
        for number, job in enumerate(as_completed(jobs), 1):
            result = job.result()
            done[jobs[job]][result.label] = result
            _show_progress(number, len(jobs))
    return {
        family: [done[family][label] for label in dict(kernels[family]) if label in done[family]] for family in done
    }


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    torch.mps.synchronize()
    return time.perf_counter() - start


_NEXT_STEP = (
    "attach the file that `python -m torch_fused_attn doctor --report` writes to an issue; until that is solved, "
    "torch_fused_attn.sdpa, swap_attention and transformers turn to stock attention by themselves, and other calls work "
    'on tensors that were moved to "cpu"'
)


def _refused(section: str, family: str, compiled: Sequence[Compiled]) -> Iterator[Finding]:
    """Yield a line for each reason, however many kernels have it."""
    by_reason: dict[str, list[Compiled]] = {}
    for kernel in compiled:
        if kernel.error is not None:
            reason = kernel.error.reason if isinstance(kernel.error, KernelError) else str(kernel.error)
            by_reason.setdefault(reason, []).append(kernel)
    for reason, kernels in by_reason.items():
        labels = "; ".join(kernel.label for kernel in kernels[:2])
        labels += f"; and {len(kernels) - 2} more" if len(kernels) > 2 else ""
        text = f"{family}: {len(kernels)} of {len(compiled)} kernels do not compile ({labels}): {reason}"
        details = "\n\n".join(
            f"{error.kernel}\n{error.details}" if isinstance(error := kernel.error, KernelError) else str(error)
            for kernel in kernels
        )
        yield failed(section, text, _NEXT_STEP, details)


def check_kernels(
    section: str, head_dims: Sequence[int] | None = None, dtype_names: Sequence[str] | None = None
) -> Iterator[Finding]:
    """Compile every family of kernels on the mps device, launch one of each, and say how long that takes.

    Args:
        section: the heading of the findings.
        head_dims: for which kernels are compiled; default: ``HEAD_DIMS``, or 64 where the device is simulated.
        dtype_names: likewise, keys of ``ELEMENTS``; default: all, or "fp16" where the device is simulated.

    Yields:
        For each family a line, or one for each reason why its kernels do not compile.
    """
    if not torch.backends.mps.is_available():
        yield skipped(section, "there is no mps device: Metal kernels are compiled where there is one")
        return
    try:
        _, *gpu = environment.describe_device()
    except Exception:
        yield skipped(section, "not tried: the MPS backend does not answer")
        return
    # On the simulated device it is not Apple's compiler that is looked at, and a kernel takes a second.
    simulated = environment.is_simulated()
    head_dims = head_dims or ((HEAD_DIM,) if simulated else HEAD_DIMS)
    dtype_names = dtype_names or (("fp16",) if simulated else tuple(ELEMENTS))
    plans = [Plans((gpu[0], gpu[1]), name, head_dim) for name, head_dim in product(dtype_names, head_dims)]
    kernels = {family.name: [kernel for plan in plans for kernel in family.kernels(plan)] for family in FAMILIES}
    results = compile_all(kernels)
    for family in FAMILIES:
        compiled = results[family.name]
        refused = list(_refused(section, family.name, compiled))
        yield from refused
        try:
            with torch.no_grad():
                call = family.call("mps")
                torch.mps.synchronize()
                _seconds(call)
                again = _seconds(call)
        except Exception as error:
            if not (refused and isinstance(error, KernelError)):
                details = error.details if isinstance(error, KernelError) else ""
                yield failed(section, f"{family.name}: {error}", _NEXT_STEP, details)
            continue
        if not refused:
            slowest = max(compiled, key=lambda kernel: kernel.seconds)
            yield ok(
                section,
                f"{family.name}: {len(compiled)} compiled, the slowest in {slowest.seconds:.2f} s ({slowest.label}); a small "
                f"call takes {again * 1e3:.1f} ms",
                "\n".join(f"{kernel.seconds:6.2f} s  {kernel.label}" for kernel in compiled),
            )

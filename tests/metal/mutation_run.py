"""Runs mutations of this package's own kernels, all of them or those with a part of a name, and prints what came of them.

    python tests/metal/mutation_run.py [PART]

tests/mutation.py says what a mutation is. A workload is a test of this suite, so a mistake is found if that test fails.
Compiling all mistaken kernels takes minutes the first time, and whenever a kernel changed.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.append(str(Path(__file__).resolve().parents[2]))
sys.path.append(str(Path(__file__).resolve().parents[1]))

import launch
import torch
from detection import LEAST_RATE, Detections
from launch import METAL
from mutation import Mutation, outcome_of, read_mutations
from mutation_workloads import WORKLOADS
from torch import Tensor

import metalsim
from metalsim import cache

#: Larger buffers are hardly ever touched, and are not recorded.
RECORDED_BYTES = 1 << 26
MUTATIONS = read_mutations(Path(__file__).parent / "mutations")


def mutated_kernels(mutation: Mutation) -> Path:
    """Return a copy of metal/ with the mistake, in a folder whose name says what is in it: the cache finds it again."""
    texts = {path.name: path.read_text() for path in sorted(METAL.iterdir()) if path.suffix in (".h", ".metal")}
    texts[mutation.header] = mutation.apply(texts[mutation.header])

    def build(folder: Path) -> None:
        for name, text in texts.items():
            (folder / name).write_text(text)

    return cache.entry("mutations", cache.digest(*(part for item in texts.items() for part in item)), build)


@contextmanager
def kernels_of(folder: Path) -> Iterator[list[str]]:
    """Let tests take their kernels from a folder; yields what every dispatch's buffers hold after it, as digests."""
    results: list[str] = []
    dispatch = metalsim.Pipeline.dispatch

    def recorded(
        pipeline: metalsim.Pipeline,
        threadgroups: Any,
        threads_per_threadgroup: Any,
        buffers: Mapping[int, Any],
        **options: Any,
    ) -> metalsim.Run:
        run = dispatch(pipeline, threadgroups, threads_per_threadgroup, buffers, **options)
        for _, buffer in sorted(buffers.items()):
            if isinstance(buffer, Tensor) and buffer.untyped_storage().nbytes() < RECORDED_BYTES:
                stored = torch.empty(0, dtype=torch.uint8).set_(buffer.untyped_storage())
                results.append(hashlib.sha256(stored.numpy()).hexdigest())
        return run

    with (
        mock.patch.object(launch, "METAL", folder),
        mock.patch.object(launch, "_library", launch._library.__wrapped__),
        mock.patch.object(launch, "_pipeline", launch._pipeline.__wrapped__),
        mock.patch.object(metalsim.Pipeline, "dispatch", recorded),
    ):
        yield results


def run_with(folder: Path, workload: str) -> list[str]:
    """Run a workload with the kernels of a folder."""
    with kernels_of(folder) as results, torch.no_grad():
        torch.manual_seed(0)
        WORKLOADS[workload]()
    return results


def outcome(mutation: Mutation) -> str:
    """Return what comes of a mutation."""
    changed: list[str] = []
    return outcome_of(
        mutation,
        lambda: changed.extend(run_with(mutated_kernels(mutation), mutation.workload)),
        lambda: run_with(METAL, mutation.workload) == changed,
    )


def main(part: str = "") -> int:
    """Print what comes of all mutations in whose name or workload ``part`` is; 1 if that is not as expected."""
    chosen = [mutation for mutation in MUTATIONS if part in str(mutation)]
    detections = Detections("mutations of this package's kernels")
    unexpected = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for mutation, found in zip(chosen, pool.map(outcome, chosen), strict=True):
            detections.outcomes[str(mutation)] = found
            as_expected = "" if found == mutation.expected else f"   NOT {mutation.expected}"
            unexpected += bool(as_expected)
            print(f"{found:30} {mutation.header:18} {mutation}{as_expected}", flush=True)
    print(detections)
    return int(unexpected > 0 or detections.rate < LEAST_RATE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

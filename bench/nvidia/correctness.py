"""Runs problems on the GPU and judges them; a problem that fails is noted, and the next one runs."""

import gc
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

from bench.nvidia.kernels import Bound, ours
from bench.nvidia.pipelines import Store
from bench.nvidia.problems import Built, Problem, build, judge

#: Query rows that torch's attention computes at a time, and the largest difference from it by element type: both round to
#: the type, and torch's weights once more.
_TORCH_TOLERANCE = {"half": 4e-3, "bfloat": 3e-2, "float": 1e-4}


@dataclass
class Verdict:
    """What became of a problem."""

    name: str
    is_right: bool
    rows: int  #: that were compared with float64, over all heads
    from_torch: float | None  #: largest difference from torch's CUDA attention, over the whole result
    error: str
    seconds: float


#: A plan splits no fewer keys than this.
_SPLIT_KEYS = 4096


def bind(problem: Problem, built: Built, store: Store) -> Bound:
    """Bind our kernels for a problem."""
    if not problem.is_split:
        return ours(store, problem.name, built.call, problem.family, "exact")
    # Parts of a step each, where a plan for so few keys would have one: what differs is a number in the parameters.
    changes = {"len_k": max(_SPLIT_KEYS, built.call.len_k), "window_left": -1}
    return ours(store, problem.name, built.call, problem.family, "exact", splits_finely=True, **changes)


def run_problem(problem: Problem, store: Store, is_judged: bool = True) -> Verdict:
    start = time.perf_counter()
    rows, from_torch, error = 0, None, ""
    try:
        built = build(problem, "cuda")
        bind(problem, built, store).run()
        torch.cuda.synchronize()
        rows = judge(problem, built) if is_judged else 0
        if problem.is_compared_in_full and is_judged:
            from_torch = _difference_from_torch(problem, built)
            limit = _TORCH_TOLERANCE[problem.element]
            assert from_torch <= limit, f"out differs by {from_torch:.3g} from torch's, and may by {limit}"
    except Exception as problem_error:  # the next problem shall run, whatever it was
        error = f"{type(problem_error).__name__}: {problem_error}"[:600]
    return Verdict(problem.name, not error, rows, from_torch, error, round(time.perf_counter() - start, 2))


def _difference_from_torch(problem: Problem, built: Built) -> float:
    """Return the largest difference of the whole result from torch's; one batch entry at a time."""
    worst = 0.0
    for b in range(len(problem.lengths)):
        expected = F.scaled_dot_product_attention(
            built.query[b : b + 1],
            built.key[b : b + 1],
            built.value[b : b + 1],
            is_causal=bool(built.options.get("is_causal")),
            enable_gqa=problem.heads[0] != problem.heads[1],
        )
        worst = max(worst, float((expected[0].float() - built.call.out[b].float()).abs().max()))
    return worst


def run_problems(
    problems: Sequence[Problem], store: Store, deadline: float, is_judged: bool = True
) -> list[dict[str, object]]:
    """Run problems until the clock says ``deadline``; what is left then has no verdict."""
    verdicts = []
    for problem in problems:
        if time.monotonic() > deadline:
            print(f"out of time: {len(problems) - len(verdicts)} problems are left", flush=True)
            break
        verdict = run_problem(problem, store, is_judged)
        verdicts.append(asdict(verdict))
        if not verdict.is_right:
            print(f"WRONG {verdict.name}: {verdict.error}", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
        if "CUDA" in verdict.error and "error" in verdict.error.lower() and "out of memory" not in verdict.error:
            print("the GPU is lost: nothing else can run in this process", flush=True)
            break
    right = sum(bool(verdict["is_right"]) for verdict in verdicts)
    print(f"{right} of {len(problems)} problems are right", flush=True)
    return verdicts

"""From the counts of small runs to those of a large one, exactly.

A run of N = 4096 takes minutes in the simulator; one of 64 takes milliseconds. No estimate is needed to get from one to
the
other:

* **Threadgroups of equal work** (heads, batches): they share nothing, so every count of the whole is a multiple of the
  count of one. :func:`repeat`.
* **Sequence length**: a kernel that walks tiles executes, for lengths that are multiples of its tiles, the same
  instructions in every tile. With N / BQ query tiles of N / BK steps, each count is a + b N + c N^2 -- also under a
  causal mask, where the number of tiles below the diagonal is such a polynomial. Three runs determine it, and
  Lagrange's formula evaluates it as a linear combination of the three runs. The arithmetic is of fractions: a
  combination that is not a whole number shows that the count is no such polynomial (a length that is no multiple of the
  tile, work that depends on the data), and is refused. :func:`extrapolate`. A fourth run tests the assumption.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, cast

from ..counts import Counts


def repeat(counts: Counts, factor: int) -> Counts:
    """Return the counts of ``factor`` times as many threadgroups that do the same work.

    Args:
        counts: of a run with fewer heads or batches.
        factor: how many times its threadgroups the large run has.

    Raises:
        ValueError: ``factor`` is not positive.
    """
    if factor < 1:
        raise ValueError(f"factor is {factor} and must be at least 1: it multiplies the threadgroups of the run.")
    return replace(_combine([counts], [Fraction(factor)]), threadgroup_memory=counts.threadgroup_memory)


def extrapolate(runs: Mapping[int, Counts], size: int) -> Counts:
    """Return the counts at ``size`` of the polynomial through the given runs: three runs for a polynomial of degree two.

    Args:
        runs: counts by size. All sizes must be multiples of the kernel's tiles, and all else must be equal.
        size: where to evaluate; a multiple of the tiles, too.

    Raises:
        ValueError: a count at ``size`` is not a whole number, so it is not such a polynomial of the size.
    """
    if len(runs) < 2:
        raise ValueError(
            f"{len(runs)} run was given and at least 2 are needed: 3 determine a count that grows with the square."
        )
    weights = []
    for point in runs:
        weight = Fraction(1)
        for other in runs:
            if other != point:
                weight *= Fraction(size - other, point - other)
        weights.append(weight)
    try:
        return _combine(list(runs.values()), weights)
    except ArithmeticError as error:
        sizes = ", ".join(map(str, runs))
        raise ValueError(
            f"counts at sizes {sizes} are not on a polynomial of degree {len(runs) - 1} at {size} ({error}): "
            "take sizes that are multiples of the kernel's tiles."
        ) from error


def inner_steps(runs: Mapping[int, Counts]) -> Counts:
    """Return the counts of inner steps alone, without what each threadgroup or each query tile does once.

    Of three runs at evenly spaced sizes it is the second difference, 2 c d^2 for a count a + b N + c N^2 and the spacing d.
    That is the work of ``2 d^2 / (BQ BK)`` steps of a threadgroup whose query tile has BQ rows and whose step has BK keys.

    Raises:
        ValueError: the runs are not three, or not evenly spaced.
    """
    sizes = sorted(runs)
    if len(sizes) != 3 or sizes[1] - sizes[0] != sizes[2] - sizes[1]:
        raise ValueError(f"runs at sizes {', '.join(map(str, sizes))} were given and must be three, evenly spaced.")
    return _combine([runs[size] for size in sizes], [Fraction(1), Fraction(-2), Fraction(1)])


def _combine(items: Sequence[Counts], weights: Sequence[Fraction]) -> Counts:
    return cast(Counts, _combine_values("counts", items, weights))


def _combine_values(name: str, items: Sequence[Any], weights: Sequence[Fraction]) -> Any:
    """Return the weighted sum of equally shaped values: numbers, mappings to such values, or dataclasses of them."""
    first = items[0]
    if isinstance(first, int):
        total = sum((weight * item for weight, item in zip(weights, items, strict=True)), Fraction(0))
        if total.denominator != 1 or total < 0:
            raise ArithmeticError(f"{name} would be {total}")
        return int(total)
    if isinstance(first, dict):
        keys = {key: value for item in items for key, value in item.items()}
        return {
            key: _combine_values(f"{name}[{key!r}]", [item.get(key, _zero_of(value)) for item in items], weights)
            for key, value in sorted(keys.items())
        }
    if is_dataclass(first) and not isinstance(first, type):
        combined = {
            entry.name: _combine_values(entry.name, [getattr(item, entry.name) for item in items], weights)
            for entry in fields(first)
        }
        return replace(first, **combined)
    return ()  # Counts.lines, which describe the runs that were made


def _zero_of(value: Any) -> Any:
    return type(value)()

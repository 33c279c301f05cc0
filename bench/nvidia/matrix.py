"""Problems for every kernel that kernel_plan can choose: the cases of tests/metal/matrix_cases.py, at two sizes."""

import random

from matrix_cases import Case, cases

from bench.nvidia.problems import Problem


def _head_dims(case: Case) -> tuple[int, int]:
    smallest, largest = case.choice.head_dims[0], case.choice.head_dims[-1]
    return {
        "smallest": (smallest, smallest),
        "largest": (largest, largest),
        "wide_key": (largest, smallest),
        "wide_value": (smallest, largest),
    }[case.head_dims]


def _shapes(case: Case, is_small: bool) -> tuple[tuple[int, int], tuple[tuple[int, int], ...]]:
    """Return heads and lengths: at size, several threadgroups for each multiprocessor, and ends inside of tiles."""
    generator = random.Random(str(case))
    tile = case.choice.number("KEY_TILE")
    if case.choice.is_decode:
        pairs = [(t, rows // t) for rows in case.choice.rows for t in range(1, 9) if rows % t == 0]
        tokens, group = generator.choice(pairs)
        heads = (2 * group, 2) if is_small else (8 * group, 8)
        step = tile * case.choice.number("SIMDGROUPS")
        main = (tokens, step + tile + 5 if is_small else 4096 + tile + 5)
        others = ((0, 0), (0, 4), (min(tokens, 5), 0), (1, 1), (tokens, tile - 1), main, (tokens, 3 * tile), main)
        dense = (main,) * (1 if is_small else 24)
    else:
        query_tile = case.choice.number("SIMDGROUPS") * case.choice.number("ROW_TILES") * 8
        heads = (2, 1) if is_small else (16, 8)
        main = (query_tile + 9, 2 * tile + 5) if is_small else (1024 + query_tile + 9, 1024 + 2 * tile + 5)
        others = ((0, 0), (0, 4), (5, 0), (1, 1), (query_tile + 1, tile - 1), (9, 3 * tile), main, (17, 2 * tile))
        dense = (main,) * (1 if is_small else 4)
    if case.source == "dense":
        return heads, dense
    return heads, others if is_small else (*others, *((main,) * 3))


def matrix_problems(is_small: bool) -> list[Problem]:
    """Return one problem for each case; ``is_small``: a few tiles, for tools that slow a kernel down a thousandfold."""
    found = []
    for case in cases():
        generator = random.Random(str(case))
        tile = case.choice.number("KEY_TILE")
        block_sizes = {
            "": 0,
            "runs": tile * generator.choice([1, 2]),
            "fragments": 8,
            "any": generator.choice([1, 5, 17]),
        }
        heads, lengths = _shapes(case, is_small)
        found.append(
            Problem(
                name=f"{'small' if is_small else 'at size'}: {case}",
                element=case.choice.element,
                source=case.source,
                heads=heads,
                head_dims=_head_dims(case),
                lengths=lengths,
                family=case.choice.family,
                keywords=case.keywords,
                mask=case.mask,
                block_size=block_sizes[case.blocks],
                layout="odd" if case.alignment == "odd" else "",
                is_split=bool(case.splits),
            )
        )
    return found

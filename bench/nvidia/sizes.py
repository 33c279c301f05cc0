"""Problems that need a large machine: long sequences, large caches, tensors past 2^31 elements and past 2^32 bytes."""

from collections.abc import Iterator

from bench.nvidia.problems import Problem

LONGEST = 131_072
FAMILIES = {7: "M1 Max", 9: "M4 Pro"}


def size_problems() -> list[Problem]:
    return [*_long_prefill(), *_varlen(), *_large_tensors(), *_large_caches()]


def _long_prefill() -> Iterator[Problem]:
    for family in FAMILIES:
        for element in ("half", "bfloat", "float"):
            length = LONGEST if element != "float" else LONGEST // 4
            for name, options in (
                ("causal", {"is_causal": True}),
                ("window 1024", {"is_causal": True, "window_left": 1023}),
            ):
                yield Problem(
                    f"{length} tokens, {name}, {element}, kernels for {FAMILIES[family]}",
                    element,
                    "dense",
                    (2, 1),
                    (64, 64) if element == "float" else (128, 128),
                    ((length, length),),
                    family,
                    options=options,
                    is_compared_in_full=name == "causal",
                )
        # As many threadgroups at a time as the card holds, several times over.
        yield Problem(
            f"batch 16, 64 heads, 2048 tokens, kernels for {FAMILIES[family]}",
            "half",
            "dense",
            (64, 8),
            (64, 64),
            ((2048, 2048),) * 16,
            family,
            is_compared_in_full=True,
        )


def _varlen() -> Iterator[Problem]:
    lengths = ((65_537, 65_537), (1, 131_072), (4_097, 70_001), (33, 31), (0, 0), (16_384, 16_384), (777, 129_999))
    for element in ("half", "bfloat", "float"):
        for keywords in ("causal", "causal+alibi+sinks"):
            yield Problem(
                f"packed, {len(lengths)} sequences up to {LONGEST} keys, {keywords}, {element}",
                element,
                "packed",
                (4, 2),
                (64, 64),
                lengths if element != "float" else tuple((q // 4, k // 4) for q, k in lengths),
                9,
                keywords=keywords,
            )


def _large_tensors() -> Iterator[Problem]:
    for element in ("half", "bfloat", "float"):
        for family in FAMILIES:
            # 2^31 + 2^26 elements in each of query, key and value.
            yield Problem(
                f"prefill past 2^31 elements, {element}, kernels for {FAMILIES[family]}",
                element,
                "dense",
                (33, 33),
                (128, 128),
                ((512, 512),) * 1024,
                family,
                options={"is_causal": True},
            )
        yield Problem(
            f"decode past 2^31 elements, {element}",
            element,
            "dense",
            (8, 2),
            (128, 128),
            ((1, 65_600),) * 128,
            9,
        )
        yield Problem(
            f"decode, rows past 4 GiB of their buffers, {element}",
            element,
            "dense",
            (32, 8),
            (128, 128),
            ((1, 8_200),) * 4,
            9,
            layout="far",
        )
        yield Problem(
            f"prefill, rows past 4 GiB of their buffers, {element}",
            element,
            "dense",
            (8, 8),
            (64, 64),
            ((1_100, 1_100),) * 4,
            7,
            options={"is_causal": True},
            layout="far",
        )


def _large_caches() -> Iterator[Problem]:
    for element in ("half", "bfloat", "float"):
        for name, tokens, heads in (
            ("decode", 1, (32, 8)),
            ("decode, one head", 1, (8, 8)),
            ("chunks of 300 tokens", 300, (16, 8)),
        ):
            yield Problem(
                f"paged, 65,536 shuffled blocks of 16, {name}, {element}",
                element,
                "paged",
                heads,
                (128, 128),
                tuple((tokens, 60_000 - 777 * b) for b in range(16)),
                9,
                options={"is_causal": True},
                block_size=16,
                num_blocks=65_536,
            )

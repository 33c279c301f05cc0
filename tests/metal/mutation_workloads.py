"""What the changed kernels of mutations/*.txt compute: tests of this suite, so that what is found is what the suite finds."""

from collections.abc import Callable
from functools import partial

import test_decode
import test_kernel_matrix
import test_kv_cache
import test_language_versions
import test_large_strides
import test_mask_tiles
import test_prefill
import test_prefill_counts
import test_reduce
from launch import Tiles
from prefill_cases import BFLOAT, DIRECT, FLOAT, HALF, STAGED
from test_decode import LONG_VECTOR, MATRIX, TWO_TILES, VECTOR, Form

#: Of decode, whose staged form has the same name as prefill's.
STAGED_MATRIX = test_decode.STAGED


def _matrix_case(**wanted: str) -> None:
    """Run the kernel matrix's first case with these levels."""
    case = next(
        case
        for case in test_kernel_matrix.CASES
        if all(getattr(case, factor) == level for factor, level in wanted.items())
    )
    test_kernel_matrix.test_case(case)


def _prefill(name: str, tiles: Tiles) -> dict[str, Callable[[], None]]:
    """Return the workloads of one variant of prefill, which are called by its name."""

    def keywords(names: str) -> Callable[[], None]:
        return lambda: test_prefill.test_keywords(tiles, names)

    def mask(kind: str) -> Callable[[], None]:
        return lambda: test_prefill.test_masks(tiles, kind)

    return {
        name: lambda: test_prefill.test_lengths(tiles, False, (33, 31)),
        f"{name}, causal": keywords("causal"),
        f"{name}, left": keywords("left"),
        f"{name}, right": keywords("right"),
        f"{name}, causal and left": keywords("causal+left"),
        f"{name}, top left": keywords("top_left"),
        f"{name}, ALiBi": keywords("alibi"),
        f"{name}, slopes of batches": keywords("batch_alibi"),
        f"{name}, top left and ALiBi": keywords("top_left+alibi"),
        f"{name}, softcap": keywords("softcap"),
        f"{name}, softcap and ALiBi": keywords("negative_scale+softcap+alibi"),
        f"{name}, sinks": keywords("sinks"),
        f"{name}, negative scale": keywords("negative_scale"),
        f"{name}, scale of 0": keywords("zero_scale"),
        f"{name}, ragged passes": keywords(""),
        f"{name}, bool mask": mask("bool_BHLS"),
        f"{name}, bool blocks": mask("bool_block"),
        f"{name}, float mask": mask("float_BHLS"),
        f"{name}, half mask": mask("half_LS"),
        f"{name}, strided mask": mask("bool_strided"),
        f"{name}, more queries than keys": lambda: test_prefill.test_more_queries_than_keys(tiles, "causal"),
        f"{name}, rising scores": lambda: test_prefill.test_scores_that_rise_from_tile_to_tile(tiles),
        f"{name}, odd rows": lambda: test_prefill.test_layouts(tiles, HALF, "sliced"),
        f"{name}, odd rows of floats": lambda: test_prefill.test_layouts(tiles, FLOAT, "sliced"),
        f"{name}, value layout": lambda: test_prefill.test_layouts(tiles, HALF, "blhd"),
        f"{name}, packed": lambda: test_prefill.test_packed(tiles, test_prefill.SEQUENCES[0], ""),
        f"{name}, blocks of 17": lambda: test_prefill.test_paged(tiles, 17, ""),
        f"{name}, no block": lambda: test_prefill.test_entries_that_name_no_block_are_zeros(tiles, 16),
        f"{name}, no block in a tile": lambda: test_prefill.test_entries_that_name_no_block_are_zeros(tiles, 17),
        f"{name}, blocks behind the window": lambda: test_prefill.test_blocks_behind_every_window(tiles, 8),
        f"{name}, wild": lambda: test_prefill.test_wild_tables_and_lengths_stay_inside(tiles, 17),
        f"{name}, top left and windows": keywords("top_left+left+right"),
        f"{name}, no queries at the end": lambda: test_kernel_matrix.test_the_last_sequence_has_no_queries(name),
        f"{name}, lowest row": lambda: test_kernel_matrix.test_a_row_of_the_lowest_number_sees_all_keys(name, FLOAT),
        f"{name}, sinks of -infinity": lambda: _matrix_case(form=name, source="packed", sinks="sinks"),
    }


def _decode(name: str, form: Form) -> dict[str, Callable[[], None]]:
    """Return the workloads of one form of decode, which are called by its name."""
    return {
        name: lambda: test_decode.test_lengths(form, 1),
        f"{name}, splits": lambda: test_decode.test_lengths(form, 7),
        f"{name}, least keys of a split": lambda: test_decode.test_least_keys_of_a_split(form, 48),
        f"{name}, ALiBi": lambda: test_decode.test_keywords(form, "causal+alibi"),
        f"{name}, split sinks": lambda: test_decode.test_keywords(form, "sinks"),
        f"{name}, sinks": lambda: test_decode.test_mask_with_everything(form, 1),
        f"{name}, mask": lambda: test_decode.test_masks(form, "bool_BHLS"),
        f"{name}, rising scores": lambda: test_decode.test_scores_that_rise_from_tile_to_tile(form),
        f"{name}, layout": lambda: test_decode.test_layouts(form, HALF, "blhd"),
        f"{name}, odd rows": lambda: test_decode.test_layouts(form, HALF, "sliced"),
        f"{name}, behind the window": lambda: test_decode.test_keys_behind_every_window_are_not_read(form, 1),
        f"{name}, packed": lambda: test_decode.test_packed(form, 1, ""),
        f"{name}, packed splits": lambda: test_decode.test_packed(form, 3, ""),
        f"{name}, no block": lambda: test_decode.test_entries_that_name_no_block_are_zeros(form, 16),
        f"{name}, wild": lambda: test_decode.test_wild_tables_and_lengths_stay_inside(form),
        f"{name}, no queries at the end": lambda: test_kernel_matrix.test_the_last_sequence_has_no_queries(name),
        f"{name}, caches that differ": lambda: _matrix_case(form=name, source="paged", splits=""),
    }


def _far(kernel: str, which: str, dim: int) -> Callable[[], None]:
    return lambda: test_large_strides.test_dense(kernel, which, dim)


#: Of offsets that 32 bits do not hold.
FAR_WORKLOADS: dict[str, Callable[[], None]] = {
    "far keys, batch": _far("direct", "key", 0),
    "staged, far keys, row": _far("staged", "key", 2),
    "far values, row": _far("direct", "value", 2),
    "far queries, head": _far("direct", "query", 1),
    "far queries, row": _far("direct", "query", 2),
    "vector, far queries, row": _far("vector", "query", 2),
    "matrix, far queries, head": _far("matrix", "query", 1),
    "far results, head": _far("direct", "results", 1),
    "far results, row": _far("direct", "results", 2),
    "vector, far results, head": _far("vector", "results", 1),
    "vector, far results, row": _far("vector", "results", 2),
    "far packed queries": lambda: test_large_strides.test_packed("direct", "query", 0),
    "far blocks": lambda: test_large_strides.test_paged("vector", 17),
    "far heads of a block": lambda: test_large_strides.test_paged_within_a_block("vector", 2),
    "far mask, batch": lambda: test_large_strides.test_masks("direct", "bool", 0),
    "far mask, row": lambda: test_large_strides.test_masks("direct", "bool", 2),
    "far mask, column": lambda: test_large_strides.test_masks("direct", "bool", 3),
    "far merged splits": test_large_strides.test_merged_splits,
    "far states, row": lambda: test_large_strides.test_merged_states(2),
    "far cache writes": test_large_strides.test_cache_writes,
}

WORKLOADS: dict[str, Callable[[], None]] = {
    **FAR_WORKLOADS,
    **_prefill("staged", STAGED),
    **_prefill("direct", DIRECT),
    "widened": lambda: test_prefill.test_planned_tiles((40, 40), BFLOAT, Tiles(4, 2, 32, True, FLOAT)),
    "staged, count of windows": lambda: test_prefill_counts.test_windows_bound_the_tiles_on_both_sides(
        test_prefill_counts.STAGED[0]
    ),
    "staged, count of barriers": lambda: test_prefill_counts.test_barriers(test_prefill_counts.STAGED[0]),
    "banks": lambda: test_prefill_counts.test_banks(HALF, HALF, 64),
    "maxima move": lambda: test_prefill_counts.test_maxima_hardly_ever_move(test_prefill_counts.DIRECT[0]),
    "labels": lambda: test_mask_tiles.test_labels(DIRECT, "bool_BHLS"),
    "labels, lowest": lambda: test_mask_tiles.test_labels(DIRECT, "lowest_LS"),
    "labels of one entry": lambda: test_mask_tiles.test_one_entry_makes_a_tile_mixed(DIRECT, True),
    "direct, lengths outside of the cache": lambda: test_kernel_matrix.test_lengths_outside_of_the_cache("prefill", 16),
    "direct, lengths outside of blocks of 17": lambda: test_kernel_matrix.test_lengths_outside_of_the_cache(
        "prefill", 17
    ),
    **_decode("vector", VECTOR),
    "vector, runs": lambda: test_decode.test_blocks_of_a_long_tile(16),
    "vector, no block in a tile": lambda: test_decode.test_entries_that_name_no_block_are_zeros(LONG_VECTOR, 8),
    "vector, no block among rows": lambda: test_decode.test_entries_that_name_no_block_are_zeros(VECTOR, 17),
    "vector, end of the table": lambda: test_decode.test_the_table_ends_inside_of_a_tile(8, 3),
    **_decode("matrix", MATRIX),
    **_decode("two matrices", TWO_TILES),
    **_decode("staged matrix", STAGED_MATRIX),
    "staged matrix as planned": lambda: _matrix_case(form="staged matrix", source="dense", head_dims="largest"),
    "15 rows": lambda: test_decode.test_rows(3, 5),
    "merged splits": lambda: test_reduce.test_any_number_of_splits(HALF, 33, False),
    "merged splits with sinks": lambda: test_reduce.test_any_number_of_splits(HALF, 5, True),
    "merged rows that see nothing": test_reduce.test_rows_that_see_nothing_have_only_their_sink,
    "merged states": lambda: test_reduce.test_two_halves_are_the_whole(HALF, 7, "contiguous"),
    "merged states without keys": test_reduce.test_a_side_without_keys_counts_for_nothing,
    "reshape_and_cache": lambda: test_kv_cache.test_reshape_and_cache(HALF, 64, 16, "separate"),
    "reshape_and_cache of 4 bytes": lambda: test_kv_cache.test_reshape_and_cache(FLOAT, 5, 4, "separate"),
    "reshape_and_cache, layouts": test_kv_cache.test_values_that_lie_otherwise_than_keys,
    # What the compiler refuses shows without a dispatch.
    **{
        f"{family} in Metal {version}": partial(test_language_versions.compile_family, family, version)
        for family in ("direct", "staged", "vector", "matrix", "staged matrix", "merged", "labels", "caches")
        for version in ("3.1", "4.1")
    },
    "copy_blocks": lambda: test_kv_cache.test_copy_blocks(HALF, 64, 16, 3, "separate"),
}

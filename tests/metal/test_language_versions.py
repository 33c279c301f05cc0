"""The kernels compile in every language version that a Mac may ask for. Other tests compile them as Metal 3.1.

From Metal 4.1 on `this` of a member function without an address space is generic, so that each has to say `thread`.
"""

import launch
import pytest
from prefill_cases import DIRECT, STAGED
from test_decode import MATRIX, VECTOR
from test_decode import STAGED as STAGED_MATRIX

import metalsim

_SHAPE = {"FUSED_ATTN_HEAD_DIM": 64, "FUSED_ATTN_HEAD_DIM_V": 64}


def compile_family(family: str, version: str = "3.1", element: str = "bfloat") -> None:
    """Compile a file of metal/ for one form of its kernels, a paged one if there is a choice."""
    dtype = next(dtype for dtype, name in launch.NAMES.items() if name == element)
    attention = {**_SHAPE, "FUSED_ATTN_ELEMENT": element, "FUSED_ATTN_KV_SOURCE": 2}
    families: dict[str, tuple[str, dict[str, object]]] = {
        "direct": ("prefill.metal", {**attention, **DIRECT.macros(dtype)}),
        "staged": ("prefill.metal", {**attention, **STAGED.macros(dtype)}),
        "vector": ("decode.metal", {**attention, **VECTOR.tiles.fitting(4).macros()}),
        "matrix": ("decode.metal", {**attention, **MATRIX.tiles.fitting(8).macros()}),
        "staged matrix": ("decode.metal", {**attention, **STAGED_MATRIX.tiles.fitting(24).macros()}),
        "merged": ("reduce.metal", {"FUSED_ATTN_ELEMENT": element, "FUSED_ATTN_HEAD_DIM_V": 64}),
        "labels": ("mask_tiles.metal", {"FUSED_ATTN_QUERY_TILE": 32, "FUSED_ATTN_KEY_TILE": 32}),
        "caches": ("kv_cache.metal", {}),
    }
    file, macros = families[family]
    metalsim.compile(launch.METAL / file, [launch.METAL], macros, language_version=version)


@pytest.mark.parametrize(
    "family", ["direct", "staged", "vector", "matrix", "staged matrix", "merged", "labels", "caches"]
)
def test_metal_4_1(family: str) -> None:
    compile_family(family, "4.1")

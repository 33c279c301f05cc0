"""Attention and KV-cache kernels of other projects, which Apple's compiler takes: the strict pass takes them as they are.

This is what keeps the strict pass from refusing too much. A file is compiled once, and nothing runs. docs/known_good.md has
the whole table, with what was tried once because no package carries it. test_strict.py has those of PyTorch 2.13 and MLX that
are executed elsewhere, too.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import metalsim
from metalsim.air import wheels
from metalsim.macos import packages, torch_wheel

TORCH_VERSION = "2.15.0"


@dataclass(frozen=True)
class KnownGood:
    """A file of kernels in a published package.

    Attributes:
        name: the project and the file.
        includes: gets the folders of its includes, the package's own first.
        text: a source that includes it and says which kernels are wanted of its templates; None if the file does so itself.
        path: of the file below the first folder, where there is no text.
        kernels: how many there are.
        language_version: that the project asks for, or its oldest.
        defines: macros that the project sets.
    """

    name: str
    includes: Callable[[], tuple[Path, ...]]
    kernels: int
    text: str | None = None
    path: str = ""
    language_version: str = "3.1"
    defines: Mapping[str, int] = field(default_factory=dict)


def _torch() -> tuple[Path, ...]:
    return torch_wheel.get(TORCH_VERSION).metal_includes


def _mlx() -> tuple[Path, ...]:
    return (wheels.mlx_headers(),)


def _ggml() -> tuple[Path, ...]:
    folder = wheels.ggml_kernels()
    return folder / "ggml-metal", folder


def _of_torch(header: str, kernels: int, language_version: str) -> KnownGood:
    text = f"""
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
#include <c10/metal/utils.h>
using namespace metal;
#include <ATen/native/mps/kernels/{header}>
"""
    name = f"PyTorch {header}, Metal {language_version}"
    return KnownGood(name, _torch, kernels, text, language_version=language_version)


def _of_mlx(header: str, kernels: int, instances: str, language_version: str = "3.1") -> KnownGood:
    folder = "mlx/backend/metal/kernels"
    text = f'#include "{folder}/utils.h"\n#include "{folder}/{header}"\n{instances}'
    return KnownGood(f"MLX {header}, Metal {language_version}", _mlx, kernels, text, language_version=language_version)


def _of_ggml(file: str, kernels: int) -> KnownGood:
    # What ggml's host code defines for every chip since the M1, on macOS 14 and later.
    return KnownGood(f"ggml {file}", _ggml, kernels, path=f"kernels/{file}.metal", defines={"GGML_METAL_HAS_BF16": 1})


_STEEL = """
#define attention_of(type, mask, block_k, dim) \\
  instantiate_kernel("steel_" #type "_" #mask "_" #dim, attention, type, 32, block_k, dim, dim, 4, 1, mask, float)
#define attentions_of(type, mask) \\
  attention_of(type, mask, 16, 256) attention_of(type, mask, 16, 192) attention_of(type, mask, 32, 72)
attentions_of(half, half)
attentions_of(bfloat16_t, bool)
"""

_VECTOR = """
#define vectors_of(type) \\
  instantiate_kernel("vector_" #type, sdpa_vector, type, 192, 128) \\
  instantiate_kernel("first_" #type, sdpa_vector_2pass_1, type, 192, 128) \\
  instantiate_kernel("grouped_" #type, sdpa_vector_2pass_1_gqa, type, 128, 128, 8, 4) \\
  instantiate_kernel("second_" #type, sdpa_vector_2pass_2, type, 192)
vectors_of(half)
vectors_of(bfloat16_t)
"""

_BLOCKED = """
instantiate_kernel("scale_copy", sdpa_blocked_scale_copy, bfloat16_t)
instantiate_kernel("causal_mask", sdpa_blocked_causal_mask, half)
"""

# What MLX writes its cache with. The kernels for any number of dimensions are refused: docs/known_good.md.
_COPY = """
instantiate_kernel("dense", copy_v, half, half, 4)
instantiate_kernel("dense_wide_index", copy_v2, half, half, 4)
instantiate_kernel("from_strided", copy_g_nd3, half, half, int)
instantiate_kernel("to_strided", copy_gg_nd3, half, half, int)
instantiate_kernel("to_strided_at_offset", copy_gg_dynamic_nd3, half, half, int)
"""

KNOWN_GOOD = [
    _of_torch("PrefillAttention.h", 126, "3.1"),
    _of_torch("DecodeAttention.h", 108, "3.1"),
    _of_torch("DecodeAttention.h", 108, "4.0"),
    # From 4.1 on, member functions must say `thread`: MLX's do.
    _of_mlx("steel/attn/kernels/steel_attention.h", 6, _STEEL, "4.1"),
    _of_mlx("sdpa_vector.h", 8, _VECTOR),
    _of_mlx("sdpa_blocked.h", 2, _BLOCKED),
    _of_mlx("copy.h", 5, _COPY),
    _of_ggml("fa_aux", 17),
    _of_ggml("fa_f16", 32),
    _of_ggml("fa_f32", 16),
    _of_ggml("fa_q4_0", 16),
    _of_ggml("fa_q8_0", 16),
    _of_ggml("fa_vec_f16", 77),
    _of_ggml("fa_vec_f32", 11),
    _of_ggml("fa_vec_q5_1", 66),
    _of_ggml("fa_vec_q8_0", 66),
    _of_ggml("softmax", 4),
    _of_ggml("quantize", 98),  # among them the rows that are written to a cache
]


@functools.cache
def _folders(get: Callable[[], tuple[Path, ...]]) -> tuple[Path, ...] | str:
    """Return the folders, or why they cannot be had: it is asked once."""
    try:
        return get()
    except (wheels.WheelUnavailableError, packages.PackageUnavailableError) as error:
        return str(error)


@pytest.mark.parametrize("source", KNOWN_GOOD, ids=lambda source: source.name)
def test_what_apple_takes_is_accepted(source: KnownGood) -> None:
    includes = _folders(source.includes)
    if isinstance(includes, str):
        pytest.skip(includes)
    text = source.text if source.text is not None else includes[0] / source.path
    library = metalsim.compile(text, includes, source.defines, language_version=source.language_version)
    assert len(library.kernel_names) == source.kernels


def test_the_page_lists_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "known_good.md").read_text()
    versions = (TORCH_VERSION, wheels.TORCH_VERSION, wheels.MLX_VERSION, wheels.LLAMA_CPP_PYTHON_VERSION)
    files = [Path(source.name.split()[1].rstrip(",")).name for source in KNOWN_GOOD]
    assert [text for text in (*versions, *files) if text not in page] == []

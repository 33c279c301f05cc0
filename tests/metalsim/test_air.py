"""Apple's compiler as a witness: kernels that it compiled, against metalsim's compilation of the same source, bit by bit.

Both run on the same runtime. Equal bits therefore say that metalsim's front end and headers mean what Apple's mean; they say
nothing about what the runtime itself decides (the order of sums in a matrix product or a reduction, exp2, divergence). The
negative controls change the AIR in one place each, and must change the result: the comparison would notice.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import real_kernels
import torch
from real_kernels import Case, Dispatch, attention_inputs, bits, relative_error

import metalsim
from metalsim import air, toolchain
from metalsim.air import wheels
from metalsim.air.lower import lower

F16, BF16, F32 = torch.float16, torch.bfloat16, torch.float32


#: PyTorch's kernels return 0 for a query that sees no key, as the reference does; MLX's do not.
ZERO_WITHOUT_KEYS = (real_kernels.torch_prefill, real_kernels.torch_decode)


def mask_of(kind: str, shape: tuple[int, ...], dtype: torch.dtype, *, hide_all: bool) -> torch.Tensor:
    """Return a mask; with ``hide_all``, the first query of a bool one sees no key."""
    generator = torch.Generator().manual_seed(1)
    if kind == "additive":
        return torch.randn(shape, generator=generator).to(dtype)
    mask = torch.rand(shape, generator=generator) > 0.3
    if hide_all:
        mask[0, 0, 0] = False
    return mask


def attention_case(
    build: Callable[..., Case],
    dtype: torch.dtype,
    head_dim: int,
    queries: int,
    keys: int,
    *,
    mask: str | None = None,
    batch: int = 2,
    transposed: bool = False,
    **options: Any,
) -> Case:
    """Build a case with four query heads on two key heads; ``transposed`` = stored as [batch, length, heads, head_dim]."""
    inputs = list(attention_inputs(batch, 4, 2, queries, keys, head_dim, dtype))
    if transposed:
        inputs = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs]
    if mask is not None:
        options["mask"] = mask_of(mask, (batch, 1, queries, keys), dtype, hide_all=build in ZERO_WITHOUT_KEYS)
    return build(*inputs, **options)


def _name(build: Callable[..., Case], dtype: torch.dtype, sizes: tuple[int, ...], options: dict[str, Any]) -> str:
    words = [build.__name__, str(dtype).removeprefix("torch."), "x".join(map(str, sizes))]
    words += [key if value is True else f"{key}={value}" for key, value in options.items() if value is not False]
    return "-".join(words)


def _table() -> dict[str, Callable[[], Case]]:
    """Return all cases by name: (head_dim, queries, keys), and options."""
    table: dict[str, Callable[[], Case]] = {}

    def add(build: Callable[..., Case], dtype: torch.dtype, *sizes: int, **options: Any) -> None:
        table[_name(build, dtype, sizes, options)] = lambda: attention_case(build, dtype, *sizes, **options)

    prefill, decode = real_kernels.torch_prefill, real_kernels.torch_decode
    steel, vector = real_kernels.mlx_steel, real_kernels.mlx_vector
    for dtype, head_dim in ((F16, 64), (F16, 96), (F16, 128), (F16, 256), (BF16, 64), (F32, 64)):
        for queries, keys, causal in ((70, 93, False), (70, 93, True), (64, 64, False)):
            add(prefill, dtype, head_dim, queries, keys, causal=causal)
    add(prefill, F16, 64, 70, 93, mask="bool")
    add(prefill, BF16, 64, 70, 93, mask="additive", causal=True)
    add(prefill, F32, 64, 40, 50, mask="additive", transposed=True)
    add(prefill, F16, 64, 33, 31, softcap=5.0)

    for head_dim in (64, 128, 256):
        for two_pass in (False, True):
            add(decode, F16, head_dim, 1, 77, two_pass=two_pass)
            add(decode, F16, head_dim, 5, 100, two_pass=two_pass, causal=True)
    add(decode, BF16, 96, 3, 70, transposed=True)
    add(decode, F32, 64, 2, 41, mask="bool")
    add(decode, F16, 64, 2, 300, mask="additive", two_pass=True)

    for dtype, head_dim in ((F16, 64), (F16, 128), (BF16, 64), (F32, 64)):
        for queries, keys, causal in ((64, 64, False), (70, 93, False), (70, 93, True)):
            add(steel, dtype, head_dim, queries, keys, causal=causal)
    add(steel, F16, 80, 33, 65, mask="bool", transposed=True)
    add(steel, BF16, 64, 70, 93, mask="additive", causal=True)

    add(vector, F16, 64, 1, 77)
    add(vector, BF16, 128, 4, 100, causal=True)
    add(vector, F32, 64, 2, 41, mask="bool")
    add(vector, F16, 64, 4, 300, two_pass=True, causal=True)
    add(vector, F16, 64, 2, 60, two_pass=True, mask="additive")

    table["gated_delta-float32"] = lambda: real_kernels.mlx_gated_delta(1, 20, F32)
    table["gated_delta-bfloat16"] = lambda: real_kernels.mlx_gated_delta(1, 16, BF16)
    return table


CASES = _table()


def _air_metal_4(dispatch: Dispatch) -> metalsim.Pipeline:
    """Take PyTorch's kernel from its library for Metal 4."""
    return air.pipeline(wheels.torch_metallibs()[-1], dispatch.function, dispatch.constants)


class Pipelines:
    """Compiles in the background what the tests will ask for, in their order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(toolchain.JOBS)
        self._pending: dict[tuple[object, ...], Future[metalsim.Pipeline]] = {}

    def request(self, dispatch: Dispatch, make: Callable[[Dispatch], metalsim.Pipeline]) -> Future[metalsim.Pipeline]:
        key = (dispatch.source.name, dispatch.function, tuple(dispatch.constants.items()), make)
        if key not in self._pending:
            self._pending[key] = self._pool.submit(make, dispatch)
        return self._pending[key]

    def from_source(self, dispatch: Dispatch) -> metalsim.Pipeline:
        return self.request(dispatch, Dispatch.pipeline).result()

    def from_air(self, dispatch: Dispatch) -> metalsim.Pipeline:
        return self.request(dispatch, Dispatch.air_pipeline).result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module", autouse=True)
def _wheels() -> None:
    """Skip all of this file where Apple's kernels cannot be had."""
    try:
        wheels.torch_metallibs()
        wheels.mlx_metallib()
    except wheels.WheelUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pipelines(request: pytest.FixtureRequest, _wheels: None) -> Iterator[Pipelines]:
    """Return the pipelines of all cases that this session runs, which compile while the first tests run."""
    toolchain.build_everything()
    made = Pipelines()
    wanted = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    for name in CASES:
        if name in wanted:
            for dispatch in CASES[name]().dispatches:
                made.request(dispatch, Dispatch.pipeline)
                made.request(dispatch, Dispatch.air_pipeline)
    yield made
    made.close()


@pytest.mark.parametrize("name", CASES)
def test_same_bits(name: str, pipelines: Pipelines) -> None:
    case = CASES[name]()
    ours = case.run(pipelines.from_source)
    apples = case.run(pipelines.from_air)
    different = int((bits(ours) != bits(apples)).sum())
    assert different == 0, f"{different} of {ours.numel()} elements differ, by up to {(ours - apples).abs().max()}"
    assert relative_error(ours, case.reference) < real_kernels.TOLERANCE[ours.dtype]


@pytest.mark.parametrize("name", CASES)
def test_same_parameters(name: str, pipelines: Pipelines) -> None:
    """What metalsim reads of a kernel's parameters in the source is what Apple's compiler wrote down about them."""
    for dispatch in CASES[name]().dispatches:
        ours, apples = pipelines.from_source(dispatch), pipelines.from_air(dispatch)
        assert [_declared(a) for a in ours.arguments] == [_declared(a) for a in apples.arguments]
        assert ours.max_total_threads_per_threadgroup == apples.max_total_threads_per_threadgroup
        assert ours.static_threadgroup_memory_length == apples.static_threadgroup_memory_length


def _declared(argument: metalsim.Argument) -> tuple[object, ...]:
    """Return what a declaration fixes; whether it is used depends on the optimiser."""
    fields = (argument.kind, argument.index, argument.name, argument.size, argument.alignment)
    return (*fields, argument.is_reference, argument.is_writable)


@pytest.mark.parametrize("name", ["torch_prefill-float16-64x70x93", "torch_decode-float16-64x1x77"])
def test_metal_4(name: str, pipelines: Pipelines) -> None:
    """PyTorch ships its kernels a second time, compiled for Metal 4 into a newer version of AIR."""
    case = CASES[name]()
    assert torch.equal(bits(case.run(pipelines.from_source)), bits(case.run(_air_metal_4)))


@pytest.mark.parametrize("name", ["torch_prefill-float16-64x70x93-causal", "torch_decode-float16-64x1x77"])
def test_same_counts(name: str, pipelines: Pipelines) -> None:
    """Whatever the structure of the source fixes is counted alike; how many instructions it becomes is not."""
    (dispatch,) = CASES[name]().dispatches
    ours, apples = (
        dispatch.run(pipeline, count=True).counts for pipeline in (dispatch.pipeline(), dispatch.air_pipeline())
    )
    for what in (
        "threadgroups",
        "threads",
        "threadgroup_memory",
        "matrix_products",
        "shuffles",
        "reductions",
        "exponentials",
        "threadgroup_barriers",
        "simdgroup_barriers",
    ):
        assert getattr(ours, what) == getattr(apples, what), what
    stored = {index: traffic.stored_bytes for index, traffic in ours.device.items() if traffic.stored_bytes}
    assert stored == {index: traffic.stored_bytes for index, traffic in apples.device.items() if traffic.stored_bytes}


# Negative controls. The constant must be one that rounding to half does not hide.
CONTROL = "torch_prefill-float16-64x70x93"
_PRODUCT = re.compile(r"(multiply_accumulate\.\S+?\()(<64 x float> %\d+), (<64 x float> %\d+)")
CONTROLS: dict[str, Callable[[str], str]] = {
    "constant log2(e) -> 1.5": lambda text: text.replace("0x3FF7154760000000", "0x3FF8000000000000"),
    "shuffle mask 8 -> 4": lambda text: re.sub(r"(simd_shuffle_xor\.f32\(float %\d+, i16 )8\)", r"\g<1>4)", text),
    "matrix operands swapped": lambda text: _PRODUCT.sub(r"\1\3, \2", text, count=1),
    "fadd -> fsub": lambda text: re.sub(r"= fadd ", "= fsub ", text, count=1),
    "fmax -> fmin": lambda text: text.replace("@air.fmax.f32", "@air.fmin.f32"),
}


def edited_pipeline(dispatch: Dispatch, edit: Callable[[str], str], folder: Path) -> metalsim.Pipeline:
    """Return Apple's compilation of a kernel with its AIR changed."""
    source, text, changed = (folder / f"kernel.{suffix}" for suffix in ("bc", "ll", "changed.bc"))
    source.write_bytes(dispatch.source.air_library.bitcode(dispatch.function))
    subprocess.run([toolchain.program("llvm-dis"), source, "-o", text], check=True)
    text.write_text(edit(text.read_text()))
    subprocess.run([toolchain.program("llvm-as"), text, "-o", changed], check=True)
    bitcode = changed.read_bytes()
    name = dispatch.function
    return metalsim.Pipeline(name, lambda flavour: lower(bitcode, name, dispatch.constants, flavour)).validated()


@pytest.mark.parametrize("change", CONTROLS)
def test_negative_control(change: str, pipelines: Pipelines, tmp_path: Path) -> None:
    """One change in Apple's AIR changes most of the result."""
    case = CASES[CONTROL]()
    (dispatch,) = case.dispatches
    ours = case.run(pipelines.from_source)

    def edit(text: str) -> str:
        edited = CONTROLS[change](text)
        assert edited != text, "this control changed nothing in the AIR"
        return edited

    changed = edited_pipeline(dispatch, edit, tmp_path)
    different = bits(ours) != bits(case.run(lambda _: changed))
    assert different.float().mean() > 0.9


def test_control_of_the_controls(pipelines: Pipelines, tmp_path: Path) -> None:
    """Taking the AIR apart and putting it together again changes nothing."""
    case = CASES[CONTROL]()
    unchanged = edited_pipeline(case.dispatches[0], lambda text: text, tmp_path)
    assert torch.equal(bits(case.run(pipelines.from_source)), bits(case.run(lambda _: unchanged)))


def test_unknown_intrinsics_are_refused_by_name(tmp_path: Path) -> None:
    (dispatch,) = CASES[CONTROL]().dispatches
    with pytest.raises(metalsim.MetalsimError, match=r"not implemented: air\.frobnicate\.f32"):
        edited_pipeline(dispatch, lambda text: text.replace("@air.fmax.f32", "@air.frobnicate.f32"), tmp_path)


def test_intrinsics_with_another_signature_are_refused(tmp_path: Path) -> None:
    (dispatch,) = CASES[CONTROL]().dispatches
    with pytest.raises(metalsim.MetalsimError, match=r"air\.simd_shuffle_xor\.f32' is not implemented with the type"):
        edited_pipeline(dispatch, lambda text: re.sub(r"(simd_shuffle_xor.*)i16", r"\1i32", text), tmp_path)


def test_function_constants_must_be_given() -> None:
    library = real_kernels.MLX_STEEL.air_library
    name = "steel_attention_float16_bq32_bk32_bd64_bv64_wm4_wn1_maskfloat16"
    with pytest.raises(metalsim.MetalsimError, match=r"function constant 301 \('do_causal'\) has no value"):
        air.pipeline(library, name, {200: True, 201: True, 300: False})


def test_unknown_function() -> None:
    with pytest.raises(metalsim.MetalsimError, match="has no function 'sdpa_vektor'"):
        air.pipeline(wheels.mlx_metallib(), "sdpa_vektor")


def test_files_that_are_no_library(tmp_path: Path) -> None:
    path = tmp_path / "not.metallib"
    path.write_bytes(b"MTL")
    with pytest.raises(metalsim.MetalsimError, match="is not a Metal library"):
        air.MetalLibrary(path)


def test_libraries_of_the_wheels() -> None:
    """All three hold kernels alone, and say for which version of Metal they were compiled."""
    versions = {}
    for path in (*wheels.torch_metallibs(), wheels.mlx_metallib()):
        library = air.MetalLibrary(path)
        assert len(library.functions) > 10_000
        assert {function.kind.name for function in library.functions.values()} == {"KERNEL"}
        versions[path.name] = library.language_version
    assert versions == {"0.metallib": (3, 1), "1.metallib": (4, 0), "mlx.metallib": (3, 1)}


def test_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a wheel cannot be downloaded, the error says what to do, and the cache holds no half of it."""
    monkeypatch.setenv("METALSIM_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setattr(wheels, "_failures", {})
    wheels._mlx.cache_clear()
    try:
        with pytest.raises(wheels.WheelUnavailableError, match=r"cannot be downloaded.*METALSIM_CACHE"):
            wheels.mlx_metallib()
    finally:
        wheels._mlx.cache_clear()
    assert not [path for path in (tmp_path / "wheels").iterdir() if not path.name.endswith(".lock")]

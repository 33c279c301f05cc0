"""metalsim.cuda: what is compiled, and on which lanes it works. Without a GPU: PTX is read, and run on emulated lanes."""

import ctypes
import itertools
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ptx_lanes import Warp

import metalsim
from metalsim import cuda
from metalsim.buffers import Span
from metalsim.cuda import ptx

SCALE = Path(__file__).parents[2] / "examples" / "scale.metal"

PRODUCT = """
#include <metal_stdlib>
using namespace metal;
kernel void product(const device A* a [[buffer(0)]], const device B* b [[buffer(1)]], const device float* c [[buffer(2)]],
                    device float* d [[buffer(3)]], uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_matrix<A, 8, 8> left;
  simdgroup_matrix<B, 8, 8> right;
  simdgroup_matrix<float, 8, 8> sum;
  simdgroup_load(left, a);
  simdgroup_load(right, b);
  simdgroup_load(sum, c);
  simdgroup_multiply_accumulate(sum, left, right, sum);
  simdgroup_store(sum, d);
}
"""

#: What a kernel may need: threadgroup memory of its own and of a launch, a function constant, and a function of numbers.
FEATURES = """
#include <metal_stdlib>
using namespace metal;
constant bool doubles [[function_constant(0)]];
constant float unset [[function_constant(1)]];
struct Sizes { uint count; float factor; };
kernel void features(const device float* in [[buffer(0)]], device float* out [[buffer(1)]],
                     constant Sizes& sizes [[buffer(2)]], const device float* unused [[buffer(3)]],
                     threadgroup float* given [[threadgroup(0)]], uint index [[thread_index_in_threadgroup]]) {
  threadgroup float own[32];
  threadgroup half more[6];
  own[index % 32] = in[index];
  given[index] = own[(index + 1) % 32];
  if (index < 6) { more[index] = half(sizes.factor); }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (doubles) { out[index] = 2.0f * given[index] + more[index % 6]; } else { out[index] = exp2(given[index]); }
}
kernel void two_memories(threadgroup float* first [[threadgroup(0)]], threadgroup float* second [[threadgroup(2)]],
                         device float* out [[buffer(3)]], uint index [[thread_index_in_threadgroup]]) {
  first[index] = out[index];
  second[index] = out[index + 32];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[index] = first[31 - index] + second[31 - index];
}
kernel void sine(device float* out [[buffer(0)]]) { out[0] = sin(out[0]); }
kernel void wants_a_constant(device float* out [[buffer(0)]]) { out[0] = unset; }
kernel [[max_total_threads_per_threadgroup(64)]] void small(device float* out [[buffer(0)]]) { out[0] = 1.0f; }
kernel void large(device float* out [[buffer(0)]], uint index [[thread_index_in_threadgroup]]) {
  threadgroup float own[8200];
  own[index] = out[index];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[index] = own[index + 1];
}
"""

METAL_TYPES = {"half": torch.float16, "bfloat": torch.bfloat16, "float": torch.float32}
#: The products that metal has with float sums.
TYPES = [
    ("half", "half"),
    ("bfloat", "bfloat"),
    ("float", "float"),
    ("float", "half"),
    ("float", "bfloat"),
    ("bfloat", "half"),
]


@pytest.fixture(scope="module")
def features() -> cuda.Library:
    return cuda.compile(FEATURES)


def text(pipeline: cuda.Pipeline) -> str:
    return pipeline.image.code.decode()


def product(a: str, b: str, products: Any) -> cuda.Pipeline:
    return cuda.compile(PRODUCT, defines={"A": a, "B": b}).pipeline("product", products=products, threads=32)


def numbers(a: str, b: str, seed: int) -> list[torch.Tensor]:
    """Return matrices whose products and sums are exact in any order, and in tf32."""
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randint(-31, 32, (8, 8), generator=generator) for _ in range(3)]
    return [x.to(METAL_TYPES[t]) for x, t in zip(draw, (a, b, "float"), strict=True)]


def bytes_of(tensor: torch.Tensor) -> np.ndarray:
    return tensor.contiguous().view(torch.uint8).numpy().copy()


@pytest.mark.parametrize("products", ["exact", "tensor"])
@pytest.mark.parametrize(("a", "b"), TYPES)
def test_a_product_on_the_lanes_of_a_warp(a: str, b: str, products: str) -> None:
    """As the manual defines shfl, movmatrix and mma, the PTX computes A B + C, with elements on Metal's lanes."""
    code = text(product(a, b, products))
    for seed in range(3):
        tensors = numbers(a, b, seed)
        result = np.full(64, np.nan, np.float32)
        warp = Warp([*map(bytes_of, tensors), result])
        warp.run(code)
        left, right, sums = (x.double() for x in tensors)
        assert np.array_equal(result.reshape(8, 8), (left @ right + sums).numpy())


@pytest.mark.parametrize(("a", "b"), TYPES)
def test_exact_products_have_the_bits_of_the_cpu(a: str, b: str) -> None:
    tensors = [torch.randn(8, 8, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    tensors = [x.to(METAL_TYPES[t]) for x, t in zip(tensors, (a, b, "float"), strict=True)]
    on_warp = np.full(64, np.nan, np.float32)
    Warp([*map(bytes_of, tensors), on_warp]).run(text(product(a, b, "exact")))
    on_cpu = np.full(64, np.nan, np.float32)
    pipeline = metalsim.compile(PRODUCT, defines={"A": a, "B": b}).pipeline("product")
    pipeline.dispatch((1,), (32,), {**dict(enumerate(tensors)), 3: on_cpu})
    assert np.array_equal(on_warp, on_cpu)


def test_tensor_cores_take_the_types_that_they_have() -> None:
    kinds = {types: re.findall(r"mma\.sync\.aligned\.(\S+)", text(product(*types, "tensor"))) for types in TYPES}
    assert kinds.pop(("half", "half")) == ["m16n8k8.row.col.f32.f16.f16.f32"]
    assert kinds.pop(("bfloat", "bfloat")) == ["m16n8k8.row.col.f32.bf16.bf16.f32"]
    assert set(map(tuple, kinds.values())) == {("m16n8k8.row.col.f32.tf32.tf32.f32",)}
    assert "mma" not in text(product("half", "half", "exact"))


def test_moves_between_products_of_a_chain_cancel() -> None:
    """A sum goes to the tensor cores' lanes once, and comes back once, however long the chain is."""
    chain = PRODUCT.replace(
        "  simdgroup_multiply_accumulate(sum, left, right, sum);\n",
        "  for (uint i = 0; i < LENGTH; ++i) {\n    simdgroup_multiply_accumulate(sum, left, right, sum);\n  }\n",
    )
    shuffles = {}
    for length in (1, 4):
        library = cuda.compile(chain, defines={"A": "half", "B": "half", "LENGTH": length})
        code = text(library.pipeline("product", products="tensor"))
        assert code.count("mma.sync") == length
        shuffles[length] = code.count("shfl.sync")
    assert shuffles == {1: 6, 4: 6}


def test_what_the_host_must_know(features: cuda.Library) -> None:
    pipeline = features.pipeline("features", {"doubles": True})
    by_name = {argument.name: argument for argument in pipeline.arguments}
    cpu = {a.name: a for a in metalsim.compile(FEATURES).pipeline("features", {"doubles": True}).arguments}
    assert by_name == cpu
    assert [name for name, argument in by_name.items() if not argument.is_used] == ["unused"]
    assert pipeline.static_threadgroup_memory_length == 32 * 4 + 6 * 2
    assert pipeline.thread_execution_width == 32
    assert pipeline.max_total_threads_per_threadgroup == 1024
    assert features.pipeline("small").max_total_threads_per_threadgroup == 64
    assert features.pipeline("features", {0: True}, threads=96).max_total_threads_per_threadgroup == 96
    assert ".maxntid 96, 1, 1" in text(features.pipeline("features", {0: True}, threads=96))
    assert features.kernel_names == ("features", "two_memories", "sine", "wants_a_constant", "small", "large")
    assert features.function_constants == {"doubles": 0, "unset": 1}


def test_function_constants_are_folded(features: cuda.Library) -> None:
    yes, no = (text(features.pipeline("features", {0: value})) for value in (True, False))
    assert "ex2.approx" in no
    assert "ex2.approx" not in yes


def test_memory_keeps_its_address_space(features: cuda.Library) -> None:
    code = text(features.pipeline("features", {0: True}))
    assert re.search(r"ld\.global\.\w+", code)
    assert re.search(r"st\.shared\.\w+", code)
    assert not re.search(r"\b(ld|st)\.[fubs]\d+", code), "an access whose memory is not known"
    assert ".extern .shared .align 16 .b8 metalsim_dynamic_memory[]" in code


def prefill_macros(**changes: Any) -> dict[str, Any]:
    macros = {"ELEMENT": "half", "HEAD_DIM": 64, "HEAD_DIM_V": 64, "KV_SOURCE": 0, "SIMDGROUPS": 2, "ROW_TILES": 1}
    macros |= {"KEY_TILE": 16, "STAGED": 1, "STAGE_ELEMENT": "half"}
    return {f"FUSED_ATTN_{name}": value for name, value in (macros | changes).items()}


@pytest.mark.parametrize("staged", [0, 1])
def test_our_prefill(staged: int) -> None:
    metal = SCALE.parents[1] / "metal"
    library = cuda.compile(metal / "prefill.metal", [metal], prefill_macros(STAGED=staged))
    constants = {0: 0, 1: True, 2: False, 3: False, 4: False, 5: 1, 8: False}
    code = text(library.pipeline("prefill", constants, products="tensor"))
    # Two products for each 8 rows, 8 keys and 8 columns of K and of V, in the code for whole tiles and in that for others.
    assert code.count("mma.sync") == 2 * 2 * 2 * 8
    assert ptx.local_bytes(code) == 0
    assert ptx.static_shared_bytes(code) == (16 * 2 * (64 + 8) * 2 if staged else 0)
    assert ptx.undefined_functions(code) == []
    assert ptx.used_buffers(code) == {0, 1, 2, 3, 4, 5}


@pytest.mark.skipif(shutil.which("ptxas") is None, reason="there is no ptxas here: pip install nvidia-cuda-nvcc")
def test_ptxas_accepts_all(features: cuda.Library) -> None:
    for name, products in itertools.product(("features", "small"), ("exact", "tensor")):
        pipeline = features.pipeline(name, {0: True}, products=products, machine_code=True)
        assert not pipeline.image.is_ptx
    for a, b in TYPES:
        cuda.compile(PRODUCT, defines={"A": a, "B": b}).pipeline("product", products="tensor", machine_code=True)


def test_pipelines_travel_in_a_file(features: cuda.Library, tmp_path: Path) -> None:
    pipelines = {
        "one": features.pipeline("features", {0: True}),
        "again": features.pipeline("features", {"doubles": True}),
    }
    path = cuda.save(tmp_path / "pipelines.zip", pipelines)
    loaded = cuda.load(path)
    assert {name: pipeline.image for name, pipeline in loaded.items()} == {n: p.image for n, p in pipelines.items()}
    assert path.stat().st_size < 2 * len(pipelines["one"].image.code)


def refused(error: type[Exception], sentence: str) -> Any:
    return pytest.raises(error, match=sentence)


def test_refusals_when_compiling(features: cuda.Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused(
        metalsim.ValidationError, "kernel 'sine' uses sin, which metalsim.cuda does not have: run it on the CPU"
    ):
        features.pipeline("sine")
    with refused(metalsim.ValidationError, "uses the function constants 'unset' .index 1., which have no value: pass"):
        features.pipeline("wants_a_constant")
    with refused(metalsim.ValidationError, "kernel 'large' declares 32,800 bytes of threadgroup memory, but a"):
        features.pipeline("large")
    with refused(metalsim.ValidationError, "has no kernel 'none'; it has 'features'"):
        features.pipeline("none")
    with refused(metalsim.ValidationError, "has no function constant 'none'; it has 0"):
        features.pipeline("features", {"none": 1})
    with refused(metalsim.ValidationError, 'products must be "exact" or "tensor", but is \'fast\''):
        features.pipeline("features", {0: True}, products="fast")  # type: ignore[arg-type]
    with refused(metalsim.ValidationError, "threads must be 1 to 1024, the threads of a threadgroup, but is 2000"):
        features.pipeline("features", {0: True}, threads=2000)
    with refused(metalsim.CompileError, "metal-double"):
        cuda.compile("kernel void k(device float* x) { x[0] = 1.0 * double(x[1]); }")
    with refused(FileNotFoundError, "there is no Metal source file"):
        cuda.compile(tmp_path / "none.metal")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with refused(metalsim.ToolchainError, "needs ptxas to make machine code, which is not on PATH: install"):
        cuda.compiler.assemble(features.pipeline("features", {0: True}).image)


def test_refusals_of_files(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    path.write_text("no archive")
    with refused(metalsim.ValidationError, "must be a file that metalsim.cuda.save.. wrote, but is not one"):
        cuda.load(path)
    with refused(FileNotFoundError, "none"):
        cuda.load(tmp_path / "none.zip")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu(features: cuda.Library) -> None:
    pipeline = features.pipeline("small")
    with refused(
        metalsim.ValidationError, "runs kernels on an NVIDIA GPU, and torch sees none here: write pipelines with"
    ):
        pipeline.dispatch((1,), (32,), {0: torch.zeros(1)})


class Unlaunched:
    """Stands for the driver's function, where only what it is called with is looked at."""

    def __init__(self) -> None:
        self.launches: list[tuple[Any, ...]] = []

    def launch(self, *arguments: Any) -> None:
        self.launches.append(arguments)


@pytest.fixture
def bound(features: cuda.Library, monkeypatch: pytest.MonkeyPatch) -> cuda.Pipeline:
    pipeline = features.pipeline("features", {0: True}, threads=64)
    monkeypatch.setattr(pipeline, "_function", Unlaunched())
    return pipeline


def test_refusals_of_a_dispatch(bound: cuda.Pipeline) -> None:
    def refuse(sentence: str, grid: Any = (1,), block: Any = (32,), buffers: Any = None, memory: Any = None) -> None:
        with refused(metalsim.ValidationError, sentence):
            bound.dispatch(grid, block, buffers or {}, {0: 128} if memory is None else memory)

    refuse("threadgroups must be one to three sizes of at least 1, but is .0,.", grid=(0,))
    refuse("threadgroups are 70,000 in y, but an NVIDIA GPU takes 65,535: split the dispatch", grid=(1, 70_000))
    refuse("allows 64 threads in a threadgroup, but threads_per_threadgroup is .96, 1, 1., 96 threads", block=(96,))
    refuse("threadgroup memory 0 .'given'. has no length: pass threadgroup_memory={0: bytes}", memory={})
    refuse("has no .*threadgroup.3.*; it has 0", memory={0: 128, 3: 16})
    refuse("threadgroup memory 0 must be a multiple of 16 bytes, but is 100", memory={0: 100})
    refuse("needs 32,908 bytes of threadgroup memory .140 of its own and 32,768 of this dispatch.", memory={0: 32768})
    refuse("has no .*buffer.9.*; it has 0 .'in'., 1 .'out'., 2 .'sizes'., 3 .'unused'.", buffers={9: b""})
    refuse('buffer 0 must be a CUDA tensor, but is on cpu: move it with .to."cuda".', buffers={0: torch.zeros(4)})
    refuse("buffer 0 must be a CUDA tensor, bytes, a numpy array, or a pair .*, but is list", buffers={0: [1.0]})
    refuse("buffer 0 .'in'. is used by the kernel, but nothing is bound: add it to buffers")


def test_what_a_launch_passes(features: cuda.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = features.pipeline("two_memories")
    function = Unlaunched()
    monkeypatch.setattr(pipeline, "_function", function)
    monkeypatch.setattr(cuda.launch, "_span_of", lambda index, buffer: Span(0x10000 * index, 256, 16, True, buffer))
    pipeline.dispatch((5, 2), (32,), {3: b""}, {0: 48, 2: 128})
    ((grid, block, shared_bytes, parameters),) = function.launches
    assert (grid, block, shared_bytes) == ((5, 2, 1), (32, 1, 1), 48 + 128)
    assert [parameters.threadgroup_memory[n] for n in range(3)] == [0, 0, 48]
    assert [parameters.buffers[n] for n in range(5)] == [0, 0, 0, 0x30010, 0]
    # As LaunchParameters of entry.h: 31 addresses, 31 offsets, and what aligns them.
    assert ctypes.sizeof(parameters) == int(re.findall(r"metalsim_kernel_param_0\[(\d+)\]", text(pipeline))[0])


@pytest.mark.parametrize("broken", ["bindings", "package"])
def test_missing_bindings(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from metalsim.cuda import driver

    driver.bindings.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, {"bindings": "cuda.bindings", "package": "cuda"}[broken], None)
    with refused(
        metalsim.ToolchainError, "needs NVIDIA's cuda-bindings, which are not installed: pip install cuda-bindings"
    ):
        driver.bindings()
    driver.bindings.cache_clear()


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and torch sees none here")


@needs_gpu
@pytest.mark.parametrize("products", ["exact", "tensor"])
@pytest.mark.parametrize(("a", "b"), TYPES)
def test_a_product_on_a_gpu(a: str, b: str, products: str) -> None:
    tensors = [x.cuda() for x in numbers(a, b, 0)]
    result = torch.full((8, 8), torch.nan, device="cuda")
    product(a, b, products).dispatch((1,), (32,), {**dict(enumerate(tensors)), 3: result})
    left, right, sums = (x.double() for x in tensors)
    assert torch.equal(result.double(), left @ right + sums)


@needs_gpu
def test_two_threadgroup_memories_on_a_gpu(features: cuda.Library) -> None:
    values = torch.randn(64, device="cuda")
    expected = (values[:32] + values[32:]).flip(0)
    features.pipeline("two_memories").dispatch((1,), (32,), {3: values}, {0: 128, 2: 128})
    assert torch.equal(values[:32], expected)


@needs_gpu
def test_a_kernel_on_a_gpu(features: cuda.Library) -> None:
    pipeline = features.pipeline("features", {0: True})
    values = torch.randn(40, device="cuda")
    out = torch.full((33,), torch.nan, device="cuda")
    sizes = np.array([32], np.uint32).tobytes() + np.array([0.5], np.float32).tobytes()
    pipeline.dispatch((1,), (32,), {0: values[3:], 1: (out, 4), 2: sizes}, {0: 128})
    assert torch.equal(out[1:], 2 * values[3:35].roll(-1) + 0.5)
    assert out[0].isnan()
    with refused(metalsim.ValidationError, "buffer 1 .'out'. may be written by the kernel, but is read-only"):
        pipeline.dispatch((1,), (32,), {0: values, 1: bytes(128), 2: sizes}, {0: 128})
    with refused(metalsim.ValidationError, "buffer 2 .'sizes'. has 4 bytes from its offset on, but its type has 8"):
        pipeline.dispatch((1,), (32,), {0: values, 1: out, 2: bytes(4)}, {0: 128})
    with refused(metalsim.ValidationError, "buffer 0 is bound at byte 999, but it has 160 bytes"):
        pipeline.dispatch((1,), (32,), {0: (values, 999), 1: out, 2: sizes}, {0: 128})

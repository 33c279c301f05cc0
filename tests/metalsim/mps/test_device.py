"""The software ``mps`` device against torch's CPU: what torch promises of a device, and what metalsim adds to it.

The process is one that was started with METALSIM=1.
"""

import copy
import ctypes
import gc
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from metalsim.mps import operators, patches

CACHES_BUFFERS = os.environ.get("METALSIM_CACHE_BUFFERS") != "0"
REPOSITORY = Path(__file__).resolve().parents[3]
DTYPES = [
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
]


def run_python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with the device unless the environment says otherwise."""
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "METALSIM": "1", "PYTHONPATH": path, **environment},
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def _with_gradients() -> Iterator[None]:
    """Switch grad mode on again: the suite's other tests have operators without a backward."""
    with torch.enable_grad():
        yield


# ---- the device ----------------------------------------------------------------------------------------------------


def test_torch_knows_the_device():
    assert torch.backends.mps.is_built()
    assert torch.backends.mps.is_available()
    assert torch.mps.is_available()
    assert torch.mps.device_count() == 1
    assert torch.accelerator.current_accelerator() == torch.device("mps")
    assert torch.accelerator.current_device_index() == 0
    assert torch.get_device_module("mps") is torch.mps


def test_the_described_mac():
    assert torch.backends.mps.get_name().startswith("Apple M")
    assert torch.backends.mps.get_core_count() >= 8
    assert torch.backends.mps.is_macos_or_newer(14, 0)
    assert not torch.backends.mps.is_macos_or_newer(99, 0)


def test_the_only_index_is_zero():
    assert torch.zeros(2, device="mps:0").device == torch.device("mps:0")
    with pytest.raises(RuntimeError, match="index must be 0"):
        torch.zeros(2, device="mps:1")


def test_nothing_is_loaded_without_the_switch():
    finished = run_python(
        "import torch; print(torch.backends.mps.is_available(), torch.backends.mps.is_built())", METALSIM="0"
    )
    assert finished.stdout.split() == ["False", "False"]


def test_loading_too_late_says_what_to_do():
    program = (
        "import torch; torch._C._mps_is_available()\n"
        "from metalsim.mps import autoload\n"
        "try: autoload.load()\n"
        "except RuntimeError as error: print(error)"
    )
    assert "start the process with METALSIM=1" in run_python(program, METALSIM="0").stdout


# ---- tensors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_factories(dtype: torch.dtype):
    for factory in (torch.empty, torch.zeros, torch.ones):
        tensor = factory(3, 4, dtype=dtype, device="mps")
        assert tensor.is_mps
        assert tensor.dtype == dtype
    assert torch.equal(torch.full((2,), 1, dtype=dtype, device="mps").cpu(), torch.ones(2, dtype=dtype))
    assert torch.empty_strided((3, 4), (1, 3), dtype=dtype, device="mps").stride() == (1, 3)


def test_more_factories():
    assert torch.arange(5, device="mps").tolist() == [0, 1, 2, 3, 4]
    assert torch.linspace(0, 1, 5, device="mps").tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert torch.as_tensor(np.ones(3, np.float32), device="mps").sum().item() == 3
    assert torch.zeros(0, 3, device="mps").data_ptr() == 0
    with torch.device("mps"):
        assert torch.zeros(2).is_mps


def test_double_is_refused_in_the_words_of_torch():
    sentence = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"
    for make in (
        lambda: torch.zeros(2, dtype=torch.float64, device="mps"),
        lambda: torch.zeros(2, dtype=torch.float64).to("mps"),
        lambda: torch.zeros(2, device="mps").double(),
        lambda: torch.ones(2, device="mps").sum(dtype=torch.float64),
    ):
        with pytest.raises(TypeError, match=sentence):
            make()


def test_a_device_tensor_has_no_numpy_array():
    with pytest.raises(TypeError, match="mps"):
        torch.zeros(2, device="mps").numpy()


OPERATIONS: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = [
    lambda x, y: x + y * 2 - 1,
    lambda x, y: (x / (y.abs() + 1)).exp().sum(-1),
    lambda x, y: x @ y,
    lambda x, y: torch.where(x > 0, x, y),
    lambda x, y: x.softmax(-1).cumsum(0),
    lambda x, y: torch.cat([x, y[None]]),
    lambda x, y: x.sort(-1).values,
    lambda x, y: x.max(-1).indices,
    lambda x, y: F.layer_norm(x, (5,), y, y),
    lambda x, y: torch.einsum("ij,j->i", x, y),
    lambda x, y: x.unfold(1, 3, 1).contiguous(),
    lambda x, y: torch.stack(x.split(2, 1)[:2]),
    lambda x, y: x[:, [0, 2]],
    lambda x, y: x[x > 0],
    lambda x, y: x[:, torch.tensor([0, 2])],
    lambda x, y: torch.fft.rfft(x).conj().real,
    lambda x, y: torch.complex(x, x).conj().imag + 1,
    lambda x, y: torch.cdist(x, x),
    lambda x, y: torch.linalg.svdvals(x),
    lambda x, y: F.one_hot(torch.arange(3, device=x.device)),
    lambda x, y: torch.bucketize(x, y.sort().values),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operators_equal_the_cpu(operation: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(3, 5, generator=generator), torch.randn(5, generator=generator)
    result = operation(x.to("mps"), y.to("mps"))
    assert result.is_mps
    torch.testing.assert_close(result.cpu(), operation(x, y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_normalisations_round_once(dtype: torch.dtype):
    generator = torch.Generator().manual_seed(1)
    x, weight = torch.randn(2, 6, 5, generator=generator).to(dtype), torch.randn(6, generator=generator).to(dtype)
    grouped = F.group_norm(x.to("mps"), 3, weight.to("mps"), weight.to("mps"))
    assert torch.equal(grouped.cpu(), F.group_norm(x, 3, weight, weight))
    assert torch.equal(F.layer_norm(x.to("mps"), (6, 5)).cpu(), F.layer_norm(x, (6, 5)))


def test_in_place_and_out():
    x = torch.zeros(2, 3, device="mps")
    x += 1
    x.mul_(2)[0] = 5
    assert x.tolist() == [[5, 5, 5], [2, 2, 2]]
    out = torch.empty(0, device="mps")
    assert torch.add(x, 1, out=out) is out
    assert out.tolist() == [[6, 6, 6], [3, 3, 3]]
    values, indices = torch.empty(0, device="mps"), torch.empty(0, dtype=torch.int64, device="mps")
    torch.max(x, dim=1, out=(values, indices))
    assert values.tolist() == [5, 2]
    gathered = torch.empty(0, device="mps")
    torch.masked_select(x, x > 2, out=gathered)
    assert gathered.tolist() == [5, 5, 5]


def test_lists_and_missing_tensors():
    tensors = [torch.ones(3, device="mps") for _ in range(3)]
    torch._foreach_add_(tensors, 1)
    assert [tensor.tolist() for tensor in tensors] == [[2, 2, 2]] * 3
    assert torch.ops.aten.index(torch.eye(3, device="mps"), [None, torch.tensor([1], device="mps")]).tolist() == [
        [0],
        [1],
        [0],
    ]
    assert [part.item() for part in torch.unbind(torch.arange(3, device="mps"))] == [0, 1, 2]
    result = torch.ops.aten.native_layer_norm(torch.ones(2, 3, device="mps"), [3], None, None, 1e-5)
    assert all(part.is_mps for part in result)


def test_numbers_and_scalars_promote_as_on_the_cpu():
    x = torch.ones(2, device="mps", dtype=torch.int32)
    assert (x * 1.5).dtype == torch.float32
    assert (x + True).dtype == torch.int32
    assert (torch.ones(2, device="mps", dtype=torch.half) * torch.tensor(2.0)).dtype == torch.half
    assert (torch.ones(2, device="mps", dtype=torch.half) * torch.tensor(2.0, device="mps")).dtype == torch.half


def test_devices_do_not_mix():
    x = torch.ones(3, device="mps")
    for mix in (
        lambda: x + torch.ones(3),
        lambda: torch.ones(3) @ x,
        lambda: torch.cat([x, torch.ones(3)]),
        lambda: x.dot(torch.ones(3)),
    ):
        with pytest.raises(RuntimeError, match="device"):
            mix()


def test_more_than_two_to_the_31_elements():
    x = torch.empty(2**31 + 8, dtype=torch.int8, device="mps")
    x[-3:] = torch.tensor([1, 2, 3], dtype=torch.int8, device="mps")
    assert x[-3:].tolist() == [1, 2, 3]
    assert x[2**31 + 5].item() == 1
    assert x.nbytes == 2**31 + 8
    del x
    torch.mps.empty_cache()


# ---- views and storages --------------------------------------------------------------------------------------------


VIEWS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    lambda x: x[1],
    lambda x: x[:, 1:],
    lambda x: x.transpose(0, 2),
    lambda x: x.permute(2, 0, 1),
    lambda x: x.view(6, 4),
    lambda x: x.expand(5, 2, 3, 4),
    lambda x: x.diagonal(0, 1, 2),
    lambda x: x.unfold(2, 2, 1),
    lambda x: x.as_strided((2, 2), (4, 1), 5),
    lambda x: x.view(torch.int32),
    lambda x: x.chunk(2)[1],
    lambda x: x.flatten(),
    lambda x: x.detach(),
    lambda x: x.unflatten(2, (2, 2)),
    lambda x: torch.view_as_real(torch.view_as_complex(x.view(2, 3, 2, 2))),
]


@pytest.mark.parametrize("view", VIEWS)
def test_views_share_the_storage(view: Callable[[torch.Tensor], torch.Tensor]):
    base = torch.arange(24.0, device="mps").reshape(2, 3, 4)
    seen = view(base)
    assert seen.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
    assert torch.equal(seen.cpu(), view(base.cpu()))


def test_writing_through_a_view():
    base = torch.arange(24.0, device="mps").reshape(2, 3, 4)
    view = base[1, :, 1:3]
    assert view.data_ptr() == base.data_ptr() + 13 * 4
    view.fill_(-1)
    assert (base[1, :, 1:3] == -1).all()
    assert base[0].min() == 0


def test_changing_the_shape_in_place():
    x = torch.arange(6.0, device="mps").view(2, 3)
    x.t_()
    assert x.shape == (3, 2)
    x.unsqueeze_(0).squeeze_(0)
    assert x.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_resize_and_set():
    x = torch.arange(4.0, device="mps")
    x.resize_(3, 3)
    assert x.flatten()[:4].tolist() == [0, 1, 2, 3]
    y = torch.empty(0, device="mps").set_(x)
    assert y.data_ptr() == x.data_ptr()
    z = torch.empty(0, device="mps").set_(x.untyped_storage(), 2, (2, 2), (3, 1))
    assert z.storage_offset() == 2
    x.data = torch.ones(2, device="mps")
    assert x.shape == (2,)


def test_untyped_storage():
    storage = torch.UntypedStorage(16, device="mps")
    assert storage.device.type == "mps"
    assert storage.nbytes() == 16
    tensor = torch.empty(0, dtype=torch.uint8, device="mps").set_(storage)
    tensor.copy_(torch.arange(16, dtype=torch.uint8))
    storage.resize_(32)
    assert storage.nbytes() == 32
    assert torch.empty(0, dtype=torch.uint8, device="mps").set_(storage)[:16].tolist() == list(range(16))
    storage.resize_(0)
    assert storage.nbytes() == 0
    assert torch.UntypedStorage(4).resize_(8).nbytes() == 8


def test_host_alias():
    x = torch.arange(4.0, device="mps")
    alias = torch.mps._host_alias_storage(x.untyped_storage())
    assert alias.device.type == "cpu"
    host = torch.empty(0).set_(alias)
    host[0] = 7
    assert x.tolist() == [7, 1, 2, 3]
    del x
    gc.collect()
    assert host.tolist() == [7, 1, 2, 3]
    with pytest.raises(RuntimeError, match="must be on mps"):
        torch.mps._host_alias_storage(torch.ones(1).untyped_storage())


# ---- handles -------------------------------------------------------------------------------------------------------


def test_storage_is_no_address_of_the_host():
    program = "import ctypes, torch; x = torch.ones(4, device='mps'); ctypes.string_at(x.data_ptr(), 4)"
    assert run_python(program).returncode == -signal.SIGSEGV


def test_a_view_is_no_buffer():
    program = (
        "import ctypes, torch; from metalsim.mps import build; x = torch.ones(4, device='mps')[1:]\n"
        "metal = ctypes.CDLL(str(build.device_libraries().metal))\n"
        "metal.metalsim_buffer_contents.argtypes = [ctypes.c_void_p]; metal.metalsim_buffer_contents(x.data_ptr())"
    )
    finished = run_python(program)
    assert finished.returncode != 0
    assert "Metal API validation: " in finished.stderr
    assert "storage_offset()" in finished.stderr


# ---- copies --------------------------------------------------------------------------------------------------------


def test_copies():
    host = torch.randn(4, 4)
    device = torch.empty(4, 4, device="mps")
    device.copy_(host)
    assert torch.equal(device.cpu(), host)
    device.t().copy_(host)
    assert torch.equal(device.cpu(), host.t())
    target = torch.empty(4, 4)
    target.copy_(device.half())
    assert torch.equal(target, host.t().half().float())
    device[:2].copy_(torch.ones(4, device="mps"))
    assert device[:2].sum() == 8
    assert device.to("mps:0") is device
    assert device.to("mps") is device
    assert torch.equal(host.to("mps", torch.float16).cpu(), host.half())
    assert device.clone().data_ptr() != device.data_ptr()
    assert torch.equal(device.to("cpu", non_blocking=True), device.cpu())
    assert torch.empty(4, 4, dtype=torch.float64).copy_(device).dtype == torch.float64


def test_lazily_conjugated_and_negated_copies():
    x = torch.tensor([1 + 2j, 3 - 4j])
    device = x.to("mps")
    assert torch.equal(device.conj().cpu(), x.conj())
    assert torch.equal(device.conj().imag.cpu(), x.conj().imag)
    assert torch.equal(torch.empty_like(device).copy_(device.conj()).cpu(), x.conj().resolve_conj())


def test_save_and_load():
    saved = {"a": torch.randn(3, device="mps"), "b": torch.randn(2, 2, device="mps").t()}
    file = io.BytesIO()
    torch.save(saved, file)
    for location, device in ((None, "mps"), ("cpu", "cpu"), ("mps", "mps")):
        file.seek(0)
        loaded = torch.load(file, map_location=location)
        assert loaded["a"].device.type == device
        assert torch.equal(loaded["b"].cpu(), saved["b"].cpu())
    file = io.BytesIO()
    torch.save(torch.ones(3), file)
    file.seek(0)
    assert torch.load(file, map_location="mps").is_mps


def test_deepcopy_pickle_and_dlpack():
    x = torch.randn(3, device="mps")
    assert torch.equal(copy.deepcopy(x), x)
    assert torch.equal(pickle.loads(pickle.dumps(x)), x)
    capsule = torch.utils.dlpack.to_dlpack(x)
    shared = torch.utils.dlpack.from_dlpack(capsule)
    assert shared.is_mps
    assert shared.data_ptr() == x.data_ptr()


# ---- random numbers ------------------------------------------------------------------------------------------------


def draws() -> list[torch.Tensor]:
    """Return numbers of operators with a generator, without one, and of a module."""
    x = torch.ones(50, device="mps")
    return [torch.randn(9, device="mps"), torch.randperm(9, device="mps"), torch.bernoulli(x / 2), F.dropout(x)]


@pytest.mark.parametrize("seed", [torch.manual_seed, torch.mps.manual_seed])
def test_seeds_reproduce(seed: Callable[[int], object]):
    seed(3)
    first = draws()
    assert not torch.equal(first[0], torch.randn(9, device="mps"))
    seed(3)
    assert all(torch.equal(one, other) for one, other in zip(first, draws(), strict=True))
    seed(4)
    assert not torch.equal(first[0], draws()[0])


def test_the_state_can_be_kept():
    torch.randn(3, device="mps")
    state = torch.mps.get_rng_state()
    first = [draws(), draws()]
    torch.mps.set_rng_state(state)
    for expected in first:
        assert all(torch.equal(one, other) for one, other in zip(expected, draws(), strict=True))
    with pytest.raises(RuntimeError, match="wrong size"):
        torch.mps.set_rng_state(state[:-1])


def test_generators():
    generator = torch.Generator(device="mps").manual_seed(1)
    assert generator.device.type == "mps"
    assert generator.initial_seed() == 1
    first = torch.randn(5, generator=generator, device="mps")
    twin = generator.clone_state()
    assert torch.equal(torch.rand(5, generator=generator, device="mps"), torch.rand(5, generator=twin, device="mps"))
    generator.manual_seed(1)
    assert torch.equal(first, torch.randn(5, generator=generator, device="mps"))
    assert isinstance(generator.seed(), int)
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(5, generator=torch.Generator(), device="mps")


def test_the_cpu_draws_are_its_own():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    draws()
    assert torch.equal(torch.rand(3), expected)


# ---- modules -------------------------------------------------------------------------------------------------------


def test_training_a_module():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 4))
    x = torch.randn(5, 8)
    twin = copy.deepcopy(module)
    assert module.to("mps") is module
    for network, inputs in ((module, x.to("mps")), (twin, x)):
        optimizer = torch.optim.AdamW(network.parameters())
        network(inputs).pow(2).mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    for ours, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.cpu(), theirs.grad)
        torch.testing.assert_close(ours.cpu(), theirs)
    assert all(parameter.is_mps for parameter in copy.deepcopy(module).parameters())


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(2, 4, 3, stride=2), (1, 2, 9)),
        (nn.Conv2d(2, 4, 3, padding=1, groups=2), (2, 2, 8, 8)),
        (nn.Conv2d(2, 4, 3, bias=False, dilation=2), (2, 2, 8, 8)),
        (nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1), (1, 2, 4, 4)),
        (nn.BatchNorm2d(2), (2, 2, 4, 4)),
        (nn.MaxPool2d(2), (1, 2, 4, 4)),
        (nn.MultiheadAttention(8, 2, batch_first=True), (2, 5, 8)),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), (2, 5, 8)),
        (nn.LSTM(4, 3, batch_first=True), (2, 5, 4)),
        (nn.GRU(4, 3), (5, 2, 4)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_modules_equal_the_cpu(module: nn.Module, shape: tuple[int, ...]):
    torch.manual_seed(0)
    x = torch.randn(shape)
    on_device = copy.deepcopy(module).to("mps")
    repeats = 3 if isinstance(module, nn.MultiheadAttention) else 1

    def run(network: nn.Module, device: str) -> list[torch.Tensor]:
        inputs = x.to(device).requires_grad_()
        result = network(*[inputs] * repeats)
        output = result[0] if isinstance(result, tuple) else result
        output.pow(2).sum().backward()
        return [output.detach().cpu(), inputs.grad.cpu()]

    for ours, theirs in zip(run(on_device, "mps"), run(module, "cpu"), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_packed_sequences_and_embeddings():
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(4, 2, 3, device="mps"), torch.tensor([4, 2]))
    output, lengths = nn.utils.rnn.pad_packed_sequence(nn.GRU(3, 3).to("mps")(packed)[0])
    assert output.is_mps
    assert lengths.tolist() == [4, 2]
    assert nn.Embedding(4, 3).to("mps")(torch.tensor([1, 2], device="mps")).shape == (2, 3)


def test_autocast():
    a, b = torch.randn(2, 4, 4, device="mps")
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("mps", dtype=dtype):
            assert (a @ b).dtype == dtype
            assert (a @ b).softmax(-1).dtype == torch.float32
    assert (a @ b).dtype == torch.float32


def test_checkpoint_vmap_and_func():
    x = torch.randn(3, 4, device="mps", requires_grad=True)
    checkpoint(torch.tanh, x, use_reentrant=False).sum().backward()
    torch.testing.assert_close(x.grad, 1 - x.detach().tanh() ** 2)
    mapped = torch.vmap(torch.dot)(x.detach(), x.detach())
    torch.testing.assert_close(mapped, (x.detach() ** 2).sum(1))
    torch.testing.assert_close(torch.func.grad(lambda value: value.pow(2).sum())(x.detach()), 2 * x.detach())


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile(backend: str):
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).to("mps")
    x = torch.randn(2, 4, device="mps")
    torch.testing.assert_close(torch.compile(module, backend=backend)(x), module(x))


def test_fake_tensors_and_export():
    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.softmax(-1) @ x.t()

    program = torch.export.export(Model(), (torch.randn(3, 4, device="mps"),))
    x = torch.randn(3, 4, device="mps")
    torch.testing.assert_close(program.module()(x), Model()(x))


# ---- attention -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("variant", ["plain", "causal", "mask", "bool mask", "scale", "grouped"])
def test_attention(dtype: torch.dtype, variant: str):
    torch.manual_seed(0)
    key_heads = 2 if variant == "grouped" else 4
    query, key, value = (torch.randn(2, heads, 7, 16).to(dtype) for heads in (4, key_heads, key_heads))
    options: dict[str, object] = {
        "plain": {},
        "causal": {"is_causal": True},
        "mask": {"attn_mask": torch.randn(7, 7).to(dtype)},
        "bool mask": {"attn_mask": torch.ones(7, 7, dtype=torch.bool).tril()},
        "scale": {"scale": 0.5},
        "grouped": {"enable_gqa": True},
    }[variant]
    expected = F.scaled_dot_product_attention(
        *(tensor.float() for tensor in (query, key, value)),
        **{
            name: option.float() if name == "attn_mask" and option.dtype != torch.bool else option
            for name, option in options.items()
        },
    )
    on_device = {
        name: option.to("mps") if isinstance(option, torch.Tensor) else option for name, option in options.items()
    }
    for needs_gradient in (False, True):
        tensors = [tensor.to("mps").requires_grad_(needs_gradient) for tensor in (query, key, value)]
        result = F.scaled_dot_product_attention(*tensors, **on_device)
        tolerance = 1e-5 if dtype == torch.float32 else 2e-2
        torch.testing.assert_close(result.detach().float().cpu(), expected, atol=tolerance, rtol=tolerance)
        if needs_gradient:
            result.sum().backward()
            assert all(tensor.grad.is_mps for tensor in tensors)


def test_attention_without_gradient_reaches_the_operator_of_the_mac():
    library = torch.library.Library("aten", "IMPL")
    calls = []

    def kernel(query: torch.Tensor, *arguments: object, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(query.shape)
        return torch.zeros_like(query), torch.zeros(1, device="mps")

    query = torch.randn(1, 2, 3, 4, device="mps")
    with pytest.warns(UserWarning, match="[Oo]verrid"):
        library.impl("_scaled_dot_product_attention_math_for_mps", kernel, "MPS", allow_override=True)
    F.scaled_dot_product_attention(query, query, query)
    library._destroy()
    assert calls == [query.shape]


def test_attention_refuses_what_torch_refuses():
    query = torch.randn(1, 2, 3, 4, device="mps")
    mask = torch.ones(3, 3, device="mps", dtype=torch.bool)
    with pytest.raises(RuntimeError, match="is_causal"):
        F.scaled_dot_product_attention(query, query, query, attn_mask=mask, is_causal=True)
    with pytest.raises(RuntimeError, match="same dtype"):
        F.scaled_dot_product_attention(query, query.half(), query)


# ---- memory --------------------------------------------------------------------------------------------------------


@pytest.fixture
def _limited_memory() -> Iterator[None]:
    torch.mps.empty_cache()
    yield
    torch.mps.set_per_process_memory_fraction(1.7)


@pytest.mark.skipif(not CACHES_BUFFERS, reason="the allocator keeps no freed buffers")
def test_statistics():
    gc.collect()
    before = torch.mps.current_allocated_memory()
    x = torch.empty(1 << 20, dtype=torch.uint8, device="mps")
    assert torch.mps.current_allocated_memory() == before + (1 << 20)
    assert torch.mps.driver_allocated_memory() >= 1 << 20
    del x
    assert torch.mps.current_allocated_memory() == before
    held = torch.mps.driver_allocated_memory()
    torch.mps.empty_cache()
    assert torch.mps.driver_allocated_memory() < held
    assert torch.mps.recommended_max_memory() > 1 << 30


def test_statistics_of_the_accelerator():
    torch.accelerator.reset_peak_memory_stats()
    x = torch.empty(1 << 20, dtype=torch.uint8, device="mps")
    assert torch.accelerator.max_memory_allocated() >= torch.accelerator.memory_allocated() >= 1 << 20
    del x
    torch.accelerator.empty_cache()


@pytest.mark.usefixtures("_limited_memory")
def test_out_of_memory_tells_the_numbers():
    fraction = (torch.mps.current_allocated_memory() + (1 << 20)) / torch.mps.recommended_max_memory()
    torch.mps.set_per_process_memory_fraction(fraction)
    with pytest.raises(RuntimeError, match=r"MPS backend out of memory \(MPS allocated: .*Tried to allocate 2\.00 MiB"):
        torch.empty(2 << 20, dtype=torch.uint8, device="mps")
    torch.mps.set_per_process_memory_fraction(0.0)
    assert torch.empty(2 << 20, dtype=torch.uint8, device="mps").is_mps


def test_the_longest_buffer():
    with pytest.raises(RuntimeError, match="Invalid buffer size"):
        torch.empty(1 << 44, dtype=torch.uint8, device="mps")


@pytest.mark.skipif(not CACHES_BUFFERS, reason="the allocator keeps no freed buffers")
def test_the_last_buffer_freed_is_the_first_reused():
    size = 12347
    first, second = (torch.empty(size, dtype=torch.uint8, device="mps") for _ in range(2))
    addresses = [first.data_ptr(), second.data_ptr()]
    del first, second
    reused = [torch.empty(size, dtype=torch.uint8, device="mps") for _ in range(2)]
    assert [tensor.data_ptr() for tensor in reused] == addresses[::-1]
    other = torch.empty(size - 1, dtype=torch.uint8, device="mps")
    assert other.data_ptr() not in addresses


def test_buffers_need_not_be_reused():
    program = (
        "import torch; x = torch.ones(64, device='mps'); held = torch.mps.driver_allocated_memory(); del x\n"
        "print(torch.mps.driver_allocated_memory() < held)"
    )
    assert run_python(program, METALSIM_CACHE_BUFFERS="0").stdout.strip() == "True"


def test_many_small_buffers():
    for size in range(1, 5000):
        torch.empty(size, dtype=torch.uint8, device="mps")
    torch.mps.empty_cache()


# ---- events, profiler, threads -------------------------------------------------------------------------------------


def test_events():
    start, end = torch.mps.Event(enable_timing=True), torch.mps.Event(enable_timing=True)
    start.record()
    x = torch.randn(64, 64, device="mps")
    (x @ x).sum()
    end.record()
    end.wait()
    end.synchronize()
    assert start.query()
    assert end.query()
    assert 0 <= start.elapsed_time(end) < 60000
    untimed = torch.mps.Event()
    untimed.record()
    while not untimed.query():
        pass
    with pytest.raises(RuntimeError, match="enable_timing"):
        start.elapsed_time(untimed)


def test_events_of_every_device():
    event = torch.Event("mps")
    event.record()
    event.synchronize()
    assert event.query()
    torch.accelerator.synchronize()
    assert torch.accelerator.current_stream().device.type == "mps"


def test_profiler_and_captures():
    with torch.mps.profiler.profile("interval,event"):
        torch.ones(2, device="mps").sum()
    with pytest.raises(RuntimeError, match="Invalid Signpost trace mode"):
        torch.mps.profiler.start("sometimes")
    assert not torch.mps.profiler.is_metal_capture_enabled()
    assert not torch.mps.profiler.is_capturing_metal()
    with pytest.raises(NotImplementedError, match="GPU traces"), torch.mps.profiler.metal_capture("trace"):
        pass


def test_threads():
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(20):
                x = torch.full((64,), float(number), device="mps")
                assert (x * 2).sum().item() == 128 * number
                torch.mps.synchronize()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# ---- operators that a Mac has not ----------------------------------------------------------------------------------


@pytest.fixture
def _strict() -> Iterator[None]:
    patches.refuse_missing_operators(True)
    yield
    patches.refuse_missing_operators(False)


@pytest.mark.usefixtures("_strict")
def test_strict_operators(monkeypatch: pytest.MonkeyPatch):
    x = torch.randn(3, 3, device="mps")
    (x + 1).softmax(-1).matmul(x).sum().item()
    with pytest.raises(
        NotImplementedError, match=r"'aten::\w+(\.\w+)?' is not currently implemented for the MPS device"
    ):
        torch.linalg.eig(x)
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    torch.linalg.eig(x)


def test_strict_operators_by_the_environment():
    program = "import torch; torch.linalg.eig(torch.eye(2, device='mps'))"
    finished = run_python(program, METALSIM_STRICT_OPERATORS="1")
    assert "NotImplementedError" in finished.stderr
    assert run_python(program, METALSIM_STRICT_OPERATORS="0").returncode == 0


def test_the_list_of_operators_is_that_of_torch():
    pytest.importorskip("yaml")
    assert list(operators.native_operators()) == operators.operators_of_torch()


def test_operators_can_be_tracked():
    patches.track_operators(True)
    try:
        assert torch.ones(2, device="mps").sum().item() == 2
    finally:
        patches.track_operators(False)


# ---- torch.mps.compile_shader --------------------------------------------------------------------------------------

SOURCE = """
#include <metal_stdlib>
using namespace metal;
kernel void full(device float* out, constant float& value, uint index [[thread_position_in_grid]]) { out[index] = value; }
kernel void full_half(device half* out, constant half& value, uint index [[thread_position_in_grid]]) { out[index] = value; }
kernel void add_ints(device int* out, constant int2& values, uint index [[thread_position_in_grid]]) {
  out[index] = values.x + values.y;
}
kernel void add_longs(device long* out, constant long* values, uint index [[thread_position_in_grid]]) {
  out[index] = values[0] + values[1];
}
kernel void position(device uint* out, uint2 place [[thread_position_in_grid]], uint2 grid [[threads_per_grid]]) {
  out[place.y * grid.x + place.x] = place.y * 100 + place.x;
}
kernel void group(device uint* out, uint index [[thread_position_in_grid]], uint size [[threads_per_threadgroup]]) {
  threadgroup uint shared[32];
  shared[index % 32] = size;
  out[index] = shared[index % 32];
}
"""


@pytest.fixture(scope="module")
def shaders() -> torch._C._mps_ShaderLibrary:
    return torch.mps.compile_shader(SOURCE)


def test_a_library_lists_its_kernels(shaders):
    assert set(dir(shaders)) == {"full", "full_half", "add_ints", "add_longs", "position", "group"}
    assert isinstance(shaders, torch._C._mps_ShaderLibrary)
    assert shaders.full.max_threads_per_threadgroup == 1024
    assert shaders.full.thread_execution_width == 32
    assert shaders.full.static_thread_group_memory_length == 0
    assert shaders.group.static_thread_group_memory_length == 128


def test_arguments_of_kernels(shaders):
    x = torch.zeros(16, device="mps")
    shaders.full(x, 3.5)
    assert x.tolist() == [3.5] * 16
    shaders.full(x[4:8], 1.0)
    assert x.tolist() == [3.5] * 4 + [1] * 4 + [3.5] * 8
    shaders.full(x, torch.tensor(2.0, dtype=torch.float64))
    assert x.tolist() == [2] * 16
    halves = torch.zeros(4, device="mps", dtype=torch.half)
    shaders.full_half(halves, 1.5, arg_casts="fp16")
    assert halves.tolist() == [1.5] * 4
    integers = torch.zeros(4, device="mps", dtype=torch.int32)
    shaders.add_ints(integers, [1, 2], arg_casts={1: "int32"})
    assert integers.tolist() == [3] * 4
    longs = torch.zeros(4, device="mps", dtype=torch.int64)
    shaders.add_longs(longs, (1 << 40, 2))
    assert longs.tolist() == [(1 << 40) + 2] * 4


def test_grids_of_kernels(shaders):
    x = torch.zeros(3, 5, device="mps", dtype=torch.int32)
    shaders.position(x, threads=(5, 3))
    assert x.tolist() == [[y * 100 + column for column in range(5)] for y in range(3)]
    x.zero_()
    shaders.position(x, threads=[5, 3], group_size=[2, 2])
    assert x[2].tolist() == [200, 201, 202, 203, 204]
    sizes = torch.zeros(6, device="mps", dtype=torch.int32)
    shaders.group(sizes, threads=6, group_size=3)
    assert sizes.tolist() == [3] * 6


def test_wrong_calls_of_kernels(shaders):
    x = torch.zeros(4, device="mps")
    with pytest.raises(RuntimeError, match="Number of threads is undefined"):
        shaders.full(1.0)
    with pytest.raises(ValueError, match="Threadgroup size exceeds 1024 limit"):
        shaders.full(x, 1.0, group_size=2048)
    with pytest.raises(RuntimeError, match="Passed CPU tensor to MPS op"):
        shaders.full(torch.zeros(4), 1.0)
    with pytest.raises(RuntimeError, match="Unsupported argument type"):
        shaders.full(x, "1")
    with pytest.raises(RuntimeError, match="Unsupported cast instruction"):
        shaders.full(x, 1.0, arg_casts="fp8")
    with pytest.raises(RuntimeError, match="Empty list/tuple"):
        shaders.full(x, [])
    with pytest.raises(RuntimeError, match="Failed to create function state object for: missing"):
        _ = shaders.missing
    shaders.full(x, 1.0)
    assert x.tolist() == [1] * 4


def test_a_kernel_reports_an_error():
    source = """
    #include <c10/metal/error.h>
    kernel void report(device float* x, device c10::metal::ErrorMessages* errors, uint index [[thread_position_in_grid]]) {
      if (index == 2) {
        metal::atomic_fetch_add_explicit(&errors->count, 1u, metal::memory_order_relaxed);
        errors->msg[0].message[0] = '!';
        errors->msg[0].message[1] = 0;
        errors->msg[0].line = 7;
      }
    }"""
    torch.mps.compile_shader(source).report(torch.zeros(4, device="mps"), error_buf_idx=1)
    with pytest.raises(torch.AcceleratorError, match=r"^!"):
        torch.mps.synchronize()
    torch.mps.synchronize()


def test_inductor():
    x = torch.randn(8, 32, device="mps")
    compiled = torch.compile(lambda value: (value * value + 1).relu().sum(-1))
    torch.testing.assert_close(compiled(x), (x * x + 1).relu().sum(-1))


def test_source_that_does_not_compile():
    with pytest.raises(SyntaxError, match="undeclared identifier"):
        torch.mps.compile_shader("kernel void f(device float* out) { out[0] = missing; }")


def test_metallibs_are_refused():
    with pytest.raises(NotImplementedError, match="compile_shader"):
        torch.mps.load_metallib(b"MTLB")


def test_the_headers_of_torch_can_be_included():
    source = """
    #include <c10/metal/utils.h>
    kernel void largest(device float* out, uint index [[thread_position_in_grid]]) {
      out[index] = ::c10::metal::max(float(index), 2.0f);
    }"""
    x = torch.zeros(4, device="mps")
    torch.mps.compile_shader(source).largest(x)
    assert x.tolist() == [2, 2, 2, 3]


def test_dereferencing_a_handle_is_not_possible_by_mistake():
    address = torch.ones(1, device="mps").data_ptr()
    assert ctypes.c_uint64(address).value >> 63 == 1

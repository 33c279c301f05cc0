"""The Objective-C++ host code of the MPS backend, on metalsim's software device: what the operators' own tests cannot see.

That results are right on ``mps`` is what the whole suite says with ``METALSIM=1 FUSED_ATTN_TEST_DEVICE=mps``.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

import metalsim
from torch_fused_attn import _C

pytestmark = pytest.mark.skipif(os.environ.get("METALSIM") != "1", reason="METALSIM=1 runs the software mps device")

ROOT = Path(__file__).parents[1]
OPS = torch.ops.fused_attn
HALF = {"dtype": torch.float16, "device": "mps"}


@pytest.fixture(scope="module", autouse=True)
def _backend():
    from metalsim.mps import fused_attn

    fused_attn.load()


def on_mps(*sizes, dtype=torch.float16):
    return torch.randn(*sizes, dtype=dtype).to("mps")


def indices(values, dtype=torch.int32):
    return torch.tensor(values, dtype=dtype).to("mps")


def calls():
    """One call of each operator, by name: a function that takes nothing and does nothing but call."""
    query, short, key = on_mps(1, 4, 40, 64), on_mps(1, 4, 1, 64), on_mps(1, 2, 3000, 64)
    packed, cache = on_mps(33, 4, 64), on_mps(8, 16, 4, 64)
    cu_seqlens, lengths, table = indices([0, 20, 33]), indices([60, 33]), indices([[1, 4, 0, 2], [3, 5, 7, -1]])
    out, lse = on_mps(1, 4, 40, 64), on_mps(1, 4, 40, dtype=torch.float32)
    slots, pairs = indices(list(range(40, 73)), torch.int64), indices([[0, 6]], torch.int64)
    mask = torch.rand(40, 40).to("mps") > 0.5
    return {
        "prefill": lambda: OPS.forward(query, query, query, is_causal=True),
        "masked prefill": lambda: OPS.forward(query, query, query, attn_mask=mask),
        "split decode": lambda: OPS.forward(short, key, key),
        "padded head dim": lambda: OPS.forward(query[..., :50], query[..., :50], query[..., :50]),
        "varlen": lambda: OPS.varlen_forward(packed, packed, packed, cu_seqlens, cu_seqlens, 20, 20),
        "paged": lambda: OPS.paged_forward(packed, cache, cache, table, lengths, cu_seqlens, 20),
        "reshape_and_cache_": lambda: OPS.reshape_and_cache_(packed, packed, cache, cache.clone(), slots),
        "copy_blocks_": lambda: OPS.copy_blocks_(cache, cache.clone(), pairs),
        "merge_states": lambda: OPS.merge_states(out, lse, out, lse),
    }


CALLS = ["prefill", "masked prefill", "split decode", "varlen", "paged", "merge_states"]


def statistics():
    return sys.modules["metalsim.mps._bridge"].statistics()


@pytest.mark.parametrize("name", CALLS)
def test_calls_only_encode(name):
    """No command buffer is committed and nothing is waited for; what was encoded runs when somebody reads the result."""
    call = calls()[name]
    torch.mps.synchronize()
    before = statistics()
    call()
    after = statistics()
    assert after["dispatches"] > before["dispatches"]
    assert after["command_buffers"] == before["command_buffers"]
    assert after["completed_command_buffers"] == before["completed_command_buffers"]


LIMIT = "FUSED_ATTN_MAX_DISPATCH_SECONDS"


@pytest.fixture
def one_core():
    """The GPU of which parts are smallest. Its name is used nowhere else, so that nobody knows its cores yet."""
    with metalsim.described_as("M2 Ultra", cores=1):
        yield


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize(("name", "parts"), [("prefill", 4), ("masked prefill", 2 + 4), ("varlen", 8), ("paged", 8)])
def test_long_calls_are_committed_in_parts(monkeypatch, name, parts):
    """A command buffer for each head of a sequence, and for each tile of a mask. Nothing waits; the bits are the same."""
    call = calls()[name]
    whole = [tensor.cpu() for tensor in call()]
    monkeypatch.setenv(LIMIT, "1e-9")
    before = statistics()
    cut = call()
    after = statistics()
    assert after["dispatches"] - before["dispatches"] == parts
    assert after["command_buffers"] - before["command_buffers"] == parts
    assert after["completed_command_buffers"] == before["completed_command_buffers"]
    assert all(torch.equal(one.cpu(), other) for one, other in zip(cut, whole, strict=True))


@pytest.mark.usefixtures("one_core")
def test_short_calls_add_up(monkeypatch):
    """Two of them fit in the time of a command buffer, three do not."""
    query = on_mps(1, 2, 64, 64)
    sizes = {"num_heads": 2, "num_kv_heads": 2, "len_q": 64, "len_k": 64, "head_dim": 64, "head_dim_v": 64}
    plan = _C.kernel_plan(family=8, cores=1, element="half", batch=1, **sizes)
    ((_, _, seconds),) = plan["attention"]["parts"]
    monkeypatch.setenv(LIMIT, str(2.5 * seconds))
    before = statistics()
    for _ in range(20):
        OPS.forward(query, query, query)
    assert statistics()["command_buffers"] - before["command_buffers"] in (9, 10)


@pytest.mark.parametrize("value", ["half", "0", "-1", "nan", "0.5 s"])
def test_limits_that_are_none(monkeypatch, value):
    query = on_mps(1, 1, 16, 64)
    monkeypatch.setenv(LIMIT, value)
    with pytest.raises(RuntimeError, match=f"{LIMIT} must be a number of seconds above 0, but is '{value}'; unset it"):
        OPS.forward(query, query, query)


def kernels_of(call):
    with metalsim.counted() as counted:
        call()
        torch.mps.synchronize()
    return [dispatch.kernel for operator in counted.operators for dispatch in operator.dispatches]


LAUNCHES = {
    "prefill": ["prefill"],
    "masked prefill": ["label_mask_tiles", "prefill"],
    "split decode": ["decode", "merge_splits"],
    "padded head dim": ["prefill"],
    "varlen": ["prefill"],
    "paged": ["prefill"],
    "reshape_and_cache_": ["reshape_and_cache"],
    "copy_blocks_": ["copy_blocks"],
    "merge_states": ["merge_states"],
}


@pytest.mark.parametrize("name", LAUNCHES)
def test_launches(name):
    assert kernels_of(calls()[name]) == LAUNCHES[name]


@pytest.mark.parametrize(("gpu", "is_staged"), [("M1", True), ("M2 Max", True), ("M3", False), ("M4 Max", False)])
def test_the_gpu_chooses_the_kernel(gpu, is_staged):
    query = on_mps(1, 2, 64, 64)
    with metalsim.described_as(gpu), metalsim.counted() as counted:
        OPS.forward(query, query, query)
    assert (counted.counts.threadgroup_barriers > 0) == is_staged


@pytest.mark.parametrize("macos", ["14.0", "15.0"])
def test_macos(macos):
    """The two names of the safe mode; the other kernels of this process were compiled by one of them."""
    head_dim = {"14.0": 16, "15.0": 24}[macos]
    query = on_mps(1, 1, 9, head_dim, dtype=torch.float32)
    with metalsim.described_as("M1", macos=macos):
        out, _ = OPS.forward(query, query, query)
    expected = scaled_dot_product_attention(query.cpu(), query.cpu(), query.cpu())
    torch.testing.assert_close(out.cpu(), expected)


@pytest.mark.parametrize("sdk", [140500, 150000])
def test_math_mode_is_not_asked_of_older_sdks(sdk):
    """Headers before macOS 15's do not declare it. The host code is only preprocessed here, as with each of the SDKs."""
    from metalsim.mps import build, fused_attn

    source = fused_attn.CSRC / "mps" / "pipelines.mm"
    flags = ["-I", str(fused_attn.CSRC), f"-D__MAC_OS_X_VERSION_MAX_ALLOWED={sdk}", "-E"]
    command = build.compile_command(source, Path("-"), torch=True, arc=True, flags=flags)
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ("options.mathMode = MTLMathModeSafe;" in text) == (sdk >= 150000)
    assert ("options.mathFloatingPointFunctions = MTLMathFloatingPointFunctionsPrecise;" in text) == (sdk >= 150000)
    assert re.search(r"options\.fastMathEnabled = (NO|__objc_no);", text)


def test_views_begin_where_they_begin():
    """Storage offsets, in bytes; odd ones too."""
    whole = torch.randn(3 * 2 * 40 * 33 + 7, dtype=torch.float32)
    query, key, value = (
        whole[5 + n :].as_strided((1, 2, 40, 32), (0, 40 * 33, 33, 1), 5 + n + n * 2 * 40 * 33) for n in range(3)
    )
    expected = scaled_dot_product_attention(query, key, value)
    on_device = whole.to("mps")
    views = [on_device.as_strided(t.shape, t.stride(), t.storage_offset()) for t in (query, key, value)]
    torch.testing.assert_close(OPS.forward(*views)[0].cpu(), expected)


def test_first_calls_from_many_threads():
    """All of them compile the same kernel, or wait for nobody."""
    query = on_mps(1, 2, 17, 72, dtype=torch.float32)

    def call(_):
        with torch.no_grad():
            return OPS.forward(query, query, query)[0].cpu()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(16)))
    assert all(torch.equal(result, results[0]) for result in results)


def test_what_the_device_holds_is_never_read_out_of_range():
    """Lengths, offsets and blocks that no host has checked, under the checks of every access."""
    query, cache = on_mps(33, 4, 64), on_mps(8, 16, 2, 64)
    table = indices([[1, 900, -7, 2], [2**31 - 1, 5, 7, -(2**31)]])
    with metalsim.checked():
        OPS.paged_forward(query, cache, cache, table, indices([10_000, -5]), indices([0, 20, 33]), 20)
        OPS.paged_forward(query[:2], cache, cache, table, indices([64, 1 << 30]), indices([0, 1, 2]), 1)
        OPS.varlen_forward(query, query, query, indices([-4, 50, 20]), indices([7, 3, 1 << 30]), 40, 40)
        OPS.reshape_and_cache_(query[:2, :2], query[:2, :2], cache, cache.clone(), indices([1 << 40, 128], torch.int64))
        OPS.copy_blocks_(cache, cache.clone(), indices([[8, 0], [0, -1], [1 << 40, 3]], torch.int64))


def test_longer_than_the_kernels_count():
    query = on_mps(1, 1, 16, 8)
    key = query[:, :, :1].expand(1, 1, 1 << 30, 8)
    with pytest.raises(RuntimeError, match=r"^fused_attn.forward: key's length must be less than 1073741824"):
        OPS.forward(query, key, key)


SCRIPT = """
import sys
import torch
import torch_fused_attn
from metalsim.mps import fused_attn

fused_attn.load(arc={arc})
torch.set_grad_enabled(False)
query = torch.randn(1, 2, 40, 64, dtype=torch.float16).to("mps")
slots = torch.arange(40).to("mps")
cache = torch.zeros(4, 16, 2, 64, dtype=torch.float16).to("mps")
{body}
"""


def run(body, *, arc=True, **environment):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(arc=arc, body=body)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


TIMED_OUT = """
import hashlib
import os
import metalsim

torch.manual_seed(0)
query = torch.randn(1, 2, 40, 64, dtype=torch.float16).to("mps")


def result():
    try:
        out, lse = torch.ops.fused_attn.forward(query, query, query)
        torch.mps.synchronize()
        return hashlib.sha256(out.cpu().numpy().tobytes() + lse.cpu().numpy().tobytes()).hexdigest()
    except RuntimeError as error:
        return error


with metalsim.described_as("M1", cores=1):
    print(result())
    os.environ["FUSED_ATTN_MAX_DISPATCH_SECONDS"] = "1e-9"
    print(result())
"""


def test_a_call_that_keeps_the_gpu_too_long():
    """A GPU that allows a command buffer what one head takes ends the whole call, and not the call in parts."""
    ended, in_parts = run(TIMED_OUT, METALSIM_MAX_PRODUCTS="500").splitlines()
    assert "took 960 matrix products" in ended
    assert "kIOGPUCommandBufferCallbackErrorImpactingInteractivity" in ended
    assert run(TIMED_OUT).splitlines() == [in_parts, in_parts]


FAILING = """
try:
    torch.ops.fused_attn.forward(query, query, query)
except RuntimeError as error:
    print(error)
tokens = query[0].transpose(0, 1)
torch.ops.fused_attn.reshape_and_cache_(tokens, tokens, cache, cache.clone(), slots)
print("others work:", torch.equal(cache.flatten(0, 1)[:40], tokens))
"""


def test_a_kernel_that_does_not_compile(tmp_path):
    """An error that names the library, with Metal's message, true to the file; the other libraries are unharmed."""
    metal = shutil.copytree(ROOT / "metal", tmp_path / "metal")
    broken = (metal / "score_rules.h").read_text().splitlines()
    broken.append("float broken() { return no_such_name; }")
    (metal / "score_rules.h").write_text("\n".join(broken))
    told = run(FAILING, FUSED_ATTN_METAL_FOLDER=str(metal))
    assert told.startswith(
        "fused_attn: Metal does not compile prefill of prefill.metal FUSED_ATTN_ELEMENT=half FUSED_ATTN_HEAD_DIM=64"
    )
    assert f"score_rules.h:{len(broken)}:" in told
    assert "no_such_name" in told
    assert "others work: True" in told


def test_kernels_that_are_not_there(tmp_path):
    metal = shutil.copytree(ROOT / "metal", tmp_path / "metal")
    (metal / "prefill.metal").unlink()
    told = run(FAILING, FUSED_ATTN_METAL_FOLDER=str(metal))
    assert told.startswith(
        f"fused_attn: the Metal source prefill.metal cannot be read from {metal}/prefill.metal; reinstall"
    )
    assert "others work: True" in told


LEAKS = """
import ctypes
from metalsim.mps import build

live = ctypes.CDLL(str(build.device_libraries().metal)).metalsim_live_objects
live.restype = ctypes.c_long
exact = query.cpu().float()
expected = torch.nn.functional.scaled_dot_product_attention(exact, exact, exact)
for _ in range(3):
    out, lse = torch.ops.fused_attn.forward(query, query, query)
print(torch.allclose(out.cpu().float(), expected, atol=4e-3))
names = (b"MTLCompileOptions", b"MTLFunctionConstantValues", b"MTLComputePipelineDescriptor")
print([live(name) for name in names])
"""


@pytest.mark.parametrize("arc", [True, False])
def test_nothing_is_left_behind(arc):
    """With and without automatic reference counting: what compiling needed is gone, and works the same."""
    assert run(LEAKS, arc=arc).splitlines() == ["True", "[0, 0, 0]"]

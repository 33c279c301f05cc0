"""Tensors past 2^31 elements, more than 2^32 scores, and how much memory a call takes.

The large tensors are sparse: strided views of one allocation of which the test touches, and the system commits, only the
pages that the views reach. What lies between the views is never read: it is not initialised.
"""

import json
import os
import subprocess
import sys

import pytest
import torch
from cases import randn
from packed_cases import ends
from reference import assert_matches, attention
from torch import Tensor

from torch_fused_attn import alibi_slopes, fused_attention, fused_attention_paged, fused_attention_varlen

PAST_INT32 = 2**31
DTYPE = torch.bfloat16


@pytest.fixture(scope="module")
def buffer(device: torch.device) -> Tensor:
    """Return 2^33 + 2^24 elements, 16 GiB of addresses, hardly any of them ever touched."""
    return torch.empty(2**33 + 2**24, dtype=DTYPE, device=device)


def spread(buffer: Tensor, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Tensor:
    """Return a view of the buffer with random contents, and with elements past 2^31."""
    view = buffer.as_strided(shape, strides, offset)
    assert offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) > PAST_INT32
    return view.copy_(randn(*shape, dtype=DTYPE, device=buffer.device))


FAR = 2**31 + 2**12  # not a power of two, so that a truncated offset does not by chance land on the right element


@pytest.mark.parametrize("far", ["batch", "heads", "length", "offset"])
@pytest.mark.parametrize("queries", [1, 20])
def test_strides_and_offsets_past_int32(far: str, queries: int, buffer: Tensor, device: torch.device) -> None:
    """Query, key and value in turn lie in the far view, next to each other (64 elements a row, 32 of them used)."""
    keys = 40
    strides = {"batch": (FAR, 2**16, 64, 1), "heads": (2**16, FAR, 64, 1), "offset": (2**17, 2**16, 64, 1)}
    length_strides = (2**16, 2**17, FAR // keys * 3, 1)
    inputs = []
    for shift, length in enumerate((queries, keys, keys)):
        stride = length_strides if far == "length" and length == keys else strides.get(far, (2**17, 2**16, 64, 1))
        offset = shift * 2**13 + (FAR if far == "offset" or (far == "length" and length == queries) else 0)
        inputs.append(spread(buffer, (2, 2, length, 32), stride, offset))
    slopes = alibi_slopes(2, device=device)
    out, lse = fused_attention(*inputs, is_causal=True, alibi_slopes=slopes, return_lse=True)
    assert_matches(out, lse, attention, *inputs, is_causal=True, alibi_slopes=slopes)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks_past_int32(kind: str, device: torch.device) -> None:
    query, key, value = (randn(2, 2, 33, 16, dtype=DTYPE, device=device) for _ in range(3))
    flat = torch.empty(FAR + 2**16, dtype=torch.bool if kind == "bool" else DTYPE, device=device)
    mask = flat.as_strided((2, 1, 33, 33), (FAR, 0, 33, 1)).copy_(
        torch.rand(2, 1, 33, 33) > 0.4 if kind == "bool" else torch.randn(2, 1, 33, 33)
    )
    out, lse = fused_attention(query, key, value, attn_mask=mask, return_lse=True)
    assert_matches(out, lse, attention, query, key, value, attn_mask=mask)


def test_results_past_int32(device: torch.device) -> None:
    """The result has more than 2^31 elements; its inputs are expanded from a few. Takes 4 GiB."""
    batch, heads, length, dim = 64, 8, 2**14 + 1, 256
    query = randn(batch, heads, 1, dim, dtype=DTYPE, device=device).expand(batch, heads, length, dim)
    key = randn(batch, 1, 2, dim, dtype=DTYPE, device=device)
    out, lse = fused_attention(query, key, key, return_lse=True)
    assert out.numel() > PAST_INT32
    for row in (0, length // 2, length - 1):
        assert_matches(out[:, :, row : row + 1], lse[:, :, row : row + 1], attention, query[:, :, :1], key, key)


@pytest.mark.parametrize("first_block", [0, 2**21])
def test_caches_past_int32(first_block: int, buffer: Tensor, device: torch.device) -> None:
    """Write, copy and attend to blocks whose elements lie past 2^31: block 2^21 of 2^10 elements is the first."""
    caches = buffer[: 2 * (2**21 + 64) * 2**10].view(2, 2**21 + 64, 16, 2, 32).unbind(0)
    blocks = torch.tensor([5, 60, 3, 33], device=device) + first_block
    lengths_k, lengths_q = (20, 50), (3, 1)
    key, value = (randn(70, 2, 32, dtype=DTYPE, device=device) for _ in range(2))
    table = torch.tensor([[0, 1, -1, -1], [2, 3, 1, 0]], device=device)
    table = torch.where(table < 0, -1, blocks[table] + torch.tensor([[0], [1]], device=device)).int()
    rows = torch.cat([torch.arange(n) for n in lengths_k]).to(device)
    sequence = torch.repeat_interleave(torch.arange(2), torch.tensor(lengths_k)).to(device)
    slots = table[sequence, rows // 16].long() * 16 + rows % 16
    assert first_block == 0 or int(slots.min()) * 64 >= PAST_INT32
    torch.ops.fused_attn.reshape_and_cache_(key, value, *caches, slots)
    for cache, written in zip(caches, (key, value), strict=True):
        assert torch.equal(cache.flatten(0, 1)[slots], written)

    source, destination = table[1, 1], first_block + 40
    torch.ops.fused_attn.copy_blocks_(*caches, torch.tensor([[int(source), destination]], device=device))
    for cache in caches:
        assert torch.equal(cache[destination], cache[source])
    table[1, 1] = destination

    query = randn(4, 4, 32, dtype=DTYPE, device=device)
    used = torch.tensor(lengths_k, dtype=torch.int32, device=device)
    call = query, *caches, table, used, ends(lengths_q, device)
    out, lse = fused_attention_paged(*call, 3, is_causal=True, return_lse=True)
    packed = [x[None].transpose(1, 2) for x in (query, key, value)]
    for queries, keys in ((slice(0, 3), slice(0, 20)), (slice(3, 4), slice(20, 70))):
        one = packed[0][:, :, queries], packed[1][:, :, keys], packed[2][:, :, keys]
        assert_matches(out[None, queries].transpose(1, 2), lse[None, :, queries], attention, *one, is_causal=True)


def test_more_than_2_32_scores(device: torch.device) -> None:
    """Sampled rows, since the definition cannot hold them all: row i of a window sees keys i - 64 to i only."""
    heads, length, window = 4, 40_000, 64
    assert heads * length * length > 2**32
    query, key, value = (randn(1, heads, length, 16, dtype=torch.float32, device=device) for _ in range(3))
    options = {"is_causal": True, "window_left": window, "alibi_slopes": alibi_slopes(heads, device=device)}
    results = [fused_attention(query, key, value, **options, return_lse=True)]
    packed, offsets = [x[0].transpose(0, 1) for x in (query, key, value)], ends((length,), device)
    out, lse = fused_attention_varlen(*packed, offsets, offsets, length, length, **options, return_lse=True)
    results.append((out.transpose(0, 1)[None], lse[None]))
    for i in (0, 63, 64, 65, 19_999, 32_768, 39_999):
        seen = slice(max(0, i - window), i + 1)
        row = query[:, :, i : i + 1], key[:, :, seen], value[:, :, seen]
        for out, lse in results:
            assert_matches(out[:, :, i : i + 1], lse[:, :, i : i + 1], attention, *row, **options)


# Runs in a process of its own, because the peak of this one is that of the tests above.
MEASURE = """
import json, resource, sys
import torch
from torch_fused_attn import alibi_slopes, fused_attention

def peak_mib():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with open("/proc/self/status") as status:  # ru_maxrss would be at least that of the process that started this one
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**10

def growth(function, *args):
    function(*(x[:, :, :64] for x in args))  # whatever is loaded, compiled or kept for threads, is so from here on
    before = peak_mib()
    function(*args)
    return peak_mib() - before

torch.set_grad_enabled(False)
name, device = sys.argv[1:]
query, key, value = (torch.randn(1, 2, 8192, 32, device=device) for _ in range(3))
causal = {"is_causal": True}
key_mask = torch.rand(1, 1, 1, 8192, device=device) > 0.1
calls = {
    "plain": lambda q, k, v: fused_attention(q, k, v),
    "causal": lambda q, k, v: fused_attention(q, k, v, is_causal=True),
    "alibi": lambda q, k, v: fused_attention(q, k, v, is_causal=True, alibi_slopes=alibi_slopes(2, device=device)),
    "window": lambda q, k, v: fused_attention(q, k, v, window_left=1000, window_right=1000),
    "softcap": lambda q, k, v: fused_attention(q, k, v, is_causal=True, softcap=20.0),
    "sinks": lambda q, k, v: fused_attention(q, k, v, sinks=torch.zeros(2, device=device)),
    "key mask": lambda q, k, v: fused_attention(q, k, v, is_causal=True, attn_mask=key_mask[..., : k.shape[2]]),
    "eager": lambda q, k, v: torch.softmax(q @ k.mT, -1) @ v,
}
print(json.dumps(growth(calls[name], query, key, value)))
"""
SCORE_MATRIX_MIB = 2 * 8192 * 8192 * 4 / 2**20


def measured_growth(name: str, device: torch.device) -> float:
    """Return by how many MiB the peak memory of a process grows in the call of this name in MEASURE."""
    command = [sys.executable, "-c", MEASURE, name, str(device)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", ["plain", "causal", "alibi", "window", "softcap", "sinks", "key mask"])
def test_memory_does_not_grow_with_the_score_matrix(name: str, device: torch.device) -> None:
    """Two heads of 8192 queries and keys have 512 MiB of scores; a call may take 64 MiB, its result of 2 MiB included."""
    assert measured_growth(name, device) <= 64


def test_the_measurement_sees_a_score_matrix(device: torch.device) -> None:
    assert measured_growth("eager", device) >= SCORE_MATRIX_MIB

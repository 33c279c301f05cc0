"""Every refusal of the operators: one sentence that names the argument, what it was and what it must be."""

import contextlib
import re

import pytest
import torch
from error_cases import CASES, CONTENTS, GOOD, dense, paged

import torch_fused_attn  # noqa: F401  (registers the operators)

OPS = torch.ops.fused_attn


def case_id(case):
    return f"{case[0]}-{case[1]}"


def made(wrong, device):
    """Return the wrong argument, or skip the test where no tensor like it can be made: MPS has no float64, for instance."""
    try:
        return wrong(device)
    except (TypeError, NotImplementedError) as error:
        if device.type == "cpu":
            raise
        pytest.skip(f"there is no such tensor on {device}: {str(error).splitlines()[0]}")


def refused(op, argument, wrong, message, device):
    arguments = GOOD[op](device)
    arguments[argument] = made(wrong, device)
    caches = [tensor for name, tensor in arguments.items() if name.endswith("_cache")]
    before = [cache.clone() for cache in caches]
    with pytest.raises(RuntimeError) as caught:
        getattr(OPS, op)(**arguments)
    first_line = str(caught.value).splitlines()[0]
    assert re.match(rf"fused_attn\.{op}: {message}", first_line), first_line
    for cache, copy in zip(caches, before, strict=True):
        assert cache.is_meta or torch.equal(cache, copy), "a refused call wrote to the cache"


@pytest.mark.parametrize("op", GOOD)
def test_good_arguments_are_taken(op, device):
    getattr(OPS, op)(**GOOD[op](device))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_refused(case, device):
    refused(*case, device)


@pytest.mark.parametrize("case", CONTENTS, ids=case_id)
def test_contents_refused(case, device):
    if device.type != "cpu":
        pytest.skip("what index tensors contain is checked in host memory only; kernels on a device make it safe")
    refused(*case, device)


@pytest.mark.parametrize("case", [c for c in CASES if c[2].__code__.co_name != "sparse"], ids=case_id)
def test_refused_by_fake_kernels(case, device):
    """``torch.compile`` traces with fake tensors; they refuse the same calls with the same sentences."""
    op, argument, wrong, message = case
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        arguments = {n: mode.from_tensor(t) if torch.is_tensor(t) else t for n, t in GOOD[op](device).items()}
        value = made(wrong, device)
        arguments[argument] = mode.from_tensor(value) if torch.is_tensor(value) else value
        with pytest.raises(RuntimeError, match=rf"fused_attn\.{op}: {message}"):
            getattr(OPS, op)(**arguments)


def test_window_releases_blocks_it_has_left_behind(device, looks_at_indices):
    """Blocks that no query's window reaches may be given back: their entries are not looked at."""
    arguments = paged(device)
    arguments["block_table"] = torch.tensor([[-1, 2, -1], [0, -1, -1]], dtype=torch.int32, device=device)
    refused = pytest.raises(RuntimeError, match=r"block_table\[0, 0\]")
    with refused if looks_at_indices else contextlib.nullcontext():
        OPS.paged_forward(**arguments, is_causal=True, window_left=1)  # query 0 at position 4 sees key 3, in block 0
    OPS.paged_forward(**arguments, is_causal=True, window_left=0)


GRAD_ARGUMENTS = [(op, name) for op in GOOD for name, t in GOOD[op](torch.device("cpu")).items()
                  if torch.is_tensor(t) and t.is_floating_point()]  # fmt: skip


@pytest.mark.parametrize(("op", "argument"), [*GRAD_ARGUMENTS, ("forward", "sinks"), ("forward", "alibi_slopes")])
def test_gradients_are_refused(op, argument, device):
    """Grad mode with an input that requires grad raises and names the way out; nothing is silently dropped."""
    arguments = GOOD[op](device)
    if argument not in arguments:
        arguments[argument] = torch.rand(4, device=device)
    arguments[argument] = arguments[argument].requires_grad_()
    with torch.enable_grad(), pytest.raises(RuntimeError) as caught:
        getattr(OPS, op)(**arguments)
    sentence = str(caught.value).splitlines()[0]
    assert sentence.startswith(f"fused_attn.{op}: {argument} requires grad"), sentence
    assert "torch.no_grad()" in sentence
    assert "F.scaled_dot_product_attention" in sentence
    with torch.no_grad():
        getattr(OPS, op)(**arguments)


def test_grad_mode_without_gradients_is_taken(device):
    with torch.enable_grad():
        out, lse = OPS.forward(**dense(device))
    assert not out.requires_grad
    assert not lse.requires_grad


def test_written_caches_tell_autograd(device):
    """A cache that autograd saved cannot change behind its back: the operators that write bump its version."""
    for op in ("reshape_and_cache_", "copy_blocks_"):
        arguments = GOOD[op](device)
        versions = {name: t._version for name, t in arguments.items()}
        getattr(OPS, op)(**arguments)
        for name, tensor in arguments.items():
            assert tensor._version == versions[name] + name.endswith("_cache"), name

"""A program: Metal refuses the kernels of one family, or several; what is said, what falls back, and what goes on.

``python tests/refused_kernels.py FOLDER FAMILY...`` plants the refusals in FOLDER, a copy of metal/ that the backend
reads. It runs on metalsim's software device, in a process of its own, since refusals are remembered.
"""

import os
import re
import shutil
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from metalsim.mps import fused_attn
from torch_fused_attn import KernelError, sdpa, swap_attention

METAL = Path(__file__).parents[1] / "metal"
OPS = torch.ops.fused_attn
STOCK = F.scaled_dot_product_attention


def no_such_name(condition):
    """Refused by the compiler where the condition on macros holds."""
    return lambda text: f"{text}\n#if {condition}\nfloat broken() {{ return no_such_name; }}\n#endif\n"


def renamed(kernel):
    """Found in no library, though everything compiles: a refusal of one kernel of a file."""
    return lambda text: re.sub(rf"\b{kernel}\(", f"other_{kernel}(", text)


#: By family: the file that is changed, and how.
PLANTED = {
    "prefill": ("prefill.metal", no_such_name("1")),
    "mask tiles": ("mask_tiles.metal", no_such_name("1")),
    "decode vector": ("decode.metal", no_such_name("FUSED_ATTN_ROWS <= 4")),
    "decode matrix": ("decode.metal", no_such_name("FUSED_ATTN_ROWS > 4")),
    "merge_splits": ("reduce.metal", renamed("merge_splits")),
    "merge_states": ("reduce.metal", renamed("merge_states")),
    "kv_cache": ("kv_cache.metal", no_such_name("1")),
}


def half(*sizes):
    return torch.randn(*sizes).half()


def plant(folder, families):
    for family in families:
        file, change = PLANTED[family]
        text = (folder / file).read_text()
        assert change(text) != text, family
        (folder / file).write_text(change(text))


def check_error(error, families):
    """Everything that a user needs is said, in one line."""
    assert isinstance(error, RuntimeError)
    file = error.kernel.split()[2]
    assert file in {PLANTED[family][0] for family in families}
    assert re.match(rf"fused_attn: Metal [a-z ]+ \w+ of {file}", str(error)), error
    assert error.reason in str(error)
    assert error.reason in error.details
    assert "\n" not in str(error)
    assert "doctor --report` writes to an issue" in str(error)
    assert "F.scaled_dot_product_attention" in str(error)


def is_refused(call, families):
    """Say whether a call is refused, by the family's kernel."""
    try:
        call()
    except KernelError as error:
        check_error(error, families)
        return True
    return False


def operators(folder, families):
    """Every family's operators: those of the planted ones raise, again and again, and the others run."""
    query, one, eight, key = half(1, 2, 40, 64), half(1, 2, 1, 64), half(1, 8, 1, 64), half(1, 1, 40, 64)
    long, mask, cache = half(1, 2, 3000, 64), torch.rand(40, 40) > 0.5, half(4, 16, 2, 64)
    query, one, eight, key, long, mask, cache = (x.to("mps") for x in (query, one, eight, key, long, mask, cache))
    out, lse = half(1, 4, 40, 64).to("mps"), torch.randn(1, 4, 40).to("mps")
    tokens, slots, pairs = query[0].transpose(0, 1), torch.arange(40).to("mps"), torch.tensor([[0, 2]]).to("mps")
    calls = {
        "prefill": (lambda: OPS.forward(query, query, query), {"prefill"}),
        "mask": (lambda: OPS.forward(query, query, query, attn_mask=mask), {"prefill", "mask tiles"}),
        "one row": (lambda: OPS.forward(one, query, query), {"decode vector"}),
        "eight rows": (lambda: OPS.forward(eight, key, key), {"decode matrix"}),
        "split keys": (lambda: OPS.forward(one, long, long), {"decode vector", "merge_splits"}),
        "merge_states": (lambda: OPS.merge_states(out, lse, out, lse), {"merge_states"}),
        "reshape_and_cache_": (lambda: OPS.reshape_and_cache_(tokens, tokens, cache, cache.clone(), slots), {"kv_cache"}),
        "copy_blocks_": (lambda: OPS.copy_blocks_(cache, cache.clone(), pairs), {"kv_cache"}),
    }  # fmt: skip
    for name, (call, needed) in calls.items():
        assert is_refused(call, families) == bool(needed & families), name
    # What is refused stays so, although it would compile now.
    shutil.copytree(METAL, folder, dirs_exist_ok=True)
    for name, (call, needed) in calls.items():
        assert is_refused(call, families) == bool(needed & families), name


def routed(families):
    """F.scaled_dot_product_attention, twice each: right results, a reason, and a warning for each kernel."""
    query, one, long, mask = half(1, 2, 40, 64), half(1, 2, 1, 64), half(1, 2, 3000, 64), torch.rand(40, 40) > 0.5
    eight, key = half(1, 8, 1, 64), half(1, 1, 40, 64)
    calls = [
        ((query, query, query), {"is_causal": True}, {"prefill"}),
        ((query, query, query, mask), {}, {"prefill", "mask tiles"}),
        ((one, query, query), {}, {"decode vector"}),
        ((eight, key, key), {"enable_gqa": True}, {"decode matrix"}),
        ((one, long, long), {}, {"decode vector", "merge_splits"}),
    ]
    expected = {"fused": 0, "stock": 0}
    sdpa.reset_counts()
    with warnings.catch_warnings(record=True) as told, sdpa.enabled("mps"):
        warnings.simplefilter("always")
        for tensors, options, needed in 2 * calls:
            out = F.scaled_dot_product_attention(*(x.to("mps") for x in tensors), **options)
            exact = [x if x.dtype == torch.bool else x.float() for x in tensors]
            right = STOCK(*exact, **options)
            torch.testing.assert_close(out.cpu().float(), right, atol=4e-3, rtol=0)
            expected["stock" if needed & families else "fused"] += 1
    assert sdpa.counts() == (expected["fused"], {"kernel": expected["stock"]} if expected["stock"] else {})
    kernels = [str(warning.message) for warning in told if "stock attention computes" in str(warning.message)]
    assert len(set(kernels)) == len(kernels)
    assert bool(kernels) == bool(expected["stock"])


def swapped(families):
    """A swapped module, with and without a mask."""
    module = nn.ModuleList([nn.MultiheadAttention(128, 2, batch_first=True)]).eval()
    tokens, mask = torch.randn(1, 40, 128), torch.rand(40, 40) > 0.5
    calls = [(tokens, {}), (tokens, {"attn_mask": mask}), (tokens[:, :1], {})]
    exact = [module[0](query, tokens, tokens, need_weights=False, **options)[0] for query, options in calls]
    swap_attention(module)
    module.half().to("mps")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for (query, options), right in zip(calls, exact, strict=True):
            on_mps = [x.half().to("mps") for x in (query, tokens, tokens)]
            out, _ = module[0](*on_mps, **{name: value.to("mps") for name, value in options.items()})
            torch.testing.assert_close(out.cpu().float(), right, atol=4e-3, rtol=0)


def prepare(folder, families):
    """Load the backend, with refusals in its copy of the kernels."""
    shutil.copytree(METAL, folder, dirs_exist_ok=True)
    os.environ["FUSED_ATTN_METAL_FOLDER"] = folder
    fused_attn.load()
    torch.manual_seed(0)
    plant(Path(folder), families)


def main(folder, *families):
    """Plant refusals, and look at everything that they concern."""
    prepare(folder, families)
    with torch.no_grad():
        operators(Path(folder), set(families))
        routed(set(families))
        swapped(set(families))
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])

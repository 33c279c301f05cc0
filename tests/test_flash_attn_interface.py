"""flash_attn's functions on dense and packed tensors, against the float64 reference. The cache has a file of its own."""

import inspect

import pytest
import torch
from cases import DTYPES, randn
from compiling import compiled_once
from packed_cases import ends, paged_cache
from reference import assert_matches, attention, paged_attention, varlen_attention
from torch import Tensor

from torch_fused_attn import alibi_slopes, flash_attn_interface
from torch_fused_attn.flash_attn_interface import (
    flash_attn_func,
    flash_attn_kvpacked_func,
    flash_attn_qkvpacked_func,
    flash_attn_varlen_func,
    flash_attn_varlen_kvpacked_func,
    flash_attn_varlen_qkvpacked_func,
)

# flash_attn 2.7 and 2.8's parameters and defaults, as its documentation lists them.
SHARED = {
    "dropout_p": 0.0,
    "softmax_scale": None,
    "causal": False,
    "window_size": (-1, -1),
    "softcap": 0.0,
    "alibi_slopes": None,
    "deterministic": False,
    "return_attn_probs": False,
}
LENGTHS = ("cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k")
SIGNATURES = {
    "flash_attn_func": (("q", "k", "v"), SHARED),
    "flash_attn_kvpacked_func": (("q", "kv"), SHARED),
    "flash_attn_qkvpacked_func": (("qkv",), SHARED),
    "flash_attn_varlen_func": (("q", "k", "v", *LENGTHS), {**SHARED, "block_table": None}),
    "flash_attn_varlen_kvpacked_func": (("q", "kv", *LENGTHS), SHARED),
    "flash_attn_varlen_qkvpacked_func": (("qkv", "cu_seqlens", "max_seqlen"), SHARED),
    "flash_attn_with_kvcache": (
        ("q", "k_cache", "v_cache"),
        {
            **dict.fromkeys(("k", "v", "rotary_cos", "rotary_sin", "cache_seqlens"), None),
            **dict.fromkeys(("cache_batch_idx", "cache_leftpad", "block_table", "softmax_scale"), None),
            "causal": False,
            "window_size": (-1, -1),
            "softcap": 0.0,
            "rotary_interleaved": True,
            "alibi_slopes": None,
            "num_splits": 0,
            "return_softmax_lse": False,
        },
    ),
}

# Options under flash_attn's names, and under the reference's.
OPTIONS = {
    "plain": ({}, {}),
    "causal": ({"causal": True}, {"is_causal": True}),
    "window": ({"window_size": (5, 2)}, {"window_left": 5, "window_right": 2}),
    "left": ({"window_size": (7, -1)}, {"window_left": 7}),
    "causal+window": ({"causal": True, "window_size": (4, 9)}, {"is_causal": True, "window_left": 4}),
    "softcap": ({"softcap": 1.5, "causal": True}, {"softcap": 1.5, "is_causal": True}),
    "scale": ({"softmax_scale": 0.31, "deterministic": True}, {"scale": 0.31}),
    "alibi": ({"alibi_slopes": alibi_slopes(4), "causal": True}, {"alibi_slopes": alibi_slopes(4), "is_causal": True}),
}


def on(device: torch.device, options: dict) -> dict:
    return {name: x.to(device) if isinstance(x, Tensor) else x for name, x in options.items()}


@pytest.fixture(params=OPTIONS)
def options(request: pytest.FixtureRequest, device: torch.device) -> tuple[dict, dict]:
    theirs, ours = OPTIONS[request.param]
    return on(device, theirs), on(device, ours)


def heads_first(*tensors: Tensor) -> list[Tensor]:
    return [x.transpose(1, 2) for x in tensors]


def qkv(device: torch.device, dtype: torch.dtype = torch.float32, lengths: tuple = (9, 14), heads: tuple = (4, 2)):
    shapes = [(2, n, h, 32) for n, h in zip((lengths[0], *lengths[1:] * 2), (heads[0], *heads[1:] * 2), strict=True)]
    return [randn(*shape, dtype=dtype, device=device) for shape in shapes]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_flash_attns(name: str) -> None:
    required, defaults = SIGNATURES[name]
    parameters = inspect.signature(getattr(flash_attn_interface, name)).parameters
    assert [*parameters] == [*required, *defaults]
    assert {n: p.default for n, p in parameters.items() if p.default is not p.empty} == defaults
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values())
    assert name in flash_attn_interface.__all__


@pytest.mark.parametrize(
    ("dtype", "lengths"), [*zip(DTYPES, [(9, 14), (14, 9), (1, 30)], strict=True), (torch.float32, (12, 12))]
)
def test_dense(dtype: torch.dtype, lengths: tuple, options: tuple, device: torch.device) -> None:
    q, k, v = qkv(device, dtype, lengths)
    out, lse, probabilities = flash_attn_func(q, k, v, **options[0], return_attn_probs=True)
    assert out.shape == q.shape
    assert out.is_contiguous()
    assert_matches(out.transpose(1, 2), lse, attention, *heads_first(q, k, v), **options[1])
    assert probabilities.shape == (0,)
    assert torch.equal(flash_attn_func(q, k, v, **options[0]), out)


def test_packed_tensors_are_views_of_the_same_attention(options: tuple, device: torch.device) -> None:
    q, k, v = qkv(device, heads=(4, 4), lengths=(11, 11))
    expected = flash_attn_func(q, k, v, **options[0])
    assert torch.equal(flash_attn_kvpacked_func(q, torch.stack([k, v], dim=2), **options[0]), expected)
    assert torch.equal(flash_attn_qkvpacked_func(torch.stack([q, k, v], dim=2), **options[0]), expected)


@pytest.mark.parametrize(
    ("dtype", "sequences"), [(torch.float32, ((3, 7), (0, 4), (1, 1), (20, 6))), (torch.bfloat16, ((5, 5),))]
)
def test_varlen(dtype: torch.dtype, sequences: tuple, options: tuple, device: torch.device) -> None:
    lengths_q, lengths_k = zip(*sequences, strict=True)
    q, k, v = (
        randn(sum(n), h, 32, dtype=dtype, device=device) for n, h in ((lengths_q, 4), (lengths_k, 2), (lengths_k, 2))
    )
    cu_q, cu_k = ends(lengths_q, device), ends(lengths_k, device)
    args = cu_q, cu_k, max(lengths_q), max(lengths_k)
    out, lse, _ = flash_attn_varlen_func(q, k, v, *args, **options[0], return_attn_probs=True)
    assert_matches(out, lse, varlen_attention, q, k, v, cu_q, cu_k, **options[1])
    kv = torch.stack([k, v], dim=1)
    assert torch.equal(flash_attn_varlen_kvpacked_func(q, kv, *args, **options[0]), out)


@pytest.mark.parametrize("name", ["fused_attention", "fused_attention_varlen"])
def test_nothing_is_copied_out_of_packed_tensors(
    name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Tensor] = []
    operator = getattr(flash_attn_interface, name)
    monkeypatch.setattr(
        flash_attn_interface, name, lambda *x, **options: (given.extend(x[:3]), operator(*x, **options))[1]
    )
    packed = randn(1, 9, 3, 4, 32, dtype=torch.float32, device=device)
    if name == "fused_attention":
        flash_attn_qkvpacked_func(packed)
    else:
        flash_attn_varlen_qkvpacked_func(packed[0], ends((4, 5), device), 5)
    assert {x.untyped_storage().data_ptr() for x in given} == {packed.untyped_storage().data_ptr()}
    assert len(given) == 3


def test_varlen_qkvpacked(options: tuple, device: torch.device) -> None:
    qkv = randn(20, 3, 4, 32, dtype=torch.float32, device=device)
    cu_seqlens = ends((8, 0, 12), device)
    out, lse, _ = flash_attn_varlen_qkvpacked_func(qkv, cu_seqlens, 12, **options[0], return_attn_probs=True)
    assert_matches(out, lse, varlen_attention, *qkv.unbind(1), cu_seqlens, cu_seqlens, **options[1])


@pytest.mark.parametrize("block_size", [4, 256])
def test_varlen_with_a_block_table(block_size: int, options: tuple, device: torch.device) -> None:
    lengths_q, lengths_k = (3, 1, 9), (10, 6, 9)
    q, k, v = (
        randn(sum(n), h, 32, dtype=torch.float32, device=device)
        for n, h in ((lengths_q, 4), (lengths_k, 2), (lengths_k, 2))
    )
    cache, cu_q, cu_k = paged_cache(k, v, lengths_k, block_size), ends(lengths_q, device), ends(lengths_k, device)
    out, lse, _ = flash_attn_varlen_func(
        q,
        cache.key_cache,
        cache.value_cache,
        cu_q,
        cu_k,
        9,
        10,
        **options[0],
        return_attn_probs=True,
        block_table=cache.block_table,
    )
    assert_matches(out, lse, paged_attention, q, *cache, cu_q, **options[1])


def test_values_may_have_another_head_dim(device: torch.device) -> None:
    q, k, _ = qkv(device)
    v = randn(2, 14, 2, 24, dtype=torch.float32, device=device)
    out = flash_attn_func(q, k, v, causal=True)
    assert_matches(out.transpose(1, 2), None, attention, *heads_first(q, k, v), is_causal=True)


def test_strided_heads_are_copied(device: torch.device) -> None:
    q, k, v = (x.transpose(2, 3).contiguous().transpose(2, 3) for x in qkv(device))
    assert q.stride(-1) != 1
    assert_matches(flash_attn_func(q, k, v).transpose(1, 2), None, attention, *heads_first(q, k, v))


def test_rows_that_see_nothing(device: torch.device) -> None:
    """Bottom-right: with 5 queries and 2 keys the first three see none."""
    q, k, v = qkv(device, lengths=(5, 2))
    out, lse, _ = flash_attn_func(q, k, v, causal=True, return_attn_probs=True)
    assert (out[:, :3] == 0).all()
    assert (lse[..., :3] == -torch.inf).all()
    torch.testing.assert_close(out[:, 3], v[:, 0].repeat_interleave(2, dim=1))


CALLS = {
    "flash_attn_func": lambda x, **o: flash_attn_func(x[:, :, 0], x[:, :, 1], x[:, :, 2], **o),
    "flash_attn_kvpacked_func": lambda x, **o: flash_attn_kvpacked_func(x[:, :, 0], x[:, :, 1:], **o),
    "flash_attn_qkvpacked_func": flash_attn_qkvpacked_func,
    "flash_attn_varlen_func": lambda x, **o: flash_attn_varlen_func(*x[0].unbind(1), *lengths_of(x), **o),
    "flash_attn_varlen_kvpacked_func": lambda x, **o: flash_attn_varlen_kvpacked_func(
        x[0, :, 0], x[0, :, 1:], *lengths_of(x), **o
    ),
    "flash_attn_varlen_qkvpacked_func": lambda x, **o: flash_attn_varlen_qkvpacked_func(x[0], lengths_of(x)[0], 6, **o),
}


def lengths_of(x: Tensor) -> tuple:
    cu_seqlens = ends((x.shape[1],), x.device)
    return cu_seqlens, cu_seqlens, x.shape[1], x.shape[1]


@pytest.mark.parametrize("name", CALLS)
def test_dropout_is_refused(name: str, device: torch.device) -> None:
    x = randn(1, 6, 3, 4, 16, dtype=torch.float32, device=device)
    with pytest.raises(ValueError, match=rf"{name}: dropout_p must be 0, but was 0\.1: .*scaled_dot_product_attention"):
        CALLS[name](x, dropout_p=0.1)


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_refused(name: str, device: torch.device) -> None:
    x = randn(1, 6, 3, 4, 16, dtype=torch.float32, device=device).requires_grad_()
    with torch.enable_grad(), pytest.raises(RuntimeError, match=r"requires grad, .* torch\.no_grad\(\)"):
        CALLS[name](x)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("flash_attn_qkvpacked_func", (2, 5, 2, 4, 16)), ("flash_attn_qkvpacked_func", (5, 3, 4, 16))],
)
def test_wrongly_packed_tensors_are_refused(name: str, shape: tuple, device: torch.device) -> None:
    x = randn(*shape, dtype=torch.float32, device=device)
    message = rf"{name}: qkv must be \[B, L, 3, H, D\], but its shape is \[{', '.join(map(str, shape))}\]: torch\.stack"
    with pytest.raises(ValueError, match=message):
        flash_attn_qkvpacked_func(x)


def test_every_packed_function_names_its_tensor(device: torch.device) -> None:
    x = randn(6, 4, 4, 16, dtype=torch.float32, device=device)
    lengths = lengths_of(x[None])
    for call, name, dim in (
        (lambda: flash_attn_kvpacked_func(x[None], x[None]), r"kv must be \[B, Lk, 2, Hkv, D\]", 2),
        (lambda: flash_attn_varlen_kvpacked_func(x, x, *lengths), r"kv must be \[Tk, 2, Hkv, D\]", 1),
        (lambda: flash_attn_varlen_qkvpacked_func(x, lengths[0], 6), r"qkv must be \[T, 3, H, D\]", 1),
    ):
        with pytest.raises(ValueError, match=rf"{name}.*dim={dim}\)"):
            call()


# ----- torch.compile


@pytest.mark.parametrize("packed", [False, True])
def test_one_graph_serves_all_lengths(packed: bool, device: torch.device) -> None:
    def layer(x: Tensor) -> Tensor:
        if packed:
            return flash_attn_qkvpacked_func(x * 2, causal=True, window_size=(6, 0)) + 1
        q, k, v = x.unbind(2)
        return flash_attn_func(q, k, v, causal=True, softcap=2.0, return_attn_probs=True)[0] + 1

    with compiled_once(layer) as compiled:
        for batch, length in ((2, 7), (3, 19), (2, 64)):
            x = randn(batch, length, 3, 4, 32, dtype=torch.float32, device=device)
            torch.testing.assert_close(compiled(x), layer(x))


def test_one_graph_serves_all_packings(device: torch.device) -> None:
    def layer(q: Tensor, kv: Tensor, cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int) -> Tensor:
        return flash_attn_varlen_kvpacked_func(q, kv, cu_q, cu_k, max_q, max_k, causal=True) + 1

    with compiled_once(layer) as compiled:
        for sequences in (((3, 7), (2, 4), (20, 6)), ((5, 5), (8, 9)), ((2, 40), (3, 30), (4, 20), (5, 10))):
            lengths_q, lengths_k = zip(*sequences, strict=True)
            q = randn(sum(lengths_q), 4, 32, dtype=torch.float32, device=device)
            kv = randn(sum(lengths_k), 2, 2, 32, dtype=torch.float32, device=device)
            args = q, kv, ends(lengths_q, device), ends(lengths_k, device), max(lengths_q), max(lengths_k)
            torch.testing.assert_close(compiled(*args), layer(*args))


def test_one_graph_serves_all_block_tables(device: torch.device) -> None:
    def layer(
        q: Tensor, caches: tuple[Tensor, Tensor], cu_q: Tensor, cu_k: Tensor, table: Tensor, max_k: int
    ) -> Tensor:
        lengths = cu_q, cu_k, 1, max_k
        return flash_attn_varlen_func(q * 2, *caches, *lengths, causal=True, block_table=table) + 1

    with compiled_once(layer) as compiled:
        for lengths in ((50, 5, 6, 1, 2, 3), (3, 20, 11)):
            q, k, v = (
                randn(n, h, 32, dtype=torch.float32, device=device)
                for n, h in ((len(lengths), 4), (sum(lengths), 2), (sum(lengths), 2))
            )
            cache, cu_q, cu_k = paged_cache(k, v, lengths, 4), ends([1] * len(lengths), device), ends(lengths, device)
            args = q, (cache.key_cache, cache.value_cache), cu_q, cu_k, cache.block_table, max(lengths)
            torch.testing.assert_close(compiled(*args), layer(*args))

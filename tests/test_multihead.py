"""FusedMultiheadAttention against nn.MultiheadAttention, and what the latter does not have against formulas."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from torch_fused_attn import FusedAttention, FusedMultiheadAttention, PagedKVCache, alibi_slopes

EMBED_DIM, NUM_HEADS = 32, 4
BATCH, LEN_Q, LEN_KV = 3, 5, 7


def make_pair(device, **options):
    """Return nn.MultiheadAttention with random biases, in eval mode, and the module made from it."""
    mha = nn.MultiheadAttention(EMBED_DIM, NUM_HEADS, device=device, **options).eval()
    for name, parameter in mha.named_parameters():
        if "bias" in name:
            parameter.normal_()
    return mha, FusedMultiheadAttention.from_torch(mha)


def assert_same(fused, mha, query, key, value, **masks):
    """Compare both with ``mha`` in float64: the fused error is at most twice the eager one, plus a floor."""
    out, weights = fused(query, key, value, **masks)
    assert weights is None
    double = copy.deepcopy(mha).cpu().double()
    inputs = [x.cpu().double() for x in (query, key, value)]
    causal = masks.pop("is_causal", False)
    exact_masks = {name: x.cpu() if x.dtype == torch.bool else x.cpu().double() for name, x in masks.items()}
    assert not causal or "attn_mask" in masks, "nn.MultiheadAttention takes is_causal as a hint only"
    exact = double(*inputs, need_weights=False, **exact_masks)[0]
    eager = mha(query, key, value, need_weights=False, **masks)[0]
    assert out.shape == exact.shape == eager.shape
    assert out.dtype == query.dtype
    error, eager_error = ((x.cpu().double() - exact).abs().max() for x in (out, eager))
    assert eager_error.isfinite()
    assert error <= 2 * eager_error + 8 * torch.finfo(out.dtype).eps * exact.abs().max()


def inputs_for(device, batch_first=False, kdim=EMBED_DIM, vdim=EMBED_DIM, len_kv=LEN_KV, dtype=torch.float32):
    shapes = [(LEN_Q, BATCH, EMBED_DIM), (len_kv, BATCH, kdim), (len_kv, BATCH, vdim)]
    tensors = [torch.randn(shape).to(device, dtype) for shape in shapes]
    return [x.transpose(0, 1).contiguous() for x in tensors] if batch_first else tensors


def random_mask(device, *shape, kind):
    """True = hidden, as in nn.MultiheadAttention; the last key stays visible, since all hidden is NaN there."""
    hidden = torch.rand(shape) > 0.6
    hidden[..., -1] = False
    return (hidden if kind == "bool" else torch.randn(shape).masked_fill(hidden, -torch.inf)).to(device)


# ----- nn.MultiheadAttention's own features


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kdim", "vdim"), [(None, None), (24, None), (None, 40), (24, 40)])
def test_projections(device, batch_first, bias, kdim, vdim):
    mha, fused = make_pair(device, batch_first=batch_first, bias=bias, kdim=kdim, vdim=vdim)
    inputs = inputs_for(device, batch_first, kdim or EMBED_DIM, vdim or EMBED_DIM)
    assert_same(fused, mha, *inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits(device, dtype):
    mha, fused = make_pair(device, dtype=dtype)
    assert_same(fused, mha, *inputs_for(device, dtype=dtype))


MASKS = [*itertools.product([None, "bool", "float"], [None, "2-D bool", "2-D float", "3-D bool", "3-D float"])]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("padding", "attn_mask"), MASKS)
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask and attn_mask")
def test_masks(device, batch_first, padding, attn_mask):
    mha, fused = make_pair(device, batch_first=batch_first)
    masks = {}
    if padding is not None:
        masks["key_padding_mask"] = random_mask(device, BATCH, LEN_KV, kind=padding)
    if attn_mask is not None:
        rank, kind = attn_mask.split()
        leading = (BATCH * NUM_HEADS,) if rank == "3-D" else ()
        masks["attn_mask"] = random_mask(device, *leading, LEN_Q, LEN_KV, kind=kind)
    assert_same(fused, mha, *inputs_for(device, batch_first), **masks)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_without_a_batch(device, batch_first, kind):
    mha, fused = make_pair(device, batch_first=batch_first)
    query, key, value = (x[:, 0] for x in inputs_for(device))
    assert_same(fused, mha, query, key, value)
    masks = {
        "key_padding_mask": random_mask(device, LEN_KV, kind=kind),
        "attn_mask": random_mask(device, NUM_HEADS, LEN_Q, LEN_KV, kind=kind),
    }
    assert_same(fused, mha, query, key, value, **masks)
    torch.testing.assert_close(fused(query)[0], mha(query, query, query)[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_is_causal_with_and_without_a_mask(device, batch_first):
    mha, fused = make_pair(device, batch_first=batch_first)
    query = inputs_for(device, batch_first)[0]
    causal = nn.Transformer.generate_square_subsequent_mask(LEN_Q, device=device)
    assert_same(fused, mha, query, query, query, attn_mask=causal, is_causal=True)
    torch.testing.assert_close(fused(query, is_causal=True)[0], mha(query, query, query, attn_mask=causal)[0])

    window = torch.ones(LEN_Q, LEN_Q, dtype=torch.bool, device=device).tril(-3)  # hides keys that causal does not
    both = window | causal.isinf()
    torch.testing.assert_close(
        fused(query, attn_mask=window, is_causal=True)[0], mha(query, query, query, attn_mask=both)[0]
    )


def test_self_attention_takes_one_matrix_product(device):
    mha, fused = make_pair(device)
    query = inputs_for(device)[0]

    class Linears(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.number = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.number += func in (torch.ops.aten.addmm.default, torch.ops.aten.mm.default, torch.ops.aten.bmm.default)
            return func(*args, **(kwargs or {}))

    numbers = []
    for arguments in ((query,), (query, query, query), (query, query.clone(), query)):
        with Linears() as linears:
            out, _ = fused(*arguments)
        numbers.append(linears.number)
        torch.testing.assert_close(out, mha(query, query, query)[0])
    assert numbers == [2, 2, 4], "one for all projections or one each, and one for the output"


class LargestBool(TorchDispatchMode):
    """Notes the bytes of the largest bool tensor that any call returns."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.dtype == torch.bool:
            self.largest = max(self.largest, out.untyped_storage().nbytes())
        return out


def test_padding_mask_is_never_expanded(device):
    _, fused = make_pair(device)
    padding = random_mask(device, BATCH, LEN_KV, kind="bool")
    with LargestBool() as bools:
        fused(*inputs_for(device), key_padding_mask=padding)
    assert 0 < bools.largest <= BATCH * LEN_KV
    with LargestBool() as bools:
        attn_mask = random_mask(device, LEN_Q, LEN_KV, kind="bool")
        fused(*inputs_for(device), key_padding_mask=padding, attn_mask=attn_mask)
    assert bools.largest <= BATCH * LEN_Q * LEN_KV, "a mask for all heads has no dimension for them"


@pytest.mark.parametrize("batch_first", [False, True])
def test_output_is_contiguous(device, batch_first):
    _, fused = make_pair(device, batch_first=batch_first)
    assert fused(*inputs_for(device, batch_first))[0].is_contiguous()


def test_query_that_sees_nothing_gives_the_bias(device):
    _, fused = make_pair(device)
    hidden = torch.zeros(LEN_Q, LEN_KV, dtype=torch.bool, device=device)
    hidden[2] = True
    out, _ = fused(*inputs_for(device), attn_mask=hidden)
    torch.testing.assert_close(out[2], fused.out_proj.bias.expand(BATCH, -1))


def test_inside_transformer_encoder_layer(device):
    """The layer's own inference path must not bypass the module, whose window changes the result."""
    layer = nn.TransformerEncoderLayer(EMBED_DIM, NUM_HEADS, 64, batch_first=True, device=device).eval()
    x = inputs_for(device, batch_first=True)[0]
    padding = random_mask(device, BATCH, LEN_Q, kind="bool")
    expected = layer(x, src_key_padding_mask=padding)
    window = torch.ones(LEN_Q, LEN_Q, dtype=torch.bool, device=device).tril(-2)
    expected_in_window = layer(x, src_mask=window)

    state = layer.self_attn.state_dict()
    layer.self_attn = FusedMultiheadAttention.from_torch(layer.self_attn)
    torch.testing.assert_close(layer(x, src_key_padding_mask=padding), expected)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    torch.testing.assert_close(encoder(x), layer(layer(x)))

    layer.self_attn = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, window_left=1, batch_first=True, device=device)
    layer.self_attn.load_state_dict(state)
    torch.testing.assert_close(layer.eval()(x), expected_in_window)


# ----- Weights


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kdim", [None, 24])
def test_state_dicts_are_interchangeable(device, bias, kdim):
    mha = nn.MultiheadAttention(EMBED_DIM, NUM_HEADS, bias=bias, kdim=kdim, device=device)
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, bias=bias, kdim=kdim, device=device)
    shapes = [{name: x.shape for name, x in module.state_dict().items()} for module in (mha, fused)]
    assert shapes[0] == shapes[1]
    fused.load_state_dict(mha.state_dict())
    inputs = inputs_for(device, kdim=kdim or EMBED_DIM)
    torch.testing.assert_close(fused(*inputs)[0], mha(*inputs)[0])

    other = nn.MultiheadAttention(EMBED_DIM, NUM_HEADS, bias=bias, kdim=kdim, device=device)
    other.load_state_dict(fused.state_dict())
    torch.testing.assert_close(other(*inputs)[0], mha(*inputs)[0])


def test_sinks_are_in_the_state_dict(device):
    sinks = torch.linspace(-1, 1, NUM_HEADS, device=device)
    fused = FusedMultiheadAttention(
        EMBED_DIM, NUM_HEADS, sinks=sinks, alibi_slopes=alibi_slopes(NUM_HEADS), device=device
    )
    assert set(fused.state_dict()) == {"sinks", "in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}
    assert torch.equal(fused.state_dict()["sinks"], sinks)


@pytest.mark.parametrize("kdim", [None, 24])
def test_same_seed_same_weights_as_torch(device, kdim):
    modules = []
    for module in (nn.MultiheadAttention, FusedMultiheadAttention):
        torch.manual_seed(3)
        modules.append(module(EMBED_DIM, NUM_HEADS, kdim=kdim, device=device))
    for (name, theirs), (same_name, ours) in zip(*(m.named_parameters() for m in modules), strict=True):
        assert name == same_name
        assert torch.equal(theirs, ours)


def test_from_torch_copies(device):
    mha = nn.MultiheadAttention(EMBED_DIM, NUM_HEADS, dropout=0.1, device=device, dtype=torch.bfloat16)
    mha.out_proj.requires_grad_(False)
    fused = FusedMultiheadAttention.from_torch(mha)
    assert (fused.training, fused.dropout) == (True, 0.1)
    assert not FusedMultiheadAttention.from_torch(mha.eval()).training
    assert not fused.out_proj.weight.requires_grad
    assert fused.in_proj_weight.requires_grad
    mine = dict(fused.named_parameters())
    for name, theirs in mha.named_parameters():
        assert torch.equal(theirs, mine[name])
        assert theirs.data_ptr() != mine[name].data_ptr()


def test_from_torch_refuses_what_it_cannot_convert(device):
    with pytest.raises(
        ValueError, match=r"add_bias_kv=True, a learned extra key and value .* keep nn\.MultiheadAttention"
    ):
        FusedMultiheadAttention.from_torch(nn.MultiheadAttention(EMBED_DIM, NUM_HEADS, add_bias_kv=True))
    with pytest.raises(TypeError, match=r"mha must be an nn\.MultiheadAttention, but was a Linear: copy another"):
        FusedMultiheadAttention.from_torch(nn.Linear(3, 3))

    mha = nn.MultiheadAttention(EMBED_DIM, NUM_HEADS, add_zero_attn=True, device=device)
    with pytest.raises(ValueError, match=r"add_zero_attn=True, .* sinks=torch\.zeros\(num_heads\)\) computes the same"):
        FusedMultiheadAttention.from_torch(mha)
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, sinks=torch.zeros(NUM_HEADS), device=device)
    fused.load_state_dict(mha.state_dict(), strict=False)
    inputs = inputs_for(device)
    torch.testing.assert_close(fused(*inputs)[0], mha(*inputs)[0])


# ----- Beyond nn.MultiheadAttention


@pytest.mark.parametrize("num_kv_heads", [1, 2])
@pytest.mark.parametrize("kdim", [None, 24])
def test_grouped_query_attention_repeats_the_heads(device, num_kv_heads, kdim):
    grouped = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, num_kv_heads=num_kv_heads, kdim=kdim, device=device)
    grouped.in_proj_bias.normal_()
    head_dim = EMBED_DIM // NUM_HEADS
    kv_dim = num_kv_heads * head_dim
    assert grouped.in_proj_bias.shape == (EMBED_DIM + 2 * kv_dim,)

    def repeat(rows):
        heads = rows.unflatten(0, (num_kv_heads, head_dim))
        return heads.repeat_interleave(NUM_HEADS // num_kv_heads, dim=0).flatten(0, 1)

    def repeated(packed):
        query, key, value = packed.split([EMBED_DIM, kv_dim, kv_dim])
        return torch.cat([query, repeat(key), repeat(value)])

    state = grouped.state_dict()
    state["in_proj_bias"] = repeated(state["in_proj_bias"])
    if kdim is None:
        assert grouped.in_proj_weight.shape == (EMBED_DIM + 2 * kv_dim, EMBED_DIM)
        state["in_proj_weight"] = repeated(state["in_proj_weight"])
    else:
        state |= {name: repeat(state[name]) for name in ("k_proj_weight", "v_proj_weight")}
    mha = nn.MultiheadAttention(EMBED_DIM, NUM_HEADS, kdim=kdim, device=device).eval()
    mha.load_state_dict(state)
    assert_same(grouped, mha, *inputs_for(device, kdim=kdim or EMBED_DIM))


def score_options(device):
    return {
        "alibi_slopes": alibi_slopes(NUM_HEADS, device=device),
        "window_left": 3,
        "window_right": 1,
        "softcap": 2.0,
        "sinks": torch.linspace(-1, 1, NUM_HEADS, device=device),
    }


def test_score_options_reach_the_operator(device):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, **score_options(device), device=device)
    inputs = inputs_for(device)
    weights = fused.in_proj_weight.split(EMBED_DIM)
    q, k, v = (
        (x @ weight.mT).unflatten(-1, (NUM_HEADS, -1)).permute(1, 2, 0, 3)
        for x, weight in zip(inputs, weights, strict=True)
    )
    attended = FusedAttention(is_causal=True, **score_options(device))(q, k, v)
    expected = fused.out_proj(attended.permute(2, 0, 1, 3).flatten(2))
    torch.testing.assert_close(fused(*inputs, is_causal=True)[0], expected)


def test_slopes_stay_fp32_when_the_module_is_cast(device):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, **score_options(device), device=device).bfloat16()
    assert fused.alibi_slopes.dtype == torch.float32
    out, _ = fused(*inputs_for(device, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    assert out.isfinite().all()


# ----- With a cache


def cache_for(module, device, dtype=torch.float32):
    return PagedKVCache(16, 4, module.num_kv_heads, module.head_dim, dtype=dtype, device=device)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 2}, {"num_kv_heads": 1, "bias": False}, "all"])
def test_incremental_decoding_equals_full_causal_attention(device, batch_first, options):
    options = score_options(device) | {"num_kv_heads": 2} if options == "all" else options
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, batch_first=batch_first, device=device, **options)
    length_dim = 1 if batch_first else 0
    x = torch.randn((BATCH, 11, EMBED_DIM) if batch_first else (11, BATCH, EMBED_DIM)).to(device)
    expected, _ = fused(x, is_causal=True)

    cache = cache_for(fused, device)
    ids = [cache.allocate() for _ in range(BATCH)]
    outs = []
    for chunk in x.split([5, 1, 1, 3, 1], dim=length_dim):
        batch = cache.reserve(ids, [chunk.shape[length_dim]] * BATCH)
        out, weights = fused(chunk, kv_cache=batch.layer(0))
        assert weights is None
        assert out.is_contiguous()
        outs.append(out)
    torch.testing.assert_close(torch.cat(outs, dim=length_dim), expected)


@pytest.mark.parametrize("batch_first", [False, True])
def test_sequences_of_different_lengths_come_packed(device, batch_first):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, num_kv_heads=2, batch_first=batch_first, device=device)
    lengths = [6, 2, 4]
    sequences = [torch.randn(length, EMBED_DIM).to(device) for length in lengths]
    expected = [fused(x, is_causal=True)[0] for x in sequences]

    cache = cache_for(fused, device)
    ids = [cache.allocate() for _ in lengths]
    for start, stop in ((0, 2), (2, None)):  # the second sequence gains nothing in the second step
        chunks = [x[start:stop] for x in sequences]
        batch = cache.reserve(ids, [len(chunk) for chunk in chunks])
        out, _ = fused(torch.cat(chunks), kv_cache=batch.layer(0))
        torch.testing.assert_close(out, torch.cat([x[start:stop] for x in expected]))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": (5, 2)}, "key must be None with kv_cache, which holds the keys, the values .*: pass query alone"),
        ({"value": (5, 2)}, "value must be None with kv_cache"),
        ({"attn_mask": (5, 5)}, "attn_mask must be None with kv_cache"),
        ({"key_padding_mask": (2, 5)}, "key_padding_mask must be None with kv_cache"),
    ],
)
def test_cache_takes_query_alone(device, batch_first, arguments, message):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, batch_first=batch_first, device=device)
    cache = cache_for(fused, device)
    layer = cache.reserve([cache.allocate(), cache.allocate()], [5, 5]).layer(0)
    tensors = {name: torch.zeros(shape, device=device) for name, shape in arguments.items()}
    with pytest.raises(ValueError, match=f"FusedMultiheadAttention: {message}"):
        fused(torch.randn(10, EMBED_DIM).to(device), kv_cache=layer, **tensors)
    assert not cache.key_cache.any()


@pytest.mark.parametrize(
    ("counts", "shape", "message"),
    [
        (
            [3, 3],
            (5, 32),
            r"must be \[6, 32\], .* if each of its 2 sequences has 3, \[2, 3, 32\], but has shape \[5, 32\]",
        ),
        ([3, 3], (3, 2, 32), r"must be \[6, 32\], .*\[2, 3, 32\], but has shape \[3, 2, 32\]"),
        ([3, 3], (2, 3, 16), r"must be \[6, 32\], .*\[2, 3, 32\], but has shape \[2, 3, 16\]"),
        ([3, 1], (2, 3, 32), r"must be \[4, 32\], .*\[2, 3, 32\], but has shape \[2, 3, 32\]"),
    ],
)
def test_query_must_fit_the_batch(device, counts, shape, message):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, batch_first=True, device=device)
    cache = cache_for(fused, device)
    layer = cache.reserve([cache.allocate(), cache.allocate()], counts).layer(0)
    with pytest.raises(ValueError, match=f"FusedMultiheadAttention: query {message}"):
        fused(torch.randn(shape).to(device), kv_cache=layer)
    assert not cache.key_cache.any()


def test_cache_is_for_self_attention(device):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, kdim=24, device=device)
    cache = cache_for(fused, device)
    layer = cache.reserve([cache.allocate()], [2]).layer(0)
    with pytest.raises(
        ValueError, match=r"kdim and vdim must be embed_dim, 32, with kv_cache, .* are 24 and 32: project"
    ):
        fused(torch.randn(2, EMBED_DIM).to(device), kv_cache=layer)


# ----- Compiling and exporting


@pytest.mark.parametrize("batch_first", [False, True])
def test_compile(device, batch_first):
    torch.compiler.reset()
    fused = FusedMultiheadAttention(
        EMBED_DIM, NUM_HEADS, **score_options(device), batch_first=batch_first, device=device
    )
    compiled = torch.compile(fused, fullgraph=True, backend="aot_eager")
    for len_kv in (7, 8, 9):  # the second length makes the graph dynamic
        inputs = inputs_for(device, batch_first, len_kv=len_kv)
        padding = random_mask(device, BATCH, len_kv, kind="bool")
        mask = random_mask(device, LEN_Q, len_kv, kind="float")
        for arguments in (inputs[:1], inputs):
            torch.testing.assert_close(compiled(*arguments), fused(*arguments))
        masks = {"key_padding_mask": padding, "attn_mask": mask, "is_causal": True}
        torch.testing.assert_close(compiled(*inputs, **masks), fused(*inputs, **masks))


def test_compile_with_a_cache(device):
    torch.compiler.reset()
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, num_kv_heads=2, batch_first=True, device=device)
    compiled = torch.compile(fused, fullgraph=True, backend="aot_eager")
    x = torch.randn(BATCH, 20, EMBED_DIM).to(device)
    cache = cache_for(fused, device)
    ids = [cache.allocate() for _ in range(BATCH)]

    def step(chunk):
        return compiled(chunk, kv_cache=cache.reserve(ids, [chunk.shape[1]] * BATCH).layer(0))[0]

    # Prefill, decoding, and a third block in each table make three graphs, which then serve for any length.
    outs = [step(chunk) for chunk in x[:, :9].split([7, 1, 1], dim=1)]
    with torch._dynamo.config.patch(error_on_recompile=True):
        outs += [step(chunk) for chunk in x[:, 9:].split(1, dim=1)]
    torch.testing.assert_close(torch.cat(outs, dim=1), fused(x, is_causal=True)[0])


@pytest.mark.parametrize("strict", [False, True])
def test_export(device, strict):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, batch_first=True, device=device, **score_options(device))
    length = torch.export.Dim("length", min=2, max=64)

    def arguments(len_kv):
        padding = random_mask(device, BATCH, len_kv, kind="bool")
        return (*inputs_for(device, batch_first=True, len_kv=len_kv), padding)

    shapes = {"query": None, "key": {1: length}, "value": {1: length}, "key_padding_mask": {1: length}}
    exported = torch.export.export(fused, arguments(7), dynamic_shapes=shapes, strict=strict)
    other = arguments(19)
    torch.testing.assert_close(exported.module()(*other), fused(*other))


# ----- Errors


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((32, 5), {}, "embed_dim must be a positive multiple of num_heads, but embed_dim was 32 and num_heads 5"),
        ((0, 4), {}, "embed_dim must be a positive multiple"),
        ((32, 0), {}, "embed_dim must be a positive multiple"),
        ((32, 4), {"num_kv_heads": 3}, "num_kv_heads must be a positive divisor of num_heads, 4, but was 3"),
        ((32, 4), {"num_kv_heads": 0}, "num_kv_heads must be a positive divisor"),
        ((32, 4), {"sinks": torch.zeros(3)}, r"sinks must have one element for each of the 4 .* has shape \[3\]"),
        ((32, 4), {"sinks": torch.zeros(2, 4)}, r"sinks must have one element .* has shape \[2, 4\]"),
        ((32, 4), {"alibi_slopes": torch.zeros(2, 3)}, r"alibi_slopes must have one element .* has shape \[2, 3\]"),
    ],
)
def test_wrong_construction(arguments, options, message):
    with pytest.raises(ValueError, match=f"FusedMultiheadAttention: {message}"):
        FusedMultiheadAttention(*arguments, **options)


def test_slopes_for_each_sequence_are_accepted(device):
    slopes = torch.rand(BATCH, NUM_HEADS, device=device)
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, alibi_slopes=slopes, device=device)
    out, _ = fused(*inputs_for(device))
    assert out.shape == (LEN_Q, BATCH, EMBED_DIM)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(5, 3, 16)], r"query must be \[length, B, 32\], or \[length, 32\] if .* has shape \[5, 3, 16\]"),
        ([(32,)], r"query must be \[length, B, 32\]"),
        ([(5, 32), (7, 1, 32), (7, 1, 32)], r"key must be .* has shape \[7, 1, 32\], and query \[5, 32\]"),
        ([(5, 3, 32), (7, 3, 24), (7, 3, 32)], r"key must be \[length, B, 32\], .* has shape \[7, 3, 24\]"),
        ([(5, 3, 32), (7, 3, 32), (7, 3, 24)], r"value must be \[length, B, 32\], .* has shape \[7, 3, 24\]"),
        ([(5, 3, 32), (7, 3, 32), (6, 3, 32)], r"key and value must have the same batch and length, .* \[6, 3, 32\]"),
        (
            [(5, 3, 32), (7, 2, 32), (7, 2, 32)],
            "query and key must agree in the batch, dimension 1, since batch_first is F",
        ),
        ([(5, 3, 32), (7, 3, 32)], "key and value must be given both or not at all, but key was given alone: give the"),
        ([(5, 3, 32), None, (7, 3, 32)], "key and value must be given both or not at all, but value was given alone"),
    ],
)
def test_wrong_shapes(device, shapes, message):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, device=device)
    tensors = [shape if shape is None else torch.zeros(shape, device=device) for shape in shapes]
    with pytest.raises(ValueError, match=f"FusedMultiheadAttention: {message}"):
        fused(*tensors)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (
            {"attn_mask": torch.zeros(5, 5)},
            r"attn_mask must be \[L, S\] = \[5, 7\] or .* = \[12, 5, 7\], but .* \[5, 5\]",
        ),
        ({"attn_mask": torch.zeros(3, 5, 7)}, r"attn_mask must be \[L, S\] = .* has shape \[3, 5, 7\]"),
        ({"attn_mask": torch.zeros(5, 7).int()}, r"attn_mask must be bool .* but was torch\.int32: convert it"),
        ({"key_padding_mask": torch.zeros(7)}, r"key_padding_mask must be \[B, S\] = \[3, 7\], .* has shape \[7\]"),
        ({"key_padding_mask": torch.zeros(7, 3)}, r"key_padding_mask must be \[B, S\] = \[3, 7\]"),
        ({"key_padding_mask": torch.zeros(3, 7).long()}, r"key_padding_mask must be bool .* but was torch\.int64"),
    ],
)
def test_wrong_masks(device, masks, message):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, device=device)
    with pytest.raises(ValueError, match=f"FusedMultiheadAttention: {message}"):
        fused(*inputs_for(device), **{name: mask.to(device) for name, mask in masks.items()})


def test_weights_are_refused(device):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, device=device)
    with pytest.raises(
        ValueError, match=r"need_weights must be False, .* use nn\.MultiheadAttention where you need them"
    ):
        fused(*inputs_for(device), need_weights=True)


def test_dropout_is_for_eval_mode(device):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, dropout=0.1, device=device)
    with pytest.raises(RuntimeError, match=r"dropout is 0\.1, but this module never drops anything: call eval\(\)"):
        fused(*inputs_for(device))
    assert fused.eval()(*inputs_for(device))[0].isfinite().all()


def test_gradients_are_refused(device):
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, batch_first=True, device=device)
    cache = cache_for(fused, device)
    batch = cache.reserve([cache.allocate()], [2])
    x = torch.randn(1, 2, EMBED_DIM).to(device)
    with torch.enable_grad():
        for kv_cache in (None, batch.layer(0)):
            with pytest.raises(RuntimeError, match=r"requires grad.*torch\.no_grad\(\)"):
                fused(x, kv_cache=kv_cache)
        fused.requires_grad_(False)
        fused(x)
    assert not cache.key_cache.any()


def test_repr_names_the_sizes():
    fused = FusedMultiheadAttention(EMBED_DIM, NUM_HEADS, num_kv_heads=2, softcap=3.0)
    assert "(\n  embed_dim=32, num_heads=4, num_kv_heads=2, batch_first=False, softcap=3.0\n  (out_proj)" in repr(fused)

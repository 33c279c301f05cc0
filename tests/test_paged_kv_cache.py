"""PagedKVCache: examples that a reader can check by hand, every error, and all operations together against a model."""

import itertools

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from reference import assert_matches, paged_attention
from torch.utils._python_dispatch import TorchDispatchMode

from torch_fused_attn import PagedKVCache, alibi_slopes, fused_attention
from torch_fused_attn.paged_kv_cache import OutOfBlocksError

HEADS, HEAD_DIM = 2, 8


def tokens(device, count, dtype=torch.float32):
    return torch.randn(count, HEADS, HEAD_DIM).to(device, dtype)


def read(batch, layer=0):
    """Return each sequence's (key, value) as the block table has them, without the operators."""
    caches = (batch.key_cache[layer].cpu(), batch.value_cache[layer].cpu())
    rows = zip(batch.block_table.cpu().long(), batch.seqused_k.tolist(), strict=True)
    return [tuple(cache[row[row >= 0]].flatten(0, 1)[:length] for cache in caches) for row, length in rows]


def contents(cache, sequence_id, layer=0):
    return read(cache.reserve([sequence_id], [0]), layer)[0]


def filled(cache, device, length):
    """Start a sequence of random tokens; return its id, keys and values."""
    sequence_id, key, value = cache.allocate(), tokens(device, length), tokens(device, length)
    cache.append([sequence_id], [length], key, value)
    return sequence_id, key, value


class CountedCalls(TorchDispatchMode):
    """Counts the calls of one operator."""

    def __init__(self, operator):
        super().__init__()
        self.operator, self.number = operator, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += func is self.operator
        return func(*args, **(kwargs or {}))


# ----- What a batch is


def test_batch_by_hand(device):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, num_layers=3, device=device)
    a, b = cache.allocate(), cache.allocate()
    cache.reserve([a], [6])  # a has blocks 0 and 1
    batch = cache.reserve([b, a], [3, 4])  # b has block 2, a has another, block 3
    assert batch.slot_mapping.tolist() == [8, 9, 10, 6, 7, 12, 13]
    assert batch.block_table.tolist() == [[2, -1, -1], [0, 1, 3]]
    assert batch.seqused_k.tolist() == [3, 10]
    assert batch.cu_seqlens_q.tolist() == [0, 3, 7]
    assert batch.max_seqlen_q == 4
    assert batch.slot_mapping.dtype == torch.int64
    assert {x.dtype for x in (batch.block_table, batch.seqused_k, batch.cu_seqlens_q)} == {torch.int32}
    assert {x.device.type for x in (batch.slot_mapping, batch.block_table, batch.key_cache)} == {device.type}
    assert batch.key_cache.shape == batch.value_cache.shape == (3, 8, 4, HEADS, HEAD_DIM)
    assert (cache.length(a), cache.length(b), cache.num_free_blocks) == (10, 3, 4)


def test_counts_may_be_zero(device):
    cache = PagedKVCache(2, 4, HEADS, HEAD_DIM, device=device)
    batch = cache.reserve([cache.allocate()], [0])
    assert batch.slot_mapping.tolist() == []
    assert batch.block_table.tolist() == [[-1]]
    assert cache.num_free_blocks == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_attention_over_several_layers(device, dtype):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, num_layers=3, dtype=dtype, device=device)
    ids = [cache.allocate(), cache.allocate()]
    options = {"window_left": 5, "softcap": 3.0, "sinks": torch.ones(4, device=device)}
    options["alibi_slopes"] = alibi_slopes(4, device=device)
    for counts in ([6, 3], [1, 1], [2, 4]):  # prefill, decode, several tokens at once
        batch = cache.reserve(ids, counts)
        for index in range(3):
            layer = batch.layer(index)
            layer.write(tokens(device, sum(counts), dtype), tokens(device, sum(counts), dtype))
            query = torch.randn(sum(counts), 4, HEAD_DIM).to(device, dtype)
            paged = (layer.key_cache, layer.value_cache, batch.block_table, batch.seqused_k, batch.cu_seqlens_q)
            out = layer.attend(query, **options)
            assert_matches(out, None, paged_attention, query, *paged, is_causal=True, **options)
            out = layer.attend(query, is_causal=False)
            assert_matches(out, None, paged_attention, query, *paged, is_causal=False)


def test_layers_are_apart(device):
    cache = PagedKVCache(4, 4, HEADS, HEAD_DIM, num_layers=2, device=device)
    sequence_id = cache.allocate()
    batch = cache.reserve([sequence_id], [5])
    written = [(tokens(device, 5), tokens(device, 5)) for _ in range(2)]
    for index, (key, value) in enumerate(written):
        batch.layer(index).write(key, value)
    for index, (key, value) in enumerate(written):
        assert torch.equal(contents(cache, sequence_id, index)[0], key.cpu())
        assert torch.equal(contents(cache, sequence_id, index)[1], value.cpu())


# ----- Forks, truncation, defragmentation


def test_forks_are_isolated(device):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    parent, key, _ = filled(cache, device, 6)
    child = cache.fork(parent)
    assert cache.num_free_blocks == 6, "a fork takes no block"

    more = {parent: tokens(device, 1), child: tokens(device, 1)}
    for sequence_id, new in more.items():
        cache.append([sequence_id], [1], new, new)
    assert cache.num_free_blocks == 5, "one partly filled block is copied, once; the full one stays shared"
    for sequence_id, new in more.items():
        assert torch.equal(contents(cache, sequence_id)[0], torch.cat([key, new]).cpu())

    cache.free(parent)
    assert torch.equal(contents(cache, child)[0], torch.cat([key, more[child]]).cpu())
    cache.free(child)
    assert cache.num_free_blocks == 8


def test_forks_written_in_one_step_copy_in_one_call(device):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, num_layers=3, device=device)
    parent = cache.allocate()
    first = cache.reserve([parent], [2])
    written = [tokens(device, 2) for _ in range(3)]
    for index, new in enumerate(written):
        first.layer(index).write(new, new)
    family = [parent, cache.fork(parent), cache.fork(parent)]
    with CountedCalls(torch.ops.fused_attn.copy_blocks_.default) as copies:
        batch = cache.reserve(family, [1, 1, 1])
    assert copies.number == 1, "one call copies the blocks of all sequences and layers"
    assert cache.num_free_blocks == 5, "the last of the family keeps the original"
    assert sorted(batch.block_table.flatten().tolist()) == [0, 1, 2]
    for index, new in enumerate(written):
        for key, value in read(batch, index):
            assert torch.equal(key[:2], new.cpu())
            assert torch.equal(value[:2], new.cpu())


def test_full_blocks_are_never_copied(device):
    cache = PagedKVCache(4, 4, HEADS, HEAD_DIM, device=device)
    parent, key, _ = filled(cache, device, 4)
    child = cache.fork(parent)
    new = tokens(device, 1)
    with CountedCalls(torch.ops.fused_attn.copy_blocks_.default) as copies:
        cache.append([child], [1], new, new)
    assert copies.number == 0
    assert cache.num_free_blocks == 2
    assert torch.equal(contents(cache, child)[0], torch.cat([key, new]).cpu())


def test_truncate_rolls_rejected_tokens_back(device):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    sequence_id, key, _ = filled(cache, device, 6)
    other = cache.fork(sequence_id)
    cache.append([sequence_id], [5], *[tokens(device, 5)] * 2)
    cache.truncate(sequence_id, 7)
    assert (cache.length(sequence_id), cache.num_free_blocks) == (7, 5)
    cache.truncate(sequence_id, 3)  # into the block that is shared: what follows must not reach the fork
    new = tokens(device, 2)
    cache.append([sequence_id], [2], new, new)
    assert torch.equal(contents(cache, sequence_id)[0], torch.cat([key[:3], new]).cpu())
    assert torch.equal(contents(cache, other)[0], key.cpu())
    cache.truncate(sequence_id, 0)
    assert contents(cache, sequence_id)[0].shape[0] == 0
    assert cache.num_free_blocks == 6, "only the fork's two blocks are used"


def test_defragment_by_hand(device):
    cache = PagedKVCache(8, 2, HEADS, HEAD_DIM, num_layers=2, device=device)
    ids = [cache.allocate() for _ in range(3)]
    batch = cache.reserve(ids, [4, 2, 4])  # blocks 0 1, 2, 3 4
    written = [tokens(device, 10) for _ in range(2)]
    for index, new in enumerate(written):
        batch.layer(index).write(new, new)
    fork = cache.fork(ids[2])
    cache.free(ids[0])
    with CountedCalls(torch.ops.fused_attn.copy_blocks_.default) as copies:
        assert cache.defragment() == 2
    assert copies.number == 1, "one call moves the blocks of all layers"
    batch = cache.reserve([ids[1], ids[2], fork], [0, 0, 0])
    assert sorted(set(batch.block_table.flatten().tolist()) - {-1}) == [0, 1, 2]
    assert torch.equal(batch.block_table[1], batch.block_table[2]), "shared blocks stay shared"
    assert cache.num_free_blocks == 5
    for index, new in enumerate(written):
        for (key, value), start in zip(read(batch, index), (4, 6, 6), strict=True):
            assert torch.equal(key, new[start : start + key.shape[0]].cpu())
            assert torch.equal(value, key)
    assert cache.defragment() == 0


# ----- Stale batches


def _free(cache, sequence_id):
    cache.free(sequence_id)


def _truncate(cache, sequence_id):
    cache.truncate(sequence_id, 5)


def _copy_on_write(cache, sequence_id):
    cache.fork(sequence_id)
    cache.reserve([sequence_id], [1])


def _defragment(cache, sequence_id):
    cache.free(sequence_id - 1)
    cache.defragment()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_free, "sequence 1 was freed"),
        (_truncate, "sequence 1 was truncated"),
        (_copy_on_write, "sequence 1 lost a shared block to copy-on-write"),
        (_defragment, r"defragment\(\) moved its blocks"),
    ],
)
def test_stale_batches_raise(device, change, reason):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    bystander = filled(cache, device, 3)[0]
    sequence_id = filled(cache, device, 6)[0]
    unaffected = cache.reserve([bystander], [1])
    batch = cache.reserve([sequence_id], [1])
    layer = batch.layer(0)
    new, query = tokens(device, 1), tokens(device, 1)
    layer.write(new, new)
    layer.attend(query)

    change(cache, sequence_id)
    message = rf"PagedBatch: it is stale, because {reason}: reserve\(\) a new one"
    for use in (lambda: batch.layer(0), lambda: layer.write(new, new), lambda: layer.attend(query)):
        with pytest.raises(RuntimeError, match=message):
            use()
    if change is not _defragment:  # which freed the bystander, to have something to move
        unaffected.layer(0).write(new, new)


# ----- Compiling, and modes


class Decoder(torch.nn.Module):
    """A layer's use of the cache."""

    def forward(self, query, key, value, layer):
        layer.write(key, value)
        return layer.attend(query, softcap=4.0)


def _run_steps(function, device):
    """Run a prefill and three decoding steps over two layers; return all outputs and the caches."""
    torch.manual_seed(1)
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, num_layers=2, device=device)
    ids = [cache.allocate(), cache.allocate()]
    outs = []
    for counts in ([5, 2], [1, 1], [1, 1], [2, 1]):
        batch = cache.reserve(ids, counts)
        outs += [function(batch, *[tokens(device, sum(counts)) for _ in range(3)])]
    return [*outs, cache.key_cache, cache.value_cache]


def _layers_made_outside(decoder):
    def step(batch, query, key, value):
        return torch.stack([decoder(query, key + index, value, batch.layer(index)) for index in range(2)])

    return step


def _whole_step(batch, query, key, value):
    return torch.stack([Decoder()(query, key + index, value, batch.layer(index)) for index in range(2)])


@pytest.mark.parametrize("made", ["outside", "inside"])
def test_compile(device, made):
    """Layers made outside of the compiled function and inside; prefill and decode make the shapes dynamic."""
    torch.compiler.reset()
    if made == "outside":
        compiled = _layers_made_outside(torch.compile(Decoder(), fullgraph=True, backend="aot_eager"))
    else:
        compiled = torch.compile(_whole_step, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(_run_steps(compiled, device), _run_steps(_whole_step, device))


def test_compile_of_both_layers_at_once(device):
    """Two layers' caches are views of one tensor, both written in one graph."""
    torch.compiler.reset()

    def both(query, key, value, first, second):
        return torch.stack([Decoder()(query, key, value, first), Decoder()(query, key + 1, value, second)])

    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")

    def step(batch, query, key, value):
        return compiled(query, key, value, batch.layer(0), batch.layer(1))

    torch.testing.assert_close(_run_steps(step, device), _run_steps(_whole_step, device))


def test_compiled_code_refuses_a_stale_batch(device):
    torch.compiler.reset()
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    sequence_id = cache.allocate()
    layer = cache.reserve([sequence_id], [3]).layer(0)
    compiled = torch.compile(Decoder(), backend="aot_eager")
    compiled(*[tokens(device, 3) for _ in range(3)], layer)
    cache.free(sequence_id)
    before = cache.key_cache.clone()
    with pytest.raises(RuntimeError, match="PagedBatch: it is stale, because sequence 0 was freed"):
        compiled(*[tokens(device, 3) for _ in range(3)], layer)
    assert torch.equal(cache.key_cache, before)


def test_cache_outlives_inference_mode(device):
    with torch.inference_mode():
        cache = PagedKVCache(4, 4, HEADS, HEAD_DIM, device=device)
        sequence_id, key, value = filled(cache, device, 3)
    other = cache.fork(sequence_id)
    new = tokens(device, 2)
    batch = cache.append([other], [2], new, new)
    query = tokens(device, 2)
    dense = [torch.cat([old, new]).transpose(0, 1)[None] for old in (key, value)]
    expected = fused_attention(query.transpose(0, 1)[None], *dense, is_causal=True)[0].transpose(0, 1)
    torch.testing.assert_close(batch.layer(0).attend(query), expected)

    torch.compiler.reset()
    decoder = torch.compile(Decoder(), fullgraph=True, backend="aot_eager")
    decoder(query, new, new, batch.layer(0))  # torch lets nobody but its own mode write into an inference tensor


# ----- Errors: one sentence, and nothing has changed


def _state(cache, *sequence_ids):
    lengths = [cache.length(sequence_id) for sequence_id in sequence_ids]
    return lengths, cache.num_free_blocks, cache.key_cache.clone(), cache.value_cache.clone()


def _assert_unchanged(cache, before, *sequence_ids):
    lengths, free, key_cache, value_cache = before
    assert [cache.length(sequence_id) for sequence_id in sequence_ids] == lengths
    assert cache.num_free_blocks == free
    assert torch.equal(cache.key_cache, key_cache)
    assert torch.equal(cache.value_cache, value_cache)


def test_out_of_blocks_changes_nothing(device):
    cache = PagedKVCache(4, 4, HEADS, HEAD_DIM, device=device)
    a = filled(cache, device, 6)[0]
    b = cache.fork(a)
    c = cache.allocate()
    before = _state(cache, a, b, c)
    # a's copy of the shared block, and two blocks for c
    message = r"3 more blocks are needed, but only 2 of 4 are free: free\(\) or truncate\(\) .* larger num_blocks"
    with pytest.raises(OutOfBlocksError, match=message) as caught:
        cache.append([a, c], [1, 7], tokens(device, 8), tokens(device, 8))
    assert (caught.value.needed, caught.value.free) == (3, 2)
    _assert_unchanged(cache, before, a, b, c)
    cache.append([a, c], [1, 4], tokens(device, 5), tokens(device, 5))
    assert cache.num_free_blocks == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 7], [1, 1]), ValueError, "there is no sequence 7, or it was freed"),
        (([1], [1]), ValueError, "there is no sequence 1, or it was freed"),
        (([0, 2, 0], [1, 1, 1]), ValueError, "sequence_ids must differ, but 0 is there 2 times: add .* or fork"),
        (([0, 2], [1, -1]), ValueError, "num_new_tokens must be at least 0, but was -1"),
        (([0, 2], [1, 1.5]), TypeError, "num_new_tokens must be an int, but was 1.5"),
        (([0, 2], [1]), ValueError, "must be equally long, and not empty, but have 2 and 1 elements: give one number"),
        (([], []), ValueError, "must be equally long, and not empty, but have 0 and 0 elements"),
    ],
)
def test_wrong_sequences(device, arguments, error, message):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    ids = [filled(cache, device, 2)[0] for _ in range(3)]
    cache.free(ids[1])
    before = _state(cache, 0, 2)
    with pytest.raises(error, match=rf"PagedKVCache\.reserve: .*{message}"):
        cache.reserve(*arguments)
    new = tokens(device, 2)
    with pytest.raises(error, match=rf"PagedKVCache\.append: .*{message}"):
        cache.append(*arguments, new, new)
    _assert_unchanged(cache, before, 0, 2)


@pytest.mark.parametrize("name", ["key", "value"])
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            torch.zeros(2, 2, 8),
            ValueError,
            r"have shape \[T, Hkv, D\] = \[3, 2, 8\], but has \[2, 2, 8\]: T is the sum",
        ),
        (torch.zeros(3, 1, 8), ValueError, r"have shape .* but has \[3, 1, 8\]"),
        (torch.zeros(1, 3, 2, 8), ValueError, r"have shape .* but has \[1, 3, 2, 8\]"),
        (
            torch.zeros(3, 2, 8).half(),
            TypeError,
            r"have the cache's dtype torch\.float32, but has torch\.float16: convert",
        ),
        (torch.zeros(3, 2, 8, device="meta"), ValueError, r"be on the cache's device .*, but is on meta: move it"),
    ],
    ids=["tokens", "heads", "rank", "dtype", "device"],
)
def test_append_checks_before_it_reserves(device, name, wrong, error, message):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    a, b = filled(cache, device, 2)[0], cache.allocate()
    before = _state(cache, a, b)
    wrong = wrong if wrong.is_meta else wrong.to(device)
    arguments = {"key": tokens(device, 3), "value": tokens(device, 3), name: wrong}
    with pytest.raises(error, match=rf"PagedKVCache\.append: {name} must {message}"):
        cache.append([a, b], [1, 2], **arguments)
    _assert_unchanged(cache, before, a, b)


def test_append_gives_back_what_it_reserved_when_the_operator_refuses(device):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    a = filled(cache, device, 2)[0]
    before = _state(cache, a)
    with torch.enable_grad(), pytest.raises(RuntimeError, match=r"key requires grad.*torch\.no_grad\(\)"):
        cache.append([a], [7], tokens(device, 7).requires_grad_(), tokens(device, 7))
    _assert_unchanged(cache, before, a)


def test_append_is_for_one_layer(device):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, num_layers=2, device=device)
    a = cache.allocate()
    with pytest.raises(ValueError, match=r"must have 1 layer, but has 2: call reserve\(\), then write\(\) on each"):
        cache.append([a], [1], tokens(device, 1), tokens(device, 1))
    assert cache.length(a) == 0


@pytest.mark.parametrize("index", [-1, 2])
def test_layer_index(device, index):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, num_layers=2, device=device)
    with pytest.raises(IndexError, match=rf"index must be from 0 to 1, but was {index}: num_layers"):
        cache.reserve([cache.allocate()], [1]).layer(index)


@pytest.mark.parametrize("method", ["fork", "free", "length"])
def test_freed_sequences_are_unknown(device, method):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    a = filled(cache, device, 5)[0]
    cache.free(a)
    with pytest.raises(ValueError, match=rf"PagedKVCache\.{method}: there is no sequence {a}, or it was freed"):
        getattr(cache, method)(a)
    assert cache.num_free_blocks == 8
    assert cache.allocate() != a, "ids are never used twice"


@pytest.mark.parametrize(
    ("length", "error", "message"),
    [
        (6, ValueError, "length must be at most 5, which is the length of sequence 0, but was 6: reserve"),
        (-1, ValueError, "length must be at least 0, but was -1"),
        (2.0, TypeError, "length must be an int, but was 2.0"),
    ],
)
def test_wrong_truncation(device, length, error, message):
    cache = PagedKVCache(8, 4, HEADS, HEAD_DIM, device=device)
    a = filled(cache, device, 5)[0]
    with pytest.raises(error, match=rf"PagedKVCache\.truncate: {message}"):
        cache.truncate(a, length)
    assert cache.length(a) == 5


@pytest.mark.parametrize("name", ["num_blocks", "block_size", "num_kv_heads", "head_dim", "num_layers"])
def test_wrong_sizes(name):
    sizes = {"num_blocks": 4, "block_size": 4, "num_kv_heads": 2, "head_dim": 8}
    with pytest.raises(ValueError, match=f"PagedKVCache: {name} must be at least 1, but was 0"):
        PagedKVCache(**sizes | {name: 0})
    with pytest.raises(TypeError, match=f"PagedKVCache: {name} must be an int, but was '4'"):
        PagedKVCache(**sizes | {name: "4"})


def test_wrong_dtype():
    with pytest.raises(TypeError, match=r"dtype must be torch\.float32, float16 or bfloat16, but was torch\.float64"):
        PagedKVCache(4, 4, 2, 8, dtype=torch.float64)


# ----- All operations together, against a model that is a dict of lists


class CacheMachine(RuleBasedStateMachine):
    """Token t has, in layer i, row (i, t) of two tables as its key and value; the model only keeps the numbers t."""

    NUM_LAYERS, VOCABULARY, NUM_BLOCKS = 2, 64, 10

    def __init__(self, device):
        super().__init__()
        self.device = device
        generator = torch.Generator().manual_seed(0)
        shape = (self.NUM_LAYERS, self.VOCABULARY, HEADS, HEAD_DIM)
        self.keys, self.values = (torch.randn(shape, generator=generator).to(device) for _ in range(2))
        self.queries = torch.randn(self.VOCABULARY, 2 * HEADS, HEAD_DIM, generator=generator).to(device)
        self.numbers = itertools.count()
        self.model = {}
        self.batches = []

    @initialize(block_size=st.integers(1, 4), length=st.integers(1, 9))
    def make(self, block_size, length):
        sizes = (self.NUM_BLOCKS, block_size, HEADS, HEAD_DIM)
        self.cache = PagedKVCache(*sizes, num_layers=self.NUM_LAYERS, device=self.device)
        self.allocate()
        self.extend_by({0: length})

    def one_of(self, data):
        return data.draw(st.sampled_from(sorted(self.model)), label="sequence")

    @precondition(lambda self: len(self.model) < 4)
    @rule()
    def allocate(self):
        self.model[self.cache.allocate()] = []

    @rule(data=st.data())
    def extend(self, data):
        ids = data.draw(st.permutations(sorted(self.model)), label="order")
        counts = {i: data.draw(st.integers(0, 3), label=f"new tokens of {i}") for i in ids}
        self.extend_by({i: count for i, count in counts.items() if count} or counts)

    def extend_by(self, counts):
        ids, free = list(counts), self.cache.num_free_blocks
        try:
            batch = self.cache.reserve(ids, list(counts.values()))
        except OutOfBlocksError as out_of_blocks:
            batch, refusal = None, out_of_blocks
        if batch is None:
            # Each sequence needs room for its tokens, and perhaps a copy of its last block.
            at_most = sum(-(-count // self.cache.block_size) + 1 for count in counts.values())
            assert refusal.free == free == self.cache.num_free_blocks
            assert free < refusal.needed <= at_most
            return
        packed = [next(self.numbers) % self.VOCABULARY for _ in range(sum(counts.values()))]
        ends = batch.cu_seqlens_q.tolist()
        for i, start, end in zip(ids, ends, ends[1:], strict=False):
            self.model[i] += packed[start:end]
        for index in range(self.NUM_LAYERS):
            layer = batch.layer(index)
            layer.write(self.keys[index, packed], self.values[index, packed])
            if packed:
                self.check_attention(layer, index, ids, packed, ends)
        self.batches.append((batch, {i: len(self.model[i]) for i in ids}))

    def check_attention(self, layer, index, ids, packed, ends):
        out = layer.attend(self.queries[packed], window_left=6)
        for i, start, end in zip(ids, ends, ends[1:], strict=False):
            if start < end:
                query = self.queries[packed[start:end]]
                known = (self.keys[index, self.model[i]], self.values[index, self.model[i]])
                dense = [x.transpose(0, 1)[None] for x in (query, *known)]
                expected = fused_attention(*dense, is_causal=True, window_left=6)[0].transpose(0, 1)
                torch.testing.assert_close(out[start:end], expected)

    @precondition(lambda self: len(self.model) < 4)
    @rule(data=st.data())
    def fork(self, data):
        parent = self.one_of(data)
        self.model[self.cache.fork(parent)] = list(self.model[parent])

    @precondition(lambda self: len(self.model) > 1)
    @rule(data=st.data())
    def free(self, data):
        i = self.one_of(data)
        self.cache.free(i)
        del self.model[i]

    @rule(data=st.data())
    def truncate(self, data):
        i = self.one_of(data)
        length = data.draw(st.integers(max(0, len(self.model[i]) - 4), len(self.model[i])), label="length")
        self.cache.truncate(i, length)
        del self.model[i][length:]

    @precondition(lambda self: self.used_blocks() != set(range(len(self.used_blocks()))))
    @rule()
    def defragment(self):
        used = self.used_blocks()
        moved = self.cache.defragment()
        assert moved == sum(block >= len(used) for block in used)
        assert self.used_blocks() == set(range(len(used)))

    def used_blocks(self):
        return set(self.snapshot().block_table.flatten().tolist()) - {-1}

    def snapshot(self):
        return self.cache.reserve(sorted(self.model), [0] * len(self.model))

    def check_contents(self, batch, expected):
        for index in range(self.NUM_LAYERS):
            for (key, value), known in zip(read(batch, index), expected, strict=True):
                assert torch.equal(key, self.keys[index, known].cpu())
                assert torch.equal(value, self.values[index, known].cpu())

    @invariant()
    def sequences_hold_their_tokens(self):
        assert [self.cache.length(i) for i in self.model] == [len(known) for known in self.model.values()]
        self.check_contents(self.snapshot(), [self.model[i] for i in sorted(self.model)])

    @invariant()
    def every_block_is_used_or_free(self):
        assert len(self.used_blocks()) + self.cache.num_free_blocks == self.NUM_BLOCKS

    @invariant()
    def batches_that_are_not_stale_still_hold_their_tokens(self):
        fresh = []
        for batch, lengths in self.batches:
            try:
                batch.layer(0)
            except RuntimeError:
                continue
            self.check_contents(batch, [self.model[i][:length] for i, length in lengths.items()])
            fresh.append((batch, lengths))
        self.batches = fresh[-3:]


def test_all_operations_together(device):
    limits = settings(max_examples=min(settings().max_examples, 3000) // 6, stateful_step_count=25)
    run_state_machine_as_test(lambda: CacheMachine(device), settings=limits)

"""A paged key/value cache: who owns which block, and the tensors that the paged operators take.

Design points:

- :mod:`torch_fused_attn.paged_batch` holds one step's tensors; this file decides what is in them.
- Block tables and reference counts are plain Python on the host; nothing here ever waits for a device. They become
  tensors once per step, in ``reserve``, for all layers together.
- All layers share one block table, so the caches are two tensors [num_layers, num_blocks, block_size, Hkv, D].
- A block belongs to one sequence or, after a fork, to several. A shared block that a sequence fills only in part is
  copied before that sequence writes into it (copy-on-write), so that forks cannot see each other.
- Whatever can fail is checked before anything changes.

Source: W. Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention", SOSP 2023,
sections 4.1 (blocks), 4.4 (sharing and copy-on-write).
"""

import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakSet

import torch
from torch import Tensor

from torch_fused_attn.paged_batch import PagedBatch, PagedLayer

__all__ = ["OutOfBlocksError", "PagedBatch", "PagedKVCache", "PagedLayer"]


class OutOfBlocksError(RuntimeError):
    """The cache has too few free blocks for a reservation; it is exactly as it was before.

    Attributes:
        needed: number of blocks that the reservation takes.
        free: number of blocks that are free.
    """

    def __init__(self, needed: int, free: int, num_blocks: int) -> None:
        super().__init__(
            f"PagedKVCache: {needed} more blocks are needed, but only {free} of {num_blocks} are free: "
            "free() or truncate() a sequence, or create the cache with a larger num_blocks"
        )
        self.needed = needed
        self.free = free


class _BlockPool:
    """Which blocks are free, and how many sequences use each of the others."""

    def __init__(self, num_blocks: int) -> None:
        self.references = [0] * num_blocks
        self.free = list(range(num_blocks))[::-1]  # taken from the end, so that low indices fill first

    def take(self) -> int:
        block = self.free.pop()
        self.references[block] = 1
        return block

    def share(self, blocks: Sequence[int]) -> None:
        for block in blocks:
            self.references[block] += 1

    def release(self, blocks: Sequence[int]) -> None:
        for block in reversed(blocks):
            self.references[block] -= 1
            if self.references[block] == 0:
                self.free.append(block)

    def next(self, number: int) -> list[int]:
        """Return the blocks that the next calls of :meth:`take` will return."""
        return self.free[len(self.free) - number :][::-1]

    def moves_to_compact(self) -> dict[int, int]:
        """Return old → new for the fewest moves after which blocks 0, 1, ... are used; no block is both old and new."""
        num_used = len(self.references) - len(self.free)
        used_above = [block for block in range(num_used, len(self.references)) if self.references[block]]
        free_below = [block for block in range(num_used) if not self.references[block]]
        return dict(zip(used_above, free_below, strict=True))

    def compact(self, moves: dict[int, int]) -> None:
        """Renumber the blocks by what :meth:`moves_to_compact` returned."""
        for old, new in moves.items():
            self.references[new], self.references[old] = self.references[old], 0
        self.free = [block for block, references in enumerate(self.references) if references == 0][::-1]


@dataclass(eq=False)
class _Sequence:
    id: int
    blocks: list[int] = field(default_factory=list)
    length: int = 0


class PagedKVCache:
    """Keys and values of many growing sequences, in blocks that are handed out on demand.

    A step of a model with several layers::

        batch = cache.reserve(sequence_ids, num_new_tokens)  # once
        for i in range(num_layers):
            layer = batch.layer(i)
            layer.write(key, value)     # [T, Hkv, D], T = sum(num_new_tokens)
            out = layer.attend(query)   # [T, Hq, D]

    The caches are made outside of inference mode, whatever mode the caller is in, so that they can be written in any.

    Args:
        num_blocks: number of blocks, for each layer.
        block_size: number of tokens in a block.
        num_kv_heads: number of key/value heads, Hkv.
        head_dim: elements of one head, D; the operators take up to 256.
        num_layers: number of layers that share the block tables; default 1.
        dtype: fp32 (default), fp16 or bf16.
        device: where the caches live; default: torch's current default device.

    Attributes:
        key_cache: [num_layers, num_blocks, block_size, Hkv, D], zeros at first.
        value_cache: as key_cache.

    Raises:
        TypeError: a number is not an int, or dtype is another one.
        ValueError: a number is less than 1.
    """

    def __init__(
        self,
        num_blocks: int,
        block_size: int,
        num_kv_heads: int,
        head_dim: int,
        *,
        num_layers: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        sizes = {
            "num_layers": num_layers,
            "num_blocks": num_blocks,
            "block_size": block_size,
            "num_kv_heads": num_kv_heads,
            "head_dim": head_dim,
        }
        for name, size in sizes.items():
            _count("PagedKVCache", name, size, minimum=1)
        if dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise TypeError(f"PagedKVCache: dtype must be torch.float32, float16 or bfloat16, but was {dtype}")
        self.num_blocks = num_blocks
        self.block_size = block_size
        with torch.inference_mode(False):
            self.key_cache = torch.zeros(tuple(sizes.values()), dtype=dtype, device=device)
            self.value_cache = torch.zeros_like(self.key_cache)
        self._pool = _BlockPool(num_blocks)
        self._sequences: dict[int, _Sequence] = {}
        self._next_id = 0
        self._batches: WeakSet[PagedBatch] = WeakSet()

    @property
    def num_free_blocks(self) -> int:
        """Number of blocks that no sequence uses."""
        return len(self._pool.free)

    def length(self, sequence_id: int) -> int:
        """Return the number of tokens of a sequence, reserved ones included.

        Args:
            sequence_id: the sequence.

        Returns:
            The number of tokens.

        Raises:
            ValueError: there is no such sequence.
        """
        return self._sequence("length", sequence_id).length

    def allocate(self) -> int:
        """Start an empty sequence, which takes no block yet, and return its id; ids are never used twice."""
        return self._add(_Sequence(self._next_id)).id

    def fork(self, sequence_id: int) -> int:
        """Start a sequence with the same tokens, which shares all blocks with the given one, and return its id.

        Write the reserved tokens of a sequence before you fork it: what is written later may reach only one of the two.

        Args:
            sequence_id: the sequence whose tokens the new one has.

        Returns:
            The id of the new sequence.

        Raises:
            ValueError: there is no such sequence.
        """
        parent = self._sequence("fork", sequence_id)
        self._pool.share(parent.blocks)
        return self._add(_Sequence(self._next_id, list(parent.blocks), parent.length)).id

    def free(self, sequence_id: int) -> None:
        """End a sequence; blocks that no other sequence shares become free.

        Args:
            sequence_id: the sequence.

        Raises:
            ValueError: there is no such sequence.
        """
        sequence = self._sequence("free", sequence_id)
        self._invalidate({sequence_id}, f"sequence {sequence_id} was freed")
        self._pool.release(sequence.blocks)
        del self._sequences[sequence_id]

    def truncate(self, sequence_id: int, length: int) -> None:
        """Keep the first ``length`` tokens of a sequence, for example to drop rejected speculative tokens.

        Args:
            sequence_id: the sequence.
            length: from 0 to the sequence's present length.

        Raises:
            TypeError: length is not an int.
            ValueError: there is no such sequence, or it has fewer tokens than ``length``.
        """
        sequence = self._sequence("truncate", sequence_id)
        length = _count("PagedKVCache.truncate", "length", length)
        if length > sequence.length:
            raise ValueError(
                f"PagedKVCache.truncate: length must be at most {sequence.length}, which is the length of sequence "
                f"{sequence_id}, but was {length}: reserve() makes a sequence longer"
            )
        if length < sequence.length:
            self._invalidate({sequence_id}, f"sequence {sequence_id} was truncated")
            self._cut(sequence, length)

    def reserve(self, sequence_ids: Sequence[int], num_new_tokens: Sequence[int]) -> PagedBatch:
        """Make room for new tokens of several sequences: for all of them, or for none.

        Args:
            sequence_ids: B different sequences, at least one.
            num_new_tokens: how many tokens each of them gains; 0 is allowed.

        Returns:
            The batch to write the tokens' keys and values with, and to attend with, in the order of ``sequence_ids``.

        Raises:
            OutOfBlocksError: too few blocks are free.
            TypeError: a number of tokens is not an int.
            ValueError: a sequence does not exist or is named twice, the two arguments differ in length or are empty, or
                a number of tokens is negative.
        """
        sequences, counts = self._checked("reserve", sequence_ids, num_new_tokens)
        copied = self._to_copy(sequences, counts)
        grown = [
            -(-(sequence.length + count) // self.block_size) - len(sequence.blocks)
            for sequence, count in zip(sequences, counts, strict=True)
        ]
        needed = len(copied) + sum(grown)
        if needed > self.num_free_blocks:
            raise OutOfBlocksError(needed, self.num_free_blocks, self.num_blocks)
        self._copy_last_blocks(copied)
        for sequence, count, num_blocks in zip(sequences, counts, grown, strict=True):
            sequence.blocks += [self._pool.take() for _ in range(num_blocks)]
            sequence.length += count
        return self._batch(sequences, counts)

    def append(
        self, sequence_ids: Sequence[int], num_new_tokens: Sequence[int], key: Tensor, value: Tensor
    ) -> PagedBatch:
        """Reserve room for new tokens and store their keys and values; for a cache of one layer.

        Args:
            sequence_ids: as for :meth:`reserve`.
            num_new_tokens: as for :meth:`reserve`; their sum is T.
            key: [T, Hkv, D], the cache's dtype and device, the sequences' new tokens one after another.
            value: as key.

        Returns:
            The batch, whose ``layer(0)`` attends.

        Raises:
            OutOfBlocksError: too few blocks are free.
            RuntimeError: grad mode is on and an input requires grad.
            TypeError: a number of tokens is not an int, or key or value has another dtype than the cache.
            ValueError: the cache has several layers, key or value has another shape or device, or as for ``reserve``.
        """
        sequences, counts = self._checked("append", sequence_ids, num_new_tokens)
        if self.key_cache.shape[0] != 1:
            raise ValueError(
                f"PagedKVCache.append: the cache must have 1 layer, but has {self.key_cache.shape[0]}: call reserve(), "
                "then write() on each layer of the batch"
            )
        for name, tensor in (("key", key), ("value", value)):
            self._check_new(name, tensor, sum(counts))
        before = [sequence.length for sequence in sequences]
        batch = self.reserve(sequence_ids, counts)
        try:
            batch.layer(0).write(key, value)
        except BaseException:
            for sequence, length in zip(sequences, before, strict=True):
                self._cut(sequence, length)
            raise
        return batch

    def defragment(self) -> int:
        """Move the used blocks to the lowest indices; sequences keep their contents, and shared blocks stay shared.

        Batches of sequences whose blocks moved become stale: their layers raise, but their bare tensors cannot.

        Returns:
            The number of blocks that moved, the fewest that suffice.
        """
        moves = self._pool.moves_to_compact()
        self._copy_blocks(list(moves.items()))
        self._pool.compact(moves)
        moved = {sequence.id for sequence in self._sequences.values() if not moves.keys().isdisjoint(sequence.blocks)}
        self._invalidate(moved, "defragment() moved its blocks")
        for sequence_id in moved:
            sequence = self._sequences[sequence_id]
            sequence.blocks = [moves.get(block, block) for block in sequence.blocks]
        return len(moves)

    def _add(self, sequence: _Sequence) -> _Sequence:
        self._sequences[sequence.id] = sequence
        self._next_id += 1
        return sequence

    def _sequence(self, method: str, sequence_id: int) -> _Sequence:
        sequence = self._sequences.get(sequence_id)
        if sequence is None:
            raise ValueError(
                f"PagedKVCache.{method}: there is no sequence {sequence_id!r}, or it was freed: allocate() and fork() "
                "start one"
            )
        return sequence

    def _checked(
        self, method: str, sequence_ids: Sequence[int], num_new_tokens: Sequence[int]
    ) -> tuple[list[_Sequence], list[int]]:
        """Return the sequences and the numbers of their new tokens, or say what is wrong with them."""
        if len(sequence_ids) != len(num_new_tokens) or len(sequence_ids) == 0:
            raise ValueError(
                f"PagedKVCache.{method}: sequence_ids and num_new_tokens must be equally long, and not empty, but have "
                f"{len(sequence_ids)} and {len(num_new_tokens)} elements: give one number of tokens for each sequence"
            )
        sequences = [self._sequence(method, sequence_id) for sequence_id in sequence_ids]
        sequence_id, times = Counter(sequence_ids).most_common(1)[0]
        if times > 1:
            raise ValueError(
                f"PagedKVCache.{method}: sequence_ids must differ, but {sequence_id} is there {times} times: add its "
                "numbers of tokens up, or fork() it"
            )
        return sequences, [_count(f"PagedKVCache.{method}", "num_new_tokens", count) for count in num_new_tokens]

    def _check_new(self, name: str, tensor: Tensor, num_tokens: int) -> None:
        expected = (num_tokens, *self.key_cache.shape[3:])
        if tensor.shape != expected:
            raise ValueError(
                f"PagedKVCache.append: {name} must have shape [T, Hkv, D] = {list(expected)}, but has "
                f"{list(tensor.shape)}: T is the sum of num_new_tokens"
            )
        if tensor.dtype != self.key_cache.dtype:
            raise TypeError(
                f"PagedKVCache.append: {name} must have the cache's dtype {self.key_cache.dtype}, but has "
                f"{tensor.dtype}: convert it, or create the cache with that dtype"
            )
        if tensor.device != self.key_cache.device:
            raise ValueError(
                f"PagedKVCache.append: {name} must be on the cache's device {self.key_cache.device}, but is on "
                f"{tensor.device}: move it with .to()"
            )

    def _to_copy(self, sequences: list[_Sequence], counts: list[int]) -> list[_Sequence]:
        """Return the sequences that would write into a block which others still share.

        When all the sharers are in the batch, the last of them keeps the block: nobody else reads it any more.
        """
        left: Counter[int] = Counter()
        copied = []
        for sequence, count in zip(sequences, counts, strict=True):
            if count == 0 or sequence.length % self.block_size == 0:
                continue
            last = sequence.blocks[-1]
            if self._pool.references[last] - left[last] > 1:
                left[last] += 1
                copied.append(sequence)
        return copied

    def _copy_last_blocks(self, sequences: list[_Sequence]) -> None:
        sources = [sequence.blocks[-1] for sequence in sequences]
        self._copy_blocks(list(zip(sources, self._pool.next(len(sources)), strict=True)))
        for sequence in sequences:
            self._invalidate({sequence.id}, f"sequence {sequence.id} lost a shared block to copy-on-write")
            sequence.blocks[-1] = self._pool.take()
        self._pool.release(sources)

    def _copy_blocks(self, moves: list[tuple[int, int]]) -> None:
        """Copy blocks of all layers in one call: block b of layer i is block i * num_blocks + b of the flat caches."""
        if moves:
            layers = range(self.key_cache.shape[0])
            mapping = [[layer * self.num_blocks + block for block in move] for layer in layers for move in moves]
            torch.ops.fused_attn.copy_blocks_(
                self.key_cache.flatten(0, 1),
                self.value_cache.flatten(0, 1),
                torch.tensor(mapping, dtype=torch.int64, device=self.key_cache.device),
            )

    def _cut(self, sequence: _Sequence, length: int) -> None:
        num_blocks = -(-length // self.block_size)
        self._pool.release(sequence.blocks[num_blocks:])
        del sequence.blocks[num_blocks:]
        sequence.length = length

    def _invalidate(self, sequence_ids: set[int], reason: str) -> None:
        for batch in self._batches:
            if not batch._sequence_ids.isdisjoint(sequence_ids):
                batch._stale_because = reason

    def _batch(self, sequences: list[_Sequence], counts: list[int]) -> PagedBatch:
        width = max(1, *(len(sequence.blocks) for sequence in sequences))
        cumulative, slots = [0], []
        for sequence, count in zip(sequences, counts, strict=True):
            cumulative.append(cumulative[-1] + count)
            for position in range(sequence.length - count, sequence.length):
                block, offset = sequence.blocks[position // self.block_size], position % self.block_size
                slots.append(block * self.block_size + offset)
        device = self.key_cache.device
        table = [sequence.blocks + [-1] * (width - len(sequence.blocks)) for sequence in sequences]
        batch = PagedBatch(
            key_cache=self.key_cache,
            value_cache=self.value_cache,
            slot_mapping=torch.tensor(slots, dtype=torch.int64, device=device),
            block_table=torch.tensor(table, dtype=torch.int32, device=device),
            seqused_k=torch.tensor([sequence.length for sequence in sequences], dtype=torch.int32, device=device),
            cu_seqlens_q=torch.tensor(cumulative, dtype=torch.int32, device=device),
            max_seqlen_q=max(counts),
            _sequence_ids=frozenset(sequence.id for sequence in sequences),
        )
        self._batches.add(batch)
        return batch


def _count(where: str, name: str, number: int, minimum: int = 0) -> int:
    """Return a number that counts something as an int, or say what is wrong with it."""
    try:
        count = operator.index(number)
    except TypeError:
        raise TypeError(f"{where}: {name} must be an int, but was {number!r}") from None
    if count < minimum:
        raise ValueError(f"{where}: {name} must be at least {minimum}, but was {count}")
    return count

"""Continuous batching over a paged key/value cache: texts join and leave one batch, and continuations share their prompt.

Every step is one pass of the model over the new tokens of all sequences: a chunk of a prompt here, a single token there. The
paged operators take them as they are, packed, with the sequences' block tables.

Sources: G.-I. Yu et al., "Orca", OSDI 2022, section 3.1 (a batch that changes with every step); W. Kwon et al.,
"PagedAttention", SOSP 2023, section 4.4 (several continuations of one prompt); A. Agrawal et al., "Sarathi", 2023 (prompts in
chunks beside the others' tokens).
"""

import math
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from tiny_lm import END, TinyLM
from torch import Tensor

from torch_fused_attn import PagedBatch, PagedKVCache


@dataclass(eq=False)
class Continuation:
    """One text to be continued, and where it stands."""

    prompt: list[int]
    max_new_tokens: int
    temperature: float = 0.0
    """0: the likeliest token is taken."""
    top_k: int = 0
    """How many of the likeliest tokens may be drawn; 0 = all."""
    seed: int = 0
    tokens: list[int] = field(default_factory=list)
    """What was generated, an END at the end included."""
    pending: list[int] = field(default_factory=list)
    """Tokens whose keys and values the cache lacks."""
    sequence_id: int = -1
    first_step: int = 0
    last_step: int = 0

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    def choose(self, logits: Tensor) -> int:
        """Return the next token, given fp32 logits [END + 1] on the CPU.

        A draw takes the largest of logit / temperature + Gumbel noise (C. J. Maddison et al., "A* Sampling", NeurIPS 2014,
        section 2) in float64, so that logits which differ by rounding give the same token.
        """
        if self.temperature == 0:
            return int(logits.argmax())
        scores = logits.double() / self.temperature
        if self.top_k:
            scores[scores < scores.topk(min(self.top_k, len(scores))).values[-1]] = -torch.inf
        noise = torch.rand(len(scores), generator=self.generator, dtype=torch.float64)
        return int((scores - (-noise.log()).log()).argmax())

    @property
    def finished(self) -> bool:
        """Whether nothing follows."""
        return self.tokens[-1:] == [END] or len(self.tokens) >= self.max_new_tokens


@dataclass(eq=False)
class Group:
    """The continuations of one prompt; until the prompt has been read, the first of them stands for all."""

    members: list[Continuation]
    forked: bool = False

    @property
    def in_batch(self) -> list[Continuation]:
        """The members that have a sequence of their own."""
        return self.members if self.forked else self.members[:1]

    def most_blocks(self, block_size: int) -> int:
        """Return how many blocks the group can come to use: full blocks of the prompt once, all others for each."""
        shared = len(self.members[0].prompt) // block_size
        longest = (len(one.prompt) + one.max_new_tokens for one in self.members)
        return shared + sum(math.ceil(length / block_size) - shared for length in longest)


@dataclass
class Statistics:
    """What a run took. Blocks are those of one layer; every layer has as many."""

    steps: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0
    most_sequences: int = 0
    """The most sequences that one step fed."""
    most_blocks: int = 0
    """The most blocks in use at once."""
    most_shared: int = 0
    """The most blocks that several sequences used at once."""
    most_unshared: int = 0
    """The most blocks that the sequences would have used at once, had each its own."""


class Batcher:
    """Runs continuations in one batch, which they join and leave while others go on.

    A group joins when the cache is sure to hold all that the groups in the batch can become, so no reservation fails.

    Args:
        model: the language model.
        num_blocks: blocks of the cache.
        block_size: tokens in a block.
        max_sequences: sequences in the batch.
        chunk: tokens of a prompt that one step reads.

    """

    def __init__(
        self, model: TinyLM, num_blocks: int = 256, block_size: int = 16, max_sequences: int = 8, chunk: int = 64
    ) -> None:
        config = model.config
        self.model = model
        self.cache = PagedKVCache(
            num_blocks,
            block_size,
            config.num_kv_heads,
            config.head_dim,
            num_layers=config.num_layers,
            device=model.slopes.device,
        )
        self.max_sequences, self.chunk = max_sequences, chunk
        self.waiting: deque[Group] = deque()
        self.groups: list[Group] = []
        self.statistics = Statistics()

    def submit(self, members: Sequence[Continuation]) -> None:
        """Queue the continuations of one prompt.

        Raises:
            ValueError: there is none, prompts are empty or differ, or the group could never join the batch.

        """
        if not members or not members[0].prompt or any(one.prompt != members[0].prompt for one in members):
            raise ValueError("continuations must share one prompt that is not empty: submit each prompt by itself")
        if len(members) > self.max_sequences:
            raise ValueError(
                f"a prompt must have at most {self.max_sequences} continuations, which is what the batch holds, but has "
                f"{len(members)}: ask for fewer, or make the batch larger"
            )
        group = Group(list(members))
        needed = group.most_blocks(self.cache.block_size)
        if needed > self.cache.num_blocks:
            raise ValueError(
                f"a prompt of {len(members[0].prompt)} tokens and its {len(members)} continuation(s) must fit in the "
                f"cache's {self.cache.num_blocks} blocks of {self.cache.block_size} tokens, but can take {needed}: "
                "shorten them, or make the cache larger"
            )
        self.waiting.append(group)

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.groups or self.waiting)

    def run(self) -> None:
        """Take steps until all continuations are finished."""
        while self.busy:
            self.step()

    @torch.inference_mode()
    def step(self) -> None:
        """Feed every sequence its next tokens, and choose what follows where none is left."""
        start = time.perf_counter()
        self._admit()
        members = [one for group in self.groups for one in group.in_batch]
        fed = [one.pending[: self.chunk] for one in members]
        for one, tokens in zip(members, fed, strict=True):
            del one.pending[: len(tokens)]
        batch = self.cache.reserve([one.sequence_id for one in members], [len(tokens) for tokens in fed])
        logits = self._logits(batch, [token for tokens in fed for token in tokens])
        row = dict(zip(members, logits, strict=True))
        self._count(batch, members, fed)
        for group in self.groups:
            if not group.members[0].pending:
                self._advance(group, row)
        self.groups = [group for group in self.groups if group.members]
        self.statistics.seconds += time.perf_counter() - start

    def _admit(self) -> None:
        """Let groups join, the longest waiting first, as long as there is room."""
        while self.waiting:
            joined = [*self.groups, self.waiting[0]]
            if sum(len(group.members) for group in joined) > self.max_sequences:
                return
            if sum(group.most_blocks(self.cache.block_size) for group in joined) > self.cache.num_blocks:
                return
            self.groups = joined
            first, *_ = members = self.waiting.popleft().members
            first.sequence_id = self.cache.allocate()
            first.pending = list(first.prompt)
            for one in members:
                one.first_step = self.statistics.steps + 1

    def _logits(self, batch: PagedBatch, tokens: Sequence[int]) -> Tensor:
        """Run the model on new tokens, and return the logits after each sequence's last, [B, END + 1] on the CPU."""

        def attend(index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            layer = batch.layer(index)
            layer.write(key, value)
            return layer.attend(query, **self.model.options(index))

        hidden = self.model(torch.tensor(tokens, device=self.model.slopes.device), attend)
        return self.model.logits(hidden[batch.cu_seqlens_q[1:].long() - 1]).cpu()

    def _advance(self, group: Group, row: Mapping[Continuation, Tensor]) -> None:
        """Give each member its next token; those that are finished leave, and their blocks become free."""
        first = group.members[0]
        if not group.forked:
            for one in group.members[1:]:
                one.sequence_id = self.cache.fork(first.sequence_id)
        for one in group.members:
            token = one.choose(row[one if group.forked else first])
            one.tokens.append(token)
            one.pending = [token]
            one.last_step = self.statistics.steps
            self.statistics.new_tokens += 1
            if one.finished:
                self.cache.free(one.sequence_id)
        group.forked = True
        group.members = [one for one in group.members if not one.finished]

    def _count(self, batch: PagedBatch, members: Sequence[Continuation], fed: Sequence[Sequence[int]]) -> None:
        """Note what a step took."""
        users = Counter(block for blocks in batch.block_table.tolist() for block in blocks if block >= 0)
        blocks_in_use = self.cache.num_blocks - self.cache.num_free_blocks
        statistics = self.statistics
        statistics.steps += 1
        statistics.prompt_tokens += sum(len(tokens) for one, tokens in zip(members, fed, strict=True) if not one.tokens)
        statistics.most_sequences = max(statistics.most_sequences, len(members))
        statistics.most_blocks = max(statistics.most_blocks, blocks_in_use)
        statistics.most_shared = max(statistics.most_shared, sum(count > 1 for count in users.values()))
        statistics.most_unshared = max(statistics.most_unshared, sum(users.values()))


@torch.inference_mode()
def first_difference(model: TinyLM, one: Continuation) -> int | None:
    """Compare a continuation with what the model gives by stock attention over the whole text, without a cache.

    The text is run once, and each token chosen anew from the logits before it: as long as the choices agree, that is what
    running the growing text once for each token gives.

    Returns:
        The index of the first token that differs; None where none does.

    """
    text = torch.tensor([one.prompt + one.tokens[:-1]], device=model.slopes.device)
    logits = model.logits(model(text, model.attend_stock)[0, len(one.prompt) - 1 :]).cpu()
    again = replace(one, tokens=[])  # with its random numbers from the start
    for index, (token, row) in enumerate(zip(one.tokens, logits, strict=True)):
        if again.choose(row) != token:
            return index
    return None

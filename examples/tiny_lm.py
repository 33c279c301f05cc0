"""A small byte-level language model in plain PyTorch; the caller supplies the attention.

A token is a byte of UTF-8, or END, which stands before and after every text. The design is the usual one of today: RMSNorm
before each part and on queries and keys, SwiGLU, tied embeddings, 8 query heads on 2 key/value heads, ALiBi for positions,
and a sliding window in every other layer. All of that which concerns attention, the operators do.

Sources: B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019; N. Shazeer, "GLU Variants Improve
Transformer", 2020; J. Ainslie et al., "GQA", EMNLP 2023; O. Press et al., "Train Short, Test Long" (ALiBi), ICLR 2022.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torch_fused_attn import alibi_slopes, fused_attention

END = 256
"""The token that stands before and after every text; tokens below it are bytes."""
WEIGHTS = Path(__file__).with_name("tiny_lm.safetensors")

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""What attends in layer i: ``attend(i, query, key, value)`` takes [..., H, D] tensors and returns query's shape."""


@dataclass(frozen=True)
class Config:
    """Sizes of the model; the defaults are those of the weights in the repository."""

    width: int = 256
    inner: int = 384
    num_layers: int = 6
    num_heads: int = 8
    num_kv_heads: int = 2
    head_dim: int = 32
    window: int = 127
    """How many tokens before its own one a token sees in layers 0, 2, 4, ...; in the others it sees all."""
    dropout: float = 0.0


class Layer(nn.Module):
    """One Transformer layer; it treats every token alike and leaves what lies between them to ``attend``."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, head_dim, num_kv_heads = config.width, config.head_dim, config.num_kv_heads
        self.heads = (config.num_heads, num_kv_heads, num_kv_heads)
        self.attention_norm, self.mlp_norm = nn.RMSNorm(width, eps=1e-6), nn.RMSNorm(width, eps=1e-6)
        self.query_norm, self.key_norm = nn.RMSNorm(head_dim, eps=1e-6), nn.RMSNorm(head_dim, eps=1e-6)
        self.attention_in = nn.Linear(width, sum(self.heads) * head_dim, bias=False)
        self.attention_out = nn.Linear(config.num_heads * head_dim, width, bias=False)
        self.mlp_in = nn.Linear(width, 2 * config.inner, bias=False)
        self.mlp_out = nn.Linear(config.inner, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """Map hidden [..., width] to the same shape."""
        projected = self.attention_in(self.attention_norm(hidden)).unflatten(-1, (sum(self.heads), -1))
        query, key, value = projected.split(self.heads, dim=-2)
        attended = attend(self.query_norm(query), self.key_norm(key), value)
        hidden = hidden + self.dropout(self.attention_out(attended.flatten(-2)))
        gate, up = self.mlp_in(self.mlp_norm(hidden)).chunk(2, dim=-1)
        return hidden + self.dropout(self.mlp_out(F.silu(gate) * up))


class TinyLM(nn.Module):
    """The model. ``logits(forward(tokens, attend))`` are the logits of what follows each token."""

    slopes: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(END + 1, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("slopes", alibi_slopes(config.num_heads), persistent=False)

    def forward(self, tokens: Tensor, attend: Attend) -> Tensor:
        """Map tokens, int64 of any shape, to hidden states [..., width]."""
        hidden = self.dropout(self.embedding(tokens) * self.config.width**0.5)
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, lambda *heads, index=index: attend(index, *heads))
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Map hidden states [..., width] to logits [..., END + 1]."""
        return F.linear(self.norm(hidden), self.embedding.weight)

    def options(self, index: int) -> dict[str, Any]:
        """Return the operators' keywords for a layer."""
        return {"alibi_slopes": self.slopes, "window_left": self.config.window if index % 2 == 0 else -1}

    def attend_fused(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend by ``fused_attention`` within whole texts, [B, L, H, D]."""
        by_head = (tensor.transpose(1, 2) for tensor in (query, key, value))
        return fused_attention(*by_head, is_causal=True, **self.options(index)).transpose(1, 2)

    def attend_stock(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend by stock PyTorch with a mask in memory; it can be trained through, and checks the operators."""
        query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
        key, value = (tensor.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for tensor in (key, value))
        mask = self.stock_mask(index, query.shape[2]).to(value.dtype)
        dropout = self.config.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(query.to(value.dtype), key.to(value.dtype), value, mask, dropout)
        return out.transpose(1, 2)

    def stock_mask(self, index: int, length: int) -> Tensor:
        """Return what a layer adds to the scores, [1, H, L, L]: ALiBi, and -inf where a key is hidden."""
        position = torch.arange(length, device=self.slopes.device)
        distance = position[:, None] - position
        window = self.options(index)["window_left"]
        hidden = (distance < 0) | (distance > (window if window >= 0 else length))
        return (-self.slopes[:, None, None] * distance).masked_fill(hidden, -torch.inf)[None]


def encode(text: str) -> list[int]:
    """Return the tokens that a text begins with: END and its bytes."""
    return [END, *text.encode()]


def decode(tokens: Sequence[int]) -> str:
    """Return the text of tokens; END is left out, and bytes that are no UTF-8 become U+FFFD."""
    return bytes(token for token in tokens if token != END).decode(errors="replace")


def load(device: torch.device | str = "cpu", weights: Path = WEIGHTS) -> TinyLM:
    """Return the trained model in fp32 and in evaluation mode; its sizes are those that the weights' file notes."""
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        sizes = json.loads(file.metadata()["sizes"])
        parameters = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    model = TinyLM(Config(**sizes))
    model.load_state_dict(parameters)
    return model.to(device).eval()

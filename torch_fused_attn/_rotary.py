"""Rotary position embedding, as ``flash_attn_with_kvcache`` applies it to new queries and keys."""

import torch
import torch.nn.functional as F
from torch import Tensor


def apply_rotary(tokens: Tensor, cos: Tensor, sin: Tensor, positions: Tensor, *, interleaved: bool) -> Tensor:
    """Rotate pairs of the first elements of each head by their token's angles, in fp32.

    Args:
        tokens: [B, L, H, D].
        cos: [num_positions, rotary_dim / 2], the angles' cosines; rotary_dim at most D.
        sin: as cos.
        positions: int64 [B, L] or [B, 1], rows of cos and sin; greater ones are taken for the last row, so that a device
            never reads outside of them.
        interleaved: pairs are elements (0, 1), (2, 3), ...; else (0, rotary_dim / 2), (1, rotary_dim / 2 + 1), ...

    Returns:
        As tokens, a new tensor; the elements from rotary_dim on are copied.

    Source: J. Su et al., "RoFormer", 2021, section 3.2.2 (interleaved); the other pairing is GPT-NeoX's.
    """
    rows = positions.clamp(max=cos.shape[0] - 1)
    cosines, sines = (F.embedding(rows, table).unsqueeze(2) for table in (cos, sin))
    rotary_dim = 2 * cos.shape[1]
    rotated, rest = tokens[..., :rotary_dim].float(), tokens[..., rotary_dim:]
    if interleaved:
        first, second = rotated[..., 0::2], rotated[..., 1::2]
    else:
        first, second = rotated.chunk(2, dim=-1)
    turned = (first * cosines - second * sines, first * sines + second * cosines)
    together = torch.stack(turned, dim=-1).flatten(-2) if interleaved else torch.cat(turned, dim=-1)
    return torch.cat([together.to(tokens.dtype), rest], dim=-1)

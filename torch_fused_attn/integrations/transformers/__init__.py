"""Hugging Face transformers on the fused operators, in two lines.

::

    from torch_fused_attn.integrations import transformers
    transformers.register()

From then on ``attn_implementation="fused_attn"`` is a choice for ``from_pretrained``, ``from_config`` and
``set_attn_implementation``. ``docs/transformers.md`` says what is covered and what raises.
"""

from torch_fused_attn.integrations.transformers.registration import register

__all__ = ["register"]

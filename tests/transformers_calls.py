"""Looks at the operators that a model calls, and fails the test where stock attention is called."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class CountedOperators(TorchDispatchMode):
    """Counts the calls of ``torch.ops.fused_attn.*`` by name; SDPA fails the test."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, operator: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        namespace, name = operator.name().split("::")
        if namespace == "fused_attn":
            self.calls[name] += 1
        assert "scaled_dot_product" not in name, "stock attention was called"
        return operator(*args, **(kwargs or {}))


class RecordedTensors(CountedOperators):
    """Besides, notes the sizes of all tensors that any operator returns, and the keys that the fused ones get.

    Attributes:
        shapes: of results.
        keys: the second tensor of each call of ``torch.ops.fused_attn.*``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[int, ...]] = set()
        self.keys: list[torch.Tensor] = []

    def __torch_dispatch__(self, operator: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if operator.namespace == "fused_attn":
            self.keys.append(args[1])
        result = super().__torch_dispatch__(operator, types, args, kwargs)
        self.shapes |= {tuple(x.shape) for x in tree_leaves(result) if isinstance(x, torch.Tensor)}
        return result


@contextmanager
def only_fused_attention(model: torch.nn.Module) -> Iterator[Counter[str]]:
    """Count the calls of ``torch.ops.fused_attn.*`` by name; raise where the model attends in any other way."""
    modeling = {sys.modules[type(module).__module__] for module in model.modules()}
    eager = AssertionError("the model's own eager attention was called")
    with ExitStack() as stack:
        for module in modeling:
            if hasattr(module, "eager_attention_forward"):
                stack.enter_context(mock.patch.object(module, "eager_attention_forward", side_effect=eager))
        yield stack.enter_context(CountedOperators()).calls

"""Compiling a function in a test, and counting how often that happens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.fx.experimental._config
from torch._dynamo.utils import counters


@contextmanager
def compiled_once(function: Callable[..., Any], backend: str = "aot_eager") -> Iterator[Callable[..., Any]]:
    """Yield the compiled function, and assert at the end that one graph served every call.

    A graph break raises (fullgraph), and so does a second compilation, with the guard that failed in the message. Sizes that
    happen to be equal in the first call are not tied to each other. Inductor's caches are off, since they outlive a rebuilt
    operator.
    """
    torch._dynamo.reset()
    counters.clear()
    with (
        torch._dynamo.config.patch(error_on_recompile=True),
        torch.fx.experimental._config.patch(use_duck_shape=False),
        torch.compiler.config.patch(force_disable_caches=True),
    ):
        yield torch.compile(function, fullgraph=True, dynamic=True, backend=backend)
    graphs = counters["stats"]["unique_graphs"]
    torch._dynamo.reset()
    assert graphs == 1, f"{graphs} graphs were compiled"

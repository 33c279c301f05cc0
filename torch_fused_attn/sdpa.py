"""``F.scaled_dot_product_attention`` through the fused operators, wherever the result means the same.

``enable()`` puts a function of this package in the place of ``torch.nn.functional.scaled_dot_product_attention``;
``disable()`` takes it away again. Each call is looked at: what the operators compute with the very same meaning goes to them,
everything else, errors included, to the function that was there before. ``REASONS`` names what goes there, and ``counts()``
says how often. So do calls of a kernel that Metal refuses, with a warning once (:class:`torch_fused_attn.KernelError`); but
compiled code has the operator in its graph and raises: ``disable()``, and it is compiled anew, without.

Reached are all calls that look the function up in its module: ``F.scaled_dot_product_attention(...)``, transformers,
``nn.MultiheadAttention`` with ``need_weights=False``. Code that ran ``from torch.nn.functional import
scaled_dot_product_attention`` earlier has a reference of its own and is not reached. Routing is process-wide, as the function
is; all functions here may be called from any thread.
"""

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from torch_fused_attn._sdpa_rules import REASONS, fused_sdpa, why_stock
from torch_fused_attn.kernel_error import KernelError, warn_once

__all__ = ["REASONS", "Counts", "counts", "disable", "enable", "enabled", "reset_counts"]


class Counts(NamedTuple):
    """Numbers of calls since :func:`reset_counts`.

    Attributes:
        fused: how many went to the fused operators.
        stock: how many went to the function that was there before, by the reason, a key of ``REASONS``.
    """

    fused: int
    stock: dict[str, int]


class _Route:
    """One replacement of the function: what it replaced, and the devices whose calls it takes; None when it is undone."""

    def __init__(self, stock: Callable[..., Tensor]) -> None:
        self.stock = stock
        self.devices: frozenset[str] | None = None
        self.function = _routed(self)


class _Request:
    """One ``enable()`` or ``enabled()`` that was not undone yet."""

    def __init__(self, devices: frozenset[str]) -> None:
        self.devices = devices


_lock = threading.RLock()
_requests: list[_Request] = []
_from_enable: list[_Request] = []
_route: _Route | None = None
_replaced: WeakKeyDictionary[Callable[..., Tensor], Callable[..., Tensor]] = WeakKeyDictionary()  # by our functions
_fastpath_before: bool | None = None
_calls: Counter[str | None] = Counter()  # by reason; None = fused


def enable(devices: str | Iterable[str] = "mps") -> None:
    """Route ``F.scaled_dot_product_attention`` until :func:`disable` was called as often as this function.

    With "cpu", ``torch.backends.mha``'s fast path is off meanwhile: in eval mode it would take ``nn.MultiheadAttention`` and
    ``nn.TransformerEncoderLayer`` past the function. (On MPS torch has no such path.)

    Args:
        devices: "mps" (default), "cpu", or several; nested calls add theirs. A device that the installed build has no
            kernels for is left to stock, so that the same line works everywhere.

    Raises:
        ValueError: there is another device among them, or none.
    """
    with _lock:
        _from_enable.append(_add(devices, "enable"))


def disable() -> None:
    """Undo the latest :func:`enable`; the last of them puts back the function that was there before, exactly.

    If somebody replaced the function in between, theirs is left in place, with a warning: it may still call ours, which from
    then on hands every call to the function that it replaced.

    Raises:
        RuntimeError: there is no ``enable()`` to undo.
    """
    with _lock:
        if not _from_enable:
            raise RuntimeError(
                "sdpa.disable: there is no enable() to undo: call enable() first, or use `with enabled():`"
            )
        _remove(_from_enable.pop())


@contextmanager
def enabled(devices: str | Iterable[str] = "mps") -> Iterator[None]:
    """Route ``F.scaled_dot_product_attention`` inside of a ``with`` block; in all threads, since the function is global.

    Args:
        devices: as in :func:`enable`.

    Raises:
        ValueError: as :func:`enable`.
    """
    request = _add(devices, "enabled")
    try:
        yield
    finally:
        _remove(request)


def counts() -> Counts:
    """Return how many calls went where, and why.

    Code under ``torch.compile`` is routed when it is traced, and what runs afterwards is not counted.
    """
    with _lock:
        stock = {reason: number for reason, number in _calls.items() if reason is not None}
        return Counts(_calls[None], stock)


def reset_counts() -> None:
    """Start counting from 0."""
    with _lock:
        _calls.clear()


def _routed(route: _Route) -> Callable[..., Tensor]:
    def scaled_dot_product_attention(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        devices = route.devices
        arguments = (query, key, value, attn_mask, dropout_p, is_causal)
        if devices is None:
            return route.stock(*arguments, scale=scale, enable_gqa=enable_gqa)
        reason = why_stock(devices, *arguments, scale=scale, enable_gqa=enable_gqa)
        out: Tensor | None = None
        if reason is None:
            try:
                out = fused_sdpa(query, key, value, attn_mask, is_causal, scale)
            except KernelError as error:
                warn_once(error)
                reason = "kernel"
        if not torch.compiler.is_compiling():
            with _lock:
                _calls[reason] += 1
        return route.stock(*arguments, scale=scale, enable_gqa=enable_gqa) if out is None else out

    scaled_dot_product_attention.__doc__ = F.scaled_dot_product_attention.__doc__
    return scaled_dot_product_attention


def _add(devices: str | Iterable[str], function: str) -> _Request:
    names = frozenset([devices] if isinstance(devices, str) else devices)
    if not names or not names <= {"cpu", "mps"}:
        raise ValueError(f'sdpa.{function}: devices must be "mps", "cpu" or both, but was {devices!r}')
    has_kernels = torch._C._dispatch_has_kernel_for_dispatch_key
    request = _Request(frozenset(name for name in names if has_kernels("fused_attn::forward", name.upper())))
    with _lock:
        _requests.append(request)
        _update()
    return request


def _remove(request: _Request) -> None:
    with _lock:
        _requests.remove(request)
        _update()


def _update() -> None:
    """Make the function in ``torch.nn.functional`` what the requests ask for; with the lock held."""
    global _route
    devices = frozenset[str]().union(*(request.devices for request in _requests))
    _set_fastpath(is_allowed="cpu" not in devices)
    if _requests:
        if _route is None:
            _route = _install()
        _route.devices = devices
    elif _route is not None:
        _route.devices = None
        _uninstall(_route)
        _route = None


def _install() -> _Route:
    stock = F.scaled_dot_product_attention
    while stock in _replaced:  # one of ours, undone, that somebody put back after disable()
        stock = _replaced[stock]
    route = _Route(stock)
    _replaced[route.function] = stock
    F.scaled_dot_product_attention = route.function
    return route


def _uninstall(route: _Route) -> None:
    if F.scaled_dot_product_attention is route.function:
        F.scaled_dot_product_attention = route.stock
    else:
        warnings.warn(
            "torch.nn.functional.scaled_dot_product_attention was replaced while torch_fused_attn.sdpa was enabled, and is "
            "left as it is: torch_fused_attn's function, if it is still called, does what the one before it did",
            stacklevel=5,
        )


def _set_fastpath(*, is_allowed: bool) -> None:
    """Switch torch's fast path of nn.MultiheadAttention off while the CPU is routed, and back to what it was."""
    global _fastpath_before
    if not is_allowed and _fastpath_before is None:
        _fastpath_before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
    elif is_allowed and _fastpath_before is not None:
        torch.backends.mha.set_fastpath_enabled(_fastpath_before)
        _fastpath_before = None

"""The error of a kernel that Metal refuses; what falls back on stock attention catches it, and nothing else."""

import threading
import warnings


class KernelError(RuntimeError):
    """Metal does not compile a kernel that a call needs; the call has computed and written nothing.

    The refusal is remembered: the same call raises again at once, and no kernel is compiled twice. Other kernels are not
    affected. ``torch_fused_attn.sdpa``, :func:`torch_fused_attn.swap_attention` and the transformers integration catch this
    error, warn once for each kernel, and compute such calls by stock attention; all other functions raise it.

    Attributes:
        kernel: name of the kernel, and of the library that it is of.
        reason: the line of Metal's message that says what is wrong; it is in the error's own text, too.
        details: Metal's whole message.
    """

    def __init__(self, message: str, kernel: str = "", reason: str = "", details: str = "") -> None:
        super().__init__(message)
        self.kernel = kernel
        self.reason = reason
        self.details = details


_lock = threading.Lock()
_warned: set[str] = set()


def warn_once(error: KernelError) -> None:
    """Warn that stock attention takes over the calls of a kernel, the first time that it does."""
    with _lock:
        is_known = error.kernel in _warned
        _warned.add(error.kernel)
    if not is_known:
        warnings.warn(f"stock attention computes the calls of a kernel from now on: {error}", stacklevel=3)

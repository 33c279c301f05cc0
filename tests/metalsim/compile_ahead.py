"""Compiles kernels of tests that are yet to run on all cores, while earlier tests run."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from metalsim import toolchain


@contextmanager
def compile_ahead(request: pytest.FixtureRequest, compile: Callable[[Any], Any]) -> Iterator[Callable[[Any], Any]]:
    """Start ``compile(case)`` for the parameter ``case`` of each test of this module that is going to run.

    Yields:
        The function that waits for one case, and returns what its ``compile`` returned or raises what it raised.
    """
    toolchain.build_everything()
    items = [item for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    cases = {id(case): case for case in (item.callspec.params["case"] for item in items)}
    with ThreadPoolExecutor(toolchain.JOBS) as pool:
        compiled: dict[int, Future[Any]] = {key: pool.submit(compile, case) for key, case in cases.items()}
        try:
            yield lambda case: compiled[id(case)].result()
        finally:
            pool.shutdown(cancel_futures=True)

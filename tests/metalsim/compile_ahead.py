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
    items = [
        item for item in request.session.items if isinstance(item, pytest.Function) and item.module is request.module
    ]
    parameters = [item.callspec.params["case"] for item in items if "case" in item.fixturenames]
    cases = {id(case): case for case in parameters}
    with ThreadPoolExecutor(toolchain.JOBS) as pool:
        compiled: dict[int, Future[Any]] = {key: pool.submit(compile, case) for key, case in cases.items()}

        def wait(case: Any) -> Any:
            # A test may want another one's case, which then may not be going to run.
            return compiled[id(case)].result() if id(case) in compiled else compile(case)

        try:
            yield wait
        finally:
            pool.shutdown(cancel_futures=True)

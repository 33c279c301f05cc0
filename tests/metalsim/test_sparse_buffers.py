"""Buffers with more addresses than the machine has memory: of them, dispatches copy only the pages that were touched."""

import resource

import numpy as np
import pytest

import metalsim

SOURCE = """
#include <metal_stdlib>
using namespace metal;

kernel void increment(device int* values [[buffer(0)]], constant ulong& place [[buffer(1)]],
                      uint thread_index [[thread_position_in_grid]]) {
  values[place + thread_index] += 1;
}
kernel void last_writer(device uint* values [[buffer(0)]], constant ulong& place [[buffer(1)]],
                        uint group [[threadgroup_position_in_grid]]) {
  values[place] = group + 1;
}
"""
ELEMENTS = 2**32 + 1000
FAR = 2**32 + 100


@pytest.fixture(scope="module")
def library() -> metalsim.Library:
    return metalsim.compile(SOURCE)


def place(element: int) -> bytes:
    return np.uint64(element).tobytes()


def resident_bytes() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()


def test_what_was_touched_is_copied_in_and_back(library: metalsim.Library) -> None:
    """Each order starts from the same content, pages that nothing was written to included, and takes hardly any memory."""
    values = np.zeros(ELEMENTS, np.int32)
    values[FAR + 1], values[5] = 40, 7
    before = resident_bytes()
    for element in (FAR, 2**31):
        library.pipeline("increment").dispatch(
            (1,), (2,), {0: values, 1: place(element)}, check=True, schedule=metalsim.ALL_SCHEDULES
        )
    assert resident_bytes() - before < 64 << 20
    assert values[[5, 2**31 - 1, 2**31, 2**31 + 1, FAR, FAR + 1, FAR + 2]].tolist() == [7, 0, 1, 1, 1, 41, 0]


@pytest.mark.parametrize("element", [0, 1023, FAR])
def test_an_order_that_matters_is_found_at_its_byte(library: metalsim.Library, element: int) -> None:
    values = np.zeros(ELEMENTS, np.uint32)
    values[3] = 9
    with pytest.raises(metalsim.OrderDependenceError) as caught:
        library.pipeline("last_writer").dispatch(
            (3,), (1,), {0: values, 1: place(element)}, schedule=("forward", "reversed"), workers=1
        )
    assert (caught.value.buffer, caught.value.byte) == (0, 4 * element)
    assert values[element] == 0


def test_the_end_is_guarded(library: metalsim.Library) -> None:
    values = np.zeros(ELEMENTS, np.int32)
    with pytest.raises(metalsim.OutOfBoundsError):
        library.pipeline("increment").dispatch((1,), (2,), {0: values, 1: place(ELEMENTS - 1)}, check=True)

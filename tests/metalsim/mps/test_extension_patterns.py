"""Extensions of torch that launch Metal kernels in each of the usual ways get right results, and in the right order."""

import pytest
import torch
from probe_extension import operators

SCALES = ["scale", "scale_own_encoder", "scale_command_buffer"]


@pytest.fixture(scope="module")
def probe():
    return operators()


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("count", [1, 31, 256, 257, 1000])
def test_scaling(probe, name, count):
    x = torch.randn(count)
    assert torch.equal(getattr(probe, name)(x.to("mps"), 3.0).cpu(), x * 3)


@pytest.mark.parametrize("first", SCALES)
@pytest.mark.parametrize("second", SCALES)
def test_kernels_run_in_the_order_of_their_calls(probe, first, second):
    x = torch.randn(300)
    y = getattr(probe, second)(getattr(probe, first)(x.to("mps"), 2.0), 0.5)
    assert torch.equal(y.cpu(), x)


@pytest.mark.parametrize("name", SCALES)
def test_kernels_and_torch_operators_alternate(probe, name):
    x = torch.randn(100)
    y = x.to("mps")
    for _ in range(5):
        y = getattr(probe, name)(y + 1, 2.0)
    expected = x
    for _ in range(5):
        expected = (expected + 1) * 2
    assert torch.equal(y.cpu(), expected)


def test_a_view_starts_at_its_byte_offset(probe):
    x = torch.randn(10, 50)
    assert torch.equal(probe.scale(x.to("mps")[3], 2.0).cpu(), x[3] * 2)


@pytest.mark.parametrize(
    "view", [lambda x: x, lambda x: x.t(), lambda x: x[1::2, 3:-1], lambda x: x.expand(5, -1, -1)[2]]
)
def test_strides_and_threadgroup_memory(probe, view):
    x = torch.randn(9, 130)
    torch.testing.assert_close(probe.row_sum(view(x.to("mps"))).cpu(), view(x).sum(1), rtol=1e-5, atol=1e-5)


def test_function_constants(probe):
    x = torch.randn(40)
    for bias in (None, 0.5, -3.0):
        assert torch.equal(probe.scale(x.to("mps"), 1.0, bias).cpu(), x + (bias or 0))


def test_completion_handlers_run_once(probe):
    assert probe.completed_handlers(torch.ones(8, device="mps")) == 1


def test_an_empty_tensor_launches_nothing(probe):
    assert probe.scale(torch.empty(0, device="mps"), 2.0).numel() == 0

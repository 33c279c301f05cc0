"""metalsim's checks and counts reach through torch's operators to the kernels that they launch."""

import pytest
import torch
from probe_extension import operators

import metalsim


@pytest.fixture(scope="module")
def probe():
    return operators()


@pytest.fixture
def x():
    return torch.arange(256.0, device="mps")


FAULTS = {
    "scale_unbounded": (metalsim.OutOfBoundsError, "scale_unbounded"),
    "reverse_racing": (metalsim.RaceError, "reverse_racing"),
    "read_uninitialised": (metalsim.UninitializedReadError, "tile"),
    "diverging": (metalsim.DivergenceError, "diverging"),
}


@pytest.mark.parametrize("kernel", FAULTS)
def test_a_fault_is_raised_at_the_operator_that_launched_it(probe, x, kernel):
    error, words = FAULTS[kernel]
    before = probe.scale(x, 2.0)
    with metalsim.checked():
        with pytest.raises(error, match=words):
            probe.fault(x, kernel)
        after = probe.scale(before, 2.0)
    assert torch.equal(after.cpu(), x.cpu() * 4)


def test_right_kernels_pass_in_all_schedules(probe, x):
    with metalsim.checked(schedule=metalsim.ALL_SCHEDULES):
        doubled = probe.scale(x, 2.0)
        sums = probe.row_sum(doubled.view(8, 32))
    torch.testing.assert_close(sums.cpu(), (x.cpu() * 2).view(8, 32).sum(1))


def test_work_of_before_the_block_is_done_first(probe, x):
    pending = probe.scale(x, 2.0)
    with metalsim.checked():
        result = probe.scale(pending, 2.0)
    assert torch.equal(result.cpu(), x.cpu() * 4)


def test_checks_end_with_the_block(probe, x):
    with metalsim.checked():
        pass
    probe.fault(x, "reverse_racing")
    torch.mps.synchronize()


def test_counts_by_operator_call(probe, x):
    with metalsim.counted() as counted:
        y = probe.scale(x, 2.0)
        probe.row_sum(y.view(8, 32))
        probe.scale(x, 3.0)
    names = [operator.name for operator in counted.operators]
    assert names == ["metalsim_probe::scale", "metalsim_probe::row_sum", "metalsim_probe::scale"]
    first = counted.operators[0]
    assert [dispatch.kernel for dispatch in first.dispatches] == ["scale"]
    assert first.counts.threads == 256
    assert first.counts.device[0].loaded_bytes == 1024
    assert first.counts.device[1].stored_bytes == 1024
    assert counted.counts.threadgroup_barriers == 8


def test_counts_are_those_of_a_dispatch_without_torch(probe):
    x = torch.arange(100.0)
    with metalsim.counted() as counted:
        probe.scale(x.to("mps"), 2.0)
    text = """
    kernel void scale(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
      y[i] = x[i] * 2;
    }
    """
    run = (
        metalsim.compile(text)
        .pipeline("scale")
        .dispatch(threads=(100,), threads_per_threadgroup=(256,), buffers={0: x, 1: torch.empty(100)}, count=True)
    )
    assert counted.counts.device[0] == run.counts.device[0]
    assert counted.counts.device[1] == run.counts.device[1]
    assert counted.counts.threads == run.counts.threads == 100


def test_lines_are_counted_on_request(probe, x):
    with metalsim.counted() as plain, metalsim.counted(lines=True) as detailed:
        probe.scale(x, 2.0)
    assert detailed.counts.lines
    assert plain.counts.threads == detailed.counts.threads == 256


def test_checked_and_counted_together(probe, x):
    with metalsim.checked(), metalsim.counted() as counted:
        with pytest.raises(metalsim.RaceError):
            probe.fault(x, "reverse_racing")
        probe.scale(x, 2.0)
    assert [operator.name for operator in counted.operators] == ["metalsim_probe::scale"]


def test_torch_operators_launch_no_kernels(x):
    with metalsim.counted() as counted:
        x + 1
    assert counted.operators == []


def test_an_access_far_outside_is_reported_without_checks_too(probe):
    x = torch.zeros(1024, device="mps")  # fills its page: what follows may not be touched
    probe.fault(x, "scale_unbounded")
    with pytest.raises(RuntimeError, match="scale_unbounded"):
        torch.mps.synchronize()
    assert torch.equal(probe.scale(x + 1, 2.0).cpu(), torch.full((1024,), 2.0))

"""Mistakes with Metal's interface are refused where they are made, each with a sentence that says what is wrong."""

import os
import subprocess
import sys

import pytest
import torch
from probe_extension import operators

#: By the name that probe/mistakes.mm gives the mistake: words of the message.
MESSAGES: dict[str, str] = {
    "100 bytes of threadgroup memory": "got 100 bytes at index 0; the length must be a multiple of 16",
    "2048 threads in a threadgroup": "2048 threads; the pipeline's maxTotalThreadsPerThreadgroup is 1024",
    "33 KiB in the kernel": r"Threadgroup memory size \(33792\) exceeds the maximum threadgroup memory allowed \(32768\)",
    "48 KiB of threadgroup memory": "got 49152 bytes at index 0; a threadgroup has at most 32768",
    "8 KiB of bytes": "got 8192 bytes at index 2; it takes 1 to 4096",
    "a buffer as a pipeline": "wrong kind of argument, .*; it must be an id<MTLComputePipelineState>",
    "a buffer of no bytes": "got length 0; a buffer has at least 1 byte",
    "a function that is not there": "the library has no function 'no_such_kernel'",
    "a function without its constants": "uses the function constants 'has_bias'",
    "a handler after the commit": "add handlers before the commit",
    "a pipeline as a buffer": "wrong kind of argument, .*; it must be an id<MTLBuffer>",
    "a released buffer": "an MTLBuffer that has been released",
    "a second encoder": "on which an encoder is active; send endEncoding",
    "address of a view as a buffer": "an address 4 bytes inside of an MTLBuffer, such as data_ptr",
    "an operator inside of the stream's queue": "already owned by the current thread: a deadlock",
    "an unknown method": "functionNames.: unrecognized selector",
    "bytes for a buffer that is written": "has bytes bound to 'y' at index 1, which the kernel may write to",
    "bytes from NULL": "got NULL at index 2",
    "committing twice": "a command buffer that has been committed; commit it once",
    "committing with an open encoder": "commit. was sent to a command buffer on which an encoder is active",
    "copying past the end": "got 1048576 bytes from 0 on of the source, which has 400 bytes",
    "encoding after the end": "was sent to an encoder after endEncoding",
    "ending twice": "endEncoding. was sent to an encoder after endEncoding",
    "index 31": "got index 31; it must be less than 31",
    "misaligned offset": "has offset 2 bound to 'x' at index 0; it must be a multiple of 4",
    "no bytes": "got 0 bytes at index 2; it takes 1 to 4096",
    "no pipeline": "has no pipeline to run; call setComputePipelineState: first",
    "no threadgroups": r"got a grid of \(0, 1, 1\) threadgroups",
    "nothing bound": "has nothing bound to 'y' at index 1, which the kernel uses",
    "offset of setBufferOffset past the end": "got offset 1048576 at index 0, but the buffer has 400 bytes",
    "offset past the end": "setBuffer:offset:atIndex:. got offset 1048576 at index 0, but the buffer has 400 bytes",
    "parameters smaller than the kernel's struct": "has 4 bytes bound to 'p' at index 2, whose type has 8",
    "setBufferOffset with no buffer": "got index 2, where no buffer is bound",
    "source that does not compile": "program_source:2:3: error: use of undeclared identifier",
    "the stream's queue inside of itself": "already owned by the current thread: a deadlock",
    "threadgroup memory without a length": "has no threadgroup memory for 'partial' at index 0",
    "waiting before the commit": "has not been committed, and would wait forever",
}

#: Mistakes that no call can notice; test_asynchrony.py has them.
UNNOTICED = {
    "a concurrent encoder with a barrier",
    "a concurrent encoder without a barrier",
    "a temporary freed too early",
    "another operation's bindings",
    "no mistake",
    "parameters rewritten before they are read",
}


@pytest.fixture(scope="module")
def probe():
    return operators()


@pytest.fixture
def x():
    return torch.arange(100.0, device="mps")


@pytest.mark.parametrize("what", MESSAGES)
def test_a_mistake_is_refused_and_the_stream_stays_usable(probe, x, what):
    with pytest.raises(RuntimeError, match=MESSAGES[what]):
        probe.mistake(x, what)
    assert torch.equal(probe.scale(x, 2.0).cpu(), x.cpu() * 2)


def test_every_mistake_of_the_probe_is_tested(probe, x):
    assert set(probe.mistakes(x)) == MESSAGES.keys() | UNNOTICED


def test_there_are_enough(probe):
    assert len(MESSAGES) >= 25


def run(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **settings}
    command = [
        sys.executable,
        "-c",
        f"from probe_extension import operators\nimport torch\nprobe = operators()\n{code}",
    ]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=os.path.dirname(__file__), check=False
    )


def test_bindings_of_another_operation_are_refused_on_request():
    code = 'probe.mistake(torch.ones(8, device="mps"), "another operation\'s bindings")'
    assert run(code).returncode == 0
    strict = run(code, METALSIM_STRICT_BINDINGS="1")
    assert strict.returncode == 1
    assert "earlier operation" in strict.stderr


def test_validation_can_abort_like_metal():
    done = run('probe.mistake(torch.ones(8, device="mps"), "index 31")', METALSIM_VALIDATION="abort")
    assert done.returncode < 0
    assert "Metal API validation" in done.stderr


def test_dereferencing_a_tensor_of_the_device_ends_the_process():
    done = run('probe.dereference(torch.ones(8, device="mps"))')
    assert done.returncode < 0

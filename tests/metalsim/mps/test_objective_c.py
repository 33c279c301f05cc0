"""The Objective-C runtime, blocks, Foundation and dispatch: programs in Objective-C++ (objc/*.mm) that check themselves.

Each is compiled twice, with automatic reference counting and without.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from metalsim import toolchain
from metalsim.mps import build

SOURCES = Path(__file__).parent / "objc"
RUNTIME = toolchain.NATIVE / "objc"

SUBJECTS = (
    *("messages", "classes", "ownership", "blocks", "exceptions"),
    *("foundation", "dispatching", "threads", "handles"),
)

#: macOS and what the branches of availability.mm say: macOS 15 and later, 14.4 and later, 26 and later.
AVAILABILITY = {
    "13.6": "13.6 old 0 0",
    "14.0": "14.0 old 0 0",
    "14.4": "14.4 old 1 0",
    "15.0": "15.0 new 1 0",
    "15.4.1": "15.4 new 1 0",
    "26": "26.0 new 1 1",
}

FAULTS = {
    "over-release": "of class Victim",
    "message to freed": 'message "description" sent to a freed object of class Victim',
    "semaphore": "a semaphore was released with value 0",
    "asynchronous exception": "nobody catches this",
}

#: What the runtime lacks, and the name that the linker then misses.
UNSUPPORTED = {
    "throw": ("@throw [NSObject new];", "objc_exception_throw"),
    "catch": ("@try { work(); } @catch (id error) { work(); }", "objc_begin_catch"),
}


def _program(subject: str, arc: bool) -> Path:
    return build.host_library(
        f"{subject}{'_arc' if arc else ''}",
        [SOURCES / f"{subject}.mm"],
        torch=False,
        arc=arc,
        include_dirs=[SOURCES, RUNTIME],
        is_program=True,
    )


def _run(program: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("METALSIM")}
    return subprocess.run(
        [program, *arguments], env={**kept, **variables}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("arc", [False, True], ids=["manual", "arc"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_feature(subject: str, arc: bool) -> None:
    done = _run(_program(subject, arc))
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize("arc", [False, True], ids=["manual", "arc"])
@pytest.mark.parametrize("macos", AVAILABILITY)
def test_available_asks_the_described_macos(macos: str, arc: bool) -> None:
    done = _run(_program("availability", arc), METALSIM_MACOS=macos)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == AVAILABILITY[macos]


@pytest.mark.skipif(os.environ.get("METALSIM_SANITIZE") == "1", reason="AddressSanitizer reports these itself")
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_ends_the_process(fault: str) -> None:
    done = _run(_program("faults", arc=False), fault)
    assert done.returncode == -signal.SIGABRT
    assert FAULTS[fault] in done.stderr


def test_autorelease_without_pool_is_told() -> None:
    done = _run(_program("ownership", arc=False), METALSIM_OBJC_DEBUG="1")
    assert done.returncode == 0
    assert "of class Node autoreleased with no pool in place" in done.stderr


def test_a_wrong_description_of_the_mac_is_refused() -> None:
    done = _run(_program("availability", arc=False), METALSIM_GPU="M9")
    assert done.returncode == -signal.SIGABRT
    assert 'The described GPU is "M9"; it must be one of M1, M1 Pro' in done.stderr


@pytest.mark.parametrize("statement", UNSUPPORTED)
def test_what_is_not_supported_does_not_link(statement: str, tmp_path: Path) -> None:
    text, missing = UNSUPPORTED[statement]
    source = tmp_path / f"{statement}.mm"
    source.write_text(f"#import <Foundation/Foundation.h>\nvoid work();\nvoid work() {{ {text} }}\nint main() {{}}\n")
    with pytest.raises(toolchain.ToolchainError, match=missing):
        build.host_library(statement, [source], torch=False, flags=["-fobjc-exceptions"], is_program=True)

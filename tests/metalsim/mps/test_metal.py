"""The software Metal without torch: programs in Objective-C++ (metal/*.mm) that check themselves and count failures."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metalsim import toolchain
from metalsim.mps import build

SOURCES = Path(__file__).parent / "metal"

#: When command buffers run, and how each of them is made to show a race.
EXECUTIONS = {
    "deferred": {},
    "commit": {},
    "thread": {"METALSIM_EXECUTION_DELAY_US": "2000"},
    "eager": {},
}


def _compile(source: Path, folder: Path) -> Path:
    target = folder / f"{source.name}.o"
    toolchain.run(build.compile_command(source, target, torch=False), f"compiling {source.name}")
    return target


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all programs, compiled."""
    folder = tmp_path_factory.mktemp("programs")
    libraries = [build.device_libraries().metal, toolchain.runtime_library()]
    sources = [build.IMAGE, SOURCES / "test_compiler.cpp", *sorted(SOURCES.glob("*.mm"))]
    with ThreadPoolExecutor(toolchain.JOBS) as pool:
        image, compiler, *objects = pool.map(lambda source: _compile(source, folder), sources)
    for program in objects:
        target = folder / program.name.removesuffix(".mm.o")
        command = build.link_command([program, image, compiler], target, libraries, is_program=True)
        toolchain.run(command, f"linking {target.name}")
    return folder


def _run(program: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("METALSIM")}
    return subprocess.run(
        [program, *arguments], env={**kept, **variables}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("subject", ["execution", "asynchrony", "events", "misuse", "observed", "lifetimes"])
def test_in_every_mode_of_execution(programs: Path, subject: str, execution: str) -> None:
    done = _run(programs / subject, METALSIM_EXECUTION=execution, **EXECUTIONS[execution])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("subject", ["buffers", "libraries", "overhead"])
def test_whatever_the_mode(programs: Path, subject: str) -> None:
    done = _run(programs / subject)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_process_may_end_at_any_time(programs: Path, execution: str) -> None:
    done = _run(programs / "exits", METALSIM_EXECUTION=execution, **EXECUTIONS[execution])
    assert done.returncode == 0, done.stderr


def test_strict_bindings(programs: Path) -> None:
    done = _run(programs / "strict_bindings", METALSIM_STRICT_BINDINGS="1")
    assert done.returncode == 0, done.stderr


def test_work_of_a_command_buffer_is_limited(programs: Path) -> None:
    done = _run(programs / "max_products", METALSIM_MAX_PRODUCTS="100")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("mistake", "validation", "sentence"),
    [
        ("refused_call", "abort", "has not been committed, and would wait forever"),
        ("released_temporary", "abort", "ran after one of its buffers had been released"),
        ("abandoned_encoder", "abort", "a command encoder was released without endEncoding"),
        ("abandoned_encoder", "raise", "a command encoder was released without endEncoding"),
        ("throwing_handler", "raise", "thrown by a handler"),
    ],
)
def test_mistakes_that_end_the_process(programs: Path, mistake: str, validation: str, sentence: str) -> None:
    done = _run(programs / "aborts", mistake, METALSIM_VALIDATION=validation)
    assert done.returncode < 0
    assert sentence in done.stderr


def test_execution_failures_do_not_end_the_process(programs: Path) -> None:
    assert _run(programs / "aborts", "released_temporary").returncode == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("METALSIM_EXECUTION", "lazy"),
        ("METALSIM_VALIDATION", "yes"),
        ("METALSIM_STRICT_BINDINGS", "on"),
        ("METALSIM_EXECUTION_DELAY_US", "1ms"),
        ("METALSIM_MAX_PRODUCTS", "many"),
    ],
)
def test_settings_that_do_not_exist(programs: Path, variable: str, value: str) -> None:
    done = _run(programs / "aborts", "refused_call", **{variable: value})
    assert done.returncode < 0
    assert f"{variable} is '{value}'; it must be" in done.stderr

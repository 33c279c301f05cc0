"""``python -m torch_fused_attn doctor``: it says what works, and for everything that does not the next step."""

import dataclasses
import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from torch_fused_attn import KernelError, _load
from torch_fused_attn.doctor import command, environment, kernels, report, self_check
from torch_fused_attn.doctor.finding import Finding, Status

ROOT = Path(__file__).parents[1]
SECTIONS = ["platform", "torch", "extension", "Metal device", "kernels", "self-check"]
ON_LINUX = pytest.mark.skipif(sys.platform == "darwin", reason="metalsim's software device is for Linux")


def python(*arguments, cwd=ROOT, **environ):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "METALSIM": "0", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def doctor(*arguments, **environ):
    return python("-m", "torch_fused_attn", "doctor", *arguments, **environ)


def sections_of(output):
    return [line for line in output.splitlines() if line in SECTIONS]


def failures(findings):
    return [finding for finding in findings if finding.status is Status.FAILED]


def test_nothing_is_wrong_here():
    done = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert sections_of(done.stdout) == SECTIONS
    assert "FAIL" not in done.stdout
    assert "cpu: 6 operators in fp32, fp16, bf16 agree with float64" in done.stdout
    assert done.stdout.endswith("all is well\n")


def test_a_command_is_needed():
    done = python("-m", "torch_fused_attn")
    assert done.returncode == 2
    assert "doctor" in done.stderr


@pytest.mark.parametrize(("status", "step"), [(Status.FAILED, ""), (Status.OK, "do this")])
def test_failures_and_nothing_else_have_a_next_step(status, step):
    with pytest.raises(ValueError, match="a failure, and nothing else, has a next step"):
        Finding("torch", status, "something", step)


# The extension does not load: then the package cannot be imported, and the doctor has to work all the same.


@pytest.fixture
def copy(tmp_path):
    """Return a folder with the package as it is before it has been built."""
    built = shutil.ignore_patterns("*.so", "__pycache__", "_build_info.py")
    shutil.copytree(ROOT / "torch_fused_attn", tmp_path / "torch_fused_attn", ignore=built)
    return tmp_path


def python_on_copy(folder, *arguments, **environ):
    """Run Python without .pth files: an editable install of the package would fill in what the copy lacks."""
    folders = [environ.get("PYTHONPATH", ""), str(Path(torch.__file__).parents[1])]
    environ |= {"PYTHONPATH": os.pathsep.join(filter(None, folders)), "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    return python("-S", *arguments, cwd=folder, **environ)


def build_info(folder, version):
    (folder / "torch_fused_attn" / "_build_info.py").write_text(f'TORCH_VERSION = "{version}"\nMPS = False\n')


def not_built(folder):
    return {}


def other_torch(folder):
    build_info(folder, "2.5.1")
    return {}


def broken_extension(folder):
    build_info(folder, torch.__version__)
    (folder / "torch_fused_attn" / "_C.so").write_bytes(b"\x7fELF, and no more")
    return {}


def no_torch(folder):
    (folder / "without" / "torch").mkdir(parents=True)
    (folder / "without" / "torch" / "__init__.py").write_text("raise ModuleNotFoundError('No module named torch')")
    return {"PYTHONPATH": str(folder / "without")}


def broken_torch(folder):
    (folder / "without" / "torch").mkdir(parents=True)
    (folder / "without" / "torch" / "__init__.py").write_text("raise OSError('libtorch.so: file too short')")
    return {"PYTHONPATH": str(folder / "without")}


BROKEN = [
    (not_built, "torch_fused_attn was not built", "run `pip install --no-build-isolation .` in its source tree"),
    (other_torch, "was built against torch 2.5.1, but torch", "rebuild it for this torch with `pip install"),
    (broken_extension, "torch_fused_attn's extension does not load", "rebuild it for this torch"),
    (no_torch, "torch cannot be imported (No module named torch)", "run `pip install torch`"),
    (broken_torch, "torch cannot be imported (libtorch.so: file too short)", "reinstall torch"),
]


@pytest.mark.parametrize(("broken", "problem", "step"), BROKEN, ids=[row[0].__name__ for row in BROKEN])
def test_extension_that_does_not_load(copy, broken, problem, step):
    done = python_on_copy(copy, "-m", "torch_fused_attn", "doctor", "--report", "report.md", **broken(copy))
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == "", "no traceback"
    lines = done.stdout.splitlines()
    (failure,) = (number for number, line in enumerate(lines) if line.startswith("  FAIL "))
    assert problem in lines[failure]
    assert lines[failure + 1].startswith(f"       next: {step}")
    assert "  -    not tried: the extension is not loaded" in lines
    report = (copy / "report.md").read_text()
    assert problem in report
    assert "Nothing is timed, since the extension does not load." in report


@pytest.mark.parametrize(
    "program", [["-c", "import torch_fused_attn"], ["-m", "user"], ["-m", "user", "torch_fused_attn"]]
)
def test_other_programs_are_told_by_an_exception(copy, program):
    (copy / "user.py").write_text("import torch_fused_attn\n")
    done = python_on_copy(copy, *program, "doctor")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(
        "torch_fused_attn._load.LoadError: torch_fused_attn was not built: run "
    )


@pytest.mark.parametrize(
    ("arguments", "whole", "expected"),
    [
        (["-m", "doctor"], ["python", "-m", "torch_fused_attn", "doctor"], True),
        (["-m"], ["python", "-X", "dev", "-mtorch_fused_attn"], True),
        (["-m", "torch_fused_attn"], ["python", "-m", "pytest", "torch_fused_attn"], False),
        (["/a/pytest/__main__.py"], ["python", "-m", "pytest"], False),
        (["torch_fused_attn", "doctor"], ["python", "torch_fused_attn", "doctor"], False),
        ([""], [""], False),
    ],
)
def test_is_run_as_program(monkeypatch, arguments, whole, expected):
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "orig_argv", whole)
    assert _load.is_run_as_program() == expected


# A described Mac.


@pytest.fixture
def mac(monkeypatch):
    """Let this machine be a Mac with an M1 Max, and return how to change what it says of itself."""

    def describe(machine="arm64", macos="15.1", **values):
        known = {"machdep.cpu.brand_string": "Apple M1 Max", "hw.optional.arm64": "1", **values}
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(platform, "machine", lambda: machine)
        monkeypatch.setattr(platform, "mac_ver", lambda: (macos, ("", "", ""), machine))
        monkeypatch.setattr(environment, "system_value", lambda name: known.get(name, ""))

    describe()
    return describe


def test_mac_that_is_well(mac):
    (finding,) = environment.check_platform()
    assert finding.status is Status.OK
    assert finding.text.startswith("macOS 15.1 on Apple M1 Max, Python 3.")


@pytest.mark.parametrize(
    ("described", "problem", "step"),
    [
        ({"machine": "x86_64"}, "runs under Rosetta", "install a Python for arm64"),
        ({"machine": "x86_64", "hw.optional.arm64": ""}, "Intel processor", "use a Mac with Apple silicon"),
        ({"macos": "13.6"}, "need macOS 14, but this is macOS 13.6", "update macOS"),
    ],
)
def test_macs_that_do_not_fit(mac, described, problem, step):
    mac(**described)
    (failure,) = failures(environment.check_platform())
    assert problem in failure.text
    assert failure.next_step.startswith(step)


def torch_that_says(monkeypatch, *, built, available, version="2.13.0"):
    mps = types.SimpleNamespace(is_built=lambda: built, is_available=lambda: available)
    fake = types.SimpleNamespace(__version__=version, backends=types.SimpleNamespace(mps=mps))
    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name: fake if name == "torch" else original(name))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"built": True, "available": True}, ""),
        ({"built": True, "available": False}, "has MPS, but says that it is not available"),
        ({"built": False, "available": False}, "was built without MPS"),
        ({"built": True, "available": True, "version": "2.8.1"}, "2.9 or newer is needed, but this is torch 2.8.1"),
    ],
)
def test_torch_on_a_mac(mac, monkeypatch, said, problem):
    torch_that_says(monkeypatch, **said)
    found = failures(environment.check_torch())
    assert [problem in failure.text for failure in found] == ([True] if problem else [])


def test_extension_without_mps_on_a_mac(mac, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    monkeypatch.setattr("torch_fused_attn._build_info.MPS", False)
    (failure,) = failures(environment.check_extension())
    assert "built without its MPS backend" in failure.text


# Kernels.


class Perturbed:
    """The operators, one of which adds something to what it returns or writes."""

    def __init__(self, operator, amount):
        self.operator, self.amount = operator, amount

    def __getattr__(self, name):
        original = getattr(torch.ops.fused_attn, name)
        if name != self.operator:
            return original

        def call(*arguments, **options):
            result = original(*arguments, **options)
            if result is not None:
                return result[0] + self.amount, result[1]
            # reshape_and_cache_ writes its third and fourth argument, copy_blocks_ its first and second.
            arguments[2 if name == "reshape_and_cache_" else 1][2, 3] += self.amount
            return None

        return call


@pytest.mark.parametrize("amount", [0.3, float("nan")])
@pytest.mark.parametrize("operator", self_check.CHECKS)
def test_self_check_finds_what_is_wrong(monkeypatch, operator, amount):
    monkeypatch.setattr(self_check, "OPERATORS", Perturbed(operator, amount))
    found = failures(self_check.check_operators("self-check"))
    assert {failure.text.split(":")[1].strip() for failure in found} == {
        f"{operator} in {dtype}" for dtype in self_check.DTYPES
    }


def test_self_check_goes_on_after_an_exception(monkeypatch):
    def broken(inputs):
        raise RuntimeError("Metal does not compile prefill.metal:\n error: no")

    monkeypatch.setitem(self_check.CHECKS, "forward", broken)
    found = list(self_check.check_operators("self-check"))
    assert [failure.text for failure in failures(found)] == [
        f"cpu: forward in {dtype}: Metal does not compile prefill.metal:\n error: no" for dtype in self_check.DTYPES
    ]
    assert all("\n" not in line for failure in failures(found) for line in failure.lines)


@pytest.fixture
def gpu(monkeypatch):
    """Let there be a GPU whose compiler refuses what a function says, and whose calls do nothing; return what it compiles."""
    compiled = []

    def describe(refuses):
        def mps_compile(file, kernel, macros, bools, uints, threads):
            assert not set(bools) & set(uints)
            compiled.append((kernel, macros.get("FUSED_ATTN_ELEMENT"), macros.get("FUSED_ATTN_HEAD_DIM")))
            if refuses(kernel, macros):
                name = f"{kernel} of {file} {macros}"
                reason = f"{file}:7:1: error: no"
                raise KernelError(
                    f"fused_attn: Metal does not compile {name}: {reason}", name, reason, f"{reason}\n  ^\nthe end"
                )

        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
        monkeypatch.setattr(torch.mps, "synchronize", lambda: None)
        monkeypatch.setattr(environment, "describe_device", lambda: ("Apple M1", 7, 8))
        monkeypatch.setattr(torch.ops.fused_attn, "mps_compile", mps_compile, raising=False)
        quiet = [dataclasses.replace(family, call=lambda device: lambda: None) for family in kernels.FAMILIES]
        monkeypatch.setattr(kernels, "FAMILIES", quiet)
        return compiled

    return describe


def test_every_family_is_compiled(gpu):
    """In all dtypes and head dims; on a Mac these are the defaults."""
    compiled = gpu(lambda kernel, macros: False)
    found = list(kernels.check_kernels("kernels", kernels.HEAD_DIMS, tuple(kernels.ELEMENTS)))
    assert [finding.text.split(":")[0] for finding in found] == [family.name for family in kernels.FAMILIES]
    assert all(finding.status is Status.OK for finding in found)
    every = {(element, str(head_dim)) for element in ("float", "half", "bfloat") for head_dim in (64, 96, 128, 256)}
    for name in ("prefill", "decode"):
        assert {tuple(macros) for kernel, *macros in compiled if kernel == name} == every
    for name in ("merge_splits", "merge_states"):
        assert sum(kernel == name for kernel, *_ in compiled) == len(every)
    assert {kernel for kernel, *_ in compiled} == {name for family in kernels.FAMILIES for name in family.launched}
    assert sum(len(finding.details.splitlines()) for finding in found) == len(compiled), "a time for each"


def test_kernels_that_do_not_compile(gpu, tmp_path, monkeypatch):
    """A line for each reason and family on the screen, Metal's whole message of each kernel in the report."""
    gpu(lambda kernel, macros: kernel == "decode" and macros["FUSED_ATTN_ELEMENT"] == "bfloat")
    found = list(kernels.check_kernels("kernels", (64, 128), tuple(kernels.ELEMENTS)))
    refused = failures(found)
    assert [failure.text.split(":")[0] for failure in refused] == [
        "decode, rows as vectors",
        "decode, rows as matrices",
        "merge of split keys",
    ]
    assert (
        "8 of 24 kernels do not compile (decode bf16 D64 dense, 1 rows; decode bf16 D64 paged, 1 rows; and 6 more): "
        in (refused[0].text)
    )
    assert refused[0].text.endswith("decode.metal:7:1: error: no")
    assert "doctor --report" in refused[0].next_step
    assert not any("the end" in line for failure in refused for line in failure.lines)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    report.write(tmp_path / "report.md", found)
    text = (tmp_path / "report.md").read_text()
    assert text.count("decode.metal:7:1: error: no\n  ^\nthe end") == 8 + 8 + 2
    assert "### kernels: decode, rows as vectors\n" in text


def test_progress(monkeypatch, capsys):
    """A bar where somebody looks at it, which is taken away at the end."""
    kernels._show_progress(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    kernels._show_progress(1, 2)
    assert f"[{'#' * 20}{' ' * 20}] 1 of 2" in capsys.readouterr().err
    kernels._show_progress(2, 2)
    assert capsys.readouterr().err.strip() == ""


def test_call_that_fails(gpu, monkeypatch):
    """Whatever compiled: the doctor goes on to the next family."""

    def call(device):
        raise RuntimeError("fused_attn: something else")

    gpu(lambda kernel, macros: False)
    broken, *others = kernels.FAMILIES
    monkeypatch.setattr(kernels, "FAMILIES", [dataclasses.replace(broken, call=call), *others])
    found = list(kernels.check_kernels("kernels", (64,), ("fp16",)))
    assert [failure.text for failure in failures(found)] == ["prefill: fused_attn: something else"]
    assert len(found) == len(kernels.FAMILIES)


SIMULATED = """
import metalsim
import torch
from metalsim.mps import fused_attn
from torch_fused_attn.doctor import kernels

fused_attn.load()
for family in kernels.FAMILIES:
    call = family.call("mps")
    torch.mps.synchronize()
    with metalsim.counted() as counted, torch.no_grad():
        call()
        torch.mps.synchronize()
    launched = tuple(dispatch.kernel for operator in counted.operators for dispatch in operator.dispatches)
    assert launched == family.launched, (family.name, launched)
    if family.name.startswith("decode"):
        assert bool(counted.counts.matrix_products) == family.name.endswith("matrices"), family.name
    compiled = {launch["kernel"] for _, launch in family.kernels(kernels.Plans((7, 8), "fp16", 64))}
    assert compiled == set(launched), (family.name, compiled)
    print(family.name)
"""


@ON_LINUX
def test_each_family_of_kernels_is_what_its_call_launches():
    done = python("-c", SIMULATED, METALSIM="1", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [family.name for family in kernels.FAMILIES]
    # Every kernel that there is.
    text = "\n".join(path.read_text() for path in (ROOT / "metal").glob("*.metal"))
    declared = set(re.findall(r"^(?:\[\[[^\]]*\]\] )?kernel void\s+(\w+)\(", text, re.MULTILINE))
    assert {name for family in kernels.FAMILIES for name in family.launched} == declared


@ON_LINUX
def test_on_the_simulated_device(tmp_path):
    """It says that the device is simulated, checks it all the same, and times nothing."""
    done = doctor("--report", str(tmp_path / "report.md"), METALSIM="1", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sections_of(done.stdout) == SECTIONS
    assert "SIMULATED on this processor" in done.stdout
    assert "GPU family Apple9, 20 cores" in done.stdout
    assert done.stdout.count(" compiled, the slowest in ") == len(kernels.FAMILIES)
    assert done.stderr == "", "no bar, since nobody looks at it"
    assert "mps: 6 operators in fp32, fp16, bf16 agree with float64" in done.stdout
    report = (tmp_path / "report.md").read_text()
    assert "SIMULATED" in report
    assert "Nothing is timed, since the mps device is simulated" in report
    assert "| ours" not in report


def test_exit_status_and_next_step(monkeypatch, capsys):
    broken = Finding("kernels", Status.FAILED, "prefill: no", "do that")
    monkeypatch.setattr(command, "examine", lambda: iter([broken]))
    assert command.main(["doctor"]) == 1
    assert capsys.readouterr().out == "kernels\n  FAIL prefill: no\n       next: do that.\n\n1 failed\n"

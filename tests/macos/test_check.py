"""The check as a whole, and what it says about a linked extension that a Mac would refuse."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from metalsim.macos import build, check, inspection, layouts, macho, plan, signature, sources
from metalsim.macos.torch_wheel import ACCESSORS, Accessor, TorchWheel

ROOT = plan.ROOT


@pytest.fixture(scope="module")
def extension(mac_torch: TorchWheel) -> Path:
    return build.build(plan.make(mac_torch.folder), ROOT, mac_torch).extension


def test_checkout_builds_for_macos(mac_torch: TorchWheel) -> None:
    result = check.run(mac_torch)
    assert result.files == len([*ROOT.glob("csrc/**/*.cpp"), *ROOT.glob("csrc/**/*.mm")])
    # Nothing of the three would be resolved if the linker had found nothing to resolve.
    assert result.inspection.torch_symbols > 50
    assert result.inspection.apple_symbols > 50
    assert result.inspection.python_symbols > 50
    assert result.layouts == len(ACCESSORS)


def test_command_line(mac_torch: TorchWheel) -> None:
    """One line for each version, and exit status 0 only if all is well."""
    command = [sys.executable, "-m", "metalsim.macos", "--torch", mac_torch.version]
    good = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout.count("\n")) == (0, 1), good.stdout + good.stderr
    assert good.stdout.startswith(f"torch {mac_torch.version}: ok: ")
    # No index to ask: what is not in the cache cannot be had.
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    command += ["--torch", "1.0.0"]
    bad = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=offline)
    assert bad.returncode == 1
    assert "torch 1.0.0: FAILED: torch==1.0.0 is not in metalsim's cache and cannot be downloaded" in bad.stdout
    assert f"torch {mac_torch.version}: ok: " in bad.stdout


def changed(extension: Path, folder: Path, old: bytes, new: bytes) -> Path:
    """Copy the extension with other bytes in one place."""
    data = extension.read_bytes()
    assert data.count(old) >= 1
    assert len(old) == len(new)
    path = folder / "_C.so"
    path.write_bytes(data.replace(old, new, 1))
    return path


def test_extension_is_as_it_was_signed(extension: Path, tmp_path: Path) -> None:
    file = macho.read(extension)
    assert signature.check(file) == -(-file.signature[0] // 4096)
    other = changed(extension, tmp_path, b"fused_attn", b"Fused_attn")
    with pytest.raises(signature.SignatureError, match=r"page \d+ of the extension is not as it was signed"):
        inspection.inspect(other)


def test_unsigned_extension_is_refused(extension: Path, tmp_path: Path) -> None:
    command = struct.pack("<II", 0x1D, 16)  # LC_CODE_SIGNATURE
    unsigned = changed(extension, tmp_path, command, struct.pack("<II", 0x7F, 16))
    with pytest.raises(signature.SignatureError, match="not signed"):
        inspection.inspect(unsigned)


def test_extension_for_another_macos_is_refused(extension: Path, tmp_path: Path) -> None:
    command = struct.pack("<IIII", 0x32, 32, 1, 14 << 16)  # LC_BUILD_VERSION, one tool
    assert extension.read_bytes().count(command) == 1
    newer = changed(extension, tmp_path, command, struct.pack("<IIII", 0x32, 32, 1, 15 << 16))
    with pytest.raises(inspection.InspectionError, match=r"is for macOS \(15, 0\), not \(14, 0\)"):
        inspection.inspect(newer)


def test_extension_that_loads_a_strangers_library_is_refused(extension: Path, tmp_path: Path) -> None:
    stranger = changed(extension, tmp_path, b"@rpath/libc10.dylib", b"/opt/x/libc10.dylib")
    with pytest.raises(inspection.InspectionError, match=r"loads /opt/x/libc10\.dylib, which users do not have"):
        inspection.inspect(stranger)


def test_extension_without_its_entry_is_refused(extension: Path, tmp_path: Path) -> None:
    data = extension.read_bytes()
    assert b"\0_PyInit__C\0" in data
    nameless = tmp_path / "_C.so"
    nameless.write_bytes(data.replace(b"\0_PyInit__C\0", b"\0_PyInit__D\0"))
    with pytest.raises(inspection.InspectionError, match="does not export _PyInit__C"):
        inspection.inspect(nameless)


@pytest.mark.parametrize("accessor", ACCESSORS, ids=lambda accessor: f"{accessor.record}.{accessor.member or 'size'}")
def test_other_layout_is_found(mac_torch: TorchWheel, tmp_path: Path, accessor: Accessor) -> None:
    """Torch whose machine code reads the member eight bytes further on."""
    shown = layouts.in_machine_code(mac_torch, accessor)
    instruction = f"ldr\tx8, [x0, #{shown + 8:#x}]" if accessor.member else f"mov\tw0, #{shown + 8:#x}"
    others = (mac_torch.folder / "accessors.txt").read_text()
    (tmp_path / "accessors.txt").write_text(f"<{accessor.symbol}>:\n  \t{instruction}\n\n{others}")
    call = next(call for call in plan.make(mac_torch.folder).compilations if plan.source_of(call).suffix == ".mm")
    compiled = layouts.as_compiled(call, mac_torch)
    assert layouts.compare(compiled, mac_torch) == len(ACCESSORS)
    what = "size" if accessor.member is None else f"offset of {accessor.member}"
    sentence = f"the {what} of {accessor.record} is {shown} as the extension is compiled, but {shown + 8} in"
    with pytest.raises(layouts.LayoutError, match=sentence):
        layouts.compare(compiled, TorchWheel(mac_torch.version, tmp_path))


def test_function_that_shows_nothing_is_reported(mac_torch: TorchWheel, tmp_path: Path) -> None:
    accessor = ACCESSORS[0]
    (tmp_path / "accessors.txt").write_text(f"<{accessor.symbol}>:\n  \tret\n")
    with pytest.raises(layouts.LayoutError, match="no longer shows what it did"):
        layouts.in_machine_code(TorchWheel("2.13.0", tmp_path), accessor)


def test_included_files_are_found(tmp_path: Path) -> None:
    """A file depends on the headers that it includes, beside it, in a folder of headers, and through each other."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "file.cpp").write_text('#include "beside.h"\n  #  import "above.h"\n#include <vector>\n')
    (tmp_path / "part" / "beside.h").write_text('#include "beside.h"\n#include <ATen/core/Tensor.h>\n')
    (tmp_path / "above.h").write_text('#include "part/last.h"\n')
    (tmp_path / "part" / "last.h").write_text("")
    found = sources.included(tmp_path / "part" / "file.cpp", [tmp_path])
    assert {path.name for path in found.own} == {"file.cpp", "beside.h", "above.h", "last.h"}
    assert found.foreign == {"vector", "ATen/core/Tensor.h"}


def test_object_files_depend_on_headers(mac_torch: TorchWheel) -> None:
    """A header that a file includes by way of -I is part of what its object file is kept under."""
    (call,) = (call for call in plan.make(mac_torch.folder).compilations if plan.source_of(call).name == "paged.cpp")
    names = {path.name for path in build.own_files(call, ROOT).own}
    assert {"attention_args.h", "elements.h", "rows.h", "tile.h"} <= names

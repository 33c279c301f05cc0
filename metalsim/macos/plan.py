"""What setup.py would run on a Mac: the commands that compile and link the extension, word for word."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metalsim import toolchain
from metalsim.errors import MetalsimError

ROOT = toolchain.PACKAGE.parent
DESCRIBED_MAC = Path(__file__).with_name("described_mac.py")

#: The compiler that setup.py finds on PATH: it writes down how it was called, and makes an empty file of what it should
#: have made. Words are separated by zeros; the first is the oldest macOS that the result is to run on.
RECORDER = """#!/bin/sh
case "$1" in -v|--version) echo "Apple clang version 17.0.0"; exit 0;; esac
printf '%s\\0' "$MACOSX_DEPLOYMENT_TARGET" "${0##*/}" "$@" > "$(mktemp "$RECORDED_CALLS/XXXXXXXX")"
while [ $# -gt 1 ]; do
  if [ "$1" = -o ]; then : > "$2"; fi
  shift
done
"""


class PlanError(MetalsimError):
    """setup.py does not get through on the described Mac."""


@dataclass(frozen=True)
class Call:
    """One call of the compiler.

    Attributes:
        words: the command, its program first.
        deployment_target: the oldest macOS that the result is to run on; "" if setup.py leaves that open.
    """

    words: tuple[str, ...]
    deployment_target: str

    def after(self, flag: str) -> str:
        """Return the word that follows a flag, for instance ``-o``, where it is said last."""
        return self.words[len(self.words) - self.words[::-1].index(flag)]


@dataclass(frozen=True)
class Plan:
    """The calls that make the extension.

    Attributes:
        compilations: one for each source file, in the order of the files.
        link: the one that links them.
        packed: files that setup.py puts beside the extension, relative to the package.
    """

    compilations: tuple[Call, ...]
    link: Call
    packed: tuple[str, ...]


def source_of(compilation: Call) -> Path:
    """Return the file that a call compiles."""
    return Path(compilation.after("-c"))


def _environment(scratch: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a plain shell on the described Mac."""
    programs = scratch / "programs"
    programs.mkdir()
    for name in ("clang", "clang++", "c++"):
        (programs / name).write_text(RECORDER)
        (programs / name).chmod(0o755)
    (scratch / "calls").mkdir()
    ninja = shutil.which("ninja", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if ninja is None:
        raise PlanError("setup.py compiles with ninja, which is not on PATH: run `pip install ninja`.")
    path = [str(programs), str(Path(ninja).parent), os.environ["PATH"]]
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    calls = str(scratch / "calls")
    return {**kept, "PATH": os.pathsep.join(path), "RECORDED_CALLS": calls, "MAX_JOBS": str(toolchain.JOBS), **more}


def make(torch_folder: Path, *, root: Path = ROOT, environment: Mapping[str, str] | None = None) -> Plan:
    """Run setup.py with a compiler that only takes notes, and return what it would have run.

    Args:
        torch_folder: an unpacked torch, of which Python files are read.
        root: the folder of setup.py and the sources.
        environment: variables that the described Mac's user has set.

    Raises:
        PlanError: if setup.py fails; it says what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="metalsim_macos_") as folder:
        scratch = Path(folder)
        variables = _environment(scratch, environment or {})
        command = [sys.executable, "-I", str(DESCRIBED_MAC), str(torch_folder), str(root / "setup.py"), "--quiet"]
        command += ["build_ext", "--build-temp", str(scratch / "objects"), "--build-lib", str(scratch / "built")]
        done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PlanError(f"setup.py fails on the described Mac:\n{(done.stdout + done.stderr).strip()[-4000:]}")
        calls = [_read(path, scratch) for path in (scratch / "calls").iterdir()]
        package = scratch / "built" / "torch_fused_attn"
        packed = sorted(str(path.relative_to(package)) for path in package.rglob("*") if path.is_file())
    compilations = sorted((call for call in calls if "-c" in call.words), key=source_of)
    links = [call for call in calls if "-c" not in call.words]
    if len(links) != 1 or not compilations:
        raise PlanError(f"setup.py makes {len(links)} extensions out of {len(compilations)} files, not one of many.")
    return Plan(tuple(compilations), links[0], tuple(packed))


def _read(path: Path, scratch: Path) -> Call:
    """Read a call; paths in the scratch folder become relative, so that the same plan reads the same each time."""
    target, *words = path.read_text().removesuffix("\0").split("\0")
    return Call(tuple(word.replace(f"{scratch}/", "") for word in words), target)

"""Runs setup.py as a Mac would: `python -I described_mac.py TORCH_FOLDER SETUP_PY [ARGUMENTS OF SETUP]`.

A program of its own, because it describes another machine to the interpreter that runs it: a Mac with Apple silicon, Python
as python.org builds it, and the torch that lies unpacked in TORCH_FOLDER. Of that torch its own ``utils/cpp_extension.py``
is imported, and nothing native. What the build then would run is for others to see: setup.py finds its compiler on PATH.
"""

import _osx_support
import importlib
import platform
import runpy
import sys
import sysconfig
import types
import urllib.request  # noqa: F401  (setuptools imports it, which on a Mac needs a native module of macOS)
from pathlib import Path

#: What Python's own build on a Mac leaves in sysconfig, as far as extensions are built with it. Both architectures: the
#: hardest case, in which setup.py has to choose.
MAC_PYTHON = {
    "CC": "clang",
    "CXX": "clang++",
    "CFLAGS": "-fno-strict-overflow -Wsign-compare -Wunreachable-code -fno-common -dynamic -DNDEBUG -g -O3 -Wall "
    "-arch arm64 -arch x86_64 -g",
    "CCSHARED": "",
    "LDSHARED": "clang -bundle -undefined dynamic_lookup -arch arm64 -arch x86_64 -g",
    "LDCXXSHARED": "clang++ -bundle -undefined dynamic_lookup -arch arm64 -arch x86_64 -g",
    "AR": "ar",
    "ARFLAGS": "rcs",
    "SHLIB_SUFFIX": ".so",
    "EXT_SUFFIX": f".cpython-{sys.version_info.major}{sys.version_info.minor}-darwin.so",
    "MACOSX_DEPLOYMENT_TARGET": "11.0",
}


def describe_platform() -> None:
    """Let Python take this machine for a Mac with Apple silicon and macOS 15."""
    sysconfig.get_config_vars().update(MAC_PYTHON)
    vars(sys).update(platform="darwin")
    mac = ("15.0", ("", "", ""), "arm64")
    vars(platform).update(system=lambda: "Darwin", machine=lambda: "arm64", mac_ver=lambda *_: mac)
    vars(_osx_support).update(_get_system_version=lambda: "15.0", _get_system_version_tuple=lambda: (15, 0))


def module(name: str, **attributes: object) -> types.ModuleType:
    """Put a module with these attributes where ``import`` looks first."""
    made = types.ModuleType(name)
    vars(made).update(attributes)
    sys.modules[name] = made
    return made


def describe_torch(folder: Path) -> None:
    """Let ``import torch`` find what setup.py and torch's own cpp_extension ask of it, without its native half."""
    absent = types.SimpleNamespace(is_available=lambda: False, _is_compiled=lambda: False)
    backends = types.SimpleNamespace(mps=types.SimpleNamespace(is_built=lambda: True))
    file = str(folder / "__init__.py")
    torch = module("torch", __path__=[str(folder)], __file__=file, cuda=absent, xpu=absent, backends=backends)
    module("torch.utils", __path__=[str(folder / "utils")])
    # The real ones import torch's native half.
    module("torch.monitor", _WaitCounter=None)
    module("torch._utils_internal", get_file_path=lambda *parts: str(folder.parent.joinpath(*parts)))
    version = importlib.import_module("torch.version")
    vars(torch).update(version=version, __version__=version.__version__)


def main() -> None:
    """Describe the Mac, then run setup.py in its folder."""
    describe_platform()
    describe_torch(Path(sys.argv[1]))
    setup = sys.argv[2]
    sys.argv = [setup, *sys.argv[3:]]
    runpy.run_path(setup, run_name="__main__")


if __name__ == "__main__":
    main()

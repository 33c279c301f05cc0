"""Builds ``torch_fused_attn._C``: the CPU backend everywhere, and the Objective-C++ backend where torch has MPS."""

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent.resolve()
MINIMUM_TORCH = (2, 9)


def import_torch():
    """Return torch, or end the build with one sentence that says what is missing."""
    try:
        import torch
    except ImportError as error:
        sys.exit(
            f"torch_fused_attn links against PyTorch, which this Python ({sys.executable}) cannot import ({error}): "
            "install torch 2.9 or newer first, then run pip with --no-build-isolation."
        )
    release = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if release < MINIMUM_TORCH:
        sys.exit(
            f"torch_fused_attn needs torch {MINIMUM_TORCH[0]}.{MINIMUM_TORCH[1]} or newer, "
            f"but torch {torch.__version__} is installed: upgrade torch, then build again."
        )
    return torch, release


torch, TORCH_RELEASE = import_torch()

from torch.utils.cpp_extension import BuildExtension, CppExtension  # noqa: E402  (needs the check above)


def check_compiler() -> None:
    """End the build with one sentence when there is no C++ compiler or no Python.h, before anything is compiled."""
    compiler = os.environ.get("CXX", "c++").split()[0]
    if shutil.which(compiler) is None:
        advice = "run `xcode-select --install`" if sys.platform == "darwin" else "run `apt-get install g++`"
        sys.exit(f"torch_fused_attn needs a C++ compiler, but {compiler!r} is not on PATH: {advice}, or set CXX.")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        sys.exit(
            f"torch_fused_attn needs Python's C headers, but {sysconfig.get_path('include')} has no Python.h: "
            "run `apt-get install python3-dev`, or use a Python that comes with them."
        )


class Build(BuildExtension):
    """BuildExtension that also records which torch the extension was linked against."""

    def run(self) -> None:
        """Check for a compiler, compile, and write ``_build_info.py`` next to the extension."""
        check_compiler()
        super().run()
        package = ROOT / "torch_fused_attn" if self.inplace else Path(self.build_lib) / "torch_fused_attn"
        package.mkdir(parents=True, exist_ok=True)
        (package / "_build_info.py").write_text(
            '"""Written by setup.py: what the extension was built against."""\n\n'
            f'TORCH_VERSION = "{torch.__version__}"\nMPS = {torch.backends.mps.is_built()}\n'
        )
        if torch.backends.mps.is_built() and not self.inplace:
            pack_metal(package / "metal")


def pack_metal(folder: Path) -> None:
    """Put what the MPS backend reads at run time into the package's folder ``metal``.

    The kernels travel as source and are compiled on the Mac that runs them. An extension that was built in place reads them
    where they are, so that an edit counts at once.
    """
    folder.mkdir(exist_ok=True)
    for source in [*ROOT.glob("metal/*.metal"), *ROOT.glob("metal/*.h")]:
        shutil.copy(source, folder)


def describe_mac_build() -> None:
    """Tell the compiler, through its environment, what an extension with the MPS backend is built for."""
    # bfloat in a kernel needs Metal 3.1, and that macOS 14. Python's own build, and cibuildwheel, ask for less.
    chosen = os.environ.get("MACOSX_DEPLOYMENT_TARGET", "")
    if [int(part) for part in re.findall(r"\d+", chosen)] < [14, 0]:
        os.environ["MACOSX_DEPLOYMENT_TARGET"] = "14.0"
    # torch has MPS on arm64 alone; a Python for both architectures would compile everything twice.
    os.environ.setdefault("ARCHFLAGS", "-arch arm64")


def extension() -> CppExtension:
    """Return the one extension module; the MPS backend only where torch has MPS."""
    sources = sorted(ROOT.glob("csrc/*.cpp")) + sorted(ROOT.glob("csrc/cpu/*.cpp"))
    compile_args = ["-O2", "-g0", "-fvisibility=hidden", "-Wall", "-Wno-unknown-pragmas"]
    link_args = []
    if torch.backends.mps.is_built():
        sources += sorted([*ROOT.glob("csrc/mps/*.cpp"), *ROOT.glob("csrc/mps/*.mm")])
        describe_mac_build()
        # Automatic reference counting concerns the .mm files only.
        compile_args += ["-fobjc-arc", "-Wno-unused-command-line-argument"]
        link_args += ["-framework", "Foundation", "-framework", "Metal"]
        # torch lies beside the package, whichever of the two is loaded first.
        link_args += ["-Wl,-rpath,@loader_path/../torch/lib"]
    # at::parallel_for is code in a header: without OpenMP in our own compilation it runs its body on one core, and each ATen
    # call inside wakes all cores for a moment. Apple's clang has no OpenMP; there the CPU backend pays that price.
    if sys.platform.startswith("linux"):
        compile_args += ["-fopenmp"]
        link_args += ["-fopenmp"]
    # torch.utils.cpp_extension adds the -std flag that this torch's headers need.
    return CppExtension(
        "torch_fused_attn._C",
        [str(path.relative_to(ROOT)) for path in sources],
        include_dirs=[str(ROOT / "csrc")],
        depends=[str(path) for path in [*ROOT.glob("csrc/**/*.h"), *ROOT.glob("metal/*.h")]],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


setup(
    ext_modules=[extension()],
    cmdclass={"build_ext": Build.with_options(use_ninja=True)},
    install_requires=[f"torch=={TORCH_RELEASE[0]}.{TORCH_RELEASE[1]}.*"],
)

"""Builds ``torch_fused_attn._C``: the CPU backend everywhere, and the Objective-C++ backend where torch has MPS."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import util
from itertools import product
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
            pack_metal(package / "metal", Path(self.get_ext_fullpath("torch_fused_attn._C")))


def pack_metal(folder: Path, extension: Path) -> None:
    """Put what the MPS backend reads at run time into the package's folder ``metal``.

    The kernels travel as source and are compiled on the Mac that runs them. Where Metal's compiler is, which comes with
    Xcode, the libraries of common calls are compiled already; FUSED_ATTN_METALLIB=0 leaves that out. An extension that was
    built in place reads the sources where they are, so that an edit counts at once.
    """
    folder.mkdir(exist_ok=True)
    for source in [*ROOT.glob("metal/*.metal"), *ROOT.glob("metal/*.h")]:
        shutil.copy(source, folder)
    if os.environ.get("FUSED_ATTN_METALLIB") != "0" and has_metal_compiler():
        pack_libraries(folder / "libraries", *plans_of(extension))


METAL = ("xcrun", "--sdk", "macosx", "metal")


def has_metal_compiler() -> bool:
    """Return whether there is Metal's compiler, which the Command Line Tools alone do not have."""
    try:
        return subprocess.run([*METAL, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def plans_of(extension: Path) -> tuple[Callable[..., dict], Callable[..., dict]]:
    """Return ``kernel_plan`` and ``cache_plan`` of the extension that was just built: they know what calls need."""
    spec = util.spec_from_file_location("torch_fused_attn._C", extension)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.kernel_plan, module.cache_plan


#: Calls whose libraries are compiled at build time; every other call's are, at its first use, from source. All GPUs.
PACKED_HEAD_DIMS = (64, 80, 96, 128, 256)
PACKED_ELEMENTS = ("half", "bfloat", "float")
PACKED_GPUS = ({"family": 7, "cores": 32}, {"family": 9, "cores": 40})
#: Query heads that share a kv head, with one query token: 5 to 7 have the kernel of 8.
PACKED_GROUPS = (1, 2, 3, 4, 8)


def common_launches(kernel_plan: Callable[..., dict], cache_plan: Callable[..., dict]) -> Iterator[dict]:
    """Yield launches that need every library which is compiled at build time."""
    yield cache_plan(1)
    for gpu, element, head_dim in product(PACKED_GPUS, PACKED_ELEMENTS, PACKED_HEAD_DIMS):
        call = {**gpu, "element": element, "batch": 1, "num_kv_heads": 1, "head_dim": head_dim, "head_dim_v": head_dim}
        prefill = {**call, "num_heads": 1, "len_q": 1024, "len_k": 1024, "total_q": 1024}
        calls = [{**prefill, "mask": "bool"}, *({**prefill, "source": source} for source in ("packed", "paged"))]
        # So many keys that they are split and merged.
        decode = {**call, "len_q": 1, "len_k": 1 << 20, "total_q": 1}
        calls += [
            {**decode, "num_heads": group, "source": source}
            for group, source in product(PACKED_GROUPS, ("dense", "paged"))
        ]
        for sizes in calls:
            plan = kernel_plan(**sizes)
            yield from (plan[name] for name in ("mask_tiles", "attention", "merge") if plan[name] is not None)


def metal_command(launch: dict, target: Path) -> list[str]:
    """Return the command that compiles a library as csrc/mps/pipelines.mm has Metal compile it at run time."""
    macros = [f"-D{name}={value}" for name, value in launch["macros"].items()]
    flags = ["-std=metal3.1", "-mmacosx-version-min=14.0", "-O2", "-fno-fast-math", "-I", str(ROOT / "metal")]
    return [*METAL, *flags, *macros, str(ROOT / "metal" / launch["file"]), "-o", str(target)]


def compiles(launch: dict, target: Path) -> bool:
    """Compile a library, or say why that failed: then its source is all that is packed."""
    done = subprocess.run(metal_command(launch, target), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        target.unlink(missing_ok=True)
        print(f"metal: {target.stem} stays source: {done.stderr.strip()[-2000:]}", file=sys.stderr)
    return done.returncode == 0


def pack_libraries(folder: Path, kernel_plan: Callable[..., dict], cache_plan: Callable[..., dict]) -> None:
    """Compile the libraries of common calls, each in a file with the name by which the backend looks for it."""
    libraries = {launch["library"]: launch for launch in common_launches(kernel_plan, cache_plan)}
    folder.mkdir(exist_ok=True)
    probe = cache_plan(1)
    if not compiles(probe, folder / f"{probe['library']}.metallib"):
        print("metal: nothing is compiled at build time; the sources are packed", file=sys.stderr)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compiles, launch, folder / f"{name}.metallib") for name, launch in libraries.items()]
        packed = sum(job.result() for job in jobs)
    print(f"metal: {packed} of {len(libraries)} libraries were compiled")


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


def options() -> dict[str, dict[str, str]]:
    """Return commands' options: with FUSED_ATTN_LABEL_VERSION=1 the version says which torch it is for, 0.1.0+torch2.13.

    Wheels for several releases of torch can then lie side by side. PyPI takes no such local versions.
    """
    if os.environ.get("FUSED_ATTN_LABEL_VERSION") != "1":
        return {}
    return {"egg_info": {"tag_build": f"+torch{TORCH_RELEASE[0]}.{TORCH_RELEASE[1]}"}}


setup(
    options=options(),
    ext_modules=[extension()],
    cmdclass={"build_ext": Build.with_options(use_ninja=True)},
    install_requires=[f"torch=={TORCH_RELEASE[0]}.{TORCH_RELEASE[1]}.*"],
)

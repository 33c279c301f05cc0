"""What is read of a torch wheel for macOS: headers, the Python that builds extensions, its libraries' exports and imports.

The libraries themselves are 240 to 450 MB for each version. What the linker needs of them are the names that they export;
they are kept as text-based stubs, which link identically.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from metalsim import cache, toolchain
from metalsim.errors import MetalsimError
from metalsim.macos import macho, packages

#: Part of every cache key; to be raised when what is kept of a wheel changes.
RECIPE = "3"

#: Megabytes of a wheel, for the message; the newest for one that is not known here.
_MEGABYTES = {"2.9.0": 75, "2.13.0": 111, "2.15.0": 139}

_KERNELS = "ATen/native/mps/kernels"

#: The libraries that extensions are linked with, as torch.utils.cpp_extension names them.
LIBRARIES = ("c10", "torch", "torch_cpu", "torch_python")
#: The oldest macOS that the package supports: what torch imports is taken to be there.
OLDEST_MACOS = (14, 0)


@dataclass(frozen=True)
class Accessor:
    """A function of torch's libraries whose machine code shows how an object is laid out.

    Attributes:
        library: one of LIBRARIES.
        symbol: of the function.
        record: the class of the object.
        member: what the function reads first of it; None if it allocates one, and shows its size.
    """

    library: str
    symbol: str
    record: str
    member: str | None


ACCESSORS = (
    Accessor("c10", "__ZNK3c1010TensorImpl11has_storageEv", "c10::TensorImpl", "storage_"),
    Accessor("c10", "__ZNK3c1010TensorImpl10dim_customEv", "c10::TensorImpl", "sizes_and_strides_"),
    Accessor("c10", "__ZNK3c1010TensorImpl12numel_customEv", "c10::TensorImpl", "numel_"),
    Accessor("c10", "__ZNK3c1010TensorImpl21storage_offset_customEv", "c10::TensorImpl", "storage_offset_"),
    Accessor(
        "c10",
        "__ZN3c1017make_storage_implENS_11StorageImpl15use_byte_size_tENS_6SymIntENS_7DataPtrEPNS_9AllocatorEb"
        "NSt3__18optionalINS_6DeviceEEE",
        "c10::StorageImpl",
        None,
    ),
    Accessor("torch_cpu", "__ZNK2at3mps9MPSStream6deviceEv", "at::mps::MPSStream", "_commandQueue"),
    Accessor("torch_cpu", "__ZN2at3mps9MPSStream14commandEncoderEv", "at::mps::MPSStream", "_commandEncoder"),
    Accessor(
        "torch_cpu",
        "__ZN2at3mps9MPSStream19addCompletedHandlerEU13block_pointerFvPU27objcproto16MTLCommandBuffer11objc_objectE",
        "at::mps::MPSStream",
        "_serialQueue",
    ),
)


@dataclass(frozen=True)
class TorchWheel:
    """A wheel's unpacked half.

    Attributes:
        version: for instance "2.13.0".
        folder: of the package ``torch``.
    """

    version: str
    folder: Path

    @property
    def stubs(self) -> Path:
        """The folder of the libraries' stubs, which setup.py names as the folder of the libraries."""
        return self.folder / "lib"

    @property
    def metal_includes(self) -> tuple[Path, Path]:
        """The folders that torch's own Metal kernels are compiled with."""
        return self.folder / "metal", self.folder / "include"

    def apple_symbols(self) -> list[tuple[str, str]]:
        """Return what torch's libraries import of Apple's: library and symbol."""
        rows = (line.split("\t") for line in (self.folder / "imports.txt").read_text().splitlines())
        return [(library, symbol) for library, symbol in rows]

    def machine_code(self, accessor: Accessor) -> list[str]:
        """Return the instructions of one of the ACCESSORS."""
        text = (self.folder / "accessors.txt").read_text()
        found = re.search(rf"^<{re.escape(accessor.symbol)}>:\n((?:[ \t].*\n)*)", text, re.MULTILINE)
        if found is None:
            raise MetalsimError(f"torch {self.version} for macOS has no function {accessor.symbol}")
        return [" ".join(line.split()) for line in found[1].splitlines()]


def _wanted(name: str) -> bool:
    if name.startswith("torch/include/"):
        return True
    if name.endswith(".dylib"):
        return name.removeprefix("torch/lib/lib").removesuffix(".dylib") in LIBRARIES
    return re.fullmatch(r"torch/([^/]+|utils/[^/]+|_vendor/.+)\.py", name) is not None


def _keep_stub(library: Path) -> None:
    """Replace a library by its stub; one that exports nothing is small, and stays."""
    if library.stat().st_size < 1 << 16:
        return
    stub = library.with_suffix(".tbd")
    toolchain.run(
        [toolchain.program("llvm-readtapi"), "-stubify", library, "-o", stub], f"reading the exports of {library.name}"
    )
    library.unlink(missing_ok=True)


def _disassembled(library: Path, functions: list[str]) -> str:
    command: list[str | Path] = [toolchain.program("llvm-objdump"), "-d", "--no-show-raw-insn", "--no-leading-addr"]
    command += [f"--disassemble-symbols={','.join(functions)}", library]
    return toolchain.run(command, f"disassembling functions of {library.name}")


def _unpack(version: str, folder: Path) -> None:
    packages.unpack_wheel(
        f"torch=={version}", _MEGABYTES.get(version, 150), folder, wanted=_wanted, arguments=packages.FOR_MAC
    )
    torch = folder / "torch"
    imported: set[tuple[str, str]] = set()
    accessors = ""
    for name in LIBRARIES:
        library = torch / "lib" / f"lib{name}.dylib"
        file = macho.read(library)
        if file.minimum_os is None or file.minimum_os > OLDEST_MACOS:
            raise MetalsimError(f"torch {version} is for macOS {file.minimum_os}, newer than {OLDEST_MACOS}.")
        for needed in file.imports():
            # What a library of torch's own has is in that library's stub. A weakly linked framework's names are not
            # marked one by one; that they are there on macOS 14 is what the headers' availability says.
            if needed.library is not None and needed.library.startswith("/"):
                imported.add((needed.library, needed.symbol))
        functions = [accessor.symbol for accessor in ACCESSORS if accessor.library == name]
        accessors += _disassembled(library, functions) if functions else ""
        _keep_stub(library)
    (torch / "imports.txt").write_text("".join(f"{library}\t{symbol}\n" for library, symbol in sorted(imported)))
    (torch / "accessors.txt").write_text(accessors)
    # Metal, and nothing that host code includes.
    kernels = torch / "include" / _KERNELS
    if kernels.is_dir():
        (torch / "metal" / _KERNELS).parent.mkdir(parents=True)
        kernels.rename(torch / "metal" / _KERNELS)


def get(version: str) -> TorchWheel:
    """Return a version's wheel, downloaded at the first call.

    Raises:
        PackageUnavailableError: if it cannot be downloaded.
    """
    folder = cache.entry("macos_torch", f"{version}-{RECIPE}", lambda place: _unpack(version, place))
    return TorchWheel(version, folder / "torch")

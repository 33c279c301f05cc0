"""A compiled kernel, and files of them, which travel from the machine that compiles to the one that has the GPU."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from metalsim.errors import ValidationError
from metalsim.library import Argument

if TYPE_CHECKING:
    from metalsim.cuda.launch import Pipeline

#: How simdgroup matrices are multiplied: in fp32 one multiply-add after the other, or on tensor cores.
Products = Literal["exact", "tensor"]
#: The name of a kernel in its code.
ENTRY = "metalsim_kernel"

_INDEX = "index.json"


@dataclass(frozen=True)
class Image:
    """Code of one kernel, and what its launches must know.

    Attributes:
        name: host name of the kernel.
        constants: values of the function constants, by index.
        products: "exact" or "tensor".
        arguments: the buffers and threadgroup memory that a launch binds.
        static_threadgroup_memory: bytes of the kernel's own threadgroup variables.
        max_threads: the most threads of a threadgroup.
        code: PTX, or machine code for the GPU that it was compiled for.
    """

    name: str
    constants: Mapping[int, bool | int | float]
    products: Products
    arguments: tuple[Argument, ...]
    static_threadgroup_memory: int
    max_threads: int
    code: bytes

    @property
    def is_ptx(self) -> bool:
        """Return whether the code is text that a driver compiles."""
        return not self.code.startswith(b"\x7fELF")

    def with_code(self, code: bytes) -> "Image":
        """Return the same kernel with other code."""
        return replace(self, code=code)


def save(path: str | Path, pipelines: "Mapping[str, Pipeline]") -> Path:
    """Write pipelines to one compressed file, each under a name of the caller's; the same code is written once."""
    index: dict[str, dict[str, object]] = {}
    written: dict[bytes, str] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for key, pipeline in pipelines.items():
            image = pipeline.image
            if image.code not in written:
                written[image.code] = f"{len(written)}.{'ptx' if image.is_ptx else 'cubin'}"
                archive.writestr(written[image.code], image.code)
            fields = asdict(replace(image, code=b""))
            index[key] = {**fields, "code": written[image.code]}
        archive.writestr(_INDEX, json.dumps(index))
    return Path(path)


def load(path: str | Path) -> "dict[str, Pipeline]":
    """Return the pipelines of a file that :func:`save` wrote, by their names. Needs no compiler.

    Raises:
        FileNotFoundError: if there is no such file.
        ValidationError: if it is no such file.
    """
    from metalsim.cuda.launch import Pipeline

    try:
        with zipfile.ZipFile(path) as archive:
            index = json.loads(archive.read(_INDEX))
            return {key: Pipeline(_image(fields, archive)) for key, fields in index.items()}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValidationError(
            f"{str(path)!r} must be a file that metalsim.cuda.save() wrote, but is not one ({error}): write it again"
        ) from error


def _image(fields: dict[str, object], archive: zipfile.ZipFile) -> Image:
    values = dict(fields)
    values["code"] = archive.read(str(values["code"]))
    values["arguments"] = tuple(Argument(**argument) for argument in values["arguments"])  # type: ignore[attr-defined]
    values["constants"] = {int(index): value for index, value in values["constants"].items()}  # type: ignore[attr-defined]
    return Image(**values)  # type: ignore[arg-type]

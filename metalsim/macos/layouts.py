"""Checks that our compiler lays out torch's objects as the one that made torch's libraries.

The extension reads members of these objects in its own code, where no symbol says which offset they have: a library of
another version, or a compiler that lays out otherwise, links without complaint and reads other bytes. Torch's libraries hold
functions so small that their machine code shows the offset; it must be the one that our compiler chooses.
"""

import re
from pathlib import Path

from metalsim import cache, toolchain
from metalsim.errors import MetalsimError
from metalsim.macos import sdk
from metalsim.macos.build import compiler_command, compiler_words
from metalsim.macos.plan import Call
from metalsim.macos.torch_wheel import ACCESSORS, Accessor, TorchWheel

#: Part of every cache key; to be raised when this file changes.
RECIPE = "1"

_PROBE = """
#include <ATen/core/Tensor.h>
#include <ATen/mps/MPSStream.h>
int sizes = sizeof(at::mps::MPSStream) + sizeof(c10::TensorImpl) + sizeof(c10::StorageImpl);
"""


class LayoutError(MetalsimError):
    """An object of torch's is not laid out as in its libraries."""


_LOAD_FROM_THIS = re.compile(r"ldr x\d+, \[x(?:0|19)(?:, #(0x[0-9a-f]+))?\]$")
_FIRST_ARGUMENT = re.compile(r"mov w0, #(0x[0-9a-f]+)\b")


#: Of a record's member the offset, and of the record itself (None) the size.
Layouts = dict[tuple[str, str | None], int]


def in_machine_code(torch: TorchWheel, accessor: Accessor) -> int:
    """Return the offset, or the size, that a function of torch's library shows.

    ``this`` arrives in x0; where a function keeps it, the compilers of all wheels so far chose x19.
    """
    pattern = _FIRST_ARGUMENT if accessor.member is None else _LOAD_FROM_THIS
    for instruction in torch.machine_code(accessor):
        found = pattern.match(instruction)
        if found:
            return int(found[1] or "0", 16)
    raise LayoutError(
        f"the machine code of {accessor.symbol} in torch {torch.version} no longer shows what it did: choose another "
        "function in metalsim/macos/torch_wheel.py"
    )


def parsed(dump: str) -> Layouts:
    """Read clang's dump of record layouts: offsets of direct members, and sizes."""
    found: Layouts = {}
    for block in dump.split("*** Dumping AST Record Layout\n")[1:]:
        lines = block.splitlines()
        head = re.match(r"\s*0 \| (?:class|struct) ([\w:]+)", lines[0])
        if head is None:
            continue
        for line in lines[1:]:
            size = re.search(r"\[sizeof=(\d+)", line)
            member = re.match(r"\s*(\d+) \|   \S.*?(\w+)$", line)
            if size:
                found[head[1], None] = int(size[1])
            elif member:
                found.setdefault((head[1], member[2]), int(member[1]))
    return found


def as_compiled(call: Call, torch: TorchWheel) -> Layouts:
    """Return the layouts of the records that the probe names, compiled with the words of one of the .mm files."""

    def build(folder: Path) -> None:
        probe = folder / "probe.mm"
        probe.write_text(_PROBE)
        command = ["env", f"MACOSX_DEPLOYMENT_TARGET={call.deployment_target}", *compiler_command(call)]
        command += ["-fsyntax-only", "-Xclang", "-fdump-record-layouts", probe]
        text = toolchain.run(command, "laying out torch's records")
        (folder / "layouts.txt").write_text(text)

    words = [word for word in compiler_words(call) if not word.startswith("-I")]
    key = cache.digest(RECIPE, sdk.key(), str(torch.folder), call.deployment_target, _PROBE, *words)
    return parsed((cache.entry("macos_layouts", key, build) / "layouts.txt").read_text())


def compare(layouts: Layouts, torch: TorchWheel) -> int:
    """Compare layouts with all that torch_wheel.ACCESSORS show, and return how many those are.

    Raises:
        LayoutError: naming the record and both numbers.
    """
    for accessor in ACCESSORS:
        theirs = in_machine_code(torch, accessor)
        ours = layouts.get((accessor.record, accessor.member))
        if ours != theirs:
            what = "size" if accessor.member is None else f"offset of {accessor.member}"
            raise LayoutError(
                f"the {what} of {accessor.record} is {ours} as the extension is compiled, but {theirs} in torch "
                f"{torch.version}'s own machine code"
            )
    return len(ACCESSORS)

"""The aten operators for which torch has an MPS kernel, from torch's own table of operators.

``python -m metalsim.mps.operators`` writes native_operators.txt anew, for the installed torch; it needs pyyaml.
"""

import functools
import sys
from pathlib import Path

LIST = Path(__file__).with_name("native_operators.txt")

#: Operators that torch's MPS backend itself sends to the CPU, whatever PYTORCH_ENABLE_MPS_FALLBACK says. They are
#: registered in its C++ and not in the table.
ALWAYS_ON_CPU = ("aten::_linalg_svd", "aten::_linalg_svd.U", "aten::embedding_renorm_")


@functools.cache
def native_operators() -> tuple[str, ...]:
    """Return the operators' names with their overloads, for instance ``aten::add.out``."""
    return tuple(LIST.read_text(encoding="utf-8").split())


def operators_of_torch() -> list[str]:
    """Return the same, from the table in the installed torch."""
    import torchgen  # type: ignore[import-untyped]
    from torchgen.gen import parse_native_yaml  # type: ignore[import-untyped]
    from torchgen.model import DispatchKey  # type: ignore[import-untyped]

    folder = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native"
    table = parse_native_yaml(str(folder / "native_functions.yaml"), str(folder / "tags.yaml"))
    kernels = table.backend_indices[DispatchKey.MPS]
    found = {f"aten::{function.func.name}" for function in table.native_functions if kernels.get_kernel(function)}
    return sorted(found | set(ALWAYS_ON_CPU))


def main() -> int:
    """Write the list."""
    names = operators_of_torch()
    LIST.write_text("\n".join(names) + "\n", encoding="utf-8")
    print(f"{len(names)} operators in {LIST.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

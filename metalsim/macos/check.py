"""The whole check of the build for macOS, for one version of torch."""

from dataclasses import dataclass
from pathlib import Path

from metalsim.macos import build, layouts, plan
from metalsim.macos.inspection import Inspection, inspect
from metalsim.macos.torch_wheel import OLDEST_MACOS, TorchWheel


@dataclass(frozen=True)
class Result:
    """What was done; as text, one line.

    Attributes:
        files: compiled, of the extension.
        inspection: of what was linked.
        layouts: offsets and sizes that agree with torch's machine code.
    """

    files: int
    inspection: Inspection
    layouts: int

    def __str__(self) -> str:
        inspection = self.inspection
        macos = ".".join(map(str, OLDEST_MACOS))
        return (
            f"{self.files} files compiled for macOS {macos} on arm64 and linked; resolved {inspection.torch_symbols} symbols "
            f"of torch's, {inspection.apple_symbols} of Apple's, {inspection.python_symbols} of Python's; {self.layouts} "
            f"layouts as in torch's code; rpath, {inspection.pages} signed pages right"
        )


def run(torch: TorchWheel, root: Path = plan.ROOT) -> Result:
    """Check the build of a checkout against a torch for macOS.

    Raises:
        MetalsimError: for whatever a Mac's build, or a Mac, would not accept.
    """
    root = root.resolve()
    planned = plan.make(torch.folder, root=root)
    wanted = ".".join(map(str, OLDEST_MACOS))
    for call in (*planned.compilations, planned.link):
        if call.deployment_target != wanted:
            raise plan.PlanError(f"setup.py builds for macOS {call.deployment_target or 'of any age'}, not {wanted}.")
    built = build.build(planned, root, torch)
    objective = next(call for call in planned.compilations if plan.source_of(call).suffix == ".mm")
    return Result(
        len(built.objects), inspect(built.extension), layouts.compare(layouts.as_compiled(objective, torch), torch)
    )

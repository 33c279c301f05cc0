"""Pipelines by what they are made of: compiled on a machine without a GPU, looked up on the one that has it."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from launch import METAL, Call

import metalsim
from metalsim import cuda
from metalsim.cuda import compiler
from metalsim.errors import ToolchainError

NAIVE = "naive_attention.metal"

PIPELINES, PLANS = "pipelines.zip", "plans.json"


@dataclass(frozen=True)
class Request:
    """A pipeline by what it is made of."""

    source: str  #: a file of metal/, NAIVE, or the name of a real_kernels.Source
    kernel: str
    macros: tuple[tuple[str, str], ...]
    constants: tuple[tuple[int, int], ...]
    threads: int  #: of a threadgroup
    products: str

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def request(
    source: str,
    kernel: str,
    threads: int,
    products: str,
    macros: Mapping[str, object] | None = None,
    constants: Mapping[int, int] | None = None,
) -> Request:
    texts = tuple(sorted((name, str(value)) for name, value in (macros or {}).items()))
    values = tuple(sorted((int(index), value) for index, value in (constants or {}).items()))
    return Request(source, kernel, texts, values, threads, products)


class Store(Protocol):
    """Where plans and pipelines come from."""

    def plan(self, name: str, call: Call, family: int, **changes: Any) -> dict[str, Any]:
        """Return kernel_plan's choice for a call, by the call's name."""

    def pipeline(self, wanted: Request) -> cuda.Pipeline:
        """Return a pipeline."""


class Loaded:
    """Plans and pipelines out of a folder that :class:`Recorder` wrote."""

    def __init__(self, folder: Path) -> None:
        self._plans = json.loads((folder / PLANS).read_text())
        self._pipelines = cuda.load(folder / PIPELINES)

    def plan(self, name: str, call: Call, family: int, **changes: Any) -> dict[str, Any]:
        plan: dict[str, Any] = self._plans[f"{name}, family {family}"]
        return plan

    def pipeline(self, wanted: Request) -> cuda.Pipeline:
        return self._pipelines[wanted.key]


class Recorder:
    """Asks kernel_plan, and notes which pipelines are wanted; nothing is compiled before :meth:`write`."""

    def __init__(self) -> None:
        self.plans: dict[str, dict[str, Any]] = {}
        self.wanted: dict[str, Request] = {}
        self._libraries: dict[tuple[str, tuple[tuple[str, str], ...]], metalsim.Library] = {}

    def plan(self, name: str, call: Call, family: int, **changes: Any) -> dict[str, Any]:
        from launch_plan import plan_of

        plan = plan_of(call, family, **changes)
        for launch in ("mask_tiles", "attention", "merge"):
            if plan[launch] is not None:
                plan[launch]["constants"] = {int(index): value for index, value in plan[launch]["constants"].items()}
        self.plans[f"{name}, family {family}"] = plan
        return plan

    def note(self, wanted: Request) -> None:
        self.wanted[wanted.key] = wanted

    def compile(self, wanted: Request) -> cuda.Pipeline:
        """Compile a pipeline to PTX."""
        return cuda.Library(self._library(wanted)).pipeline(
            wanted.kernel,
            dict(wanted.constants),
            products=wanted.products,  # type: ignore[arg-type]
            threads=wanted.threads,
        )

    def _library(self, wanted: Request) -> metalsim.Library:
        import real_kernels

        key = (wanted.source, wanted.macros)
        if key not in self._libraries:
            others = {source.name: source for source in real_kernels.SOURCES}
            if wanted.source in others:
                self._libraries[key] = others[wanted.source].library
            else:
                folder = METAL.parent / "bench" if wanted.source == NAIVE else METAL
                self._libraries[key] = metalsim.compile(folder / wanted.source, [METAL], dict(wanted.macros))
        return self._libraries[key]

    def write(self, folder: Path) -> None:
        """Compile what was noted, and write the folder that :class:`Loaded` reads."""
        from tqdm import tqdm

        folder.mkdir(parents=True, exist_ok=True)
        progress = tqdm(self.wanted.items(), desc="compiling", unit="kernel", mininterval=5)
        cuda.save(folder / PIPELINES, {key: self.compile(wanted) for key, wanted in progress})
        (folder / PLANS).write_text(json.dumps(self.plans))


def assemble(folder: Path) -> None:
    """Replace PTX by machine code in a folder that :class:`Recorder` wrote, by ptxas on all cores.

    What ptxas refuses stays PTX, and is printed: the other kernels can be run.
    """
    pipelines = cuda.load(folder / PIPELINES)

    def machine_code(pipeline: cuda.Pipeline) -> cuda.Pipeline:
        try:
            return cuda.Pipeline(compiler.assemble(pipeline.image))
        except ToolchainError as error:
            print(str(error)[:600], flush=True)
            return pipeline

    with ThreadPoolExecutor() as pool:
        assembled = dict(zip(pipelines, pool.map(machine_code, pipelines.values()), strict=True))
    cuda.save(folder / PIPELINES, assembled)

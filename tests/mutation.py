"""Mistakes put into kernels, one at a time, and what must come of each: how files of mutations are read and judged.

In a folder of mutations/*.txt, ``header:`` names the file that the mutations after it change. A mutation is

    == what is wrong
    workload: what the changed kernel computes; the tests that use the mutations have a table of these names
    expected: an outcome, see below
    occurrence: which one, from 1, if the file has the text several times; otherwise it must be there exactly once
    reason: why a harmless one does no harm, or a harmful one is missed
    report: the public report of a kernel that Apple's compiler refused for the like
    -the text that is replaced, and
    +the text that takes its place; both may have several lines, and need not begin or end with a line

An outcome is
    rejected               the compiler, or Metal's own validation, refuses the kernel
    rejected: RULE         the strict pass refuses it by that rule of metalsim/native/strict/rules.def
    reported: KIND         a check finds it while the kernel runs; KIND as in metalsim.Finding, or "order"
    numerically caught     no check can know what was meant, but the result is not attention
    harmless               the result is the same bit by bit
    missed                 nothing shows, although the mistake does harm; ``reason`` says why
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import metalsim


@dataclass(frozen=True)
class Mutation:
    """One mistake; the module's comment says what the attributes are."""

    name: str
    header: str
    workload: str
    expected: str
    occurrence: int | None
    reason: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.workload}: {self.name}"

    def apply(self, text: str) -> str:
        """Return the file with the mistake.

        Raises:
            ValueError: if the text to replace is not there as often as expected.
        """
        found = text.count(self.old)
        if self.occurrence is None and found != 1:
            raise ValueError(
                f"mutation '{self.name}': its text must be in {self.header} once, but is there {found} times"
            )
        if found < (self.occurrence or 1):
            raise ValueError(f"mutation '{self.name}': {self.header} has its text {found} times, not {self.occurrence}")
        parts = text.split(self.old)
        before = self.occurrence or 1
        return self.old.join(parts[:before]) + self.new + self.old.join(parts[before:])


def _read(text: str) -> list[Mutation]:
    mutations = []
    header = ""
    for block in re.split(r"\n\n(?===|header:)", text.rstrip("\n")):
        if block.startswith("header: "):
            header = block.removeprefix("header: ")
            continue
        lines = block.split("\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line[0] not in "-+")
        old, new = ("\n".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
        name = lines[0].removeprefix("== ")
        occurrence = int(fields["occurrence"]) if "occurrence" in fields else None
        reason = fields.get("reason", "")
        mutations.append(Mutation(name, header, fields["workload"], fields["expected"], occurrence, reason, old, new))
    return mutations


def read_mutations(folder: Path) -> list[Mutation]:
    """Return the mutations of all files of a folder, those of one file in its order."""
    return [mutation for path in sorted(folder.glob("*.txt")) for mutation in _read(path.read_text())]


def assert_well_formed(mutations: list[Mutation]) -> None:
    """Each is named once for its workload, changes something, and says why where nothing shows."""
    assert len({(mutation.workload, mutation.name) for mutation in mutations}) == len(mutations)
    for mutation in mutations:
        assert (mutation.expected in ("harmless", "missed")) == bool(mutation.reason), mutation.name
        assert mutation.old != mutation.new


def outcome_of(mutation: Mutation, run: Callable[[], None], is_unchanged: Callable[[], bool]) -> str:
    """Return what comes of a mutation. Of several kinds of findings it is the expected one.

    Args:
        mutation: the mutation.
        run: compiles and runs the workload with it, and fails an assertion if the result is wrong.
        is_unchanged: whether the result of ``run`` is, bit by bit, what it is without the mutation.
    """
    try:
        run()
    except metalsim.ValidationError:
        return "rejected"
    except metalsim.CompileError as error:
        if not error.diagnostics:
            raise  # the compiler itself failed
        rules = [f"rejected: {diagnostic.rule}".replace("metal-", "") for diagnostic in error.diagnostics]
        return mutation.expected if mutation.expected in rules else "rejected"
    except metalsim.CheckError as error:
        kinds = [f"reported: {finding.kind}" for finding in error.findings]
        return mutation.expected if mutation.expected in kinds else kinds[0]
    except metalsim.OrderDependenceError:
        return "reported: order"
    except AssertionError:
        return "numerically caught"
    return "harmless" if mutation.expected == "harmless" and is_unchanged() else "missed"

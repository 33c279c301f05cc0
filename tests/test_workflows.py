"""The workflows of GitHub Actions, which have never run: what can be said of them without a runner.

GitHub's own schema, and what it cannot know: that the commands, versions and files in them are this project's.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from metalsim.macos.__main__ import VERSIONS

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
FILES = ("ci.yml", "wheels.yml")

#: What a job may do besides reading the sources, by what it is needed for.
PERMISSIONS = {"gh release create": {"contents": "write"}, "pypa/gh-action-pypi-publish": {"id-token": "write"}}


def steps_of(workflow: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in workflow["jobs"].items():
        yield from ((name, step) for step in job["steps"])


def commands_of(workflow: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((job, step["run"]) for job, step in steps_of(workflow) if "run" in step)


def minor(version: str) -> tuple[int, int]:
    major, middle = version.split(".")[:2]
    return int(major), int(middle)


def makefile_targets() -> set[str]:
    return {
        name
        for line in (ROOT / "Makefile").read_text().splitlines()
        if (found := re.match(r"([a-z][a-z -]*):(?!=)", line))
        for name in found[1].split()
    }


def minimum(pattern: str, file: str) -> tuple[int, int]:
    found = re.search(pattern, (ROOT / file).read_text())
    assert found is not None, f"{file} has no {pattern}"
    return int(found[1]), int(found[2])


def schema_problems(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    files = [str(folder / name) for name in FILES]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"schema: {done.stdout}{done.stderr}"


def shell_problems(workflow: dict[str, Any]) -> Iterator[str]:
    for job, command in commands_of(workflow):
        # An expression is pasted into the text before the shell reads it: what somebody else wrote would be run.
        if "${{" in command:
            yield f"{job}: an expression in a command: pass it as a variable of the environment"
        done = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{job}: bash cannot read the command {command!r}: {done.stderr}"


def command_problems(workflow: dict[str, Any]) -> Iterator[str]:
    targets = makefile_targets()
    for job, command in commands_of(workflow):
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            if target not in targets:
                yield f"{job}: the Makefile has no target {target!r}"
        for path in re.findall(r"(?:--ignore |\s)(tests/[\w/.]+)", command):
            if not (ROOT / path).exists():
                yield f"{job}: there is no {path}"
        if re.search(r"-m torch_fused_attn (?!doctor\b)", command):
            yield f"{job}: torch_fused_attn has no such command: {command!r}"


def expression_problems(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.count("${{") != line.count("}}") - line.count("}}}") or re.search(r"\$\{\{(?:(?!\}\}).)*\$\{\{", line):
            yield f"line {number}: unbalanced expression: {line.strip()}"
        if re.search(r"(?<!\$)\{\{", line):
            yield f"line {number}: an expression without its dollar: {line.strip()}"


def permission_problems(workflow: dict[str, Any]) -> Iterator[str]:
    if workflow.get("permissions") != {"contents": "read"}:
        yield f"the workflow may do {workflow.get('permissions')}, not read contents alone"
    for name, job in workflow["jobs"].items():
        done = " ".join(step.get("run", "") + step.get("uses", "") for step in job["steps"])
        needed: dict[str, str] = {}
        for what, permission in PERMISSIONS.items():
            needed |= permission if what in done else {}
        if job.get("permissions", {}) != needed:
            yield f"{name}: may do {job.get('permissions', {})}, but needs {needed}"


def care_problems(workflow: dict[str, Any]) -> Iterator[str]:
    if "concurrency" not in workflow:
        yield "no concurrency: every push would run to its end"
    for name, job in workflow["jobs"].items():
        if "timeout-minutes" not in job:
            yield f"{name}: no timeout-minutes: GitHub's is six hours"
        for other in job.get("needs", []):
            if other not in workflow["jobs"]:
                yield f"{name}: needs {other}, which is no job"
    for name, step in steps_of(workflow):
        if "uses" in step and not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"]):
            yield f"{name}: {step['uses']} is not pinned to a major version"


def version_problems(ci: dict[str, Any], wheels: dict[str, Any]) -> Iterator[str]:
    matrix = wheels["jobs"]["wheels"]["strategy"]["matrix"]["include"]
    oldest = minimum(r"MINIMUM_TORCH = \((\d+), (\d+)\)", "setup.py")
    newest = max(map(minor, VERSIONS))
    expected = [f"{oldest[0]}.{number}" for number in range(oldest[1], newest[1] + 1)]
    if [row["torch"] for row in matrix if row["index"] == "github"] != expected:
        yield f"wheels for a release on GitHub are not those for torch {', '.join(expected)}"
    if [row["torch"] for row in matrix if row["index"] == "pypi"] != expected[-1:]:
        yield f"wheels for PyPI are not those for torch {expected[-1]} alone"

    least = minimum(r'requires-python = ">=(\d+)\.(\d+)"', "pyproject.toml")
    classified = {
        (int(major), int(middle))
        for major, middle in re.findall(r"Python :: (\d+)\.(\d+)\"", (ROOT / "pyproject.toml").read_text())
    }
    if min(classified) != least:
        yield f"pyproject.toml asks for Python {least}, but its classifiers begin with {min(classified)}"
    built = {(3, int(number)) for row in matrix for number in re.findall(r"\bcp3(\d+)-\*", row["build"])}
    if built != classified:
        yield f"wheels are built for Python {sorted(built)}, but pyproject.toml says {sorted(classified)}"
    tried = ci["jobs"]["versions"]["strategy"]["matrix"]["include"]
    ends = [(min(classified), oldest), (max(classified), newest)]
    if [(minor(row["python"]), minor(row["torch"])) for row in tried] != ends:
        yield f"ci tries {tried}, not the oldest and the newest: {ends}"
    for name, command in commands_of(wheels):
        for version in re.findall(r"torch==(\d+\.\d+)", command):
            if version != expected[-1]:
                yield f"{name}: torch {version} is not the newest, {expected[-1]}"


def mac_problems(ci: dict[str, Any], wheels: dict[str, Any]) -> Iterator[str]:
    macos = ci["jobs"]["macos"]
    if macos["strategy"]["matrix"]["os"] != ["macos-14", "macos-15"]:
        yield "ci does not run on macOS 14 and 15"
    commands = [step for step in macos["steps"] if "run" in step]
    suite = [step for step in commands if "pytest" in step["run"]]
    if [step.get("env", {}).get("FUSED_ATTN_TEST_DEVICE") for step in suite] != ["mps"]:
        yield "the suite does not run on the GPU"
    done = [step["run"] for step in commands]
    for what in ("make build", "doctor --report doctor.md", "-m bench --quick --output bench/out"):
        if not any(what in command for command in done):
            yield f"macos: {what!r} is missing"
    uploaded = [step["with"]["path"].split() for step in macos["steps"] if "upload-artifact" in step.get("uses", "")]
    if uploaded != [["doctor.md", "bench/out"]]:
        yield f"macos: {uploaded} is uploaded, not the report and the bench"
    (build,) = (step["env"] for _, step in steps_of(wheels) if "CIBW_BUILD" in step.get("env", {}))
    (target,) = re.findall(r'os\.environ\["MACOSX_DEPLOYMENT_TARGET"\] = "([\d.]+)"', (ROOT / "setup.py").read_text())
    if build["MACOSX_DEPLOYMENT_TARGET"] != target:
        yield f"wheels are for macOS {build['MACOSX_DEPLOYMENT_TARGET']}, setup.py builds for {target}"
    if "FUSED_ATTN_LABEL_VERSION" not in build or "FUSED_ATTN_LABEL_VERSION" not in (ROOT / "setup.py").read_text():
        yield "wheels for several releases of torch have one name"
    if build["CIBW_TEST_COMMAND"] != "python -m torch_fused_attn doctor":
        yield "wheels are not tried"


def problems(folder: Path) -> list[str]:
    found = list(schema_problems(folder))
    if found:
        return found
    workflows = {name: YAML(typ="safe").load((folder / name).read_text()) for name in FILES}
    for name, workflow in workflows.items():
        of_one = [shell_problems, command_problems, permission_problems, care_problems]
        found += [f"{name}: {problem}" for check in of_one for problem in check(workflow)]
        found += [f"{name}: {problem}" for problem in expression_problems((folder / name).read_text())]
    ci, wheels = (workflows[name] for name in FILES)
    return [*found, *version_problems(ci, wheels), *mac_problems(ci, wheels)]


def test_workflows_are_right():
    assert problems(WORKFLOWS) == []
    assert sorted(path.name for path in WORKFLOWS.iterdir()) == list(FILES), "this looks at every workflow"


@pytest.mark.parametrize("name", FILES)
def test_they_say_that_they_have_never_run(name):
    assert "never run" in (WORKFLOWS / name).read_text().splitlines()[0]


#: File, text, text in its place, and what must be said of it.
MISTAKES = [
    ("ci.yml", "runs-on: ${{ matrix.os }}", "run-on: ${{ matrix.os }}", "schema: "),
    ("ci.yml", "timeout-minutes: 180", "timeout-minutes: long", "schema: "),
    ("ci.yml", "- run: make test", "- run: make tests", "the Makefile has no target 'tests'"),
    ("ci.yml", "tests/test_varlen.py", "tests/test_varlength.py", "there is no tests/test_varlength.py"),
    ("ci.yml", "--ignore tests/macos", "--ignore tests/mac", "there is no tests/mac"),
    ("ci.yml", "doctor --report doctor.md", "report doctor.md", "torch_fused_attn has no such command"),
    ("ci.yml", "FUSED_ATTN_TEST_DEVICE: mps", "FUSED_ATTN_TEST_DEVICE: cpu", "the suite does not run on the GPU"),
    ("ci.yml", "os: [macos-14, macos-15]", "os: [macos-15]", "does not run on macOS 14 and 15"),
    ("ci.yml", 'torch: "2.9" }', 'torch: "2.10" }', "not the oldest and the newest"),
    ("ci.yml", 'python: "3.14"', 'python: "3.13"', "not the oldest and the newest"),
    ("ci.yml", "contents: read", "contents: write", "not read contents alone"),
    ("ci.yml", "name: report-${{ matrix.os }}", "name: report-${{ matrix.os }", "unbalanced expression"),
    ("ci.yml", 'TORCH="torch==$TORCH_MINOR.*"', 'TORCH="torch==${{ matrix.torch }}.*"', "an expression in a command"),
    ("ci.yml", 'TORCH="torch==$TORCH_MINOR.*"', 'TORCH="torch==$TORCH_MINOR.*', "bash cannot read the command"),
    ("ci.yml", "concurrency:\n  group: ci-", "env:\n  group: ci-", "no concurrency"),
    ("ci.yml", "    timeout-minutes: 180\n", "", "no timeout-minutes"),
    ("wheels.yml", '- { torch: "2.12"', '- { torch: "2.11"', "are not those for torch 2.9, 2.10, 2.11, 2.12"),
    ("wheels.yml", "index: pypi }", "index: github }", "wheels for PyPI are not those for torch 2.15 alone"),
    (
        "wheels.yml",
        '"cp310-* cp311-* cp312-* cp313-* cp314-*", index',
        '"cp311-*", index',
        "wheels are built for Python",
    ),
    ("wheels.yml", 'MACOSX_DEPLOYMENT_TARGET: "14.0"', 'MACOSX_DEPLOYMENT_TARGET: "13.0"', "setup.py builds for 14.0"),
    (
        "wheels.yml",
        "    permissions:\n      id-token: write",
        "    env:\n      id-token: write",
        "but needs {'id-token'",
    ),
    (
        "wheels.yml",
        "      contents: write # to",
        "      contents: write\n      packages: write # to",
        "but needs {'cont",
    ),
    (
        "wheels.yml",
        "gh-action-pypi-publish@release/v1",
        "gh-action-pypi-publish@master",
        "not pinned to a major version",
    ),
    ("wheels.yml", "needs: [wheels, sdist]\n    if", "needs: [wheel, sdist]\n    if", "needs wheel, which is no job"),
    ("wheels.yml", '"torch==2.15.*" build', '"torch==2.14.*" build', "torch 2.14 is not the newest"),
]


@pytest.mark.parametrize(("file", "old", "new", "expected"), MISTAKES, ids=[row[3] for row in MISTAKES])
def test_mistakes_are_found(tmp_path, file, old, new, expected):
    for name in FILES:
        shutil.copy(WORKFLOWS / name, tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    found = problems(tmp_path)
    assert any(expected in problem for problem in found), found

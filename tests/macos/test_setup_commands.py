"""setup.py on a Mac: the commands that it would run, word for word, and what it packs. Only the compiler is not real.

The described Mac (metalsim/macos/described_mac.py) has python.org's Python for both architectures. Torch's Python files,
whose cpp_extension adds words of its own, are those of the torch that is installed here.
"""

import importlib.util
import re
import sys
import sysconfig
from pathlib import Path

import pytest

from metalsim.macos import plan
from metalsim.macos.plan import Call, Plan

ROOT = plan.ROOT

#: Of Python on a Mac, with the one architecture that is asked for.
PYTHON = (
    "-fno-strict-overflow -Wsign-compare -Wunreachable-code -fno-common -dynamic -DNDEBUG -g -O3 -Wall -g -arch arm64"
)
OURS = "-O2 -g0 -fvisibility=hidden -Wall -Wno-unknown-pragmas -fobjc-arc -Wno-unused-command-line-argument"
TORCHS = "-DTORCH_API_INCLUDE_EXTENSION_H -DTORCH_EXTENSION_NAME=_C"
LINKED = "-lc10 -ltorch -ltorch_cpu -ltorch_python"
FRAMEWORKS = "-framework Foundation -framework Metal -Wl,-rpath,@loader_path/../torch/lib"


def torch_folder() -> Path:
    """Return the installed torch's folder without importing it."""
    found = importlib.util.find_spec("torch")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan.make(torch_folder())


def sources(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(f"csrc/{pattern}"))


def object_of(source: Path) -> str:
    return f"objects/{source.relative_to(ROOT).with_suffix('.o')}"


def without_folders(words: list[str], flag: str) -> list[str]:
    """Leave out folders of this machine's Python, of which there may be one or two."""
    prefixes = {sys.prefix, sys.base_prefix, sysconfig.get_path("include")}
    return [
        word
        for word in words
        if not (word.startswith(flag) and any(prefix in word for prefix in prefixes)) or "torch" in word
    ]


def compile_words(call: Call) -> list[str]:
    # Some versions of setuptools say -c twice in a row.
    text = " ".join(without_folders(list(call.words), "-I")).replace(" -c -c ", " -c ")
    return text.split(" ")


def test_every_file_is_compiled(planned: Plan) -> None:
    everything = sources("*.cpp", "cpu/*.cpp", "mps/*.cpp", "mps/*.mm")
    assert [plan.source_of(call) for call in planned.compilations] == everything
    assert {path.suffix for path in everything} == {".cpp", ".mm"}


@pytest.mark.parametrize("source", sources("*.cpp", "cpu/*.cpp", "mps/*.cpp", "mps/*.mm"), ids=lambda path: path.name)
def test_compiler_command(planned: Plan, source: Path) -> None:
    """The suffix .mm says that a file is Objective-C++: no -x is needed, and the other flags are the same for all."""
    (call,) = (call for call in planned.compilations if plan.source_of(call) == source)
    words = compile_words(call)
    standard = words.pop()
    assert re.fullmatch(r"-std=c\+\+(17|20)", standard)
    include = torch_folder() / "include"
    folders = f"-I{ROOT}/csrc -I{include} -I{include}/torch/csrc/api/include"
    target = object_of(source)
    expected = f"c++ -MMD -MF {target}.d {PYTHON} {folders} -c {source} -o {target} {OURS} {TORCHS}"
    assert words == expected.split(" ")
    assert call.deployment_target == "14.0"


def test_linker_command(planned: Plan) -> None:
    words = list(planned.link.words)
    assert words[0] == "clang++"
    # Before this, some versions of setuptools repeat the compiler's flags.
    words = without_folders(words[words.index("-bundle") :], "-L")
    objects = " ".join(object_of(path) for path in sources("*.cpp", "cpu/*.cpp", "mps/*.cpp", "mps/*.mm"))
    suffix = f"cpython-{sys.version_info.major}{sys.version_info.minor}-darwin.so"
    output = f"built/torch_fused_attn/_C.{suffix}"
    expected = "-bundle -undefined dynamic_lookup -g -arch arm64 "
    expected += f"{objects} -L{torch_folder()}/lib {LINKED} -o {output} {FRAMEWORKS}"
    assert words == expected.split(" ")
    assert planned.link.deployment_target == "14.0"


def test_metal_sources_are_packed(planned: Plan) -> None:
    metal = [f"metal/{path.name}" for path in [*ROOT.glob("metal/*.metal"), *ROOT.glob("metal/*.h")]]
    assert len(metal) > 10
    assert set(planned.packed) == {*metal, "_build_info.py", Path(planned.link.after("-o")).name}


@pytest.mark.parametrize(
    ("chosen", "target"),
    [("11.0", "14.0"), ("13.3", "14.0"), ("14", "14.0"), ("14.0", "14.0"), ("15.0", "15.0"), ("26", "26")],
)
def test_chosen_macos_is_raised_where_it_is_too_old(chosen: str, target: str) -> None:
    made = plan.make(torch_folder(), environment={"MACOSX_DEPLOYMENT_TARGET": chosen})
    assert {call.deployment_target for call in (*made.compilations, made.link)} == {target}


def test_chosen_architectures_stay() -> None:
    made = plan.make(torch_folder(), environment={"ARCHFLAGS": "-arch arm64 -arch x86_64"})
    for call in (*made.compilations, made.link):
        assert call.words.count("-arch") == 2


def test_failing_setup_is_reported(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("import sys\nsys.exit('torch_fused_attn needs another Mac')\n")
    with pytest.raises(plan.PlanError, match=r"fails on the described Mac:\ntorch_fused_attn needs another Mac"):
        plan.make(torch_folder(), root=tmp_path)

"""Libraries that are compiled when the package is built: the commands, word for word, and the backend that loads them.

Apple's compiler is not real (stand_in_xcrun.py); setup.py, kernel_plan and the backend's host code are.
"""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools
from stand_in_xcrun import MARK

from torch_fused_attn import _C

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).with_name("stand_in_xcrun.py")


@pytest.fixture
def setup(monkeypatch):
    """Return what setup.py defines."""
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: None)
    monkeypatch.chdir(ROOT)
    return runpy.run_path(str(ROOT / "setup.py"))


@pytest.fixture
def xcode(monkeypatch, tmp_path):
    """Put an ``xcrun`` on PATH, and return a function that reads how it was called."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "xcrun").write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{STAND_IN}" "$@"\n')
    (programs / "xcrun").chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORDED_CALLS", str(calls))
    return lambda: [json.loads(line) for line in calls.read_text().splitlines()]


def few(setup, monkeypatch, *, head_dims=(64,), elements=("half",)):
    """Let few libraries be common, since the stand-in takes its time, too."""
    monkeypatch.setitem(setup["common_launches"].__globals__, "PACKED_HEAD_DIMS", head_dims)
    monkeypatch.setitem(setup["common_launches"].__globals__, "PACKED_ELEMENTS", elements)


def pack(setup, folder):
    folder.mkdir()
    setup["pack_libraries"](folder / "libraries", _C.kernel_plan, _C.cache_plan)
    return {path.name for path in (folder / "libraries").iterdir()}


@pytest.fixture
def all_libraries(setup):
    return {launch["library"]: launch for launch in setup["common_launches"](_C.kernel_plan, _C.cache_plan)}


def test_commands(setup, xcode, monkeypatch, tmp_path):
    few(setup, monkeypatch)
    packed = pack(setup, tmp_path / "metal")
    calls = {Path(words[-1]).stem: words for words in xcode()}
    assert packed == {f"{name}.metallib" for name in calls}
    before = [
        "--sdk",
        "macosx",
        "metal",
        "-std=metal3.1",
        "-mmacosx-version-min=14.0",
        "-O2",
        "-fno-fast-math",
    ]
    before += ["-I", f"{ROOT}/metal"]
    common = "-DFUSED_ATTN_ELEMENT=half -DFUSED_ATTN_HEAD_DIM=64 -DFUSED_ATTN_HEAD_DIM_V=64 -DFUSED_ATTN_KV_SOURCE="
    tile = "-DFUSED_ATTN_SIMDGROUPS=4 -DFUSED_ATTN_ROW_TILES="
    expected = {
        "kv_cache": ("kv_cache", ""),
        "reduce-half-64": ("reduce", "-DFUSED_ATTN_ELEMENT=half -DFUSED_ATTN_HEAD_DIM_V=64"),
        "mask_tiles-64-32": ("mask_tiles", "-DFUSED_ATTN_QUERY_TILE=64 -DFUSED_ATTN_KEY_TILE=32"),
        "prefill-half-64-64-1-4-2-32-1-half": (
            "prefill",
            f"{common}1 {tile}2 -DFUSED_ATTN_KEY_TILE=32 -DFUSED_ATTN_STAGED=1 -DFUSED_ATTN_STAGE_ELEMENT=half",
        ),
        "decode-half-64-64-2-8-4-1-32": (
            "decode",
            f"{common}2 -DFUSED_ATTN_ROWS=8 {tile}1 -DFUSED_ATTN_KEY_TILE=32",
        ),
    }
    for name, (file, macros) in expected.items():
        target = str(tmp_path / "metal" / "libraries" / f"{name}.metallib")
        assert calls[name] == [*before, *macros.split(), f"{ROOT}/metal/{file}.metal", "-o", target]


def test_what_is_common(all_libraries):
    """All that calls with these head dims, types and groups need, on every GPU, and each under a name of its own."""
    assert 200 < len(all_libraries) < 300
    contents = {(launch["file"], json.dumps(launch["macros"])) for launch in all_libraries.values()}
    assert len(contents) == len(all_libraries)
    for family in (7, 8, 9, 10):
        for element in ("half", "bfloat", "float"):
            for group, tokens, source in [(1, 1, "paged"), (6, 1, "dense"), (4, 500, "paged"), (1, 500, "packed")]:
                plan = _C.kernel_plan(
                    family=family, cores=10, element=element, source=source, batch=2, num_heads=2 * group,
                    num_kv_heads=2, len_q=tokens, len_k=5000, total_q=2 * tokens, head_dim=128, head_dim_v=128,
                )  # fmt: skip
                for name in ("attention", "merge"):
                    assert plan[name] is None or plan[name]["library"] in all_libraries, plan[name]


def test_names_are_files(all_libraries):
    assert all(re.fullmatch(r"[a-z_]+(-[a-z0-9]+)*", name) for name in all_libraries)


def test_compiler_that_refuses_everything(setup, xcode, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("REFUSED_FLAG", "-std=metal3.1")
    assert pack(setup, tmp_path / "metal") == set()
    assert len(xcode()) == 1
    assert "metal: kv_cache stays source: metal: error: unknown argument: '-std=metal3.1'" in capsys.readouterr().err


def test_library_that_does_not_compile_stays_source(setup, xcode, monkeypatch, tmp_path, capsys):
    few(setup, monkeypatch)
    monkeypatch.setenv("REFUSED_FLAG", "-DFUSED_ATTN_ROWS=8")
    packed = pack(setup, tmp_path / "metal")
    assert not any("decode-half-64-64-0-8" in name for name in packed)
    assert any("decode-half-64-64-0-4" in name for name in packed)
    assert "metal: decode-half-64-64-0-8-4-1-32 stays source" in capsys.readouterr().err


@pytest.mark.parametrize(("chosen", "is_packed"), [(None, True), ("1", True), ("0", False)])
def test_sources_are_packed_in_any_case(setup, xcode, monkeypatch, tmp_path, chosen, is_packed):
    few(setup, monkeypatch)
    monkeypatch.delenv("FUSED_ATTN_METALLIB", raising=False)
    if chosen is not None:
        monkeypatch.setenv("FUSED_ATTN_METALLIB", chosen)
    monkeypatch.setitem(setup["pack_metal"].__globals__, "plans_of", lambda _: (_C.kernel_plan, _C.cache_plan))
    setup["pack_metal"](tmp_path / "metal", Path("not looked at"))
    names = {path.name for path in (tmp_path / "metal").iterdir()}
    sources = {path.name for path in (ROOT / "metal").iterdir()}
    assert names == (sources | {"libraries"} if is_packed else sources)
    assert bool(xcode()) == is_packed


def test_no_compiler(setup, monkeypatch, tmp_path):
    """The Command Line Tools have xcrun, but no metal."""
    (tmp_path / "xcrun").write_text("#!/bin/sh\necho 'unable to find utility metal' >&2\nexit 72\n")
    (tmp_path / "xcrun").chmod(0o755)
    assert not setup["has_metal_compiler"](), "nor is there one on this machine"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert not setup["has_metal_compiler"]()


def test_the_built_extension_is_asked(tmp_path):
    """In a process of its own, as setup.py has it: nothing else has loaded the extension there."""
    program = f"""
import runpy, setuptools
from pathlib import Path
setuptools.setup = lambda **arguments: None
setup = runpy.run_path("setup.py")
kernel_plan, cache_plan = setup["plans_of"](Path({_C.__file__!r}))
print(len({{launch["library"] for launch in setup["common_launches"](kernel_plan, cache_plan)}}))
"""
    environ = {**os.environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


# The backend.

CALL = """
import torch
import torch_fused_attn
from metalsim.mps import fused_attn

fused_attn.load(arc={arc})
torch.set_grad_enabled(False)
torch.manual_seed(0)
query = torch.randn(1, 2, 40, {head_dim}, dtype=torch.float16).to("mps")
for _ in range(2):
    out = torch.ops.fused_attn.forward(query, query, query)[0].cpu()
wide = query.cpu().float()
expected = torch.nn.functional.scaled_dot_product_attention(wide, wide, wide)
# Weights and the result are rounded to half, each by half an ulp, of values up to 4.
print(torch.allclose(out.float(), expected, atol=4e-3))
"""


@pytest.fixture
def packed(setup, xcode, monkeypatch, tmp_path):
    """Return a folder with sources and libraries for a head dim of 64, as the package has it."""
    few(setup, monkeypatch)
    folder = shutil.copytree(ROOT / "metal", tmp_path / "packed")
    setup["pack_libraries"](folder / "libraries", _C.kernel_plan, _C.cache_plan)
    return folder


def call(folder, *, head_dim=64, arc=True):
    environ = {**os.environ, "METALSIM": "1", "OMP_NUM_THREADS": "1", "FUSED_ATTN_METAL_FOLDER": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", CALL.format(head_dim=head_dim, arc=arc)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arc", [True, False])
def test_packed_library_is_loaded(packed, arc):
    """There is nothing else to compile it from."""
    (packed / "prefill.metal").unlink()
    done = call(packed, arc=arc)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
    assert "Metal does not load" not in done.stderr


def test_others_are_compiled_from_source(packed):
    """Here a head dim that no library was packed for."""
    assert "True" in call(packed, head_dim=72).stdout
    (packed / "prefill.metal").unlink()
    assert "the Metal source prefill.metal cannot be read from" in call(packed, head_dim=72).stderr


@pytest.mark.parametrize("content", [b"MTLB\x01\x80 of another macOS", b"", MARK.encode() + b"no Metal"])
def test_broken_library_is_compiled_from_source(packed, content):
    """With one warning, in which Metal says why: the first call takes longer than it should."""
    for path in (packed / "libraries").glob("prefill-*"):
        path.write_bytes(content)
    done = call(packed)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
    assert done.stderr.count("fused_attn: Metal does not load ") == 1
    assert "prefill-half-64-64-0-2-2-32-0-half.metallib: " in done.stderr
    assert "; its source is compiled instead" in done.stderr


def test_library_without_the_kernel_is_compiled_from_source(packed):
    """Metal loads it, and then makes no pipeline of it."""
    for path in (packed / "libraries").glob("prefill-*"):
        path.write_text(re.sub(r"\bprefill\(", "other(", path.read_text()))
    done = call(packed)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
    assert done.stderr.count("fused_attn: of the library that was compiled with the package, Metal does not ") == 1
    assert done.stderr.count("; its source is compiled instead") == 1


def test_neither_library_nor_source(packed):
    """What the source's compilation says is the error; the library's warning came before it."""
    for path in (packed / "libraries").glob("prefill-*"):
        path.write_bytes(b"")
    (packed / "prefill.metal").write_text("float broken() { return no_such_name; }\n")
    done = call(packed)
    assert done.returncode == 1
    assert done.stderr.count("fused_attn: Metal does not load ") == 1
    assert "KernelError: fused_attn: Metal does not compile prefill of prefill.metal" in done.stderr

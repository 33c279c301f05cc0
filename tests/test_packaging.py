"""The package installs into an empty environment, and says what to do when it cannot be built or loaded."""

import importlib
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import types
import venv
import zipfile
from pathlib import Path

import pytest
import setuptools
import torch

import torch_fused_attn
from torch_fused_attn import _load

ROOT = Path(__file__).parent.parent
CODE = """
import torch, torch_fused_attn
with torch.no_grad():
    query = torch.randn(1, 2, 5, 8)
    ours = torch_fused_attn.fused_attention(query, query, query, is_causal=True)
    stock = torch.nn.functional.scaled_dot_product_attention(query, query, query, is_causal=True)
print(torch_fused_attn.__file__)
print((ours - stock).abs().max().item())
"""


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def source_copy(folder):
    """Copy what a checkout of the sources holds, without anything that was built."""
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    for name in ("csrc", "metal", "torch_fused_attn"):
        built = shutil.ignore_patterns("*.so", "__pycache__", "_build_info.py")
        shutil.copytree(ROOT / name, folder / name, ignore=built)
    return folder


def test_sdist_and_wheel_install_into_an_empty_environment(tmp_path):
    """Sources → sdist → wheel → an environment that has torch and nothing of ours."""
    source = source_copy(tmp_path)
    run([sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", "sdist"], cwd=source)
    (sdist,) = (source / "sdist").glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", "wheel", str(sdist)], cwd=source)
    (wheel,) = (source / "wheel").glob("*.whl")

    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)])
    # torch itself comes from the environment of the tests, which a .pth file of paths shows without its editable installs.
    packages = Path(run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    (packages / "torch.pth").write_text(str(Path(torch.__file__).parent.parent))
    # The names of installed packages are seen there, and so is metalsim's promise of a backend, which only an editable
    # install could keep.
    without_backends = {**os.environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    file, error = run([str(python), "-c", CODE], cwd=environment, env=without_backends).split()
    assert Path(file).is_relative_to(environment)
    assert float(error) < 1e-6

    metadata = next(packages.glob("torch_fused_attn-*.dist-info"))
    release = ".".join(torch.__version__.split(".")[:2])
    assert f"Requires-Dist: torch=={release}.*" in (metadata / "METADATA").read_text(), "linking is not ABI"
    assert (packages / "torch_fused_attn" / "py.typed").is_file()
    files = {path.relative_to(source) for path in (source / "torch_fused_attn").rglob("*.py")}
    files.add(Path("torch_fused_attn", "doctor", "predictions.json"))
    assert {file for file in files if not (packages / file).is_file()} == set(), (
        "packages, and their data, are complete"
    )
    doctor = run([str(python), "-m", "torch_fused_attn", "doctor"], cwd=environment, env=without_backends)
    assert "all is well" in doctor
    assert not (packages / "torch_fused_attn" / "metal").exists(), "Metal sources are packed only where torch has MPS"


def build_fails(environment, *extra):
    command = [sys.executable, *extra, "setup.py", "build_ext"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment})
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[-1]


def fake_torch(folder, body):
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text(body)
    return {"PYTHONPATH": str(folder)}


def test_build_without_torch(tmp_path):
    sentence = build_fails(fake_torch(tmp_path, "raise ImportError('no torch here')"))
    assert "links against PyTorch" in sentence
    assert "install torch 2.9 or newer first" in sentence


def test_build_with_old_torch(tmp_path):
    sentence = build_fails(fake_torch(tmp_path, "__version__ = '2.8.1'"))
    assert "needs torch 2.9 or newer, but torch 2.8.1 is installed: upgrade torch" in sentence


def test_build_without_compiler():
    sentence = build_fails({"CXX": "no-such-compiler"})
    assert "needs a C++ compiler, but 'no-such-compiler' is not on PATH" in sentence
    assert "or set CXX" in sentence


def setup_arguments(monkeypatch, folder):
    """Run setup.py up to the call of ``setup`` and return its arguments."""
    caught = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: caught.update(arguments))
    monkeypatch.chdir(folder)
    runpy.run_path(str(folder / "setup.py"), run_name="__main__")
    return caught


def test_build_without_python_headers(monkeypatch, tmp_path):
    build = setup_arguments(monkeypatch, source_copy(tmp_path))["cmdclass"]["build_ext"]
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(SystemExit, match=r"needs Python's C headers, but .* has no Python\.h: run `apt-get install"):
        build(setuptools.Distribution()).run()


@pytest.mark.parametrize("mps", [False, True])
def test_objective_cpp_is_compiled_only_where_torch_has_mps(monkeypatch, tmp_path, mps):
    source = source_copy(tmp_path)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: mps)
    monkeypatch.delenv("MACOSX_DEPLOYMENT_TARGET", raising=False)
    (extension,) = setup_arguments(monkeypatch, source)["ext_modules"]
    assert ("csrc/mps/launch.mm" in extension.sources) == mps
    assert ("csrc/mps/forward.cpp" in extension.sources) == mps
    assert "csrc/cpu/forward.cpp" in extension.sources
    assert "csrc/kernel_plan.cpp" in extension.sources
    assert ("Metal" in extension.extra_link_args) == mps
    assert ("-fobjc-arc" in extension.extra_compile_args) == mps
    assert os.environ.get("MACOSX_DEPLOYMENT_TARGET") == ("14.0" if mps else None)
    monkeypatch.delenv("MACOSX_DEPLOYMENT_TARGET", raising=False)


@pytest.mark.parametrize(("mps", "inplace"), [(False, False), (True, False), (True, True)])
def test_metal_sources_are_packed_only_where_torch_has_mps(monkeypatch, tmp_path, mps, inplace):
    """An extension built in place reads the kernels of the checkout."""
    source = source_copy(tmp_path)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: mps)
    arguments = setup_arguments(monkeypatch, source)
    build = arguments["cmdclass"]["build_ext"](setuptools.Distribution({"name": "x", "ext_modules": []}))
    build.build_lib = str(tmp_path / "lib")
    build.inplace = inplace
    build.extensions = []
    build.run()
    package = (source if inplace else tmp_path / "lib") / "torch_fused_attn"
    packed = {path.name for path in (package / "metal").glob("*")}
    assert packed == ({path.name for path in (source / "metal").iterdir()} if mps and not inplace else set())
    assert f"MPS = {mps}" in (package / "_build_info.py").read_text()


def test_loading_before_building(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fused_attn._build_info", None)
    with pytest.raises(ImportError, match=r"was not built: run `pip install --no-build-isolation \.`"):
        _load.load_extension()


@pytest.mark.parametrize("built", ["2.9.0", "2.12.1+cpu", "3.13.0"])
def test_loading_with_another_torch(monkeypatch, built):
    monkeypatch.setattr(torch, "__version__", "2.13.1+cpu")
    info = types.SimpleNamespace(TORCH_VERSION=built)
    monkeypatch.setattr(importlib, "import_module", lambda name: info)
    with pytest.raises(ImportError) as caught:
        _load.load_extension()
    sentence = str(caught.value)
    assert f"was built against torch {built}, but torch 2.13.1+cpu is running: rebuild it" in sentence
    assert "\n" not in sentence


def test_loading_a_broken_extension(monkeypatch):
    def import_module(name):
        if name.endswith("_build_info"):
            return types.SimpleNamespace(TORCH_VERSION=torch.__version__)
        raise ImportError("undefined symbol: _ZN2at4_ops")

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(
        ImportError, match=r"does not load \(undefined symbol: _ZN2at4_ops\): rebuild it for this torch"
    ):
        _load.load_extension()


@pytest.mark.parametrize(("chosen", "label"), [("1", "+torch{}"), ("0", ""), (None, "")])
def test_version_names_torch_where_that_is_asked_for(tmp_path, chosen, label):
    """In the wheel's name and its metadata; nothing is compiled for this."""
    source = source_copy(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "FUSED_ATTN_LABEL_VERSION"}
    environment |= {"FUSED_ATTN_LABEL_VERSION": chosen} if chosen is not None else {}
    run(
        [sys.executable, "setup.py", "--quiet", "bdist_wheel", "--skip-build", "-d", "out"], cwd=source, env=environment
    )
    (wheel,) = (source / "out").iterdir()
    release = ".".join(torch.__version__.split(".")[:2])
    expected = torch_fused_attn.__version__ + label.format(release)
    assert wheel.name.split("-")[1] == expected
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"torch_fused_attn-{expected}.dist-info/METADATA").decode()
    assert f"\nVersion: {expected}\n" in metadata
    assert f"\nRequires-Dist: torch=={release}.*\n" in metadata


def test_version_is_that_of_the_package():
    assert importlib.metadata.version("torch-fused-attn") == torch_fused_attn.__version__

"""``python -m metalsim``: what each command prints, and the sentence for a call that cannot be carried out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

KERNEL = """#include <metal_stdlib>
using namespace metal;
constant float factor [[function_constant(4)]];
kernel void scale(device half* out [[buffer(0)]], constant int& count [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  if (int(i) < count) {
    out[i] = half(float(out[i]) * factor);
  }
}
"""


def metalsim(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "metalsim", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "scale.metal"
    path.write_text(KERNEL)
    return path


def write_spec(folder, **changes):
    fields = {
        "constants": {"factor": 2.0},
        "threadgroups": [2],
        "threads_per_threadgroup": [32],
        "buffers": {
            "0": {"dtype": "float16", "shape": [64], "fill": "normal"},
            "1": {"struct": "<i", "values": [64]},
        },
    }
    path = folder / "spec.json"
    path.write_text(json.dumps({**fields, **changes}))
    return path


def test_check_accepts(source):
    done = metalsim("check", source)
    assert (done.returncode, done.stdout) == (0, f"{source}: accepted, 1 kernels\n")


def test_check_prints_one_line_for_each_finding(source, tmp_path):
    bad = tmp_path / "bad.metal"
    bad.write_text(KERNEL.replace("float(out[i])", "double(out[i])"))
    done = metalsim("check", source, bad)
    assert done.returncode == 1
    accepted, *findings = done.stdout.splitlines()
    assert accepted.endswith("accepted, 1 kernels")
    assert findings
    assert all(line.startswith(f"{bad}:6:") and "MSL" in line for line in findings)


def test_kernels_lists_parameters_and_constants(source):
    done = metalsim("kernels", source)
    assert done.returncode == 0
    assert "function constant 4: factor" in done.stdout
    assert "kernel scale" in done.stdout
    assert "out [[buffer(0)]]" in done.stdout
    assert "[[thread_position_in_grid]]" in done.stdout


def test_count_prints_counts_and_a_model(source, tmp_path):
    done = metalsim("count", source, "scale", "--spec", write_spec(tmp_path), "--lines", "--check")
    assert done.returncode == 0, done.stderr
    assert "device 0 loaded bytes" in done.stdout
    assert "scale.metal:6" in done.stdout
    assert "modelled, never run on Apple hardware" in done.stdout


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"buffer": {}}, "has the entry 'buffer'"),
        ({"buffers": {"0": {"dtype": "float99", "values": [1]}}}, "buffer 0: 'float99' is no dtype"),
        ({"buffers": {"0": {"shape": [1]}}}, "buffer 0 must have a dtype or a struct, but has shape"),
        ({"buffers": {"0": {"dtype": "int32", "fill": "ones"}}}, "buffer 0: fill must be"),
        ({"buffers": {"1": {"struct": "<ii", "values": [1]}}}, "buffer 1: its values do not fit the struct '<ii'"),
        ({"constants": {}}, "uses the function constants 'factor' (index 4)"),
    ],
)
def test_count_refuses(source, tmp_path, changes, sentence):
    done = metalsim("count", source, "scale", "--spec", write_spec(tmp_path, **changes))
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_spec_must_be_json(source, tmp_path):
    path = tmp_path / "spec.json"
    path.write_text("{")
    done = metalsim("count", source, "scale", "--spec", path)
    assert done.returncode == 2
    assert "is not JSON" in done.stderr


def test_a_missing_file_is_named():
    done = metalsim("check", "nowhere.metal")
    assert done.returncode == 2
    assert "there is no Metal source file 'nowhere.metal'" in done.stderr

"""Metal refuses kernels: one family does not take the others along, and what can turns to stock attention."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from refused_kernels import PLANTED

pytestmark = pytest.mark.skipif(os.environ.get("METALSIM") != "1", reason="METALSIM=1 runs the software mps device")

ROOT = Path(__file__).parents[1]


def run(arguments):
    folders = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        cwd=ROOT,
        check=False,
    )


@pytest.mark.parametrize("family", PLANTED)
def test_family(family, tmp_path):
    """The program's assertions are the test."""
    done = run([str(ROOT / "tests" / "refused_kernels.py"), str(tmp_path / "metal"), family])
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


TRANSFORMERS = """
import sys
import warnings
import torch
from refused_kernels import prepare
from test_transformers_paged import generate_batch, generate_each
from transformers_models import PADDING, build, token_ids

prepare(sys.argv[1], sys.argv[2:])
torch.set_grad_enabled(False)
ids = token_ids(2, 11)
how = {"do_sample": False, "max_new_tokens": 4, "pad_token_id": PADDING}
prompts = [[5, 6, 7], list(range(10, 40))]
model = build("Llama").to("mps")
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    assert torch.equal(model.generate(ids.to("mps"), **how).cpu(), build("Llama", "eager").generate(ids, **how))
    assert generate_batch(model, prompts) == generate_each("Llama", prompts)
refusals = [str(warning.message) for warning in told if "fused_attn: Metal" in str(warning.message)]
print(sorted({refusal.split(" of ")[2].split()[0].rstrip(":") for refusal in refusals}))
"""


def test_transformers(tmp_path):
    """Generation with all kernels refused that it needs, those of the paged cache too."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    done = run(["-c", TRANSFORMERS, str(tmp_path / "metal"), "prefill", "decode vector", "decode matrix", "kv_cache"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['decode.metal', 'kv_cache.metal', 'prefill.metal']"

"""Metal refuses kernels: one family does not take the others along, and what can turns to stock attention."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from refused_kernels import PLANTED

pytestmark = pytest.mark.skipif(os.environ.get("METALSIM") != "1", reason="METALSIM=1 runs the software mps device")

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("family", PLANTED)
def test_family(family, tmp_path):
    """The program's assertions are the test."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "refused_kernels.py"), str(tmp_path / "metal"), family],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr

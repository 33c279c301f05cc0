"""The device's libraries and the probe, compiled for AddressSanitizer, pass the device's tests."""

import os
import subprocess
import sys
from pathlib import Path

from metalsim import toolchain

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]
FILES = ("test_device.py", "test_extension_patterns.py", "test_mistakes.py", "test_observation.py")


def environment(**settings: str) -> dict[str, str]:
    # Faults are metalsim's to report; the interpreter and torch keep memory until the end.
    options = "detect_leaks=0:handle_segv=0:handle_sigbus=0:allow_user_segv_handler=1"
    sanitizer = str(toolchain.address_sanitizer())
    return {**os.environ, "METALSIM_SANITIZE": "1", "LD_PRELOAD": sanitizer, "ASAN_OPTIONS": options, **settings}


def test_the_device_is_clean():
    files = [str(FOLDER / name) for name in FILES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


def test_an_overrun_of_host_code_is_found():
    code = "import torch\nfrom probe_extension import operators\noperators().overrun(torch.ones(4, device='mps'))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=FOLDER, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
    assert "mistakes.mm" in done.stderr

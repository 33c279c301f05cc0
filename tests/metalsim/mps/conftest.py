"""The software mps device under test: collected only where it is on, as in the second run of ``make test``.

``METALSIM=1 pytest tests/metalsim/mps`` runs these tests; without METALSIM=1 there is no such device in the process, and
`make test` runs the others first.
"""

import os

IS_ON = os.environ.get("METALSIM") == "1"

# Tests that start their own processes need no device in this one.
collect_ignore_glob = [] if IS_ON else ["test_*.py"]


def pytest_report_header() -> str:
    state = "on" if IS_ON else "off: METALSIM=1 runs tests/metalsim/mps"
    return f"software mps device: {state}"

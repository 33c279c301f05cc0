"""What metalsim's README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "metalsim" / "README.md").read_text()
COMMANDS = re.findall(r"^python -m metalsim ([^#\n]+)", README, re.MULTILINE)


def metalsim(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "metalsim", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_there_are_commands():
    assert [command.split()[0] for command in COMMANDS] == ["check", "kernels", "count"]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command):
    done = metalsim(*command.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_finding(tmp_path):
    (shown,) = re.findall(r"^scale\.metal:.*$", README, re.MULTILINE)
    source = (ROOT / "examples" / "scale.metal").read_text().replace("float(values[i])", "double(values[i])")
    (tmp_path / "scale.metal").write_text(source)
    done = metalsim("check", str(tmp_path / "scale.metal"))
    assert done.stdout.splitlines()[0] == f"{tmp_path}/{shown}"


def test_the_python_example(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == "[0. 2. 4. 6.] 200\n"


def test_links_lead_to_files():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / "metalsim" / link).exists(), link

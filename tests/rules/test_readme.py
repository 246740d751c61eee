"""What the README says is so: its links lead somewhere, its example runs, its error message is the real one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hep_flows.demo.sample import Recipe, sample_files

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("readme")
    sample_files(path / "demo-data", Recipe(events=300))
    return path


def _blocks(language):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [text for name, text in blocks if name == language]


def _python(folder, name, text):
    (folder / name).write_text(text)
    return subprocess.run([sys.executable, name], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing, missing


def test_the_example_runs_as_it_stands(folder):
    (example,) = _blocks("python")
    done = _python(folder, "example.py", example)
    assert done.returncode == 0, done.stderr
    assert "awkward" in done.stdout


def test_the_error_message_is_the_real_one(folder):
    (example,) = _blocks("python")
    message = next(b for b in _blocks("") if b.startswith("FieldError"))
    lines = example.splitlines()
    wrong = "good = eles[(eles.ptt > 50_000.0) & (abs(eles.eta) < 1.5)]"
    number = next(i for i, line in enumerate(lines) if line.startswith("good = "))
    done = _python(folder, "analysis.py", "\n".join([*lines[:number], wrong]))
    assert done.returncode == 1
    said = done.stderr[done.stderr.index("FieldError: ") :]
    assert said.strip() == message.strip()

"""The worked examples of the language, which are kept beside the project, pass: all of them, in a process of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
N_EXAMPLES = 57


def _folder(variable: str, beside: str) -> Path:
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / beside)
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set {variable} to the {beside} of the project")
    return folder


@pytest.mark.data
def test_all_worked_examples_pass():
    examples, data = _folder("HEP_FLOWS_EXAMPLES", "examples"), _folder("HEP_FLOWS_DATA", "data")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short", str(examples)]
    environment = {**os.environ, "HEP_DATA": str(data), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=examples, env=environment, capture_output=True, text=True, check=False)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert passed is not None, done.stdout
    assert int(passed.group(1)) == N_EXAMPLES, done.stdout[-2_000:]

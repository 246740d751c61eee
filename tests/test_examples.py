"""What is kept beside the project passes, each in a process of its own: the worked examples, and the cases that were wrong once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
N_EXAMPLES = {"examples": 57, "examples2": 89}
# Each makes its own input, and ends with the code 0 when every value is right.
CASES = [
    "case_02", "case_03", "case_04", "case_05", "case_07", "case_11", "case_12", "case_14", "case_17", "case_18", "case_19", "case_20", "case_21",
    "case_24", "case_25", "advice_33", "changed_while_read_37", "names_35", "purity_36", "vector_branches_34", "vectors_30", "weights_32", "pairs_31",
]  # fmt: skip


def _folder(variable: str, beside: str) -> Path:
    folder = Path(os.environ.get(variable) or ROOT.parent / "shared" / beside)
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set {variable} to the {beside} of the project")
    return folder


@pytest.mark.data
@pytest.mark.parametrize("folder", N_EXAMPLES)
def test_all_worked_examples_pass(folder):
    examples, data = _folder(f"HEP_FLOWS_{folder.upper()}", folder), _folder("HEP_FLOWS_DATA", "data")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short", str(examples)]
    environment = {**os.environ, "HEP_DATA": str(data), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=examples, env=environment, capture_output=True, text=True, check=False)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert passed is not None, done.stdout
    assert int(passed.group(1)) == N_EXAMPLES[folder], done.stdout[-2_000:]


@pytest.mark.data
@pytest.mark.parametrize("name", CASES)
def test_a_case_that_was_wrong_is_right(name, tmp_path):
    cases, data = _folder("HEP_FLOWS_CASES", "cases"), _folder("HEP_FLOWS_DATA", "data")
    own = {
        "HEP_DATA": str(data),
        "HEP_FLOWS_CACHE": str(tmp_path / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, str(cases / f"{name}.py")], env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]

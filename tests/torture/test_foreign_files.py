"""Every leaf of the ROOT files that the source distribution of func-adl-xaod ships: xAOD, PHYSLITE, AOD and MiniAOD of two experiments."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from hep_flows import errors, make_local, tree_table

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))

from test_foreign_files import check_every_leaf

pytestmark = pytest.mark.skipif(
    "HEP_FLOWS_TORTURE_TABLE" not in os.environ, reason="files to fetch and many thousand leaves: make torture runs it"
)
SHIPPED = "func-adl-xaod"
N_FILES = 6


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The files, fetched by pip."""
    folder = tmp_path_factory.mktemp("shipped")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", folder, SHIPPED]
    try:
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the source distribution of {SHIPPED} cannot be fetched in time")
    if fetched.returncode:
        pytest.skip(f"the source distribution of {SHIPPED} cannot be fetched: {fetched.stderr.strip().splitlines()[-1:]}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as inside:
        inside.extractall(folder, filter="data")
    files = sorted(folder.rglob("*.root"))
    assert len(files) == N_FILES
    return files


@pytest.mark.parametrize("number", range(N_FILES))
def test_every_leaf_of_a_shipped_file_is_uproots_or_refused_by_name(number, shipped):
    equal, refused = check_every_leaf(shipped[number], stop=5)
    assert equal > refused


def test_a_wide_file_is_a_table_although_some_branches_have_no_form(shipped):
    for path in shipped:
        try:
            df = tree_table(path, "Events")
        except errors.SourceError:
            continue
        assert make_local(df.Count()) >= 0

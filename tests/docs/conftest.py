"""The sample of the demo, made once; a session for each page."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from hep_flows.demo.sample import Recipe, sample_files

sys.path.insert(0, str(Path(__file__).parent))


IMAGES = Path(__file__).parents[2] / "docs" / "images"


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Give a folder with the files that ``hep-flows demo`` makes."""
    folder = tmp_path_factory.mktemp("sample")
    sample_files(folder, Recipe())
    return folder


@pytest.fixture
def reader(tmp_path, sample, environment, work_in):
    """Give a session in a folder of its own that has the sample where the demo puts it."""
    from run_blocks import Session

    shutil.copytree(sample, tmp_path / "demo-data", copy_function=os.link)
    work_in(tmp_path)
    environment(MPLBACKEND="agg")
    before = [*sys.path]
    yield Session(tmp_path)
    sys.path[:] = before
    for picture in tmp_path.glob("*.png") if os.environ.get("HEP_FLOWS_GOLDEN") else ():
        if (IMAGES / picture.name).exists():
            shutil.copy(picture, IMAGES)

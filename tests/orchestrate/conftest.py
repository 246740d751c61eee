"""One private server for the whole folder; every test has a cache of its own that says so."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _prefect_of_nobody(environment):
    """Take away what the person who runs the tests has configured."""
    configured = [n for n in os.environ if n.startswith("PREFECT_")]
    environment(HEP_FLOWS_ENGINE=None, HEP_FLOWS_DIRECT_BELOW=None, **dict.fromkeys(configured))


@pytest.fixture
def files(tmp_path):
    """Give three small files of events."""
    from jet_files import write

    return [write(tmp_path / f"part_{i}.root", i) for i in range(3)]

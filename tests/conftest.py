"""Real files for tests: found by ``HEP_FLOWS_DATA``, else beside the project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _no_test_writes_to_the_users_cache(tmp_path_factory):
    """Keep fixtures that serve several tests away from the user's cache as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEP_FLOWS_CACHE", str(tmp_path_factory.mktemp("shared-cache")))
        yield


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch) -> Path:
    """Give each test a cache of its own: no test sees the user's, or that of another test."""
    folder = tmp_path_factory.mktemp("cache") / "hep_flows"
    monkeypatch.setenv("HEP_FLOWS_CACHE", str(folder))
    for name in ("CACHE_LAYERS", "CACHE_LIMIT", "WORKERS", "CHUNK_EVENTS", "PLUGINS"):
        monkeypatch.delenv(f"HEP_FLOWS_{name}", raising=False)
    return folder


@pytest.fixture(autouse=True)
def _no_alias_outlives_its_test():
    """Aliases hold for the whole process: what one test defines is not there for the next."""
    from hep_flows.record.aliases import alias_scope

    with alias_scope():
        yield


@pytest.fixture
def small_disk(tmp_path):
    """Give a folder on a disk of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)  # what failed to write may hold its file until it is collected


@pytest.fixture(scope="session")
def data() -> Callable[[str], str]:
    """Give the path of a real file by its name; the test is skipped when there are none."""
    folder = Path(os.environ.get("HEP_FLOWS_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set HEP_FLOWS_DATA to the folder of the real files")

    def path(name: str) -> str:
        return str(folder / name)

    return path

"""Real files for tests: found by ``HEP_FLOWS_DATA``, else beside the project. And how hard properties are tested, on any machine.

HEP_FLOWS_TORTURE is the factor by which the number of examples grows, with new random ones. Without it the examples are few and the same
in every run, so that a red test is always about the code.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

from prefect_servers import end_prefect, noted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).parents[1]

_TORTURE = int(os.environ.get("HEP_FLOWS_TORTURE", "0"))
_QUICK = 60

# Whole expressions over whole tables are large for Hypothesis, and machines are slow: neither is a fault.
_LARGE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example)

settings.register_profile(
    "hep_flows",
    deadline=None,
    derandomize=not _TORTURE,
    database=None,
    max_examples=_QUICK * max(_TORTURE, 1),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=_LARGE,
    print_blob=True,
)
settings.load_profile("hep_flows")


def pytest_configure() -> None:
    """Be interruptible: a shell that runs the tests in the background has interrupts ignored, here and in every process of a test."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_test_writes_to_the_users_cache(tmp_path_factory):
    """Keep fixtures that serve several tests away from the user's cache as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEP_FLOWS_CACHE", str(tmp_path_factory.mktemp("shared-cache")))
        yield


@pytest.fixture
def environment(monkeypatch) -> Callable[..., None]:
    """Give a function that sets variables of the environment until the test ends; None takes one away."""

    def change(**values: object) -> None:
        for name, value in values.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, str(value))

    return change


@pytest.fixture
def work_in(monkeypatch) -> Callable[[str | Path], None]:
    """Give a function that makes a folder the current one until the test ends."""
    return monkeypatch.chdir


@pytest.fixture
def modules(monkeypatch) -> Callable[..., None]:
    """Give a function that says what an import finds by a name until the test ends; None for what is not installed."""

    def change(**found: ModuleType | None) -> None:
        for name, module in found.items():
            monkeypatch.setitem(sys.modules, name, module)

    return change


@pytest.fixture
def of_somebody_else(monkeypatch) -> Callable[[], None]:
    """Give a function after which every folder belongs to another user: only root could give one away."""
    return lambda: monkeypatch.setattr(os, "geteuid", lambda: -1)


@pytest.fixture
def without_permission(monkeypatch) -> Callable[[], None]:
    """Give a function after which the process may write nowhere: the mode of a folder does not hold for root."""
    return lambda: monkeypatch.setattr(os, "access", lambda path, mode: False)


@pytest.fixture
def hasty_client(monkeypatch) -> None:
    """Let the client of ServiceX try its calls again at once: it waits up to twenty seconds, at random, and nothing depends on that."""
    from httpx_retries import Retry

    monkeypatch.setattr(Retry, "backoff_strategy", lambda _: 0.01)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, environment) -> Path:
    """Give each test a cache of its own: no test sees the user's, or that of another test."""
    folder = tmp_path_factory.mktemp("cache") / "hep_flows"
    nothing = ("CACHE_LAYERS", "CACHE_LIMIT", "WORKERS", "CHUNK_EVENTS", "PLUGINS", "COMPILED")
    environment(HEP_FLOWS_CACHE=folder, **{f"HEP_FLOWS_{name}": None for name in nothing})
    return folder


@pytest.fixture(autouse=True)
def _no_alias_outlives_its_test():
    """Aliases hold for the whole process: what one test defines is not there for the next."""
    from hep_flows.record.aliases import alias_scope

    with alias_scope():
        yield


@cache
def _opened() -> set[str]:
    """Give what this process opens from now on."""
    paths: set[str] = set()
    sys.addaudithook(lambda event, arguments: paths.add(str(arguments[0])) if event == "open" else None)
    return paths


@pytest.fixture
def opened() -> set[str]:
    """Give the paths of the files that this process opens from now on."""
    paths = _opened()
    paths.clear()
    return paths


@pytest.fixture
def as_if_installed(tmp_path_factory, monkeypatch) -> Callable[..., None]:
    """Give a function that lets a library look as if another version of it were installed, with these entry points."""

    def look(name: str, version: str, entry_points: str = "") -> None:
        folder = tmp_path_factory.mktemp("installed")
        (folder / f"{name}-{version}.dist-info").mkdir()
        (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        (folder / f"{name}-{version}.dist-info" / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(folder)

    return look


@pytest.fixture(scope="session")
def prefect_database(tmp_path_factory) -> Callable[[Path, str], None]:
    """Give a function that puts a database for a Prefect server into a folder: to make one takes longer than to start the server."""
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prefect-database"
    made.mkdir(exist_ok=True)

    def put(folder: Path, name: str = "embedded-0.db") -> None:
        from hep_flows.orchestrate.server import EmbeddedServer

        with (made / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the processes of one session make it once
            if not (made / "done").exists():
                server = EmbeddedServer(str(made))
                server.api_url()
                server.stop()
                (made / "done").touch()
        folder.mkdir(parents=True, exist_ok=True)
        for ending in ("", "-wal"):
            if (made / f"embedded-0.db{ending}").exists():
                shutil.copy(made / f"embedded-0.db{ending}", folder / f"{name}{ending}")

    return put


@pytest.fixture(scope="session")
def private_server(tmp_path_factory, prefect_database):
    """Give a Prefect server, as a run starts one for itself."""
    from hep_flows.orchestrate.server import EmbeddedServer

    folder = tmp_path_factory.mktemp("server") / "prefect"
    prefect_database(folder)
    made = EmbeddedServer(str(folder))
    made.api_url()
    yield made
    end_prefect()
    made.stop()


@pytest.fixture
def served(private_server, cache_folder) -> str:
    """Say in the test's own cache folder that the server is there; gives the address of its API."""
    return noted(private_server, cache_folder)


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

"""What the endpoint for ServiceX costs beside the bare client: one request for a few files, again and again, in turns. Prints JSON.

The server is the simulator, in a process of its own; it executes the query once, so that what is measured is the way there and back. The
client looks at the server as often as the endpoint does at first: with its own intervals, which are 5 s, a request takes 10 s and more.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from memory import in_folder, sample

from hep_flows.plugins.servicex.addresses import configured_endpoints
from hep_flows.plugins.servicex.query import Query, Watch
from hep_flows.plugins.servicex.remote import RemoteServiceX

QASTLE = "(call Select (call EventDataset 'bogus.root' 'Events') (lambda (list e) (dict (list 'pt') (list (attr e 'Jet_pt')))))"
POLL_S = 0.1
SERVE = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from servicex_sim.server import Simulator
from servicex_sim.work import datasets_of_folder
with Simulator(datasets_of_folder(Path(sys.argv[2]))) as simulator:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    Path(sys.argv[3]).write_text(simulator.config(Path("servicex-cache").resolve()))
    signal.pause()
"""


class Bare:
    """The client as it is, on one loop."""

    def __init__(self, config: Path) -> None:
        from servicex.servicex_client import ServiceXClient

        self._client = ServiceXClient(config_path=str(config))
        self._loop = asyncio.new_event_loop()

    def fetch(self, files: list[str]) -> int:
        """Give the number of files that came."""
        from servicex import dataset

        query: Any = self._client.generic_query(dataset.FileList([*files]), query=QASTLE, codegen="uproot", ignore_cache=True)
        query.servicex_polling_interval = query.minio_polling_interval = POLL_S
        return len(self._loop.run_until_complete(query.as_files_async(display_progress=False)).file_list)


def seconds(work: Any) -> float:
    """Time a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def server(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    """Start the simulator, and wait until it listens."""
    tests = str(Path(__file__).parents[1] / "tests")
    process = subprocess.Popen([sys.executable, "-c", SERVE, tests, str(folder / "files"), str(config)], cwd=folder)
    while not config.exists() or not configured_endpoints(config):
        time.sleep(0.1)
    return process


def main(folder: Path, rounds: int = 15) -> None:
    """Measure and print."""
    path = sample(folder, 10_000)
    (folder / "files").mkdir(exist_ok=True)
    files = []
    for i in range(4):
        link = folder / "files" / f"part{i}.root"
        if not link.exists():
            link.hardlink_to(path)
        files.append(str(link.resolve()))
    config = folder / "servicex.yaml"
    config.unlink(missing_ok=True)
    process = server(folder, config)
    try:
        figures = compare(folder, config, files, rounds)
    finally:
        process.terminate()
        process.wait()
    print(json.dumps(figures, indent=2))


def compare(folder: Path, config: Path, files: list[str], rounds: int) -> dict[str, float]:
    """Ask in turns, and give the figures."""
    bare, ours = Bare(config), RemoteServiceX(configured_endpoints(config)[0])
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    query = Query(QASTLE, "uproot", ("pt",), tree="Events")

    def endpoint() -> None:
        assert len(list(ours.run(query, files, str(scratch), Watch()))) == len(files)

    def client() -> None:
        assert bare.fetch(files) == len(files)

    pairs = [(seconds(endpoint), seconds(client)) for _ in range(rounds + 1)][1:]
    ours_s, bare_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "endpoint, s": round(ours_s, 3),
        "bare client, s": round(bare_s, 3),
        "overhead, s": round(statistics.median([a - b for a, b in pairs]), 3),
    }


if __name__ == "__main__":
    in_folder(main)

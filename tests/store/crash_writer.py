"""Run by tests in a process of its own: puts one result and is killed after the step that is named, for each step in turn.

Prints the names of the steps of a put as JSON. Every step is tried in a child of this process, in a folder of its own.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import awkward as ak

from hep_flows.contract import Columns, Scalar
from hep_flows.store.about import Provenance
from hep_flows.store.parquet import entry_of, put
from hep_flows.store.store import Store

KEY = bytes(range(32))
GROUP = [bytes([n]) * 32 for n in range(4)]


def put_group(store: Store, step: Callable[[str], None]) -> None:
    """Commit results of two sorts together: two objects."""
    results = {key: Scalar(2) for key in GROUP[:2]} | {key: Columns(ak.Array([2, 2])) for key in GROUP[2:]}
    put(store.folder, [entry_of(key.hex(), result, Provenance()) for key, result in results.items()], step)


def killed_after(folder: Path, step: str) -> None:
    """Put in a child that kills itself."""
    store = Store(folder)
    if (child := os.fork()) == 0:

        def kill(name: str) -> None:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)

        if folder.name.startswith("group"):
            put_group(store, kill)
        else:
            store.put(KEY, Scalar(2), step=kill)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def main(root: Path) -> None:
    """Try every step on an empty folder, and on one that has another result of the key."""
    steps: list[str] = []
    Store(root / "steps").put(KEY, Scalar(1))
    Store(root / "steps").put(KEY, Scalar(2), step=steps.append)
    for i, step in enumerate(steps):
        if step != "old sidecar removed":
            killed_after(root / f"empty {i}", step)
        Store(root / f"filled {i}").put(KEY, Scalar(1))
        killed_after(root / f"filled {i}", step)
    group: list[str] = []
    put_group(Store(root / "steps"), group.append)
    for i, step in enumerate(dict.fromkeys(group)):
        for key in GROUP[1:3]:
            Store(root / f"group {i}").put(key, Scalar(1))
        killed_after(root / f"group {i}", step)
    sys.stdout.write(json.dumps([steps, group]))


main(Path(sys.argv[1]))

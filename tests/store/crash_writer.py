"""Run by tests in a process of its own: puts one result and is killed after the step that is named, for each step in turn.

Prints the names of the steps of a put as JSON. Every step is tried in a child of this process, in a folder of its own.
"""

import json
import os
import signal
import sys
from pathlib import Path

from hep_flows.contract import Scalar
from hep_flows.store.store import Store

KEY = bytes(range(32))


def killed_after(folder: Path, step: str) -> None:
    """Put in a child that kills itself."""
    store = Store(folder)
    if (child := os.fork()) == 0:

        def kill(name: str) -> None:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)

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
    sys.stdout.write(json.dumps(steps))


main(Path(sys.argv[1]))

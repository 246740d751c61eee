"""The process of an embedded Prefect server: it ends when the process that started it does, however that one ends.

Started as ``python -m hep_flows.orchestrate.serve_embedded PORT``, with the settings in the environment. Its standard input is a pipe
whose other end only the parent holds: when that end closes, by an exit or by a kill, so does the server.
"""

from __future__ import annotations

import os
import sys
import threading


def end_with_the_parent() -> None:
    """Wait until the parent is gone, then end this process at once: nothing is kept here that could be lost."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def serve(port: int) -> None:
    """Serve Prefect's API on the loopback address."""
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    import uvicorn

    app = "prefect.server.api.server:create_app"
    uvicorn.run(app, factory=True, host="127.0.0.1", port=port, log_level="critical", lifespan="on")


if __name__ == "__main__":
    serve(int(sys.argv[1]))

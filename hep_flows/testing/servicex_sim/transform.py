"""One request at the server: what was asked for, how far it is, what it gave."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

_LONGEST = 255
FINAL = ("Complete", "Fatal", "Canceled", "Bad Dataset")


@dataclass(frozen=True, slots=True)
class Result:
    """What one file gave: its object, the size that is announced, and when it was.

    ``path`` is where the bytes are; empty where the object is missing.
    """

    file: str
    name: str
    path: str
    size: int
    created_at: str


@dataclass(slots=True)
class Transform:
    """A request and its state; everything that changes is changed under its lock.

    Parameters
    ----------
    request_id, number : str, int
        Its names at the server.
    body : dict
        The JSON of the submission.
    """

    request_id: str
    number: int
    body: dict[str, Any]
    status: str = "Submitted"
    lookup: str = "looking"
    names: tuple[str, ...] = ()
    results: list[Result] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    uncounted: int = 0
    forgotten_after: int = -1
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    latest: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def dataset(self) -> str:
        """Give the dataset identifier, or the first file of a list."""
        return str(self.body.get("did") or self.body["file-list"][0])

    def move(self, status: str, **changes: Any) -> bool:
        """Change the status, unless it is final already."""
        with self.lock:
            if self.status in FINAL:
                return False
            self.status = status
            for name, value in changes.items():
                setattr(self, name, value)
            if status in FINAL:
                self.ended.set()
            return True

    def deliver(self, file: str, name: str, path: str, size: int) -> None:
        """Announce a result, later than all before it."""
        with self.lock:
            self.latest = max(self.latest + timedelta(microseconds=1), datetime.now(UTC))
            self.results.append(Result(file, name, path, size, self.latest.isoformat(timespec="microseconds")))

    def fail(self, file: str, reason: str) -> None:
        """Count a file as failed."""
        with self.lock:
            self.reasons.append(f"{file}: {reason}")

    def described(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Give the JSON of the status, with ``shown`` beside what the request knows."""
        with self.lock:
            done = len({r.file for r in self.results}) + self.uncounted
            failed, files = len(self.reasons), len(self.names)
            return {
                "request_id": self.request_id,
                "did": self.body.get("did") or "File List Provided in Request",
                "did_id": self.number,
                "title": self.body.get("title"),
                "selection": self.body["selection"],
                "tree-name": None,
                "image": "simulator",
                "result-destination": "object-store",
                "result-format": self.body["result-format"],
                "generated-code-cm": f"{self.request_id}-generated-source",
                "status": self.status,
                "failure-info": "; ".join(self.reasons) or None,
                "app-version": "simulator",
                "files": files,
                "files-completed": done,
                "files-failed": failed,
                "files-remaining": files - done - failed,
                "submit-time": self.latest.isoformat(),
                "finish-time": self.latest.isoformat() if self.status in FINAL else "None",
                **shown,
            }


def object_name(file: str, result_format: str, codegen: str = "uproot") -> str:
    """Give the name that the result of a file gets; one that is too long for a store is a digest and its end.

    Where the server makes Parquet of ROOT, it changes the end of the name.
    """
    converted = is_converted(result_format, codegen)
    name = file.replace("/", ":") + (".parquet" if result_format == "parquet" and not converted else "")
    if len(name) > _LONGEST:
        digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        name = f"_{digest}{name[-(_LONGEST - 41) :]}"
    return PurePosixPath(name).with_suffix(".parquet").name if converted else name


def is_converted(result_format: str, codegen: str) -> bool:
    """Say whether the server makes Parquet of what a transformer writes: those that run C++ write ROOT only."""
    return result_format == "parquet" and codegen.startswith(("atlas", "cms"))

"""Calls and answers of the simulator, as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came: ``path`` without the query, ``query`` its first values, ``headers`` with names in lower case."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; status 0 closes the connection without one."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200) -> Answer:
    """Give an answer in JSON."""
    return Answer(status, json.dumps(value).encode())


def refused(status: int, message: str) -> Answer:
    """Give an error as the server words it."""
    return json_answer({"message": message}, status)

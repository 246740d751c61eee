"""Notice when a part of a plug-in that should only think opens a file or a connection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOORS = (
    "builtins.open", "io.open", "os.open", "os.listdir", "os.scandir",
    "socket.socket.connect", "socket.create_connection", "socket.getaddrinfo",
)  # fmt: skip


@contextmanager
def no_effects(what: str) -> Iterator[None]:
    """Let files and connections fail inside the block, and fail after it when one was tried and the error swallowed."""
    tried: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for door in _DOORS:
            patch.setattr(door, _refusing(door, what, tried))
        yield
    assert not tried, f"{what} must touch neither files nor the network, and called {tried[0]}"


def _refusing(door: str, what: str, tried: list[str]) -> Any:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        tried.append(door)
        raise AssertionError(f"{what} must touch neither files nor the network, and called {door}")

    return refuse

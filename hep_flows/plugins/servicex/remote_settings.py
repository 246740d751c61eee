"""How patient a remote endpoint is, and how much it asks for at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """What can be set for a remote endpoint. Times are in seconds.

    Parameters
    ----------
    chunk_files : int
        How many files of a list one request has at most.
    requests, downloads : int
        How many requests a server works on at the same time for this process, and how many results are fetched at the same time.
    attempts : int
        How often a file is asked for, and how often a call is made that fails for a reason that may pass.
    poll_s : float
        The longest time between two looks at a request; a new one is looked at more often.
    backoff_s : float
        The wait before the second attempt; it doubles with each, and varies by a half.
    answer_s : float
        How long one call may take, with what the client itself tries again.
    stall_s : float
        How long nothing may change at the server before the request counts as stuck.
    settle_s : float
        How long the results may take to appear once the server calls the request complete.
    cancel_s : float
        How long to wait for the server when requests are cancelled.
    deadline_s : float, optional
        How long everything may take; no limit when None.
    code_generators : mapping
        The code generator to ask for, by dialect; chosen from those that the server has where there is none.
    """

    chunk_files: int = 50
    requests: int = 8
    downloads: int = 8
    attempts: int = 3
    poll_s: float = 3.0
    backoff_s: float = 2.0
    answer_s: float = 90.0
    stall_s: float = 3600.0
    settle_s: float = 60.0
    cancel_s: float = 10.0
    deadline_s: float | None = None
    code_generators: Mapping[str, str] = field(default_factory=dict)

    def wait_s(self, attempt: int, random: float) -> float:
        """Give the wait after an attempt, counted from 0; ``random`` lies between 0 and 1."""
        return min(self.backoff_s * 2.0**attempt, 120.0) * (0.5 + random)

"""Merge the results of partitions, in order, without keeping more of them than needed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hep_flows.plugin import Columns

if TYPE_CHECKING:
    from hep_flows.planning.task import Task
    from hep_flows.plugin import Plugin, Program, Result


@runtime_checkable
class Folding(Protocol):
    """A plug-in that can add one part to those before it, so that memory does not grow with the number of parts."""

    def fold(self, program: Program, before: Result | None, part: Result) -> Result:
        """Give one part that stands for all before it and this one; `merge` of it alone is the outcome."""
        ...


class Merging:
    """The parts of one task, so far.

    Parameters
    ----------
    plugin : Plugin
        The plug-in that made the parts.
    program : Program
        The program of the task.

    Attributes
    ----------
    events : int
        How many events the parts have, where they are columns.
    seconds : float
        What merging took.
    """

    def __init__(self, plugin: Plugin, program: Program) -> None:
        """Begin with no part."""
        self._plugin = plugin
        self._program = program
        self._parts: list[Result] = []
        self.seconds = 0.0
        self.events = 0

    @property
    def task(self) -> Task:
        """The task whose parts these are."""
        return self._program.task

    def add(self, part: Result) -> None:
        """Take the part of the next partition."""
        start = time.perf_counter()
        if isinstance(part, Columns):
            self.events += len(part.array)
        if isinstance(self._plugin, Folding):
            before = self._parts[0] if self._parts else None
            self._parts = [self._plugin.fold(self._program, before, part)]
        else:
            self._parts.append(part)
        self.seconds += time.perf_counter() - start

    def outcome(self) -> Result:
        """Give the final result."""
        start = time.perf_counter()
        result = self._plugin.merge(self._program, self._parts)
        self._parts = []
        self.seconds += time.perf_counter() - start
        return result

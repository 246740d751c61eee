"""What is remembered of a result that was asked for: enough to say later what changed since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import RecordError
from hep_flows.expr.transport import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.nodes import Expr


@dataclass(frozen=True, slots=True)
class NotedTask:
    """A task that the result was made by: its key, its plug-in, and its shape, both as digits."""

    key: str
    plugin: str
    shape: str


@dataclass(frozen=True, slots=True)
class RunNote:
    """One result that was computed.

    Parameters
    ----------
    expr : Expr
        What was asked for.
    tasks : tuple of NotedTask
        What made it, in the order of the plan.
    plugins : mapping of str to str
        The result version of each plug-in.
    libraries : mapping of str to str
        The versions of the libraries that were loaded.
    when : str
        When that was.
    """

    expr: Expr
    tasks: tuple[NotedTask, ...]
    plugins: Mapping[str, str]
    libraries: Mapping[str, str]
    when: str

    def counterpart(self, plugin: str, shape: str, number: int) -> str:
        """Give the key of the task of that plug-in and shape; of several, that of this number."""
        alike = [t.key for t in self.tasks if (t.plugin, t.shape) == (plugin, shape)]
        return alike[number] if number < len(alike) else ""


def written(
    encoded: str, tasks: Sequence[NotedTask], plugins: Mapping[str, str], libraries: Mapping[str, str], when: str
) -> dict[str, Any]:
    """Give a note as JSON has it; the expression comes encoded."""
    rows = [[t.key, t.plugin, t.shape] for t in tasks]
    return {"expression": encoded, "tasks": rows, "plugins": dict(plugins), "libraries": dict(libraries), "when": when}


def read(note: Any) -> RunNote | None:
    """Give the note that was written; None for what is none."""
    match note:
        case {
            "expression": str(text),
            "tasks": list(rows),
            "plugins": dict(plugins),
            "libraries": dict(libraries),
            "when": str(when),
        }:
            try:
                expr = decode(text.encode())
            except RecordError:
                return None
            tasks = [NotedTask(*[f"{v}" for v in r]) for r in rows if isinstance(r, list) and len(r) == 3]
            return RunNote(expr, tuple(tasks), plugins, libraries, when)
        case _:
            return None

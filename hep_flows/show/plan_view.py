"""What ``plan(x)`` gives: a plan that prints, shows and saves itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hep_flows.errors import LiteralError
from hep_flows.record.source_line import user_site
from hep_flows.store.commit import save_text

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.planning.task import Key, Plan, Task


@runtime_checkable
class Sizing(Protocol):
    """A plug-in that can tell how much there is to read."""

    def column_bytes(self, dataset: Dataset, columns: Sequence[str]) -> int:
        """Give the compressed bytes of columns in the files of a dataset."""
        ...


class PlanView:
    """A plan, to look at.

    Parameters
    ----------
    plan : Plan
        The plan itself, kept as ``raw``.
    status : mapping, optional
        By task key, what is known of each task: whether it is stored, and why not. Kept as ``status``.
    sent : mapping, optional
        By task key, where it runs and what is sent there, for tasks that run elsewhere. Kept as ``sent``.
    remarks : sequence of str
        What else there is to say, among the notes. Kept as ``remarks``.
    """

    __slots__ = ("raw", "remarks", "sent", "status")

    def __init__(
        self,
        plan: Plan,
        status: Mapping[Key, object] | None = None,
        sent: Mapping[Key, tuple[str, str]] | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        """Keep the plan."""
        self.remarks = tuple(remarks)
        self.raw = plan
        self.sent = sent or {}
        self.status = status or {}

    def _words(self) -> dict[Key, str]:
        return {key: f"{known}" for key, known in self.status.items()}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, producers first."""
        return self.raw.tasks

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read, by the names that the files use, ordered by name."""
        return tuple(sorted({c for t in self.raw.tasks for c in t.columns}))

    @property
    def bytes(self) -> int | None:
        """About how many compressed bytes the columns have in the files; None when that cannot be told."""
        from hep_flows.plugins import find

        columns: dict[tuple[str, Dataset], set[str]] = {}
        for task in self.raw.tasks:
            if task.dataset is not None and task.columns:
                columns.setdefault((task.plugin, task.dataset), set()).update(task.columns)
        total = 0
        for (name, table), names in columns.items():
            plugin = find(name)
            if not isinstance(plugin, Sizing):
                return None
            total += plugin.column_bytes(table, tuple(sorted(names)))
        return total

    @property
    def event_bytes(self) -> dict[str, int]:
        """By table, about how many bytes of memory an event takes while it is worked on: an estimate from the metadata of a file."""
        from hep_flows.execute.machine import event_bytes
        from hep_flows.plugins import find

        plugins = {t.plugin: find(t.plugin) for t in self.raw.tasks}
        weights = event_bytes(self.raw, {n: p for n, p in plugins.items() if p is not None})
        return {table.name: round(w.read + w.work) for table, w in weights.items()}

    def __str__(self) -> str:
        """Give the labelled tree, the tasks and what they read."""
        from hep_flows.show.plan_text import plan_text

        return plan_text(self.raw, self._words(), self.sent, self.remarks)

    def __repr__(self) -> str:
        """Give the same text: a plan is looked at."""
        return str(self)

    def _repr_html_(self) -> str:
        from hep_flows.show.plan_graph import plan_html

        return plan_html(self.raw, self._words())

    def show(self) -> None:
        """Print the plan."""
        print(self)  # noqa: T201

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as a picture (``.svg``), a page (``.html``) or text (``.txt``).

        Raises
        ------
        LiteralError
            For another ending.
        StoreError
            When it cannot be written there.
        """
        target = Path(path)
        match target.suffix.lower():
            case ".svg":
                from hep_flows.show.plan_graph import plan_svg

                text = plan_svg(self.raw, self._words())
            case ".html" | ".htm":
                from hep_flows.show.plan_graph import plan_html

                text = plan_html(self.raw, self._words())
            case ".txt":
                text = f"{self}\n"
            case ending:
                raise LiteralError(
                    f"a plan cannot be saved as {ending or 'a file without an ending'!r}",
                    where=user_site(),
                    do="use .svg, .html or .txt",
                )
        save_text(target, text, "the plan", user_site())

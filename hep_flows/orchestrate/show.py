"""What a flow run shows in Prefect's UI: one table of all tasks, and one bar of progress."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hep_flows.orchestrate.names import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from hep_flows.orchestrate.outcome import Outcome
    from hep_flows.orchestrate.units import Unit
    from hep_flows.planning.task import Plan

EVERY_S = 2.0
TABLE = "hep-flows-tasks"
BAR = "hep-flows-progress"


class Progress:
    """The bar; it is drawn anew every two seconds at the most, and not at all for a run that is over before.

    Parameters
    ----------
    units : int
        How many there are.
    answers : callable
        Whether the server is there.
    """

    def __init__(self, units: int, answers: Callable[[], bool]) -> None:
        """Nothing is shown yet."""
        self._units, self._answers = units, answers
        self._artifact: UUID | None = None
        self._last = time.monotonic()
        self._shown = -1

    def show(self, done: int) -> None:
        """Show how many units are done."""
        now = time.monotonic()
        is_due = now - self._last >= EVERY_S or (done == self._units and self._artifact is not None)
        if done == self._shown or not is_due or not self._answers():
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        self._last, self._shown = now, done
        percent = 100.0 * done / self._units
        text = f"{done} of {self._units} tasks"
        if self._artifact is None:
            made: Any = create_progress_artifact(progress=percent, key=BAR, description=text)
            self._artifact = made
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=percent, description=text)


def report_artifact(plan: Plan, units: Sequence[Unit], outcomes: Sequence[Outcome]) -> None:
    """Put a table of the units of a flow run beside it: name, state, rows, bytes, seconds, reason."""
    from prefect.artifacts import create_table_artifact

    rows = [_row(name_of(u, plan), o) for u, o in zip(units, outcomes, strict=True)]
    missing = len([o for o in outcomes if not o.is_done])
    text = "everything is there" if not missing else f"{missing} of {len(rows)} tasks are missing"
    create_table_artifact(table=rows, key=TABLE, description=text)


def _row(name: str, outcome: Outcome) -> dict[str, Any]:
    rows = outcome.rows
    return {
        "task": name,
        "state": outcome.state,
        "rows": sum([r["rows"] for r in rows]),
        "bytes": sum([r["bytes"] for r in rows]),
        "seconds": round(sum([r["seconds"] for r in rows]), 3),
        "attempts": max([r["attempts"] for r in rows], default=0),
        "key": outcome.unit.key.hex()[:12],
        "reason": "; ".join(list(dict.fromkeys([e.what for e in outcome.errors.values()]))[:3]),
    }

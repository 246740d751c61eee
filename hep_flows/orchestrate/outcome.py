"""What became of a unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from prefect.results import ResultRecord  # type: ignore[attr-defined]

from hep_flows.errors import HepFlowsError, TaskError
from hep_flows.in_order import Stopped
from hep_flows.orchestrate.units import closure
from hep_flows.orchestrate.work import UnitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefect.client.schemas.objects import State

    from hep_flows.orchestrate.reference import Reference
    from hep_flows.orchestrate.units import Unit
    from hep_flows.planning.task import Key, Plan


STOPPED = "Stopped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task run ended.

    Parameters
    ----------
    unit : Unit
        What it did.
    state : str
        The name of Prefect's state: ``Completed``, ``Cached``, ``Failed``, ``NotReady``, ...; ``Stopped`` where it ended because nobody
        wanted it any more.
    reference : mapping, optional
        What it gave; of a unit that failed, what is stored all the same.
    errors : mapping of bytes to HepFlowsError
        By task.
    """

    unit: Unit
    state: str
    reference: Reference | None = None
    errors: Mapping[Key, HepFlowsError] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether all of it is stored."""
        return self.reference is not None and not self.errors

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it did for each task; where all was there before, what was there."""
        if self.reference is None:
            return []
        rows: list[dict[str, Any]] = list(self.reference["rows"])
        if self.state != "Cached":
            return rows
        own = {k.hex() for k in self.unit.tasks}
        return [_found(r) for r in rows if r["key"] in own and r["state"] != "not run"]

    def told(self, *, objects: bool) -> dict[str, Any]:
        """Give what units that follow need to know: what failed, and where it matters what is new in the store."""
        known = self.reference["objects"] if objects and self.reference is not None else []
        return {"objects": known, "failures": {k.hex(): e for k, e in self.errors.items()}}

    @classmethod
    def of(cls, unit: Unit, state: State[Any]) -> Self:
        """Give the outcome that a final state stands for."""
        name = str(state.name)
        if name == "NotReady":
            return cls(unit, name)
        # What is not at hand is not read from a file: the guard of the records would not be asked.
        found = state.data.result if isinstance(state.data, ResultRecord) else state.data
        if isinstance(found, Stopped):
            return cls(unit, STOPPED)
        if isinstance(found, dict):
            return cls(unit, name, found)
        if isinstance(found, UnitError):
            return cls(unit, name, found.reference, {bytes.fromhex(k): e for k, e in found.failures.items()})
        return cls(unit, name, None, dict.fromkeys(unit.tasks, _error(unit, state, found)))


def _found(row: dict[str, Any]) -> dict[str, Any]:
    """Give the row of a task that an earlier run computed."""
    nothing = {"state": "cached", "attempts": 0, "seconds": 0.0, "batches_computed": 0, "reason": ""}
    return row | nothing | {"batches_cached": max(row["batches"], 1)}


def _error(unit: Unit, state: State[Any], found: object) -> HepFlowsError:
    if isinstance(found, HepFlowsError):
        return found
    error = TaskError(f"a task on {unit.dataset} ended as {state.name}", why=str(state.message or found))
    if isinstance(found, BaseException):
        error.__cause__ = found
    return error


def failures_of(plan: Plan, outcomes: Sequence[Outcome], *, keep_going: bool) -> dict[Key, HepFlowsError]:
    """Give what failed, by task. A unit that did not run for no reason that is known counts as failed: it is not tried once more.

    Where the first error ends the run, those that were stopped by it did not fail.
    """
    found = {k: e for o in outcomes if o.unit.kind != "pass" for k, e in o.errors.items()}
    if found and not keep_going:
        return found
    for outcome in outcomes:
        if outcome.unit.kind != "pass" and not outcome.is_done and not outcome.errors:
            above = {t.key for t in closure(plan, outcome.unit.tasks)}
            if not above & set(found):
                lost = TaskError(f"a task on {outcome.unit.dataset} was not run: Prefect says {outcome.state}")
                found.update(dict.fromkeys(outcome.unit.tasks, lost))
    return found

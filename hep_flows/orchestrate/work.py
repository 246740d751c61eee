"""What one unit does: store what is missing of its tasks, and say what became of them. Nothing of Prefect is here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hep_flows.errors import HepFlowsError, TaskError
from hep_flows.execute.results import Results
from hep_flows.execute.retry import is_transient
from hep_flows.execute.run import Run, Wish
from hep_flows.orchestrate.units import closure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.execute.machine import Limits
    from hep_flows.execute.report import RunReport, Step
    from hep_flows.orchestrate.reference import Reference
    from hep_flows.orchestrate.units import Unit
    from hep_flows.planning.task import Key, Plan
    from hep_flows.plugin import Plugin
    from hep_flows.store.store import Store


@dataclass(frozen=True, slots=True)
class Session:
    """What all units of one run share in one process.

    Parameters
    ----------
    plan, plugins, store, limits
        As in `hep_flows.execute.run`.
    refresh : bool
        Whether what is stored from before this run counts as missing.
    keep_going : bool
        Whether a batch that fails leaves the others running.
    progress : callable, optional
        Gets a `Step` whenever a range of events is done, in any thread.
    """

    plan: Plan
    plugins: Sequence[Plugin]
    store: Store
    limits: Limits
    refresh: bool = False
    keep_going: bool = True
    progress: Callable[[Step], None] | None = field(default=None, compare=False)


class UnitError(TaskError):
    """A unit of which something failed; the rest of it is stored.

    Attributes
    ----------
    failures : mapping of str to HepFlowsError
        By the digits of the task's key.
    reference : mapping
        What a unit gives that did not fail.
    """

    failures: Mapping[str, HepFlowsError]
    reference: Reference

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the parts when the error crosses a process."""
        made, parts, *_ = super().__reduce__()
        return (_rebuilt, (made, parts, dict(self.failures), self.reference))


def _rebuilt(
    made: Callable[..., UnitError], parts: tuple[object, ...], failures: dict[str, Any], reference: Reference
) -> UnitError:
    error = made(*parts)
    error.failures, error.reference = failures, reference
    return error


def run_unit(session: Session, unit: Unit, before: Sequence[Mapping[str, Any]]) -> Reference:
    """Store the tasks of a unit, and give a reference: what can be sent to other processes in place of results.

    Parameters
    ----------
    session : Session
        What the units share.
    unit : Unit
        What to do.
    before : sequence
        What the units gave that this one waited for: the names of new results, and failures by the digits of the task's key.

    Raises
    ------
    UnitError
        When a part of it failed, here or in a unit before. What did not is stored.
    """
    failed = {bytes.fromhex(k): e for b in before for k, e in b.get("failures", {}).items()}
    put = {bytes.fromhex(k) for b in before for k in b["objects"]}
    results = Results(session.store, refresh=session.refresh, put=put)
    plan = _part(session.plan, unit.tasks)
    here = {t.key: t for t in plan.tasks}
    if unit.kind == "pass":
        parts_only = frozenset(unit.tasks)
    else:
        parts_only = frozenset([k for k in unit.tasks if here[k].spread == "partitions" and here[k].output == "columns"])
    run = Run(plan, session.plugins, results, session.limits, session.progress)
    report = _run(run, Wish(session.keep_going, parts_only, unit.batches, {k: e for k, e in failed.items() if k in here}))
    reference = _reference(unit, run, report)
    failures = run.ledger.failures
    own = {k: e for k, e in failures.items() if k not in failed or k in unit.tasks}
    if own or (failures and not reference["complete"]):
        raise _unit_failed(own or failures, reference, new={k: e for k, e in own.items() if k not in failed})
    return reference


def _run(run: Run, wish: Wish) -> RunReport:
    """Run it, and give the report, also where the first error ends it."""
    try:
        return run.all(wish)[1]
    except HepFlowsError as error:
        report, error.report = error.report, None  # this is a part of a run only, and the error is that of the whole one
        if report is None or not run.ledger.failures:
            raise
        return report


def objects_of(unit: Unit, run: Run) -> list[str]:
    """Give the names of the stored results that make up a unit."""
    machine, found = run.machine, []
    for key in unit.tasks:
        task = machine.keys.tasks[key]
        if unit.kind != "pass" and machine.keys.is_whole_stored(task):
            found.append(key)
        elif task.dataset is not None:
            found += [machine.keys.of_batch(task, b) for b in machine.batches.of(task.dataset)]
    return [k.hex() for k in found]


def _part(plan: Plan, keys: Sequence[Key]) -> Plan:
    """Give what a plan needs for some of its tasks. What was asked for is noted once, by the run as a whole."""
    return replace(plan, tasks=closure(plan, keys), targets=tuple(keys), exprs=())


def _reference(unit: Unit, run: Run, report: RunReport) -> Reference:
    own = set(unit.tasks)
    wanted = objects_of(unit, run)
    there = [k for k in wanted if bytes.fromhex(k) in run.machine.results]
    rows = [r.as_json() for r in report.tasks if bytes.fromhex(r.key) in own or r.state == "computed"]
    return {
        "key": unit.key.hex(),
        "objects": there,
        "complete": there == wanted,
        "rows": rows,
        "events": report.events,
        "partitions": report.partitions,
        "stages": [[s.plugin, [k.hex() for k in s.tasks], s.seconds] for s in report.stages],
        "merging": {k.hex(): s for k, s in report.merging.items()},
    }


def _unit_failed(own: Mapping[Key, HepFlowsError], reference: Reference, new: Mapping[Key, HepFlowsError]) -> UnitError:
    """Give the error of a unit; what failed in another unit has been tried again there."""
    first = next(iter(own.values()))
    error = UnitError(first.what, where=first.where, why=first.why, do=first.do)
    error.failures = {k.hex(): e for k, e in own.items()}
    error.reference = reference
    error.transient = any(is_transient(e) for e in new.values())
    error.__cause__ = first
    return error

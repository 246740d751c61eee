"""One report of what task runs did and of what the process that asked found in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.execute.report import StageTime
from hep_flows.execute.task_rows import ENDED, FAILED_ABOVE, STORED_ABOVE, TaskRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.execute.report import RunReport
    from hep_flows.execute.task_rows import State
    from hep_flows.orchestrate.outcome import Outcome

_IF_NOT_RUN = (STORED_ABOVE, FAILED_ABOVE)
_STRONGEST: tuple[State, ...] = ("failed", "computed", "cached")


def together(report: RunReport, outcomes: Sequence[Outcome]) -> RunReport:
    """Add what the units did to the report of the run that delivered the results."""
    rows = {r.key: r for r in report.tasks}
    for outcome in outcomes:
        for told in outcome.rows:
            row = TaskRow(**told)
            rows[row.key] = _added(rows[row.key], row)
    done = [o.reference for o in outcomes if o.reference is not None and o.state != "Cached"]
    stages = dict[tuple[str, tuple[bytes, ...]], float]()
    for plugin, tasks, seconds in [s for d in done for s in d["stages"]]:
        place = (plugin, tuple([bytes.fromhex(k) for k in tasks]))
        stages[place] = stages.get(place, 0.0) + seconds
    merging = dict(report.merging)
    for key, seconds in [m for d in done for m in d["merging"].items()]:
        merging[bytes.fromhex(key)] = merging.get(bytes.fromhex(key), 0.0) + seconds
    return replace(
        report,
        events=report.events + sum([d["events"] for d in done]),
        partitions=report.partitions + sum([d["partitions"] for d in done]),
        stages=(*[StageTime(plugin, tasks, s) for (plugin, tasks), s in stages.items()], *report.stages),
        merging=merging,
        tasks=tuple([rows[r.key] for r in report.tasks]),
    )


def _added(one: TaskRow, other: TaskRow) -> TaskRow:
    """Give one row for what two runs did of a task; what one of them computed the other found."""
    computed = one.batches_computed + other.batches_computed
    batches = max(one.batches, other.batches)
    cached = max(0, max(one.batches_cached, other.batches_cached, batches) - computed) if batches else one.batches_cached
    state: State = next((s for s in _STRONGEST if s in (one.state, other.state)), "not run")
    if state == "cached" and "not run" in (one.state, other.state) and one.reason.startswith("it takes"):
        state = "not run"
    if state != "failed" and one.reason.startswith(ENDED):
        state = "not run"
    reasons = [r for r in (one.reason, other.reason) if r and (state == "not run" or not r.startswith((*_IF_NOT_RUN, ENDED)))]
    return replace(
        one,
        state=state,
        attempts=max(one.attempts, other.attempts),
        seconds=one.seconds + other.seconds,
        rows=max(one.rows, other.rows),
        bytes=max(one.bytes, other.bytes),
        batches=batches,
        batches_computed=computed,
        batches_cached={"failed": 0, "not run": max(one.batches_cached, other.batches_cached)}.get(state, cached),
        reason=_joined(reasons),
    )


def _joined(reasons: Sequence[str]) -> str:
    """Say once what one of two runs says, too, in more words or fewer."""
    if len(reasons) == 2 and (reasons[0] in reasons[1] or reasons[1] in reasons[0]):
        return max(reasons, key=len)
    return "; ".join(reasons)

"""Run the plan of an analysis, and give its values by dataset and name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.result import AnalysisResult, notes_of
from hep_flows.execute.report import told_of_errors
from hep_flows.execute.results import Results
from hep_flows.execute.run_result import Lost, Missing, value_of
from hep_flows.execute.stored_parts import StoredParts
from hep_flows.execute.task_rows import TaskRow
from hep_flows.orchestrate.run import Order, run_order
from hep_flows.orchestrate.tell import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from hep_flows.analysis.prepare import Prepared
    from hep_flows.execute.report import RunReport, Step
    from hep_flows.planning.task import Key
    from hep_flows.plugin import Result
    from hep_flows.settings import Settings


@dataclass(frozen=True, slots=True)
class How:
    """How an analysis is run: the settings, the engine that was asked for, and arguments of `run_analysis`."""

    settings: Settings
    engine: str | None
    task_runner: Any
    refresh: bool
    keep_going: bool
    progress: Callable[[Step], None] | None


@dataclass(frozen=True, slots=True)
class Stored:
    """Stands for an array that stayed in the store, part by part; the key is that of its task."""

    key: Key


def carried_out(prepared: Prepared, how: How, out: Path | None) -> AnalysisResult:
    """Give the results of an analysis; with a folder, everything is written there, and arrays are not held."""
    parts = StoredParts(prepared.plan, prepared.plugins, Results(prepared.store))
    left_stored = frozenset[bytes]() if out is None else parts.possible(set(prepared.plan.targets))
    order = Order(
        prepared.plan,
        prepared.plugins,
        prepared.store,
        engine=how.engine,
        task_runner=how.task_runner,
        workers=how.settings.workers,
        chunk_events=how.settings.chunk_events,
        memory=how.settings.memory,
        slice_events=how.settings.slice_events,
        refresh=how.refresh,
        keep_going=how.keep_going,
        small_bytes=how.settings.direct_below,
        cancelled=lambda: False,
        progress=how.progress,
        tell=tell,
        parts_only=left_stored,
    )
    with told_of_errors(lambda report: _with_datasets(report, prepared)):
        results, report = run_order(order)
    report = _with_datasets(report, prepared)
    result = AnalysisResult(
        _values(prepared, results, report, left_stored), report, notes_of(prepared), prepared.expressions.recordings
    )
    if out is None:
        return result
    from hep_flows.analysis.outputs.write_outputs import write_outputs

    return write_outputs(out, prepared, parts, result)


def _values(
    prepared: Prepared, results: Mapping[Key, Result], report: RunReport, left_stored: Collection[Key]
) -> dict[str, dict[str, Any]]:
    rows = {row.key: row for row in report.tasks}
    values: dict[str, dict[str, Any]] = {}
    for entry in prepared.entries:
        error = prepared.failed.get(entry.name)
        if error is not None:
            values[entry.name] = Lost(prepared.expressions.names, error.what)
            continue
        values[entry.name] = {}
        for name, key in prepared.targets[entry.name].items():
            row = rows[key.hex()]
            if key in results:
                values[entry.name][name] = value_of(results[key])
            elif key in left_stored and row.state in ("computed", "cached"):
                values[entry.name][name] = Stored(key)
            else:
                values[entry.name][name] = Missing(row.reason)
    return values


def _with_datasets(report: RunReport, prepared: Prepared) -> RunReport:
    """Name the dataset of each task, and give a row to each dataset that no task could be made for."""
    names = prepared.dataset_of()
    rows = [replace(row, dataset=row.dataset or names.get(bytes.fromhex(row.key), "")) for row in report.tasks]
    lost = [TaskRow("", "", "", name, "failed", reason=error.what) for name, error in prepared.failed.items()]
    return replace(report, tasks=(*rows, *lost), errors=(*report.errors, *prepared.failed.values()))

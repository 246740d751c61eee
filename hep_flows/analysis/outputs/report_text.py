"""The report of an analysis as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hep_flows.analysis.result import AnalysisResult
    from hep_flows.errors import HepFlowsError
    from hep_flows.execute.task_rows import TaskRow

_HEAD = ("dataset", "plug-in", "state", "seconds", "rows", "batches", "label", "reason")
_WIDEST = 60


def report_text(result: AnalysisResult) -> str:
    """Give what became of every dataset and every task."""
    report = result.report
    head = f"{'complete' if result.is_complete else 'NOT COMPLETE'}: {report.events:,} events in {report.seconds:.2f} s"
    datasets = [f"  {d}" for d in result.datasets]
    table = _table([_HEAD, *[_cells(r) for r in report.tasks]])
    errors = [line for text in error_texts(report.errors) for line in ("", text)]
    return "\n".join([head, "", *datasets, "", *table, *errors]) + "\n"


def error_texts(errors: Iterable[HepFlowsError]) -> list[str]:
    """Give errors with the user's lines; of those of one kind at one line, the first."""
    found: dict[object, str] = {}
    for error in errors:
        found.setdefault((type(error), error.where or error.what), f"{type(error).__name__}: {error}")
    return list(found.values())


def _cells(row: TaskRow) -> tuple[str, ...]:
    batches = f"{row.batches_computed} of {row.batches}" if row.batches else ""
    label = row.label if len(row.label) <= _WIDEST else f"{row.label[: _WIDEST - 4]} ..."
    return (row.dataset, row.plugin, row.state, f"{row.seconds:.2f}", f"{row.rows:,}", batches, label, row.reason)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max([len(r[i]) for r in rows]) for i in range(len(_HEAD) - 1)]
    lines = []
    for row in rows:
        cells = [
            c.rjust(w) if _HEAD[i] in ("seconds", "rows") else c.ljust(w)
            for i, (c, w) in enumerate(zip(row[:-1], widths, strict=True))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines

"""``run_analysis``: one analysis over many datasets, with one plan and one report."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.analysis.processes import Sample, process_of
from hep_flows.analysis.result import AnalysisResult, Stored, notes_of, with_labels
from hep_flows.errors import AnalysisError, HepFlowsError, LiteralError, bad_files
from hep_flows.execute.report import Lost, Missing, RunReport, TaskRow, told_of_errors, value_of
from hep_flows.execute.results import Results
from hep_flows.execute.stored_parts import StoredParts
from hep_flows.expr.text import shown
from hep_flows.orchestrate.run import Order, run_order, tell
from hep_flows.record.arguments import checked
from hep_flows.record.dataframe import frame_of
from hep_flows.record.where import user_site
from hep_flows.tables import other_tree
from hep_flows.verbs import make_local

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from hep_flows.analysis.prepare import Prepared
    from hep_flows.analysis.result import DatasetNote
    from hep_flows.contract import Key, Result
    from hep_flows.execute.report import Step
    from hep_flows.expr.nodes import Expr
    from hep_flows.filesets import Described, Entry
    from hep_flows.settings import Settings


@checked
def run_analysis(  # noqa: PLR0913 - every part of a run can be chosen
    analysis: Callable[[Any], Any] | str | os.PathLike[str],
    fileset: Any,
    *,
    workers: int | None = None,
    chunk_events: int | None = None,
    on_error: Literal["keep", "raise"] = "keep",
    refresh: bool = False,
    only: Iterable[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    engine: str | None = None,
    task_runner: Any = None,
    kind: str | None = None,
    missing_tree: Literal["empty", "error"] | None = None,
    on_missing: Literal["withhold", "partial"] = "withhold",
    progress: Callable[[Step], None] | None = None,
    unblind: bool = False,
) -> AnalysisResult:
    """Give the results of an analysis for every dataset of a fileset, and what became of each task.

    The analysis is recorded once, and again only for datasets where something differs that the recording looked at. What is stored
    is found, so a second run computes what is missing.

    Parameters
    ----------
    analysis : callable or path
        A function of events that returns a dict of expressions and histograms by name, or a Python file that defines ``analysis``.
    fileset : mapping or path
        ``{dataset: {"files": {path: tree}, "metadata": {...}}}``, a JSON or YAML file of it, a folder, a pattern or a data file.
    workers : int, optional
        Threads; the results do not depend on it.
    chunk_events : int, optional
        At most so many events are worked on at a time; as many as there is memory for when left out. The results do not depend on it.
    on_error : str
        ``keep``: a dataset that fails leaves the others, and its values are `Missing`; ``raise``: the first error ends the run.
    refresh : bool
        Compute everything again, and replace what is stored.
    only : iterable of str, optional
        The datasets to take.
    out : path, optional
        A folder for the results: histograms, numbers, skims, plots, the report, and a manifest of all that.
    engine : str, optional
        Who runs what is not stored: ``inline``, ``embedded`` or ``configured``; the setting of that name when left out.
    task_runner : TaskRunner, optional
        A task runner of Prefect, such as ``DaskTaskRunner(address=...)``; threads of this process when left out.
    kind : str, optional
        ``nanoaod``, ``xaod``, ``tree`` or ``parquet``, for datasets that do not say which they are.
    missing_tree : str, optional
        What a file without the tree means in datasets that do not say: an ``error``, or ``empty``: no events.
    on_missing : str
        What becomes of a dataset of which files cannot be used; its other files are read in any case, and what is made of each is stored.
        ``withhold``: its values are `Missing`, and the reason names all such files; ``partial``: its values are those over the files
        that can be used, under a key of their own and labelled wherever they go.
    progress : callable, optional
        Gets a `Step` whenever a range of events is done.
    unblind : bool
        Show what the analysis blinds in recorded data (`hep_flows.blind`); the report says so.

    Returns
    -------
    AnalysisResult
        With ``values`` by dataset and name, and ``report``.

    Raises
    ------
    AnalysisError
        When the analysis cannot be loaded, or gives something else than named expressions.
    SourceError
        When the fileset has another form.
    """
    from hep_flows.analysis.prepare import prepare
    from hep_flows.analysis.record import loaded
    from hep_flows.orchestrate.run import asked_engine, check_task_runner
    from hep_flows.settings import Settings, explained_settings
    from hep_flows.sources.kinds import kind_named
    from hep_flows.sources.paths import missing_tree_named
    from hep_flows.verbs import check_no_run_within_a_run

    if on_error not in ("keep", "raise"):
        raise LiteralError(
            f"on_error is 'keep' or 'raise', not {on_error!r}", where=user_site(), do="write on_error='raise', or leave it out"
        )
    if on_missing not in ("withhold", "partial") or (on_missing == "partial" and (on_error == "raise" or fileset is None)):
        raise LiteralError(
            f"on_missing={on_missing!r} cannot be taken",
            where=user_site(),
            why="it is 'withhold' or 'partial'; what is partial goes on after errors, and needs a fileset that says what whole is",
            do="write on_missing='partial' with a fileset, and leave on_error out",
        )
    given = {"workers": workers, "chunk_events": chunk_events, "engine": engine}
    check_no_run_within_a_run(user_site())
    check_task_runner(task_runner, user_site())
    explained = explained_settings(user_site(), **{k: v for k, v in given.items() if v is not None})
    settings = Settings(**{s.name: s.value for s in explained})
    asked = asked_engine(settings.engine, {s.name: s.source for s in explained})
    how = How(settings, asked, task_runner, refresh, on_error == "keep", on_missing == "partial", progress)
    with loaded(analysis) as found:
        make = partial(
            prepare,
            found,
            fileset,
            settings,
            only=None if only is None else [only] if isinstance(only, str) else list(only),
            kind=kind_named(kind, "kind"),
            missing_tree=missing_tree_named(missing_tree, "run_analysis"),
            keep_going=how.keep_going,
            partial=how.partial,
            unblind=unblind,
        )
        return carried_out(make, how, None if out is None else Path(out))


# Run the plan of an analysis, and give its values by dataset and name ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class How:
    """How an analysis is run: the settings, the engine that was asked for, and arguments of `run_analysis`."""

    settings: Settings
    engine: str | None
    task_runner: Any
    refresh: bool
    keep_going: bool
    partial: bool
    progress: Callable[[Step], None] | None


def carried_out(make: Callable[..., Prepared], how: How, out: Path | None) -> AnalysisResult:
    """Give the results of an analysis; with a folder, everything is written there, and arrays are not held.

    A partial result is that of a dataset with fewer files. So where it is found out in a run that a file cannot be used, the plan is
    made once more without it: what was computed of the other files is stored, and only what is made of them all is made again.
    """
    left_out: dict[str, dict[str, str]] = {}
    spent = RunReport(0.0, 0, 0, 0, (), {})
    while True:
        prepared = make(left_out=left_out)
        parts = StoredParts(prepared.plan, prepared.plugins, Results(prepared.store))
        left_stored = frozenset[bytes]() if out is None else parts.possible(set(prepared.plan.targets))
        results, report = _run(prepared, how, left_stored)
        more = _lost_files(prepared, report) if how.partial else {}
        if not more:
            break
        left_out = {n: left_out.get(n, {}) | more.get(n, {}) for n in {**left_out, **more}}
        how, spent = replace(how, refresh=False), _added(spent, report)
    report = _with_datasets(_added(spent, report), prepared)
    samples = _samples(prepared)
    notes = _with_sums(notes_of(prepared), samples) if how.partial else notes_of(prepared, _lost_files(prepared, report))
    values = _values(prepared, results, report, left_stored, how)
    asked = prepared.expressions
    result = AnalysisResult(values, report, notes, asked.recordings, samples=samples, filled=asked.filled, is_partial=how.partial)
    if out is None:
        whole = prepared.joined(values)
        return replace(result, values=with_labels(notes, whole) if how.partial else whole)
    from hep_flows.analysis.outputs import write_outputs

    return write_outputs(out, prepared, parts, result)


def _run(prepared: Prepared, how: How, left_stored: frozenset[Key]) -> tuple[dict[Key, Result], RunReport]:
    order = Order(
        prepared.plan,
        prepared.plugins,
        prepared.store,
        engine=how.engine,
        task_runner=how.task_runner,
        workers=how.settings.workers,
        chunk_events=how.settings.chunk_events,
        memory=how.settings.memory,
        refresh=how.refresh,
        keep_going=how.keep_going,
        small_bytes=how.settings.direct_below,
        cancelled=lambda: False,
        progress=how.progress,
        tell=tell,
        parts_only=left_stored,
    )
    with told_of_errors(lambda report: _with_datasets(report, prepared)):
        return run_order(order)


def _added(spent: RunReport, report: RunReport) -> RunReport:
    """Give a report with what the runs before it took."""
    return replace(
        report,
        seconds=spent.seconds + report.seconds,
        events=spent.events + report.events,
        partitions=spent.partitions + report.partitions,
        stages=(*spent.stages, *report.stages),
    )


def _lost_files(prepared: Prepared, report: RunReport) -> dict[str, dict[str, str]]:
    """Give the files that could not be read in a run, by dataset; those of a dataset without any other file are not lost apart."""
    bad = {file: why for e in report.errors for file, why in e.files.items()}
    found: dict[str, dict[str, str]] = {}
    for name, one in prepared.datasets.items():
        here = {f: bad[f] for f in map(shown, one.table.files) if f in bad}
        if here and len(here) < len(set(map(shown, one.table.files))) and one.entry.server is None:
            found[name] = here
    return found


def _with_sums(notes: Sequence[DatasetNote], samples: Mapping[str, Sample]) -> tuple[DatasetNote, ...]:
    """Say the sum of weights of the files that a partial result of simulation is of, where these tell it."""
    found = []
    for note in notes:
        sumw = None
        if note.bad and not note.failed and not samples[note.name].is_data:
            with suppress(HepFlowsError):
                sumw = samples[note.name].sumw()
        found.append(replace(note, sumw=sumw))
    return tuple(found)


def _samples(prepared: Prepared) -> dict[str, Sample]:
    """Give what normalises the results of each dataset."""
    found: dict[str, Sample] = {}
    for entry in prepared.entries:
        one = prepared.datasets.get(entry.name)
        weights = prepared.expressions.weights.get(entry.name, {})
        found[entry.name] = Sample(
            entry.name,
            process_of(entry.name, entry.metadata, {}),
            prepared.is_data(entry.name),
            entry.metadata,
            partial(_sum_of_weights, one, entry),
            weights,
            partial(_sums_of_variations, one, prepared.expressions.sums.get(entry.name, {})),
            one is not None and bool(one.bad),
        )
    return found


def _sum_of_weights(dataset: Described | None, entry: Entry) -> float:
    """Give the sum of weights of all events that were generated for the files of a dataset, which were read in this run."""
    if dataset is None:
        raise AnalysisError(f"the files of {entry.name} could not be looked at, so nothing says their sum of weights")
    frame = frame_of(dataset.table, entry.metadata)
    frame._table.open_tree = other_tree  # noqa: SLF001
    return float(make_local(frame.sumw))


def _sums_of_variations(dataset: Described | None, sums: Mapping[str, Expr]) -> dict[str, float]:
    if dataset is None or not sums:
        return {}
    frame = frame_of(dataset.table)
    return {name: float(total) for name, total in make_local({n: frame._made(e) for n, e in sums.items()}).items()}  # noqa: SLF001


def _values(
    prepared: Prepared, results: Mapping[Key, Result], report: RunReport, left_stored: Collection[Key], how: How
) -> dict[str, dict[str, Any]]:
    rows = {row.key: row for row in report.tasks}
    values: dict[str, dict[str, Any]] = {}
    for entry in prepared.entries:
        error = prepared.failed.get(entry.name)
        if error is not None:
            values[entry.name] = Lost(prepared.expressions.names, error.what)
            continue
        bad = prepared.datasets[entry.name].bad
        if bad and not how.partial:
            missing = Missing(bad_files(list(bad.values())).what)
            values[entry.name] = dict.fromkeys(prepared.targets[entry.name], missing)
            continue
        values[entry.name] = {}
        for name, key in prepared.targets[entry.name].items():
            row = rows[key.hex()]
            if key in results:
                values[entry.name][name] = value_of(results[key], prepared.expressions.by_dataset[entry.name][name])
            elif key in left_stored and row.state in ("computed", "cached"):
                values[entry.name][name] = Stored(key)
            else:
                values[entry.name][name] = Missing(row.reason)
    return values


def _with_datasets(report: RunReport, prepared: Prepared) -> RunReport:
    """Name the dataset of each task, and give a row to each dataset that no task could be made for, or not for all of its files."""
    names = prepared.dataset_of()
    rows = [replace(row, dataset=row.dataset or names.get(bytes.fromhex(row.key), "")) for row in report.tasks]
    incomplete = {n: bad_files(list(d.bad.values())) for n, d in prepared.datasets.items() if d.bad}
    failed = {e.name: prepared.failed.get(e.name) or incomplete.get(e.name) for e in prepared.entries}
    lost = [TaskRow("", "", "", name, "failed", reason=error.what) for name, error in failed.items() if error is not None]
    return replace(report, tasks=(*rows, *lost), errors=(*report.errors, *[e for e in failed.values() if e is not None]))

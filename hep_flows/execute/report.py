"""What a run did and how long it took."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from hep_flows.contract import Columns, HistogramResult, Scalar, unknown_texts
from hep_flows.errors import HepFlowsError, TaskError, bad_files, visible
from hep_flows.expr.nodes import Call, Filter
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Histogram
from hep_flows.record.where import user_site
from hep_flows.store.commit import save_text

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Plan, Result, Task
    from hep_flows.execute.batches import Batch
    from hep_flows.expr.nodes import Dataset, Expr

# What a task is called in reports and in Prefect: what it gives, as a physicist would say it -------------------------------------


def task_label(task: Task, width: int) -> str:
    """Give ``histogram of pt, eta``, or the expressions of the columns or the number that the task gives."""
    item = task.expr.type.item
    if isinstance(item, Histogram) and (names := _axis_names(item)):
        return f"histogram of {', '.join(names)}"[:width]
    if isinstance(task.expr, Call) and task.expr.function == "record":
        each = max(20, width // len(task.expr.args))
        return ", ".join([one_line(a, each) for a in task.expr.args])[:width]
    return one_line(task.expr, width)


def _axis_names(histogram: Histogram) -> list[str]:
    """Give the names of the axes of a histogram, where it is one of hist's."""
    try:
        return [str(a["name"]) for a in json.loads(histogram.spec)["axes"] if a["name"]]
    except (ValueError, LookupError, TypeError):
        return []


# What became of each task of a run -----------------------------------------------------------------------------------------------

State = Literal["computed", "cached", "failed", "not run"]
LABEL_WIDTH = 100
MOST_REASONS = 20
STORED_ABOVE = "what is made from it is stored"
FAILED_ABOVE = "nothing that takes it could be computed"
ENDED = "the run ended with the first error"


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What became of one task.

    Parameters
    ----------
    key : str
        The task's key, as digits.
    plugin, label, dataset : str
        Who runs it, what it gives as text, and the table.
    state : str
        ``computed``: at least a part of it in this run; ``cached``: all of it was stored; ``failed``; ``not run``: something that it
        takes is missing, or what is made from it is stored.
    attempts : int
        How often it was tried.
    seconds : float
        What it took in this run; those of threads add up.
    rows, bytes : int
        Of what this run stored or found.
    batches, batches_computed, batches_cached : int
        How many parts it has, and where they came from.
    reason : str
        Why it failed, was not run, or is not stored.
    remark : str
        What is to be known of its value: how many entries of a histogram had a text that is no category of an axis.
    """

    key: str
    plugin: str
    label: str
    dataset: str
    state: State
    attempts: int = 0
    seconds: float = 0.0
    rows: int = 0
    bytes: int = 0
    batches: int = 0
    batches_computed: int = 0
    batches_cached: int = 0
    reason: str = ""
    remark: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give the row as plain data."""
        return asdict(self)


class _Count:
    """What is known of a task while it runs."""

    def __init__(self) -> None:
        self.computed = self.cached = self.attempts = self.rows = self.nbytes = self.batches = 0
        self.seconds = 0.0
        self.reasons: dict[str, None] = {}
        self.failed = self.waits = False


class Tally:
    """Counts what becomes of the tasks of a plan.

    Parameters
    ----------
    plan : Plan
        The plan.
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing ran yet."""
        self._tasks = plan.tasks
        self._counts = {t.key: _Count() for t in plan.tasks}

    @property
    def has_computed(self) -> bool:
        """Whether anything was computed."""
        return any(c.computed for c in self._counts.values())

    def batch(self, done: BatchDone) -> None:
        """Count what came of a batch."""
        for key in done.cached:
            self._counts[key].cached += 1
        for key, seconds in done.computed.items():
            self.computed(key, seconds)
        self.tried(done.computed, done.attempts)
        for key, note in done.notes.items():
            self.note(key, note)

    def computed(self, key: Key, seconds: float) -> None:
        """Count that a task, or a part of it, was computed."""
        count = self._counts[key]
        count.computed += 1
        count.attempts = max(count.attempts, 1)
        count.seconds += seconds

    def tried(self, keys: Iterable[Key], attempts: int) -> None:
        """Count how often some tasks were tried."""
        for key in keys:
            self._counts[key].attempts = max(self._counts[key].attempts, attempts)

    def merged(self, key: Key, seconds: float) -> None:
        """Count that the parts of a task were merged."""
        self._counts[key].seconds += seconds

    def written(self, key: Key, rows: int, nbytes: int, *, is_merged: bool) -> None:
        """Count what was stored of a task: the merged result, or that of a batch."""
        count = self._counts[key]
        count.rows, count.nbytes = (rows, nbytes) if is_merged else (count.rows + rows, count.nbytes + nbytes)

    def stored(self, key: Key, rows: int, nbytes: int) -> None:
        """Count that the merged result of a task was there."""
        count = self._counts[key]
        count.cached, count.rows, count.nbytes = max(count.cached, 1), rows, nbytes

    def batches(self, key: Key, number: int) -> None:
        """Say how many batches a task has."""
        self._counts[key].batches = number

    def failed(self, key: Key, error: HepFlowsError, batch: Batch | None) -> None:
        """Count that a task failed."""
        count = self._counts[key]
        count.failed, count.attempts = True, max(count.attempts, 1)
        place = "" if batch is None or batch.file in error.what else f"{batch.file}: "
        count.reasons[f"{place}{error.what}"] = None

    def waits(self, key: Key, reason: str) -> None:
        """Count that a task could not run."""
        self._counts[key].waits = True
        self.note(key, reason)

    def ended(self, keys: Iterable[Key]) -> None:
        """Say of tasks that are not complete that the run ended before they were."""
        for key in keys:
            if not self._counts[key].failed:
                self.waits(key, ENDED)

    def unused(self, keys: Iterable[Key]) -> None:
        """Say why tasks of which nothing is there were not run."""
        for key in keys:
            count = self._counts[key]
            if not (count.computed or count.cached or count.reasons):
                self.note(key, FAILED_ABOVE)

    def note(self, key: Key, reason: str) -> None:
        """Add a remark."""
        self._counts[key].reasons[reason] = None

    def rows(self) -> tuple[TaskRow, ...]:
        """Give a row for each task, in the order of the plan."""
        return tuple([self._row(t) for t in self._tasks])

    def _row(self, task: Task) -> TaskRow:
        count = self._counts[task.key]
        state: State = "computed" if count.computed else "cached" if count.cached else "not run"
        if count.failed or count.waits:
            state = "failed" if count.failed else "not run"
        reasons = _first(list(count.reasons)) or ([STORED_ABOVE] if state == "not run" else [])
        return TaskRow(
            task.key.hex(),
            task.plugin,
            task_label(task, LABEL_WIDTH),
            task.dataset.name if task.dataset is not None else "",
            state,
            count.attempts,
            count.seconds,
            count.rows,
            count.nbytes,
            count.batches,
            count.computed,
            count.cached,
            "; ".join(reasons),
        )


def _first(reasons: list[str]) -> list[str]:
    return reasons if len(reasons) <= MOST_REASONS else [*reasons[:MOST_REASONS], f"and {len(reasons) - MOST_REASONS:,} more"]


@dataclass(slots=True)
class BatchDone:
    """What came of one batch.

    Parameters
    ----------
    parts : mapping of bytes to sequence of Result
        For the tasks that were wanted, what is to be merged.
    cached : set of bytes
        Tasks whose result was in the store.
    computed : mapping of bytes to float
        The seconds of the others.
    stages : list of tuple
        Plug-in, tasks and seconds of each stage that ran.
    ranges : list of int
        The events of each range that was run.
    notes : mapping of bytes to str
        Why a result could not be stored.
    attempts : int
        How often it was tried.
    put : mapping of bytes to tuple
        For the results that were put, the task, and that none is merged: a batch that the run does not come to any more is not reported.
    """

    parts: dict[Key, Sequence[Result]] = field(default_factory=dict)
    cached: set[Key] = field(default_factory=set)
    computed: dict[Key, float] = field(default_factory=dict)
    stages: list[tuple[str, tuple[Key, ...], float]] = field(default_factory=list)
    ranges: list[int] = field(default_factory=list)
    notes: dict[Key, str] = field(default_factory=dict)
    attempts: int = 1
    put: dict[Key, tuple[Key, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One partition is done: where a run stands. ``batches`` is the number of those that the table is divided into."""

    table: str
    round: int
    rounds: int
    partitions_done: int
    batches: int
    events_done: int
    events: int


@dataclass(frozen=True, slots=True)
class StageTime:
    """What one plug-in took for some tasks that it runs together, summed over partitions and threads."""

    plugin: str
    tasks: tuple[Key, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did.

    Parameters
    ----------
    seconds : float
        From begin to end.
    events : int
        Events run over; those of a table count once for each time that it is read.
    partitions : int
        Partitions run over, counted likewise.
    rounds : int
        How often the run waited for merged results before it could go on.
    stages : tuple of StageTime
        Reading and evaluating: by plug-in, in running order. The seconds of threads add up.
    merging : mapping of bytes to float
        Seconds of merging, by task key.
    tasks : tuple of TaskRow
        What became of each task, in the order of the plan.
    errors : tuple of HepFlowsError
        What failed.
    engine, engine_why, engine_url : str
        Who ran it: ``inline`` (this process alone), ``embedded``, ``server`` or ``configured`` (Prefect); why it was that one, and the
        address of the Prefect API.
    functions : mapping of str to str
        With what the users' functions were called, by name: ``arrays``, ``single values``, ``one list per call`` or ``jagged arrays``.
    """

    seconds: float
    events: int
    partitions: int
    rounds: int
    stages: tuple[StageTime, ...]
    merging: dict[Key, float]
    tasks: tuple[TaskRow, ...] = ()
    errors: tuple[HepFlowsError, ...] = ()
    engine: str = "inline"
    engine_why: str = ""
    engine_url: str = ""
    functions: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Give short tables: where the time went, and what became of each task."""
        lines = [f"{self.events:,} events in {self.partitions} partitions, {self.seconds:.2f} s"]
        lines += [f"  {s.plugin:12s} {s.seconds:8.3f} s  {len(s.tasks)} tasks" for s in self.stages]
        lines.append(f"  {'merging':12s} {sum(self.merging.values()):8.3f} s")
        lines += [f"  {_state(row):24s} {row.plugin:10s} {visible(row.label)}" for row in self.tasks]
        lines += [f"  {row.state}: {visible(row.reason)}" for row in self.tasks if row.state == "failed"]
        lines += [f"  {name} was called with {how}" for name, how in self.functions.items()]
        lines += [
            f"  {visible(f'{row.label}, {row.dataset}' if row.dataset else row.label)}: {visible(row.remark)}"
            for row in self.tasks
            if row.remark
        ]
        return "\n".join(lines)

    @property
    def in_short(self) -> str:
        """How many tasks were computed, found, failed and not run."""
        counts = Counter([row.state for row in self.tasks])
        return ", ".join([f"{counts[state]:,} {state}" for state in get_args(State) if counts[state]])

    def as_json(self) -> dict[str, Any]:
        """Give the report as plain data."""
        head: dict[str, Any] = {"seconds": self.seconds, "events": self.events, "partitions": self.partitions}
        head["complete"] = not self.errors
        head |= {"engine": self.engine, "engine_why": self.engine_why}
        if self.functions:
            head["functions"] = dict(self.functions)
        return head | {"tasks": [row.as_json() for row in self.tasks]}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON.

        Raises
        ------
        StoreError
            When it cannot be written there.
        """
        save_text(Path(path), json.dumps(self.as_json(), indent=2) + "\n", "the report", user_site())


@contextmanager
def told_of_errors(change: Callable[[RunReport], RunReport]) -> Iterator[None]:
    """Change the report of an error that comes out of this, as that of a run that ends well is changed."""
    try:
        yield
    except HepFlowsError as error:
        if error.report is not None:
            error.report = change(error.report)
        raise


def _state(row: TaskRow) -> str:
    if row.batches > 1 and row.state == "computed":
        return f"computed {row.batches_computed} of {row.batches}"
    return row.state


# What has happened in a run so far: what became of each task, what failed, and where the time went -------------------------------


class Ledger:
    """Keeps what a run reports in the end.

    Parameters
    ----------
    plan : Plan
        What is run.

    Attributes
    ----------
    tally : Tally
        What became of each task.
    errors : list of HepFlowsError
        What failed.
    failures : mapping of bytes to HepFlowsError
        The error of each task that failed: the first, or one that names all files that cannot be used.
    stages : mapping
        Seconds by plug-in and tasks.
    merging : mapping
        Seconds of merging, by task key.
    events, partitions : int
        Run over so far.
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing happened yet."""
        self._plan = plan
        self.tally = Tally(plan)
        self.errors: list[HepFlowsError] = []
        self.failures: dict[Key, HepFlowsError] = {}
        self.stages: dict[tuple[str, tuple[Key, ...]], float] = {}
        self.put: dict[Key, tuple[Key, bool]] = {}
        self.merging: dict[Key, float] = {}
        self.events = self.partitions = 0

    def start_again(self) -> None:
        """Forget what became of tasks; what was spent stays spent."""
        self.tally = Tally(self._plan)
        self.errors = []
        self.failures = {}

    def fails(self, key: Key, error: HepFlowsError, batch: Batch | None = None) -> None:
        """Note that a task failed."""
        self.tally.failed(key, error, batch)
        self.errors.append(error)
        before = self.failures.setdefault(key, error)
        if before.files and error.files.keys() - before.files.keys():
            self.failures[key] = bad_files([before, error])

    def waits(self, task: Task, for_what: Key) -> None:
        """Note that a task could not run."""
        self.tally.waits(task.key, f"it takes a result that is missing (task {for_what.hex()[:8]})")

    def took(self, plugin: str, tasks: tuple[Key, ...], seconds: float) -> None:
        """Note what a call of a plug-in took."""
        self.stages[plugin, tasks] = self.stages.get((plugin, tasks), 0.0) + seconds

    def batch(self, done: BatchDone) -> None:
        """Note what came of a batch."""
        for plugin, tasks, seconds in done.stages:
            self.took(plugin, tasks, seconds)
        self.events += sum(done.ranges)
        self.partitions += len(done.ranges)
        self.put.update(done.put)
        self.tally.batch(done)


# The report of a run that did not begin, because a table has changed since it was made -------------------------------------------


def not_begun(plan: Plan, dataset: Dataset, error: HepFlowsError) -> HepFlowsError:
    """Give the error with a report that has a row for each task: those over the table failed, and no other was run."""
    tally = Tally(plan)
    for task in plan.tasks:
        if task.dataset is not None and task.dataset.key == dataset.key:
            tally.failed(task.key, error, None)
    tally.ended([t.key for t in plan.tasks])
    error.report = RunReport(0.0, 0, 0, 0, (), {}, tally.rows(), (error,))
    return error


# What ``run`` gives: the values, and what became of each task --------------------------------------------------------------------


class Missing:
    """Stands where a value could not be delivered.

    Parameters
    ----------
    reason : str
        Why.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        self.reason = reason

    def __bool__(self) -> bool:
        """A missing value counts as false."""
        return False

    def __repr__(self) -> str:
        """Say why it is missing."""
        return f"<missing: {self.reason}>"


class Lost(dict[str, Any]):
    """The values of a dataset that could not be used: those whose names are known, and whatever else is asked for, are `Missing`."""

    def __init__(self, names: Iterable[str], reason: str) -> None:
        """Keep the reason."""
        super().__init__(dict.fromkeys(names, Missing(reason)))
        self.reason = reason

    def __missing__(self, name: str) -> Missing:
        """Say why there is no value of that name."""
        return Missing(self.reason)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - there is a reason in its place
        """Say why there is no value of that name."""
        return self[name]

    def __repr__(self) -> str:
        """Say why they are missing."""
        return super().__repr__() if len(self) else repr(Missing(self.reason))


@dataclass(frozen=True, slots=True)
class RunResult:
    """The values that were asked for, and the report.

    Parameters
    ----------
    values : any
        In the containers that they were asked for in; a `Missing` where a value could not be delivered. There are no partial values.
    report : RunReport
        What became of each task.
    """

    values: Any
    report: RunReport

    @property
    def is_complete(self) -> bool:
        """Whether every value is there."""
        return not self.report.errors

    def checked(self) -> Any:
        """Give the values.

        Raises
        ------
        TaskError
            When one is missing; it holds the report.
        """
        if not self.report.errors:
            return self.values
        error = TaskError(
            f"{len(self.report.errors)} parts of the run failed, so not every result is there",
            where=self.report.errors[0].where,
            why="\n".join([r.reason for r in self.report.tasks if r.state == "failed"]),
            do="run it again when the reason is gone: what is stored is not computed again",
        )
        error.report = self.report
        raise error from self.report.errors[0]


def with_remarks(report: RunReport, results: Mapping[Key, Result]) -> RunReport:
    """Say in the row of each histogram how many entries had a text that is no category of an axis."""
    unknown = {k.hex(): unknown_texts(r.histogram) for k, r in results.items() if isinstance(r, HistogramResult)}

    def remark(counts: Mapping[str, int]) -> str:
        return "; ".join([f"{n:,} {_ENTRIES[n == 1]} no category of the axis {name!r}" for name, n in counts.items()])

    return replace(report, tasks=tuple([replace(r, remark=remark(unknown.get(r.key, {}))) for r in report.tasks]))


_ENTRIES = ("entries have a text that is", "entry has a text that is")


def value_of(result: Result, expr: Expr) -> Any:
    """Give what the user gets for a result of an expression in its normal form."""
    match result:
        case Columns(array):
            return _block(array, expr)
        case Scalar(value):
            return value
        case HistogramResult(histogram):
            return histogram


def _block(array: Any, expr: Expr) -> Any:
    """Give a rectangular array where the expression asks for one, events first and features last."""
    while (isinstance(expr, Filter) and expr.at == 0) or (
        isinstance(expr, Call) and expr.function == "slice" and expr.option("at") == 0
    ):
        expr = expr.inputs()[0]
    length = dict(expr.options).get("block") if isinstance(expr, Call) else None
    if not isinstance(length, int):
        return array
    import awkward as ak
    import numpy as np

    shape = (len(array), length) if length else (len(array),)
    flat = [np.asarray(ak.flatten(array[n], axis=None)).reshape(shape) for n in array.fields]
    return np.stack(flat, axis=-1)

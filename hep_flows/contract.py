"""The contract between hep_flows and whatever executes a part of an expression.

A plug-in is found through the entry points ``hep_flows.plugins``; the built-in ones use the same door. `can_run` and `translate` are
pure; `run` has the only effects. Optional abilities (`Describing`, `Splitting`) are protocols of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from hep_flows.errors import HepFlowsError, SourceLine
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.expr.types import Record

Label = str
UNCOUNTED = -1
# The numerics family of the built-in plug-ins, and the version of its results: to be raised when what they compute changes.
LOCAL = "local"
LOCAL_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Numerics:
    """Whose bits a result has: it is shared by all plug-ins of the family that have this version of its results."""

    family: str
    version: str


@dataclass(frozen=True, slots=True)
class Yes:
    """The plug-in can run the node; cheaper wins."""

    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class No:
    """The plug-in cannot run the node, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Partition:
    """A range of entries of one file of a dataset; ``first`` is the number of its first event in the whole dataset.

    ``stop`` is `UNCOUNTED` where nobody here knows how many entries a file has, and the range is all of it.
    """

    file: str
    file_number: int
    start: int
    stop: int
    first: int

    @property
    def is_counted(self) -> bool:
        """Whether the number of entries is known."""
        return self.stop != UNCOUNTED

    @property
    def n_events(self) -> int:
        """The number of entries; 0 where it is not known."""
        return self.stop - self.start if self.is_counted else 0


@dataclass(frozen=True, slots=True)
class Program:
    """What a plug-in made of a task: the text to show, the columns to read, and the task itself."""

    task: Task
    text: str
    language: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """An awkward array; axis 0 is the events of the partition, in order.

    Where the array is of several ranges, ``rows`` says how many entries each of them gave: what is made of it later is made range by
    range, as if it had been there in the first place.
    """

    array: Any
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value, or while parts are merged the state it is made from."""

    value: Any


@dataclass(frozen=True, slots=True)
class HistogramResult:
    """A `hist.Hist`, or numpy's pair of counts and edges."""

    histogram: Any


UNKNOWN_TEXTS = "unknown texts of "


def unknown_texts(histogram: Any) -> dict[str, int]:
    """Give, by the name of a `StrCat` axis that does not grow, the number of entries whose text was none of its categories.

    The bins do not tell this number; a histogram has it as an attribute of its own, which goes wherever it is stored or sent.
    """
    known = getattr(histogram, "__dict__", {})
    return {n.removeprefix(UNKNOWN_TEXTS): number for n, number in known.items() if n.startswith(UNKNOWN_TEXTS)}


Result = Columns | Scalar | HistogramResult


@dataclass(frozen=True, slots=True)
class Slice:
    """What a partition that is one slice of its range has in common with the others.

    Parameters
    ----------
    before : mapping of bytes to Result
        What came of the slices before it, for tasks whose parts are carried on; nothing for the first.
    more : bool
        Whether another slice of the range follows.
    reading : Partition
        The events that are best read together: this slice and some that follow.
    held : dict
        What a plug-in keeps from one slice of the range to the next.
    """

    before: Mapping[Key, Result]
    more: bool
    reading: Partition
    held: dict[object, Any]


@dataclass(frozen=True, slots=True)
class EventBytes:
    """About how many bytes of memory an event takes while tasks run on it.

    Parameters
    ----------
    read : float
        Of the columns that are read.
    work : float
        Of what is alive at most while they are worked on.
    kept : float
        Of what is kept until the range is done.
    """

    read: float = 0.0
    work: float = 0.0
    kept: float = 0.0

    def __add__(self, other: EventBytes) -> EventBytes:
        """Give what tasks take that run one after the other on the same events."""
        return EventBytes(self.read + other.read, max(self.work, other.work), self.kept + other.kept)


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run may use: its partition (None: whole inputs), a scratch folder, a check for cancellation, and whom to tell.

    A range of events may be worked on slice by slice, to save memory; ``slice`` is then what its slices have in common. Only what
    `Carrying` plug-ins carry on, and columns, are made so.

    A plug-in that tries again what failed at a server of its own tells ``tried`` the number of the attempt, for the report.
    """

    partition: Partition | None = None
    scratch: Path | None = None
    cancelled: Callable[[], bool] = field(default=lambda: False)
    tried: Callable[[int], None] = field(default=lambda _attempt: None)
    slice: Slice | None = None


@runtime_checkable
class Plugin(Protocol):
    """What every plug-in offers."""

    name: str
    result_version: str

    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        """Say whether the node can run here, given the labels of its inputs; pure, well under a millisecond."""
        ...

    def translate(self, task: Task) -> Program:
        """Give the program of a task: no files, no network."""
        ...

    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        """Run programs over one partition (or once, on whole inputs), sharing what they share; results by task key."""
        ...

    def merge(self, program: Program, parts: Sequence[Result]) -> Result:
        """Merge the results of the partitions, given in order; one part or many, the outcome is final."""
        ...


@runtime_checkable
class InFamily(Protocol):
    """A plug-in that promises, bit by bit, the results of a numerics family: what one member has stored, all find.

    The promise holds for the values, for their types, and for the parts of numbers and histograms that `Keeping.kept` gives. A plug-in
    that promises nothing is a family of its own.
    """

    def family(self, kind: str) -> str:
        """Give the family of what it computes over tables of a kind (empty: over no table); `LOCAL` is that of the built-in plug-ins."""
        ...


def numerics_of(plugin: Plugin, kind: str) -> Numerics:
    """Give the numerics of what a plug-in computes over tables of a kind."""
    able: object = plugin
    return Numerics(able.family(kind) if isinstance(able, InFamily) else f"plug-in {plugin.name}", plugin.result_version)


@runtime_checkable
class Describing(Protocol):
    """A plug-in that can tell what is in files."""

    def describe(self, kind: str, files: Sequence[str], tree: str) -> Description:
        """Read the schema and the identity of files; raises `SourceError`."""
        ...


@runtime_checkable
class Splitting(Protocol):
    """A plug-in that can divide a dataset into partitions."""

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...]:
        """Give ranges of about that many events, in dataset order, on cluster boundaries."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """A plug-in that works on many ranges with one request, and gives each result as it comes.

    What it gives is stored at once, in whatever order it comes. `Plugin.run` still has to work for one range. What it computes in this process,
    it leaves to `Plugin.run`: ranges then share the threads and the memory of the run.
    """

    def streams(self, dataset: Dataset) -> bool:
        """Say whether the ranges of a table are asked for at once; no files, no network."""
        ...

    def stream(
        self, programs: Sequence[Program], partitions: Sequence[Partition], context: RunContext
    ) -> Iterator[tuple[Partition, Mapping[Key, Result] | HepFlowsError]]:
        """Give the results of each range exactly once, or why there are none; an error with ``transient`` is asked for again."""
        ...


@runtime_checkable
class Reading(Protocol):
    """A plug-in that can tell what a task reads without making a program of it: plans of thousands of tasks are made sooner."""

    def columns(self, task: Task) -> tuple[str, ...]:
        """Give what `Plugin.translate` would give as the columns of its program."""
        ...


@runtime_checkable
class Carrying(Protocol):
    """A plug-in that can carry the part of a number or a histogram on over the next slice of its range.

    The part of a range must have the same bits wherever the range is cut into slices.
    """

    def carries(self, task: Task) -> bool:
        """Say whether `Plugin.run` carries on what ``context.slice.before`` has for this task."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """A plug-in that can tell how much memory its tasks take."""

    def event_bytes(self, tasks: Sequence[Task], keep: Collection[Key], dataset: Dataset, file_number: int) -> EventBytes:
        """Estimate the memory of tasks that run together on events of a file, from its metadata; the results of some are kept."""
        ...


@runtime_checkable
class Sending(Protocol):
    """A plug-in whose programs are run elsewhere, which a plan should say."""

    def sends(self, program: Program) -> tuple[str, str]:
        """Give where a program runs, and what is sent there; no files, no network."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A plug-in whose parts of numbers and histograms can be stored before all of them are there.

    Columns need nothing of the kind: `Plugin.merge` of some parts is a part again.
    """

    def kept(self, program: Program, parts: Sequence[Result]) -> Result | None:
        """Give one result that can be stored for the parts of some ranges, in order; None when there is none."""
        ...

    def parts_of(self, program: Program, kept: Result) -> Sequence[Result]:
        """Give the parts that stand for those that `kept` was given: merging them gives the same bits."""
        ...


@dataclass(frozen=True, slots=True)
class Description:
    """What a plug-in found in the files of a dataset.

    ``content`` is one identity per file: it changes when, and only when, the content does.
    """

    record: Record
    files: tuple[str, ...]
    content: tuple[str, ...]
    tree: str
    name: str


# What a plan is made of ----------------------------------------------------------------------------------------------------------

Key = bytes
Output = Literal["columns", "scalar", "histogram"]
Spread = Literal["partitions", "whole"]
Reach = Literal["partitions", "whole", "anywhere"]


@dataclass(frozen=True, slots=True)
class Task:
    """One subtree for one plug-in.

    Parameters
    ----------
    key : bytes
        The content key of its result.
    plugin : str
        The label.
    expr : Expr
        The subtree; results of other tasks enter as `hep_flows.expr.nodes.Input`.
    meaning : Expr
        What it delivers, from the table up: the key names this, and no cut. Only results of another numerics family enter as `Input`.
    numerics : Numerics
        The family that the result belongs to.
    inputs : tuple of bytes
        The keys of those tasks, in order of use.
    output : str
        ``columns`` (an array, axis 0 = events in dataset order), ``scalar`` (one number) or ``histogram``.
    spread : str
        ``partitions``: runs once for each range of events, and the parts are merged in order; ``whole``: runs once, on merged inputs.
    dataset : Dataset, optional
        The table that a partitioned task runs over.
    columns : tuple of str
        What it reads itself, by the names that the files use.
    """

    key: Key
    plugin: str
    expr: Expr
    meaning: Expr
    numerics: Numerics
    inputs: tuple[Key, ...]
    output: Output
    spread: Spread
    dataset: Dataset | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in an order in which they can run, and which of them were asked for.

    Parameters
    ----------
    tasks : tuple of Task
        Producers before consumers.
    targets : tuple of bytes
        Task keys of the results, one for each expression asked for, in that order.
    exprs : tuple of Expr
        The normalised expressions themselves.
    labels : mapping of bytes to str
        Which plug-in runs each node, by expression key.
    refusals : mapping of bytes to mapping
        By expression key: why each other plug-in does not.
    lines : mapping of bytes to tuple of SourceLine
        By expression key: where the user wrote it.
    forms : mapping of bytes to bytes
        By task key: what it computes on each batch, apart from the data; only of tasks that run batch by batch.
    """

    tasks: tuple[Task, ...]
    targets: tuple[Key, ...]
    exprs: tuple[Expr, ...]
    labels: Mapping[Key, str]
    refusals: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    lines: Mapping[Key, tuple[SourceLine, ...]] = field(default_factory=dict)
    forms: Mapping[Key, Key] = field(default_factory=dict)

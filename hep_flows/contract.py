"""The contract between hep_flows and whatever executes a part of an expression.

A plug-in is found through the entry points ``hep_flows.plugins``; the built-in ones use the same door. It is a `Plugin`, which executes
parts of expressions, or brings a `Source`, which knows a kind of table, or both. Both are classes to derive from: what is not abstract may
be left out. `Streaming` and `Keeping` are abilities that some plug-ins have beside.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from hep_flows.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from importlib.metadata import Distribution, EntryPoint
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
    plug-ins carry on (`Plugin.carries`), and columns, are made so.

    A plug-in that tries again what failed at a server of its own tells ``tried`` the number of the attempt, for the report.
    """

    partition: Partition | None = None
    scratch: Path | None = None
    cancelled: Callable[[], bool] = field(default=lambda: False)
    tried: Callable[[int], None] = field(default=lambda _attempt: None)
    slice: Slice | None = None


@runtime_checkable
class Plugin(Protocol):
    """What executes parts of expressions: a class to derive from, with four methods to write."""

    name: str
    result_version: str

    @abstractmethod
    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        """Say whether the node can run here, given the labels of its inputs; pure, well under a millisecond."""

    @abstractmethod
    def translate(self, task: Task) -> Program:
        """Give the program of a task: no files, no network."""

    @abstractmethod
    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        """Run programs over one partition (or once, on whole inputs), sharing what they share; results by task key."""

    @abstractmethod
    def merge(self, program: Program, parts: Sequence[Result]) -> Result:
        """Merge the results of the partitions, given in order; one part or many, the outcome is final."""

    def family(self, kind: str) -> str:
        """Give the numerics family of what it computes over tables of a kind (empty: over no table).

        All members promise, bit by bit, the same values, types, and parts of numbers and histograms that `Keeping.kept` gives: what one
        has stored, all find. `LOCAL` is the family of the built-in plug-ins; a plug-in that promises nothing is a family of its own.
        """
        del kind
        return f"plug-in {self.name}"

    def columns(self, task: Task) -> tuple[str, ...]:
        """Give the columns that a task reads: by its program, where no quicker way is known."""
        return self.translate(task).columns

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...] | None:
        """Give ranges of about that many events of a table that it reads, in dataset order; None where it reads no tables."""
        del dataset, chunk_events
        return None

    def carries(self, task: Task) -> bool:
        """Say whether `run` carries on what ``context.slice.before`` has for this task.

        The part of a range must then have the same bits wherever the range is cut into slices.
        """
        del task
        return False

    def event_bytes(self, tasks: Sequence[Task], keep: Collection[Key], dataset: Dataset, file_number: int) -> EventBytes | None:
        """Estimate the memory of tasks that run together on events of a file, from its metadata; the results of some are kept."""
        del tasks, keep, dataset, file_number
        return None

    def column_bytes(self, dataset: Dataset, columns: Sequence[str]) -> int | None:
        """Give the compressed bytes of columns in the files of a table; None where that is not known."""
        del dataset, columns
        return None

    def sends(self, program: Program) -> tuple[str, str] | None:
        """Give where a program runs, and what is sent there, for the plan; None where it runs in this process."""
        del program
        return None


def numerics_of(plugin: Plugin, kind: str) -> Numerics:
    """Give the numerics of what a plug-in computes over tables of a kind."""
    return Numerics(plugin.family(kind), plugin.result_version)


def reads_tables(plugin: Plugin) -> bool:
    """Say whether a plug-in reads the events of tables, and divides them into ranges."""
    return getattr(plugin.partitions, "__func__", None) is not Plugin.partitions


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
class StandIn:
    """What a plug-in would do in a task of another.

    Parameters
    ----------
    runs : bool
        Whether it runs the task.
    left : mapping of bytes to str
        The nodes, by key, that it leaves as they are with the other plug-in, and why.
    """

    runs: bool
    left: Mapping[Key, str]


@runtime_checkable
class StandingIn(Protocol):
    """A plug-in that runs whole tasks of others of its numerics family in another way: no bit, key or cut of a plan tells the difference."""

    name: str

    def stands_in(self, task: Task) -> StandIn | None:
        """Say what it does in a task; nothing where it is not worth a word. No files."""
        ...


# Kinds of tables: what is in files, and how they are read ------------------------------------------------------------------------

# A stored column, and the fields inside it that lead to a leaf.
ColumnPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What makes the files of a dataset differ in one leaf.

    Parameters
    ----------
    lack : frozenset of int
        The numbers of the files that lack it.
    lacking, differs, unreadable : str
        As `Member` has them: which file lacks it, which hold it as kinds that do not fit, why it cannot be read.
    widened : bool
        Whether some hold it as a narrower kind.
    """

    lack: frozenset[int] = frozenset()
    lacking: str = ""
    differs: str = ""
    unreadable: str = ""
    widened: bool = False


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One column of a file.

    Parameters
    ----------
    name : str
        As the file calls it; branches of branches with the whole path.
    form : awkward form, optional
        The layout of its array, events outside; None when it cannot be read.
    counter : str
        The branch that counts its entries, when the file names one.
    title, class_name : str
        As the file gives them.
    problem : str
        Why it cannot be read.
    notes : mapping
        Where the files of a dataset differ, by the fields inside it that lead to the leaf.
    inside : str
        The branches that it stands in, with a slash after each; its name begins so.
    """

    name: str
    form: Any
    counter: str = ""
    title: str = ""
    class_name: str = ""
    problem: str = ""
    notes: Mapping[ColumnPath, Note] = field(default_factory=dict)
    inside: str = ""

    @property
    def lack(self) -> frozenset[int]:
        """The numbers of the files that lack it."""
        return self.notes[()].lack if () in self.notes else frozenset()

    @property
    def short(self) -> str:
        """The name without the branches that it stands in."""
        return self.name.removeprefix(self.inside)


class StoredTable:
    """The events of one open file: what `Source.open` gives, a class to derive from. Not used by two threads at a time.

    Attributes
    ----------
    file, tree : str
        Its path or address, and the name of the tree in it; empty where files have none.
    entries : int
        The number of events.
    content : str
        The identity of what it holds, which changes when, and only when, that does: `hep_flows.sources.stored.identity` makes it.
    offered : bytes
        What the server of a remote file said about its content when it was opened.
    """

    file: str
    tree: str = ""
    entries: int
    content: str
    offered: bytes = b""

    def columns(self) -> dict[str, StoredColumn]:
        """Give every column by its name, in the file's order."""
        raise NotImplementedError

    def read(self, paths: Sequence[ColumnPath], start: int, stop: int) -> Mapping[ColumnPath, Any]:
        """Read a range of entries of some leaves, in one pass: an awkward array of ``stop - start`` events for each."""
        raise NotImplementedError

    def boundaries(self) -> Sequence[int]:
        """Give the entries at which a range may start or stop without reading anything twice, from 0 to the last."""
        return (0, self.entries)

    def has(self, path: ColumnPath) -> bool:
        """Say whether there is such a column, with such fields inside."""
        column = self.columns().get(path[0])
        return column is not None and has_field(column.form, path[1:])

    def item_bytes(self, path: ColumnPath) -> int:
        """Give about how many bytes the values of a whole column have, not compressed, from metadata; none where these do not tell."""
        del path
        return 0

    def stored_bytes(self, names: Collection[str]) -> int | None:
        """Give the bytes of columns as they are in the file, with what counts their entries; None where metadata do not tell."""
        del names
        return None

    def close(self) -> None:
        """Let the file go."""


def has_field(form: Any, fields: Sequence[str]) -> bool:
    """Say whether records of a form, at any depth of lists, have a field with such fields inside."""
    for name in fields:
        while form is not None and not form.is_record:
            form = getattr(form, "content", None)
        if form is None or name not in form.fields:
            return False
        form = form.content(name)
    return True


@runtime_checkable
class Source(Protocol):
    """A kind of table: a class to derive from, with a name and two methods to write.

    Attributes
    ----------
    kind : str
        What tables are called that are read so. Keys of results contain it, so it stays for ever.
    title : str
        What such files are, in the words of an error.
    endings : tuple of str
        How the names of its files end. Where no other kind has an ending, files that end so are of this kind.
    words : tuple of str
        Other words for it in filesets, in lower case.
    trees : tuple of str
        What the tree is called in every such file; the first one that a file has is taken.
    names_tree : str
        ``any`` where a user may name a tree, ``file.root:tree`` too; ``fixed`` where it is one of ``trees``; empty where files have none.
    by_lists : bool
        Whether columns with lists of equal lengths are the objects of one collection, as their names and lengths, or the user, tell.
    in_datasets : bool
        Whether names that look like those of datasets on the grid are taken for such.
    """

    kind: str
    title: str = ""
    endings: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    names_tree: Literal["any", "fixed", ""] = ""
    by_lists: bool = False
    in_datasets: bool = False

    @abstractmethod
    def open(self, file: str, trees: Sequence[str]) -> StoredTable:
        """Open the first of these trees that a file has; without a name the only one there is."""

    @abstractmethod
    def describe(self, columns: Mapping[str, StoredColumn], lists: Mapping[str, Sequence[str]]) -> Record:
        """Give the record of an event that has these columns; ``lists`` are the columns of each collection that was found by lists."""

    def partitions(self, table: StoredTable, chunk_events: int) -> Sequence[int]:
        """Give the entries, from 0 to the last, at which to cut a file into ranges: those that give about so many events are taken of them."""
        del chunk_events
        return table.boundaries()


@dataclass(frozen=True, slots=True)
class Description:
    """What was found in the files of a dataset.

    ``content`` is one identity per file: it changes when, and only when, the content does.
    """

    record: Record
    files: tuple[str, ...]
    content: tuple[str, ...]
    tree: str
    name: str


# The door: entry points of installed packages ------------------------------------------------------------------------------------

GROUP = "hep_flows.plugins"


def registered_points() -> Mapping[str, EntryPoint]:
    """Give by name what installed packages register; nothing is imported.

    Raises
    ------
    PluginError
        When two packages register one name.
    """
    return _points_on(tuple(sys.path), entry_points)


def package_of(point: EntryPoint) -> str:
    """Give the distribution that registers it, with its version."""
    return _named(point.dist) if point.dist is not None else point.module


@lru_cache(maxsize=64)
def _named(package: Distribution) -> str:
    """Give name and version of a package: its metadata are parsed whenever it is asked for them."""
    return f"{package.name} {package.version}"


@lru_cache(maxsize=1)
def _points_on(_path: tuple[str, ...], find: Callable[..., Iterable[EntryPoint]]) -> Mapping[str, EntryPoint]:
    """Give the entry points that are found on a search path; reading what every installed package says takes a while."""
    points: dict[str, EntryPoint] = {}
    for point in find(group=GROUP):
        other = points.get(point.name)
        if other is not None and other.value != point.value:
            raise PluginError(
                f"two packages register a plug-in {point.name!r}: {package_of(other)} and {package_of(point)}",
                why="labels and keys of results name the plug-in, so a name must mean one thing",
                do="uninstall one of them",
            )
        points[point.name] = point
    return points


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

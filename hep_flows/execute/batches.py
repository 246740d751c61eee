"""Divide tables into batches, what results are stored by: a file, or a range of events of a big one.

Batches are the same whatever else is asked for and however many events a thread works on at a time; they may only depend on the
content of the file, because keys do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hep_flows.contract import Partition, reads_tables
from hep_flows.expr import build
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Call
from hep_flows.expr.text import shown
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.keys import batch_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from hep_flows.contract import Key, Plan, Plugin, Task
    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Dataset


def by_parts(producer: Task, user: Task) -> bool:
    """Say whether the user takes the producer's result partition by partition."""
    return producer.spread == user.spread == "partitions" and producer.output == "columns"


BATCH_EVENTS = 2_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of a table whose results are stored together.

    Parameters
    ----------
    dataset : Dataset
        The table.
    number : int
        The place of the batch in it.
    content : tuple of str
        The identity of its file; of all files where nothing can divide the table.
    whole : Partition, optional
        All of the batch in one range; None where nothing can divide the table.
    """

    dataset: Dataset
    number: int
    content: tuple[str, ...]
    whole: Partition | None

    @property
    def events(self) -> int:
        """The number of events."""
        return 0 if self.whole is None else self.whole.n_events

    @property
    def file(self) -> str:
        """The file, for people."""
        if self.whole is not None:
            return shown(self.whole.file)
        return shown(self.dataset.files[0]) if self.dataset.files else self.dataset.name


class Batches:
    """The batches of the tables of a plan, and their partitions; each is found out once.

    Parameters
    ----------
    plan : Plan
        The plan.
    plugins : mapping
        By name.
    results : Results
        Where the boundaries of files are remembered.

    Attributes
    ----------
    only : collection of int, optional
        The numbers of the batches that are wanted, where it is a part of each table.
    """

    def __init__(self, plan: Plan, plugins: Mapping[str, Plugin], results: Results) -> None:
        """Nothing is opened yet."""
        self.only: Collection[int] | None = None
        self._results = results
        self._batches: dict[Key, tuple[Batch, ...]] = {}
        self._splitters: dict[Key, Plugin] = {}
        self._known_cuts: dict[Key, tuple[int, ...]] = {}
        for task in plan.tasks:
            plugin = plugins.get(task.plugin)
            if task.dataset is not None and plugin is not None and reads_tables(plugin):
                self._splitters.setdefault(task.dataset.key, plugin)

    def of(self, dataset: Dataset) -> tuple[Batch, ...]:
        """Give the batches of a table, at least one: an empty table has empty results of the right type."""
        if dataset.key not in self._batches:
            found = self._found(dataset)
            filled = [b for b in found if b.events or b.whole is None or not b.whole.is_counted] or found[:1]
            self._batches[dataset.key] = tuple([Batch(b.dataset, i, b.content, b.whole) for i, b in enumerate(filled)])
        all_of_it = self._batches[dataset.key]
        return all_of_it if self.only is None else tuple([b for b in all_of_it if b.number in self.only])

    def partitions(self, batch: Batch, chunk_events: int) -> tuple[Partition | None, ...]:
        """Give the ranges of a batch that are worked on one by one, at least one."""
        whole = batch.whole
        if whole is None or not whole.n_events:
            return (whole,)
        cuts = {whole.start, whole.stop}
        if batch.events > chunk_events:
            found = self._cuts(batch.dataset, whole.file_number, chunk_events)
            cuts.update([c for c in found if whole.start < c < whole.stop])
        ends = sorted(cuts)
        return tuple([_range(whole, a, b) for a, b in pairwise(ends)])

    def _found(self, dataset: Dataset) -> list[Batch]:
        if dataset.key not in self._splitters:
            return [Batch(dataset, 0, dataset.content, None)]
        found: list[Batch] = []
        first = 0
        for number, content in enumerate(dataset.content):
            file = dataset.files[number] if dataset.files else ""
            cuts = self._cuts(dataset, number, BATCH_EVENTS)
            for start, stop in pairwise(cuts):
                found.append(Batch(dataset, 0, (content,), Partition(file, number, start, stop, first + start)))
            first += max(0, cuts[-1])
        return found

    def _cuts(self, dataset: Dataset, number: int, chunk_events: int) -> tuple[int, ...]:
        """Give where one file is cut into ranges of about that many events, with both ends."""
        plugin = self._splitters[dataset.key]
        name = digest("cuts", plugin.name, dataset.kind, dataset.tree, dataset.content[number], chunk_events)
        if name not in self._known_cuts:
            self._known_cuts[name] = self._looked_up(dataset, number, chunk_events, name)
        return self._known_cuts[name]

    def _looked_up(self, dataset: Dataset, number: int, chunk_events: int, name: Key) -> tuple[int, ...]:
        plugin = self._splitters[dataset.key]
        known = self._results.remembered(name)
        if isinstance(known, list) and len(known) > 1 and all(type(c) is int for c in known):
            return tuple(known)
        ranges = plugin.partitions(alone(dataset, number), chunk_events)
        cuts = (0, *[r.stop for r in ranges]) if ranges else (0, 0)
        if len(cuts) > 2:  # the file had to be opened
            self._results.remember(name, list(cuts))
        return cuts


def slices(partition: Partition, slice_events: int, read_events: int) -> list[tuple[Partition, Partition]]:
    """Divide a range into slices of about equal length; each comes with the events that are to be read together with it.

    Parameters
    ----------
    partition : Partition
        The range.
    slice_events : int
        At most so many events are in a slice.
    read_events : int
        About how many events are read together: those of one slice at least.
    """
    n_slices = max(1, -(-partition.n_events // slice_events))
    ends = [partition.start + partition.n_events * i // n_slices for i in range(n_slices + 1)]
    together = max(1, read_events // slice_events)
    found: list[tuple[Partition, Partition]] = []
    for i, (start, stop) in enumerate(pairwise(ends)):
        first = i - i % together
        reading = _range(partition, ends[first], ends[min(first + together, n_slices)])
        found.append((_range(partition, start, stop), reading))
    return found


def alone(dataset: Dataset, number: int) -> Dataset:
    """Give one file of a table as a table."""
    record = dataset.type.item
    assert isinstance(record, Record)
    content = (dataset.content[number],)
    files = dataset.files[number : number + 1]
    return build.dataset(
        dataset.kind, content, dataset.tree, record, files=files, name=dataset.name, collections=dataset.collections
    )


def _range(whole: Partition, start: int, stop: int) -> Partition:
    return Partition(whole.file, whole.file_number, start, stop, whole.first + start - whole.start)


def total_events(batches: Sequence[Batch]) -> int:
    """Give the number of events of some batches."""
    return sum([b.events for b in batches])


# The keys that the results of a plan are stored under, and which results are stored at all ---------------------------------------


def result_versions(plugins: Iterable[Plugin]) -> dict[str, str]:
    """Give the result version of each plug-in, by its name."""
    return {p.name: p.result_version for p in plugins}


class Keys:
    """Keys by task, and by task and batch.

    Parameters
    ----------
    plan : Plan
        The plan.

    Attributes
    ----------
    not_stored : mapping of bytes to str
        By task key, why its results mean nothing to another process.
    """

    def __init__(self, plan: Plan) -> None:
        """Look through the plan once."""
        self.tasks: Mapping[Key, Task] = {t.key: t for t in plan.tasks}
        self.not_stored = _not_stored(plan)
        self._forms = plan.forms
        self._keys: dict[tuple[Key, Key, int], Key] = {}

    def of_batch(self, task: Task, batch: Batch) -> Key:
        """Give the key of a task on a batch."""
        place = (task.key, batch.dataset.key, batch.number)
        if place not in self._keys:
            start, stop = (0, 0) if batch.whole is None else (batch.whole.start, batch.whole.stop)
            self._keys[place] = batch_key(self._forms[task.key], batch.content, start, stop)
        return self._keys[place]

    def is_whole_stored(self, task: Task) -> bool:
        """Say whether the merged result is stored by itself: columns of a table are stored batch by batch only."""
        return task.key not in self.not_stored and not (task.spread == "partitions" and task.output == "columns")


def _not_stored(plan: Plan) -> dict[Key, str]:
    found: dict[Key, str] = {}
    for task in plan.tasks:
        own = next((f"{f.name} {f.why_not_portable}" for f in _functions(task) if not f.portable), "")
        above = next((found[k] for k in task.inputs if k in found), "")
        if own:
            found[task.key] = own
        elif above:
            found[task.key] = above
    return found


def _functions(task: Task) -> list[UserFunction]:
    return [n.function for n in postorder(task.expr) if isinstance(n, Call) and isinstance(n.function, UserFunction)]

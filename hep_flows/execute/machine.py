"""What every part of one run shares."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Self

from hep_flows.contract import EventBytes, Numerics
from hep_flows.errors import SourceError, line_of
from hep_flows.execute.batches import by_parts
from hep_flows.expr.nodes import Dataset, Input
from hep_flows.expr.text import one_line, shown
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.walk import postorder
from hep_flows.planning.keys import Forms, batch_key, result_key
from hep_flows.planning.spread import spread
from hep_flows.settings import default_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from hep_flows.contract import Key, Plan, Plugin, Program, Result, Task
    from hep_flows.execute.batches import Batch, Batches, Keys
    from hep_flows.execute.need import Stage
    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Expr
    from hep_flows.store.about import Provenance

# How a result came about, as it is written beside it -----------------------------------------------------------------------------

TEXT_WIDTH = 2000
NAME_WIDTH = 80
MOST_FILES = 20


def provenance_of(task: Task, batch: Batch | None, result_version: str, keys: Keys, seconds: float) -> Provenance:
    """Give what is known about a result: the merged one of a task, or that of a batch."""
    from hep_flows.store.about import Provenance

    tasks = [keys.tasks[k] for k in task.inputs]
    inputs = [keys.of_batch(t, batch) if batch is not None and by_parts(t, task) else t.key for t in tasks]
    name, expression, text = _texts(task.meaning)
    return Provenance(
        name=name,
        plugin=task.plugin,
        result_version=result_version,
        family=task.numerics.family,
        expression=expression,
        text=text,
        dataset=_data(task, batch),
        inputs=tuple([k.hex() for k in inputs]),
        events_processed=None if batch is None or batch.whole is None else batch.events,
        seconds=round(seconds, 6),
        tags=("merged",) if batch is None else ("batch",),
        task=task.key.hex(),
        line=_line(task),
    )


@lru_cache(maxsize=1024)  # the same for all batches of a task
def _texts(meaning: Expr) -> tuple[str, str, str]:
    """Give what an expression is called, itself encoded unless that is long, and as one line."""
    few = all(len(n.files) <= MOST_FILES for n in postorder(meaning) if isinstance(n, Dataset))
    return one_line(meaning, NAME_WIDTH), encode(meaning).decode() if few else "", one_line(meaning, TEXT_WIDTH)


def key_named_by(about: Mapping[str, Any]) -> Key | None:
    """Give the key that a result must have by what is written beside it; None where that does not say all.

    Parameters
    ----------
    about : mapping
        The provenance in the footer of an object.

    Raises
    ------
    RecordError
        When its expression cannot be read.
    """
    if not about.get("expression"):
        return None
    meaning = decode(str(about["expression"]).encode())
    numerics = Numerics(str(about["family"]), str(about["result_version"]))
    if "merged" in about["tags"]:
        return result_key(numerics, meaning)
    if any(isinstance(n, Input) for n in postorder(meaning)):
        return None  # what another family computed of the batch stands there without its form
    data, computed = about["dataset"], {n.key: {"": numerics} for n in postorder(meaning)}
    forms = Forms({meaning.key: meaning}, computed, spread([meaning]), lambda node: result_key(numerics, node))
    return batch_key(forms[meaning.key], data["content"], data.get("start", 0), data.get("stop", 0))


def _line(task: Task) -> str:
    line = line_of(task.expr.where)
    return "" if line is None else f"{line.file.rsplit('/', 1)[-1]}:{line.line}"


def _data(task: Task, batch: Batch | None) -> dict[str, object]:
    table = task.dataset
    if table is None:
        return {}
    if batch is None or batch.whole is None:
        return {
            "name": table.name,
            "kind": table.kind,
            "tree": table.tree,
            "files": [shown(f) for f in table.files],
            "content": list(table.content),
        }
    data = {"name": table.name, "kind": table.kind, "tree": table.tree, "files": [batch.file], "content": list(batch.content)}
    return data | {"start": batch.whole.start, "stop": batch.whole.stop}


# What Python, the libraries and the latest results take.
_PROCESS_BYTES = 400_000_000


# Nothing is gained by cutting a range into smaller slices than this.
LEAST_EVENTS = 1000
# What a thread evaluates at a time, and reads at a time, where there is memory enough: more makes nothing faster.
_WORK_BYTES = 160_000_000
_READ_BYTES = 256_000_000


def usable(memory: int) -> int:
    """Give how much of a process' memory events may take."""
    return max(memory - _PROCESS_BYTES, memory // 4)


class Room:
    """Memory that is shared by all that runs in a process: who needs some waits until it is free.

    Parameters
    ----------
    nbytes : int
        How many bytes there are.
    """

    def __init__(self, nbytes: int) -> None:
        """All of it is free."""
        self.nbytes = nbytes
        self._used = 0
        self._change = threading.Condition()

    @contextmanager
    def taken(self, nbytes: int) -> Iterator[None]:
        """Have that much while the block runs; what is more than all there is runs alone."""
        with self._change:
            self._change.wait_for(lambda: not self._used or self._used + nbytes <= self.nbytes)
            self._used += nbytes
        try:
            yield
        finally:
            with self._change:
                self._used -= nbytes
                self._change.notify_all()


# Blocks of memory up to this size come from the process' own heap, and so much of it is kept when it is freed.
_OWN_BYTES, _KEPT_BYTES = 32 << 20, 64 << 20
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # of malloc.h


def keep_freed_memory() -> None:
    """Let arrays that come and go for every range have the memory of those before them.

    By default the C library gives a freed block of an array's size back to the system, which then clears it anew, page by page: a
    third of the processor time of queries with many small steps. The peak of memory is the same. Where there is no such C library,
    nothing happens.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _OWN_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


RANGE_EVENTS = 200_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run is to use the machine, and whether it is still wanted.

    Parameters
    ----------
    workers : int
        Threads.
    cancelled : callable
        Whether nobody wants the result any more.
    delays_s : tuple of float
        How long to wait before each further attempt at a batch, after an error that may pass; none without.
    slots : context manager
        Held while a plug-in runs: runs that go on side by side share it, so that together they use no more threads than one.
    room : Room
        The memory for the events that are worked on, shared in the same way.
    slice_events : int, optional
        At most so many events of a range are evaluated at a time; as many as there is memory for when left out. Changes no result.
    range_events : int
        About how many events a range has. Sums of floats are made range by range: another number may change their last digits, so what
        is stored is made with this one.
    """

    workers: int
    cancelled: Callable[[], bool]
    delays_s: tuple[float, ...] = ()
    slots: AbstractContextManager[object] = field(default_factory=nullcontext)
    room: Room = field(default_factory=lambda: Room(usable(default_memory())))
    slice_events: int | None = None
    range_events: int = RANGE_EVENTS

    @classmethod
    def with_slots(
        cls,
        workers: int,
        cancelled: Callable[[], bool],
        delays_s: tuple[float, ...] = (),
        *,
        memory: int | None = None,
        slice_events: int | None = None,
        range_events: int = RANGE_EVENTS,
    ) -> Self:
        """Give limits with a slot for each worker, and room for events within ``memory`` bytes of the process."""
        slots, room = threading.BoundedSemaphore(workers), Room(usable(memory or default_memory()))
        return cls(workers, cancelled, delays_s, slots, room, slice_events, range_events)


def slice_lengths(weight: EventBytes, n_events: int, limits: Limits) -> tuple[int, int]:
    """Give how many events of a range are evaluated at a time, and how many are read at a time."""
    each = limits.room.nbytes / limits.workers
    left = max(0.0, each - n_events * weight.kept)
    work, read = min(_WORK_BYTES, left / 2), min(_READ_BYTES, left / 2)
    n = max(LEAST_EVENTS, round(work / weight.work)) if weight.work else n_events
    n = min(n, n_events, limits.slice_events or n_events)
    reading = max(n, round(read / weight.read)) if weight.read else n_events
    return n, min(reading, n_events)


def event_bytes(plan: Plan, plugins: Mapping[str, Plugin]) -> dict[Dataset, EventBytes]:
    """Give by table about how much memory an event takes while a plan is run; tables that cannot be looked at are left out."""
    found: dict[Dataset, EventBytes] = {}
    for dataset in {t.dataset: None for t in plan.tasks if t.dataset is not None}:
        for name, plugin in plugins.items():
            tasks = [t for t in plan.tasks if t.dataset == dataset and t.plugin == name]
            if not tasks or not dataset.files:
                continue
            with suppress(SourceError):
                weight = plugin.event_bytes(tasks, [t.key for t in tasks if t.key in plan.targets], dataset, 0)
                if weight is not None:
                    found[dataset] = found.get(dataset, EventBytes()) + weight
    return found


@dataclass(frozen=True, slots=True)
class Machine:
    """Plug-ins, programs, keys, batches, the store, limits, and what is at hand.

    ``merged`` are the merged results so far, by task key; ``streamed`` are results that came before their turn and could not be
    stored, ``delivered`` those that were stored, both by task key and number of the batch. So are those that are ``made_once``: what a
    function that is declared ``pure=False`` gave, for all that use it in this run. ``put_for`` says of each result that was put which task it is of, and whether it is its merged one.
    """

    plugins: Mapping[str, Plugin]
    programs: Mapping[Key, Program]
    keys: Keys
    batches: Batches
    results: Results
    limits: Limits
    merged: dict[Key, Result] = field(default_factory=dict)
    streamed: dict[tuple[Key, int], Result] = field(default_factory=dict)
    delivered: set[tuple[Key, int]] = field(default_factory=set)
    made_once: dict[tuple[Key, int], Result] = field(default_factory=dict)
    weights: dict[object, EventBytes] = field(default_factory=dict)
    put_for: dict[Key, tuple[Key, bool]] = field(default_factory=dict)

    def weight(self, plan: Sequence[Stage], file_number: int, keep: Collection[Key]) -> EventBytes:
        """Give about how much memory an event takes in these stages; found out once for a table, from the file that comes first."""
        total = EventBytes()
        for stage in plan:
            plugin, dataset = self.plugins[stage.plugin], stage.tasks[0].dataset
            if dataset is None:
                continue
            kept = tuple([t.key for t in stage.tasks if t.key in keep])
            name = (tuple([t.key for t in stage.tasks]), kept)
            if name not in self.weights:
                self.weights[name] = plugin.event_bytes(stage.tasks, kept, dataset, file_number) or EventBytes()
            total += self.weights[name]
        return total

    def check_unchanged(self, batch: Batch) -> None:
        """Look at a local file again after it was read, and before anything that was read from it is stored or given.

        Raises
        ------
        SourceError
            When it does not hold what it held when its table was made.
        """
        from hep_flows.sources.known_files import KnownFiles

        if batch.whole is None or not batch.events or KnownFiles(self.results).holds(batch.dataset, batch.whole.file_number):
            return
        raise SourceError(
            f"{batch.file} changed while it was read",
            why="what was read belongs neither to what it held nor to what it holds now",
            do="make the table again when nothing writes to the file any more",
        )

    def put(
        self,
        task: Task,
        batch: Batch | None,
        result: Result,
        seconds: float,
        *,
        now: bool = False,
        noted: dict[Key, tuple[Key, bool]] | None = None,
    ) -> str:
        """Store the result of a task, merged or on one batch; gives why it could not be stored, empty when it was.

        It waits for others, unless it is to be stored ``now``. It is ``noted`` in ``put_for``, or where it is said.
        """
        key = task.key if batch is None else self.keys.of_batch(task, batch)
        about = partial(provenance_of, task, batch, self.plugins[task.plugin].result_version, self.keys, seconds)
        note = self.results.put(key, result, about, now=now)
        if not note:
            (self.put_for if noted is None else noted)[key] = (task.key, batch is None)
        return note

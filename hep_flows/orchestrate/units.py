"""Divide what a plan needs into units of orchestration: each becomes one task run of Prefect.

A unit is one subtree over one dataset. Before the subtrees of a table that read its files stands one pass that reads for all of
them, so that files are opened once; a table of many batches, or a cluster, gets several such passes, each over a range of batches.
Where there would be more task runs than a server bears, units hold several subtrees: those of one dataset, then of several.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from hep_flows.errors import HepFlowsError, OrchestrationError, SourceLine, TaskError
from hep_flows.execute.need import events_needed, levels
from hep_flows.execute.report import State, TaskRow
from hep_flows.execute.results import Results
from hep_flows.execute.run import Run, Wish
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Call
from hep_flows.expr.transport import decode_together, encode_together
from hep_flows.expr.walk import postorder, rewrite
from hep_flows.retry import is_transient
from hep_flows.store.paths import is_key_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from hep_flows.contract import Key, Plan, Plugin, Task
    from hep_flows.execute.batches import Batches, Keys
    from hep_flows.execute.machine import Limits
    from hep_flows.execute.need import Needs
    from hep_flows.execute.report import RunReport, Step
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.store.store import Store

MOST_UNITS = 200
SHARD_BATCHES = 50
Kind = Literal["pass", "task", "datasets"]


@dataclass(frozen=True, slots=True)
class Unit:
    """What one task run does.

    Parameters
    ----------
    number : int
        Its place; units come after those that they wait for.
    kind : str
        ``pass``: stores tasks batch by batch, reading the table once; ``task``: one subtree; ``datasets``: all of some datasets.
    tasks : tuple of bytes
        The tasks of the plan that it stores.
    dataset : str
        The table, for people.
    batches : tuple of int, optional
        The numbers of the batches, where it is a part of the table.
    after : tuple of int
        Units whose results it takes: when one fails, it cannot run.
    follows : tuple of int
        Units that it waits for, whatever becomes of them.
    """

    number: int
    kind: Kind
    tasks: tuple[Key, ...]
    dataset: str = ""
    batches: tuple[int, ...] | None = None
    after: tuple[int, ...] = ()
    follows: tuple[int, ...] = ()

    @property
    def key(self) -> Key:
        """The content key: that of the task, where it is all of one."""
        if self.kind == "task" and self.batches is None:
            return self.tasks[0]
        return digest("unit", self.kind, self.tasks, self.batches or ())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan needs, and how it may be divided.

    Parameters
    ----------
    plan : Plan
        The plan.
    keys : Keys
        Which results can be stored.
    need : Needs
        What is stored and what is missing.
    batches : Batches
        The batches of its tables.
    shard_batches : int
        How many batches one pass has at the most.
    most_units : int
        How many units there are at the most: a server shows and schedules each.
    """

    plan: Plan
    keys: Keys
    need: Needs
    batches: Batches
    shard_batches: int = SHARD_BATCHES
    most_units: int = MOST_UNITS

    def tasks(self) -> list[Task]:
        """Give the tasks that something is needed of, and whose results can be handed on through the store."""
        short = events_needed(self.plan)
        return [t for t in self.plan.tasks if self._is_needed(t.key) and t.key not in self.keys.not_stored and t.key not in short]

    def some_batches(self, task: Task) -> tuple[int, ...] | None:
        """Give the batches of a task that something is needed of; None where it is all, or its merged result."""
        if task.key in self.need.merged or task.dataset is None or task.key not in self.need.missing:
            return None
        needed = self.needed(task)
        return None if not needed or len(needed) == len(self.batches.of(task.dataset)) else tuple(sorted(needed))

    def needed(self, task: Task) -> set[int]:
        """Give the batches of a task that are needed, stored or not."""
        return self.need.missing.get(task.key, set()) | self.need.found.get(task.key, set())

    def _is_needed(self, key: Key) -> bool:
        need = self.need
        return key in need.stored or key in need.merged or bool(need.missing.get(key)) or bool(need.found.get(key))


def units_of(wanted: Wanted) -> tuple[Unit, ...]:
    """Give the units, in an order in which they can run; at most ``most_units``."""
    tasks = wanted.tasks()
    fine = _by_subtree(wanted, tasks)
    if len(fine) <= wanted.most_units:
        return fine
    return _by_dataset(wanted, tasks)


def _by_subtree(wanted: Wanted, tasks: Sequence[Task]) -> tuple[Unit, ...]:
    level, roots = levels(wanted.plan), _roots(wanted.plan)
    units: list[Unit] = []
    made: dict[Key, int] = {}
    passes: dict[tuple[Key, int], tuple[int, ...]] = {}
    for task in tasks:
        place = (task.dataset.key, level[task.key]) if task.dataset is not None else None
        if place is not None and place not in passes:
            here = [t for t in tasks if t.dataset is not None and (t.dataset.key, level[t.key]) == place]
            passes[place] = _add_passes(wanted, here, made, units)
        follows = passes[place] if place is not None else ()
        after = tuple(dict.fromkeys([made[k] for k in task.inputs if k in made]))
        made[task.key] = len(units)
        name = roots[task.key].name if task.key in roots else ""
        units.append(Unit(len(units), "task", (task.key,), name, wanted.some_batches(task), after, follows))
    return tuple(units)


def _add_passes(wanted: Wanted, here: Sequence[Task], made: Mapping[Key, int], units: list[Unit]) -> tuple[int, ...]:
    """Add the passes that stand before some tasks of one table; gives their numbers."""
    missing = [t for t in here if wanted.need.missing.get(t.key)]
    if not missing:
        return ()
    dataset = missing[0].dataset
    assert dataset is not None
    is_divided = len(wanted.batches.of(dataset)) > wanted.shard_batches
    own = {t.key for t in here}
    together = missing if is_divided else [t for t in missing if not any(k in own for k in t.inputs)]
    numbers = set().union(*[wanted.need.missing[t.key] for t in together])
    # Of a task that needs fewer batches, the others may be gone from the store: it is not to compute them again.
    together = [t for t in together if numbers <= wanted.needed(t)]
    numbers = set().union(*[wanted.need.missing[t.key] for t in together])
    is_divided = is_divided and len(numbers) > wanted.shard_batches
    if not numbers or (len(together) < 2 and not is_divided):
        return ()
    after = tuple(dict.fromkeys([made[k] for t in together for k in t.inputs if k in made]))
    keys = tuple([t.key for t in together])
    first = len(units)
    for part in _parts(sorted(numbers), wanted.shard_batches if is_divided else len(numbers)):
        is_all = len(part) == len(wanted.batches.of(dataset))
        # A pass takes what it can get: a task whose input failed is left out, and the others go on.
        units.append(Unit(len(units), "pass", keys, dataset.name, None if is_all else part, follows=after))
    return tuple(range(first, len(units)))


def _parts(numbers: Sequence[int], length: int) -> list[tuple[int, ...]]:
    return [tuple(numbers[i : i + length]) for i in range(0, len(numbers), length)]


def _by_dataset(wanted: Wanted, tasks: Sequence[Task]) -> tuple[Unit, ...]:
    roots = _roots(wanted.plan)
    tables: dict[Key, list[Task]] = {}
    for task in tasks:
        tables.setdefault(roots[task.key].key if task.key in roots else b"", []).append(task)
    groups = list(tables.values())
    each = -(-len(groups) // wanted.most_units)
    units: list[Unit] = []
    for start in range(0, len(groups), each):
        some = [t for g in groups[start : start + each] for t in g]
        names = list(dict.fromkeys([roots[t.key].name for t in some if t.key in roots]))
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        units.append(Unit(len(units), "datasets", tuple([t.key for t in some]), shown))
    return tuple(units)


def _roots(plan: Plan) -> dict[Key, Dataset]:
    """Give the table that each task is over: a task over merged results is over that of its inputs."""
    found: dict[Key, Dataset] = {}
    for task in plan.tasks:
        own = task.dataset if task.dataset is not None else next((found[k] for k in task.inputs if k in found), None)
        if own is not None:
            found[task.key] = own
    return found


def closure(plan: Plan, wanted: Collection[Key]) -> tuple[Task, ...]:
    """Give some tasks of a plan with all that they take, producers first."""
    reached = set(wanted)
    for task in reversed(plan.tasks):
        if task.key in reached:
            reached.update(task.inputs)
    return tuple([t for t in plan.tasks if t.key in reached])


# What one unit does: store what is missing of its tasks, and say what became of them. Nothing of Prefect is here -----------------


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
        report: RunReport | None = error.report
        error.report = None  # this is a part of a run only, and the error is that of the whole one
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


# A unit on its way to whoever runs it: as it is within this process, as text to another one --------------------------------------

Told = dict[str, Any]


class Carried:
    """A unit that can be run where it arrives. Prefect must not look into it: it would take long, and find nothing."""

    __slots__ = ()

    def run(self, after: Sequence[Told]) -> Reference:
        """Run it, after those whose references are given; see `run_unit`."""
        raise NotImplementedError


class Here(Carried):
    """A unit for this process.

    Parameters
    ----------
    session : Session
        What all units share.
    unit : Unit
        The unit.
    follows : sequence of dict
        What is new in the store because of the units that it followed, and what failed in them.
    """

    __slots__ = ("follows", "session", "unit")

    def __init__(self, session: Session, unit: Unit, follows: Sequence[Told]) -> None:
        """Keep them."""
        self.session, self.unit, self.follows = session, unit, tuple(follows)

    def run(self, after: Sequence[Told]) -> Reference:
        """Run it with what is at hand."""
        return run_unit(self.session, self.unit, [*after, *self.follows])


class Elsewhere(Carried):
    """A unit for a process that has this package and reaches the cache folder, and nothing else.

    Parameters
    ----------
    session : str
        The expressions, the lines that they were written on and the settings, as JSON.
    unit : str
        The unit, as JSON.
    bodies : mapping
        The user's functions, by the digits of their identity. How they travel is the affair of the task runner.
    follows : sequence of dict
        What is new in the store because of the units that it followed, and what failed in them.
    """

    __slots__ = ("bodies", "follows", "session", "unit")

    def __init__(self, session: str, unit: str, bodies: Mapping[str, Callable[..., object]], follows: Sequence[Told]) -> None:
        """Keep them."""
        self.session, self.unit, self.bodies, self.follows = session, unit, dict(bodies), tuple(follows)

    def run(self, after: Sequence[Told]) -> Reference:
        """Make the plan again, and run the unit of it."""
        session = _session(self.session, _Bodies(self.bodies))
        unit = _unit(json.loads(self.unit))
        known = {t.key for t in session.plan.tasks}
        if not set(unit.tasks) <= known:
            raise OrchestrationError(
                "a worker makes another plan of the same expressions",
                why="it has another version of hep_flows or of a plug-in than the process that started the run",
                do="install the same versions there",
            )
        return run_unit(session, unit, [*after, *self.follows])


class Sender:
    """Writes units down for other processes.

    Parameters
    ----------
    plan : Plan
        What is run.
    settings : mapping
        What the other processes are told of the settings.
    """

    def __init__(self, plan: Plan, settings: Mapping[str, Any]) -> None:
        """Nothing is written yet."""
        self._plan, self._settings = plan, dict(settings)
        self._reach = {target: {t.key for t in closure(plan, (target,))} for target in dict.fromkeys(plan.targets)}
        self._written: dict[tuple[bytes, ...], str] = {}

    def carried(self, unit: Unit, follows: Sequence[Told]) -> Elsewhere:
        """Give a unit as text, with the expressions that its tasks are parts of and no others."""
        exprs = self._exprs(unit)
        keys = tuple([e.key for e in exprs])
        if keys not in self._written:
            told = self._settings | {"exprs": encode_together(exprs).decode(), "lines": self._lines(exprs)}
            self._written[keys] = json.dumps(told, sort_keys=True)
        return Elsewhere(self._written[keys], json.dumps(_as_json(unit)), _bodies(exprs), follows)

    def _exprs(self, unit: Unit) -> list[Expr]:
        wanted = set(unit.tasks)
        found: list[Expr] = []
        for target, expr in zip(self._plan.targets, self._plan.exprs, strict=True):
            new = wanted & self._reach[target]
            if new:
                found.append(expr)
                wanted -= new
        return found

    def _lines(self, exprs: Sequence[Expr]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for node in postorder(*exprs):
            for line in self._plan.lines.get(node.key, ())[:1]:
                found[node.key.hex()] = [line.file, line.line, line.start, line.end]
        return found


class _Bodies:
    """Functions by identity; two of them are equal when they hold the same ones."""

    def __init__(self, bodies: Mapping[str, Callable[..., object]]) -> None:
        self.bodies = bodies
        self._names = frozenset(bodies)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bodies) and self._names == other._names

    def __hash__(self) -> int:
        return hash(self._names)


@lru_cache(maxsize=16)
def _session(text: str, bodies: _Bodies) -> Session:
    """Make the session of some expressions; units of one dataset share it."""
    from hep_flows.execute.machine import Limits
    from hep_flows.execute.results import store_of
    from hep_flows.planning.normalise import normalise
    from hep_flows.planning.plan import make_plan
    from hep_flows.plugins import installed
    from hep_flows.settings import default_memory

    told = json.loads(text)
    lines = {bytes.fromhex(k): SourceLine(*v) for k, v in told["lines"].items()}
    exprs = _revived(decode_together(told["exprs"].encode()), bodies.bodies, lines)
    plugins = installed(told["plugins"])
    store = store_of(told["root"], tuple(told["layers"]))
    limits = Limits.with_slots(
        told["workers"],
        lambda: False,
        memory=min(told["memory"] or default_memory(), default_memory()),
        slice_events=told["chunk_events"],
    )
    plan = make_plan(normalise(exprs), plugins)
    return Session(plan, plugins, store, limits, refresh=told["refresh"], keep_going=told["keep_going"])


def _revived(
    exprs: Sequence[Expr], bodies: Mapping[str, Callable[..., object]], lines: Mapping[bytes, SourceLine]
) -> tuple[Expr, ...]:
    """Put back what does not travel with an expression: the bodies of functions, and the user's lines."""

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        from hep_flows.expr.walk import over

        made = over(node, inputs)
        where = lines.get(node.key)
        if isinstance(made, Call) and isinstance(made.function, UserFunction):
            body = bodies.get(made.function.code.hex())
            return replace(made, function=replace(made.function, body=body), where=where or made.where)
        return replace(made, where=where) if where is not None else made

    return rewrite(exprs, change)


def _bodies(exprs: Sequence[Expr]) -> dict[str, Callable[..., object]]:
    found: dict[str, Callable[..., object]] = {}
    for node in postorder(*exprs):
        if isinstance(node, Call) and isinstance(node.function, UserFunction) and node.function.body is not None:
            found[node.function.code.hex()] = node.function.body
    return found


def _as_json(unit: Unit) -> dict[str, Any]:
    return {
        "number": unit.number,
        "kind": unit.kind,
        "tasks": [k.hex() for k in unit.tasks],
        "dataset": unit.dataset,
        "batches": unit.batches,
    }


def _unit(told: Mapping[str, Any]) -> Unit:
    batches = None if told["batches"] is None else tuple([int(n) for n in told["batches"]])
    tasks = tuple([bytes.fromhex(k) for k in told["tasks"]])
    return Unit(told["number"], told["kind"], tasks, told["dataset"], batches)


# What a unit gives in place of its results: small, plain, and checked before it is believed when it comes from a file ------------
#
# ::
#
#     {"key": "ab..", "objects": ["cd..", ..], "complete": true, "rows": [{..}, ..], "events": 0, "partitions": 0,
#      "stages": [["awkward", ["ef.."], 0.1], ..], "merging": {"ef..": 0.1}}

Reference = dict[str, Any]

_STATES = get_args(State)
_KINDS = {"int": int, "float": (int, float), "str": str, "State": str}
_ROW = {f.name: _KINDS[str(f.type)] for f in fields(TaskRow)}
_HEAD = {
    "key": str,
    "objects": list,
    "complete": bool,
    "rows": list,
    "events": int,
    "partitions": int,
    "stages": list,
    "merging": dict,
}


def is_reference(content: object) -> bool:
    """Say whether something has the form of a reference in all its parts, to a unit of which everything is stored."""
    if not isinstance(content, dict) or not _has(content, _HEAD) or not content["complete"]:
        return False
    return (
        all(_is_name(name) for name in [content["key"], *content["objects"]])
        and all(isinstance(r, dict) and _has(r, _ROW) and r["state"] in _STATES and _is_name(r["key"]) for r in content["rows"])
        and all(_is_stage(s) for s in content["stages"])
        and all(_is_name(k) and _is(s, _KINDS["float"]) for k, s in content["merging"].items())
    )


def _has(content: dict[str, Any], kinds: dict[str, Any]) -> bool:
    return set(content) == set(kinds) and all(_is(content[k], kind) for k, kind in kinds.items())


def _is(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and is_key_name(name)


def _is_stage(stage: object) -> bool:
    match stage:
        case [str(), list(tasks), int() | float()]:
            return all(_is_name(k) for k in tasks)
        case _:
            return False

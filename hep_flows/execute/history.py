"""What is remembered of a result that was asked for: enough to say later what changed since."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from typing import Literal as OneOf

from hep_flows.errors import RecordError, line_of
from hep_flows.execute.batches import Batches, Keys, result_versions
from hep_flows.execute.need import needs
from hep_flows.execute.results import Results
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.text import one_line, shown
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.types import Histogram
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.contract import Key, Plan, Plugin, Task
    from hep_flows.execute.need import Needs
    from hep_flows.execute.report import TaskRow
    from hep_flows.store.store import Store


@dataclass(frozen=True, slots=True)
class NotedTask:
    """A task that the result was made by: its key, its plug-in, and its shape, both as digits."""

    key: str
    plugin: str
    shape: str


@dataclass(frozen=True, slots=True)
class RunNote:
    """One result that was computed.

    Parameters
    ----------
    expr : Expr
        What was asked for.
    tasks : tuple of NotedTask
        What made it, in the order of the plan.
    plugins : mapping of str to str
        The result version of each plug-in.
    libraries : mapping of str to str
        The versions of the libraries that were loaded.
    when : str
        When that was.
    """

    expr: Expr
    tasks: tuple[NotedTask, ...]
    plugins: Mapping[str, str]
    libraries: Mapping[str, str]
    when: str

    def counterpart(self, plugin: str, shape: str, number: int) -> str:
        """Give the key of the task of that plug-in and shape; of several, that of this number."""
        alike = [t.key for t in self.tasks if (t.plugin, t.shape) == (plugin, shape)]
        return alike[number] if number < len(alike) else ""


def written(
    encoded: str, tasks: Sequence[NotedTask], plugins: Mapping[str, str], libraries: Mapping[str, str], when: str
) -> dict[str, Any]:
    """Give a note as JSON has it; the expression comes encoded."""
    rows = [[t.key, t.plugin, t.shape] for t in tasks]
    return {"expression": encoded, "tasks": rows, "plugins": dict(plugins), "libraries": dict(libraries), "when": when}


def read(note: Any) -> RunNote | None:
    """Give the note that was written; None for what is none."""
    match note:
        case {
            "expression": str(text),
            "tasks": list(rows),
            "plugins": dict(plugins),
            "libraries": dict(libraries),
            "when": str(when),
        }:
            try:
                expr = decode(text.encode())
            except RecordError:
                return None
            tasks = [NotedTask(*[f"{v}" for v in r]) for r in rows if isinstance(r, list) and len(r) == 3]
            return RunNote(expr, tuple(tasks), plugins, libraries, when)
        case _:
            return None


# What changed between two expressions, in the words of an analysis: "``events.Jet.pt > 30`` became ``events.Jet.pt > 35``" -------

WIDTH = 60
MOST = 4


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Parameters
    ----------
    node : bytes
        The key of the node in the new expression that shows it.
    text : str
        What changed, and where.
    """

    node: Key
    text: str


def shape(expr: Expr) -> bytes:
    """Give what two expressions share that differ in constants, bins and data only."""
    made: dict[Key, bytes] = {}
    for node in postorder(expr):
        inputs = tuple([made[i.key] for i in node.inputs()])
        made[node.key] = digest("shape", node.tag, _name(node), inputs)
    return made[expr.key]


def changes(old: Expr, new: Expr) -> tuple[Change, ...]:
    """Give the first few differences between two expressions, deepest first; none when they are the same."""
    found: dict[Key, Change] = {}
    seen: set[tuple[Key, Key]] = set()
    pairs: list[tuple[Expr, Expr, Expr, Expr]] = [(old, new, old, new)]
    while pairs:
        a, b, above_a, above_b = pairs.pop()
        if a.key == b.key or (a.key, b.key) in seen:
            continue
        seen.add((a.key, b.key))
        if isinstance(a, Literal) and isinstance(b, Literal):
            found.setdefault(above_b.key, _became(above_a, above_b))
            continue
        own = _own(a, b)
        if own is not None:
            found.setdefault(b.key, own)
            continue
        pairs.extend([(x, y, a, b) for x, y in _paired(a, b)])
    return tuple(found.values())[:MOST]


def _name(node: Expr) -> tuple[str, ...]:
    match node:
        case Dataset():
            return (node.model, node.tree)
        case Field():
            return (node.name, *[f"{part}" for part in node.default_identity()])
        case Call():
            return (node.function if isinstance(node.function, str) else node.function.name,)
        case Literal() | Filter() | Bound() | Map() | Input():
            return ()


def _own(a: Expr, b: Expr) -> Change | None:
    """Give the difference between two nodes themselves; None when it lies further down."""
    if isinstance(a, Dataset) and isinstance(b, Dataset):
        return Change(b.key, "; ".join(_files(a, b)) or "it is another table")
    if a.tag != b.tag or _name(a) != _name(b) or len(a.inputs()) != len(b.inputs()):
        return _became(a, b)
    if isinstance(a, Call) and isinstance(b, Call):
        if isinstance(a.function, UserFunction) and isinstance(b.function, UserFunction) and a.function != b.function:
            return Change(b.key, f"{_function(b.function)} changed{_place(b)}")
        if _spec(a) != _spec(b) and isinstance(a.function, str) and a.function != "fill":
            return Change(b.key, f"the axes or the storage of the histogram changed{_place(b)}")
        if a.options != b.options:
            return _became(a, b)
    if isinstance(a, Filter) and isinstance(b, Filter) and a.at != b.at:
        return _became(a, b)
    return None


def _function(function: UserFunction) -> str:
    if function.from_file:
        return function.note
    return f"the function {function.name}, what it calls or what it captures"


def _spec(node: Expr) -> str:
    return node.type.item.spec if isinstance(node.type.item, Histogram) else ""


def _paired(a: Expr, b: Expr) -> list[tuple[Expr, Expr]]:
    """Pair the inputs that correspond: those that are the same are set aside first, wherever they stand."""
    there, here = {i.key for i in b.inputs()}, {i.key for i in a.inputs()}
    left = [i for i in a.inputs() if i.key not in there]
    right = [i for i in b.inputs() if i.key not in here]
    return list(zip(left, right, strict=True)) if len(left) == len(right) else list(zip(a.inputs(), b.inputs(), strict=True))


def _became(a: Expr, b: Expr) -> Change:
    old, new = one_line(a, WIDTH), one_line(b, WIDTH)
    if old == new:
        return Change(b.key, f"`{new}` changed{_place(b)}")
    return Change(b.key, f"`{old}` became `{new}`{_place(b)}")


def _place(node: Expr) -> str:
    line = line_of(node.where)
    return "" if line is None else f" at {line.file.rsplit('/', 1)[-1]}:{line.line}"


def _files(a: Dataset, b: Dataset) -> list[str]:
    """Say which files are new, gone or replaced."""
    said: list[str] = []
    gone = [i for i, c in enumerate(a.content) if c not in b.content]
    new = [i for i, c in enumerate(b.content) if c not in a.content]
    # Of what was stored, names are as they may be shown.
    names = {shown(file): i for i, file in enumerate(a.files)}
    now = [shown(file) for file in b.files]
    replaced = [i for i in new if now[i] in names and names[now[i]] in gone]
    said += [f"file {i + 1} ({_short(b, i)}) was replaced" for i in replaced]
    said += [f"file {i + 1} ({_short(b, i)}) was added" for i in new if i not in replaced]
    over = {names[now[i]] for i in replaced}
    said += [f"file {i + 1} ({_short(a, i)}) was removed" for i in gone if i not in over]
    if not said and a.content != b.content:
        said.append("the order of the files changed")
    return said if len(said) <= MOST else [*said[:MOST], f"and {len(said) - MOST} files more"]


def _short(table: Dataset, number: int) -> str:
    return table.files[number].split("?", 1)[0].rsplit("/", 1)[-1] if number < len(table.files) else "?"


# The last run of something like an expression: where it is remembered, and what of a plan belongs to which target ----------------


def last_like(expr: Expr, table: Dataset | None, results: Results) -> RunNote | None:
    """Give what was computed last for the same dataset on the same line of the analysis, or else something of the same shape."""
    for name in names_of(expr, table):
        note = read(results.remembered(name))
        if note is not None:
            return note
    return None


def names_of(expr: Expr, table: Dataset | None) -> tuple[bytes, ...]:
    """Give the names that an expression is remembered under, the one that says most first."""
    form = shape(expr)
    line = line_of(expr.where)
    own = "" if table is None else table.name
    if line is None:
        return digest("last", form, own), digest("last", form)
    file = line.file.rsplit("/", 1)[-1]
    same_line = digest("last", form, file, line.line, own), digest("last", form, file, line.line)
    return *same_line, digest("last", form), digest("last", b"", file, line.line, own), digest("last", b"", file, line.line)


def tables_of(plan: Plan) -> dict[Key, Dataset | None]:
    """Give the table that each task is over, by task key: its own, or that of what it takes."""
    found: dict[Key, Dataset | None] = {}
    for task in plan.tasks:
        found[task.key] = task.dataset or next((t for k in task.inputs if (t := found.get(k)) is not None), None)
    return found


def targets_of(plan: Plan) -> dict[Key, list[Key]]:
    """Give the targets that each task is needed for, by task key, in the order of the plan."""
    wanted = set(plan.targets)
    users: dict[Key, dict[Key, None]] = {t.key: {} for t in plan.tasks}
    for task in reversed(plan.tasks):
        if task.key in wanted:
            users[task.key][task.key] = None
        for key in task.inputs:
            users[key].update(users[task.key])
    order = {t: i for i, t in enumerate(dict.fromkeys(plan.targets))}
    return {k: sorted(u, key=order.__getitem__) for k, u in users.items()}


def tasks_of(plan: Plan) -> dict[Key, list[Task]]:
    """Give the tasks that each target is made by, by its key, in the order of the plan."""
    found: dict[Key, list[Task]] = {t: [] for t in plan.targets}
    users = targets_of(plan)
    for task in plan.tasks:
        for target in users[task.key]:
            found[target].append(task)
    return found


# Why a task has to be computed, in the words of an analysis: what changed since the last run, or what else became of its result ---

NEVER = "never computed"


@dataclass(frozen=True, slots=True)
class Since:
    """What is known of the last run of one target, and what changed since."""

    note: RunNote
    changes: tuple[Change, ...]


class Reasons:
    """Why the tasks of a plan have to be computed.

    Parameters
    ----------
    plan : Plan
        The plan.
    versions : mapping
        The result version of each plug-in.
    results : Results
        Where the last runs are remembered.
    """

    def __init__(self, plan: Plan, versions: Mapping[str, str], results: Results) -> None:
        """Nothing is compared yet: where everything is stored, nobody asks."""
        self._users, self._versions, self._results = targets_of(plan), versions, results
        self._exprs, self._tables = dict(zip(plan.targets, plan.exprs, strict=True)), tables_of(plan)
        self._meanings = {t.key: t.meaning.key for t in plan.tasks}
        self._compared: dict[Key, Since | None] = {}

    def notes(self, task: Task) -> list[tuple[Key, RunNote]]:
        """Give the last runs of the targets that the task is needed for, with their keys."""
        return [(t, s.note) for t in self._users[task.key] if (s := self._since(t)) is not None]

    def own(self, task: Task) -> str:
        """Give what changed in the task itself; empty when nothing did."""
        above = {k for i in task.inputs if (k := self._meanings.get(i)) is not None}
        nodes = {n.key for n in postorder(task.meaning, into=lambda n: n.key not in above)}
        return _joined([c.text for s in self._known(task) for c in s.changes if c.node in nodes])

    def other(self, task: Task) -> str:
        """Give why a task is not stored in which nothing changed, and which takes nothing that is missing."""
        known = self._known(task)
        if not known:
            return NEVER
        raised = [_raised(task.plugin, s.note.plugins.get(task.plugin), self._versions.get(task.plugin, "")) for s in known]
        said = _joined([*raised, *[c.text for s in known for c in s.changes]])
        return said or f"it is not in the cache any more, where it was on {known[0].note.when}: it was collected or removed"

    def _known(self, task: Task) -> list[Since]:
        return [s for t in self._users[task.key] if (s := self._since(t)) is not None]

    def _since(self, target: Key) -> Since | None:
        """Compare a target with its last run."""
        if target not in self._compared:
            expr = self._exprs[target]
            note = last_like(expr, self._tables[target], self._results)
            self._compared[target] = None if note is None else Since(note, changes(note.expr, expr))
        return self._compared[target]


def why_computed(plan: Plan, reasons: Reasons, computed: Collection[Key]) -> dict[Key, str]:
    """Give why each of these tasks had to be computed; a task that takes a new result has the reason of that one."""
    found: dict[Key, str] = {}
    for task in plan.tasks:
        if task.key in computed:
            above = _joined([found[k] for k in task.inputs if k in found])
            found[task.key] = reasons.own(task) or above or reasons.other(task)
    return found


def _raised(plugin: str, before: str | None, now: str) -> str:
    if before is None or before == now:
        return ""
    return f"the result version of {plugin} was raised from {before} to {now}"


def _joined(texts: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys([t for t in texts if t]))


# Why a stored result was computed, and which earlier one it was computed instead of: remembered by the key of its task -----------


@dataclass(frozen=True, slots=True)
class Replacement:
    """One result in the place of another.

    Parameters
    ----------
    because : str
        What changed.
    other : str
        The key of the other result; empty when there is none.
    """

    because: str
    other: str


def note_reasons(plan: Plan, versions: Mapping[str, str], results: Results, rows: Sequence[TaskRow]) -> None:
    """Remember why tasks were computed; to be called before the run itself is noted."""
    computed = {bytes.fromhex(r.key) for r in rows if r.state == "computed"}
    if not computed or results.is_refresh:
        return
    reasons = Reasons(plan, versions, results)
    because = why_computed(plan, reasons, computed)
    places = _places(plan)
    for task in plan.tasks:
        if task.key not in because:
            continue
        found = [n.counterpart(*places[target, task.key]) for target, n in reasons.notes(task)]
        before = next((k for k in found if k and k != task.key.hex()), "")
        results.remember(_before(task.key), [because[task.key], before])
        if before:
            results.remember(_after(bytes.fromhex(before)), [because[task.key], task.key.hex()])


def computed_because(task: Key, results: Results) -> Replacement | None:
    """Give why a task was computed, and the key of the task in whose place it is."""
    return _read(results.remembered(_before(task)))


def replaced_by(task: Key, results: Results) -> Replacement | None:
    """Give what changed after a task was computed, and the key of the task that is in its place now."""
    return _read(results.remembered(_after(task)))


def _places(plan: Plan) -> dict[tuple[Key, Key], tuple[str, str, int]]:
    """Give, by target and task, the plug-in and the shape of the task, and which of those it is."""
    found: dict[tuple[Key, Key], tuple[str, str, int]] = {}
    shapes = {t.key: shape(t.meaning).hex() for t in plan.tasks}
    for target, tasks in tasks_of(plan).items():
        numbers: Counter[tuple[str, str]] = Counter()
        for task in tasks:
            form = task.plugin, shapes[task.key]
            found[target, task.key] = (*form, numbers[form])
            numbers[form] += 1
    return found


def _before(task: Key) -> Key:
    return digest("computed because", task)


def _after(task: Key) -> Key:
    return digest("replaced by", task)


def _read(remembered: Any) -> Replacement | None:
    match remembered:
        case [str(because), str(other)]:
            return Replacement(because, other)
        case _:
            return None


# What was computed last, so that a plan can say what changed since then, and about how long it will take -------------------------


def note_run(plan: Plan, results: Results, rows: Sequence[TaskRow] = (), versions: Mapping[str, str] | None = None) -> None:
    """Remember what was asked for, what computing it took, and why it had to be computed.

    Parameters
    ----------
    plan : Plan
        What was run.
    results : Results
        Where it is remembered.
    rows : sequence of TaskRow
        What became of the tasks; targets that could not be delivered are not remembered.
    versions : mapping, optional
        The result version of each plug-in.
    """
    from hep_flows.store.about import loaded_versions, now

    if not results.is_kept or not plan.exprs:  # a part of a plan: the run as a whole notes it
        return
    note_reasons(plan, versions or {}, results, rows)
    noted: set[bytes] = set()
    failed = {r.key for r in rows if r.state in ("failed", "not run")}
    tables, made_by = tables_of(plan), tasks_of(plan)
    for target, expr in zip(plan.targets, plan.exprs, strict=True):
        note: dict[str, Any] = {}
        for name in names_of(expr, tables[target]) if target.hex() not in failed else ():
            if name not in noted:
                tasks = [NotedTask(t.key.hex(), t.plugin, shape(t.meaning).hex()) for t in made_by[target]]
                note = note or written(encode(expr).decode(), tasks, versions or {}, loaded_versions(), now())
                results.remember(name, note)
                noted.add(name)
    _note_times(plan, results, rows)


def seconds_like(plan: Plan, results: Results) -> dict[Key, float]:
    """Give about how long each task takes, from the last task of its shape, whatever its constants, bins and data."""
    found: dict[Key, float] = {}
    known: dict[bytes, object] = {}
    for task in plan.tasks:
        name = _time_name(task)
        if name not in known:
            known[name] = results.remembered(name)
        match known[name]:
            case [int() | float() as seconds, int() as events]:
                now = _events(task)
                found[task.key] = seconds * now / events if events and now is not None else float(seconds)
            case _:
                pass
    return found


def _note_times(plan: Plan, results: Results, rows: Sequence[TaskRow]) -> None:
    computed = {r.key: r for r in rows if r.state == "computed"}
    spent: dict[bytes, tuple[float, int]] = {}
    for task in plan.tasks:
        row = computed.get(task.key.hex())
        if row is None:
            continue
        share = row.batches_computed / row.batches if row.batches else 1
        before = spent.get(_time_name(task), (0.0, 0))
        spent[_time_name(task)] = before[0] + row.seconds, before[1] + round((_events(task) or 0) * share)
    for name, (seconds, events) in spent.items():
        results.remember(name, [round(seconds, 6), events])


def _time_name(task: Task) -> bytes:
    return digest("seconds", task.plugin, shape(task.expr), task.output)


def _events(task: Task) -> int | None:
    """Give the number of events that a task runs over, where the identity of its files tells."""
    if task.dataset is None:
        return None
    counts = [c.partition(":")[0] for c in task.dataset.content]
    return sum([int(c) for c in counts]) if all(c.isdigit() for c in counts) else None


# What is known of each task of a plan before it runs: stored or not, and why not -------------------------------------------------


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What a run would do with a task.

    Parameters
    ----------
    state : str
        ``hit``: it is stored, or what is made from it; ``miss``: at least a part of it has to be computed.
    why : str
        Why it has to be computed.
    batches, missing : int
        How many parts it has, and how many of them have to be computed.
    """

    state: OneOf["hit", "miss"]
    why: str = ""
    batches: int = 0
    missing: int = 0

    def __str__(self) -> str:
        """Give a few words."""
        if self.state == "hit":
            return f"hit{f' ({self.why})' if self.why else ''}"
        part = f" {self.missing} of {self.batches} batches" if self.missing < self.batches else ""
        return f"miss{part}: {self.why}"


def plan_status(plan: Plan, plugins: Sequence[Plugin], store: Store | None) -> dict[Key, TaskStatus]:
    """Give what a run would find, by task key. Nothing runs; files are opened only where one is too big for one batch."""
    results = Results(store)
    by_name, versions = {p.name: p for p in plugins}, result_versions(plugins)
    keys = Keys(plan)
    batches = Batches(plan, by_name, results)
    need = needs(plan, keys, batches, results)
    reasons = Reasons(plan, versions, results)
    numbers = {t.key: i + 1 for i, t in enumerate(plan.tasks)}
    found: dict[Key, TaskStatus] = {}
    for task in plan.tasks:
        missing = need.missing.get(task.key, set())
        parts = 1 if task.dataset is None else len(batches.of(task.dataset))
        if not missing:
            found[task.key] = TaskStatus("hit", _why_hit(task, need), parts)
            continue
        why = keys.not_stored.get(task.key, "")
        why = f"never stored: {why}" if why else _why_miss(task, reasons, need, numbers)
        found[task.key] = TaskStatus("miss", why, parts, len(missing))
    return found


def _why_hit(task: Task, need: Needs) -> str:
    return "" if task.key in need.stored or need.found.get(task.key) else "what is made from it is stored"


def _why_miss(task: Task, reasons: Reasons, need: Needs, numbers: Mapping[Key, int]) -> str:
    own = reasons.own(task)
    if own:
        return own
    above = [f"{numbers[k]}" for k in task.inputs if need.missing.get(k)]
    return f"it takes the result of task {', '.join(above)}" if above else reasons.other(task)


# Versions of libraries that differ between then and now: said, and never part of a key -------------------------------------------

PYTHON = "python"
MOST_TARGETS = 20


def library_remarks(plan: Plan, store: Store) -> tuple[str, ...]:
    """Give what there is to say of libraries that have other versions now than when the first targets of a plan were computed last."""
    results, tables = Results(store), tables_of(plan)
    found: dict[str, None] = {}
    for target, expr in list(zip(plan.targets, plan.exprs, strict=True))[:MOST_TARGETS]:
        note = last_like(expr, tables[target], results)
        if note is not None:
            found.update(dict.fromkeys(changed_libraries(note.libraries)))
    return (f"{'; '.join(found)}: not part of the key",) if found else ()


def changed_libraries(then: Mapping[str, str]) -> list[str]:
    """Give ``numpy 2.1.0 then, 2.2.0 now`` for each library that has another version now."""
    found = []
    for name, before in then.items():
        now = _installed(name)
        if now != before:
            found.append(f"{name} {before} then, {now or 'not installed'} now")
    return found


def _installed(name: str) -> str:
    if name == PYTHON:
        import platform

        return platform.python_version()
    if name == "hep_flows":
        # What runs may be a checkout, which is not what is installed.
        return str(vars(sys.modules["hep_flows"])["__version__"])
    try:
        return version(name)
    except PackageNotFoundError:
        return ""

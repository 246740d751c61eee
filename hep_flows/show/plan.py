"""A plan as text: the labelled tree of every result, the tasks, and what there is to note."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from hep_flows.errors import LiteralError, visible
from hep_flows.expr.functions import mixed_units
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Input, Literal
from hep_flows.expr.text import NO_NAMES, Spelling, loop_collections, one_line, spelled, stepwise
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from hep_flows.record.where import user_site
from hep_flows.store.commit import save_text

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.contract import Key, Plan, Task
    from hep_flows.expr.functions import UserFunction
    from hep_flows.expr.nodes import Default

# What a plan has to say beyond its tasks: assumptions, parts that cannot be stored, and why a plug-in was not taken --------------

MOST = 12


def notes(plan: Plan) -> list[str]:
    """Give the notes on the expressions of a plan, each once, in order of use."""
    found: dict[str, None] = {}
    for node in postorder(*plan.exprs):
        if isinstance(node, Call):
            found.update(dict.fromkeys(_of_call(node)))
        elif isinstance(node, Dataset):
            found.update(dict.fromkeys(_of_table(node)))
        elif isinstance(node, Field) and node.default is not None:
            found.update(dict.fromkeys(_of_default(node, node.default)))
    found.update(dict.fromkeys(_assumed(plan)))
    return _first(list(found))


def _of_default(node: Field, default: Default) -> list[str]:
    """Say which leaf that was asked for with a default is in no file: it may be misspelled."""
    record = node.of.type.item
    if not isinstance(record, Record) or node.name in record.members:
        return []
    whose = "" if isinstance(node.of, Dataset) else f"{record.name}."
    return [f"{whose}{node.name} is in no file: {default.value!r} stands for it everywhere"]


def _of_table(table: Dataset) -> list[str]:
    """Say which tables stand for names, not for content: a change at the server is not noticed."""
    from hep_flows.plugins.servicex.addresses import RemoteIdentity

    read = [RemoteIdentity.read(c) for c in table.content]
    n_named = sum([r is not None and r.is_by_name for r in read])
    if not n_named:
        return []
    which = table.name if n_named == 1 else f"{table.name}: {n_named:,} files"
    verb = "is" if n_named == 1 else "are"
    return [f"{which} {verb} known by name only: servicex_table(..., refresh=True) asks the server anew"]


def _assumed(plan: Plan) -> list[str]:
    """Name the leaves that are in no schema."""
    from hep_flows.plugins.servicex.xaod.schema import assumed_leaves

    leaves = assumed_leaves(plan.exprs)
    return [f"taken for methods that give a double, since no schema names them: {', '.join(leaves)}"] if leaves else []


def _of_call(node: Call) -> list[str]:
    if isinstance(node.function, str):
        mixed = mixed_units(node.function, [a.type for a in node.args])
        return [f"{one_line(node, 80)} mixes {mixed[0]} and {mixed[1]}; nothing is converted"] if mixed else []
    return _of_function(node.function)


def _of_function(function: UserFunction) -> list[str]:
    found = [f"{function.name}: {function.note}"] if function.note else []
    if not function.portable:
        found.append(f"{function.name} {function.why_not_portable}: what depends on it is computed, never stored")
    return found


def refusals(plan: Plan) -> list[str]:
    """Give why plug-ins did not take steps, one line for each plug-in and reason.

    Of a plug-in that cannot read a table, what it says of the steps above that is left out.
    """
    first: dict[tuple[str, str], Expr] = {}
    count: dict[tuple[str, str], int] = {}
    unread = _unread(plan)
    for node in postorder(*plan.exprs):
        for plugin, reason in sorted(plan.refusals.get(node.key, {}).items()):
            if unread.get(plugin, reason) != reason:
                continue
            first.setdefault((plugin, reason), node)
            count[plugin, reason] = count.get((plugin, reason), 0) + 1
    lines = []
    for (plugin, reason), node in first.items():
        number = count[plugin, reason]
        which = one_line(node, 60) if number == 1 else f"{number:,} steps, the first is {one_line(node, 40)}"
        lines.append(f"not {plugin}: {reason} ({which})")
    return _first(lines)


def _unread(plan: Plan) -> dict[str, str]:
    """Give the plug-ins that run nothing because they cannot read the tables, and what they say of the first."""
    found: dict[str, str] = {}
    running = set(plan.labels.values())
    for node in postorder(*plan.exprs):
        if isinstance(node, Dataset):
            for plugin, reason in plan.refusals.get(node.key, {}).items():
                if plugin not in running:
                    found.setdefault(plugin, reason)
    return found


def _first(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST else [*lines[:MOST], f"... and {len(lines) - MOST:,} more"]


# The steps of an expression as they are drawn: what stands in one box or on one line, and what stands below it -------------------
#
# Constants are part of the step that uses them, and a stored leaf is one step (``events.Jet.pt``), unless different plug-ins run its parts.
# The place of another step is a ``·``, or its name when it is a leaf.

TITLE, LEAF = 64, 32
PLACE = "·"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its words, and the steps that it works on, in order; ``x + x`` works on one twice."""

    node: Expr
    title: str
    below: tuple[Expr, ...]


def steps(roots: Sequence[Expr], labels: Mapping[Key, str] | None = None, names: Mapping[Key, str] = NO_NAMES) -> dict[Key, Step]:
    """Give the steps of expressions by key, users before what they use.

    Parameters
    ----------
    roots : sequence of Expr
        What is drawn.
    labels : mapping, optional
        The plug-in of each node; parts of different plug-ins are different steps.
    names : mapping, optional
        By key: what tables and results of other tasks are to be called.
    """
    over = loop_collections(*roots)
    wanted = {r.key for r in roots}
    found: dict[Key, Step] = {}
    for node in reversed(list(postorder(*roots))):
        if node.key not in wanted:
            continue
        spelling = spelled(node, over, names)
        if labels is not None and _mixed(node, {i.key for i in spelling.inputs()}, labels):
            spelling = stepwise(node, names)
        words = [p if isinstance(p, str) else _short(p[0], spelled(p[0], over, names)) for p in spelling.parts]
        below = tuple([i for i in spelling.inputs() if not isinstance(i, Literal)])
        wanted.update([i.key for i in below])
        found[node.key] = Step(node, _cut("".join(words)), below)
    return found


def _short(node: Expr, spelling: Spelling) -> str:
    if isinstance(node, Literal):
        return one_line(node, LEAF)
    text = "".join([p for p in spelling.parts if isinstance(p, str)])
    return PLACE if spelling.inputs() or len(text) > LEAF else text


def _cut(title: str) -> str:
    return title if len(title) <= TITLE else f"{title[: TITLE - 4]} ..."


def _mixed(node: Expr, ends: set[Key], labels: Mapping[Key, str]) -> bool:
    """Say whether the nodes that a spelling leaves out have another label than the node."""
    here = labels.get(node.key)
    ahead = [i for i in node.inputs() if i.key not in ends]
    while ahead:
        hidden = ahead.pop()
        if labels.get(hidden.key, here) != here:
            return True
        ahead.extend([i for i in hidden.inputs() if i.key not in ends])
    return False


# A labelled expression drawn as a tree of lines, root first ----------------------------------------------------------------------

MOST_LINES = 120
DEEPEST = 20
TREE_WIDTH = 80


@dataclass(slots=True)
class _Drawing:
    """What is known while the lines are drawn."""

    steps: Mapping[Key, Step]
    labels: Mapping[Key, str]
    shown: set[Key]
    shared: set[Key]
    numbers: dict[Key, int] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)


def tree_lines(root: Expr, labels: Mapping[Key, str], most: int = MOST_LINES) -> list[str]:
    """Give the lines of the tree: each step with the plug-in that runs it.

    A part that is used more than once is drawn where it comes first, with a number; elsewhere stands the number. Of a tree of more
    than ``most`` steps those nearest to the root are drawn, and the last line says how many are not.
    """
    found = steps([root], labels)
    shown = nearest(root, found, most)
    uses: dict[Key, int] = {}
    for key in shown:
        for i in found[key].below:
            uses[i.key] = uses.get(i.key, 0) + 1
    shared = {key for key, n in uses.items() if n > 1 and found[key].below}
    drawing = _Drawing(found, labels, shown, shared)
    _draw(root, drawing)
    width = min(max([len(text) for text, _ in drawing.lines]), TREE_WIDTH)
    lines = [f"{text.ljust(width)}  {label}".rstrip() for text, label in drawing.lines]
    left_out = len(found) - len(shown)
    return [*lines, f"({left_out:,} more steps are not drawn)"] if left_out else lines


def nearest(root: Expr, found: Mapping[Key, Step], most: int, deepest: int = DEEPEST) -> set[Key]:
    """Give at most that many steps: those nearest to the root."""
    shown: set[Key] = set()
    ahead = deque([(root.key, 0)])
    while ahead and len(shown) < most:
        key, depth = ahead.popleft()
        if key in shown or depth > deepest:
            continue
        shown.add(key)
        ahead.extend([(i.key, depth + 1) for i in found[key].below])
    return shown


def _draw(root: Expr, drawing: _Drawing) -> None:
    ahead = [(root, "", "")]
    while ahead:
        node, branch, indent = ahead.pop()
        step = drawing.steps[node.key]
        number = drawing.numbers.get(node.key)
        if node.key not in drawing.shown:
            drawing.lines.append((f"{branch}...", ""))
            continue
        if number is not None:
            drawing.lines.append((f"{branch}see ({number})", ""))
            continue
        mark = ""
        if node.key in drawing.shared:
            drawing.numbers[node.key] = len(drawing.numbers) + 1
            mark = f"  ({drawing.numbers[node.key]})"
        drawing.lines.append((f"{branch}{step.title}{mark}", f"[{drawing.labels.get(node.key, '?')}]"))
        last = len(step.below) - 1
        children = [
            (i, indent + ("└─ " if n == last else "├─ "), indent + ("   " if n == last else "│  "))
            for n, i in enumerate(step.below)
        ]
        ahead.extend(reversed(children))


MOST_TASKS = 40
MOST_RESULTS = 12
MOST_COLUMNS = 12
MOST_SENT = 12
WIDTH = 110


def plan_text(
    plan: Plan,
    status: Mapping[Key, str] | None = None,
    sent: Mapping[Key, tuple[str, str]] | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """Give the plan as text.

    Each result is a tree of its steps, each with the plug-in that runs it in brackets. Below stand the tasks that the tree was cut
    into, in the order in which they run. The length is bounded: large plans are drawn in part, and the text says what is left out.

    Parameters
    ----------
    plan : Plan
        What `hep_flows.planning` made.
    status : mapping, optional
        By task key: what is known of it, for example ``stored``.
    sent : mapping, optional
        By task key: where it runs and what is sent there, for tasks that run elsewhere.
    remarks : sequence of str
        What else there is to note.
    """
    parts = [_heading(plan), *_results(plan), _tasks(plan, status or {}, sent or {})]
    for title, lines in (("notes", [*notes(plan), *remarks]), ("other plug-ins", refusals(plan))):
        if lines:
            parts.append("\n".join([title, *[visible(f"  {line}") for line in lines]]))
    return "\n\n".join(parts)


def task_names(plan: Plan) -> dict[Key, str]:
    """Name tasks by their place in the plan, under the keys of the nodes that their results stand for in other tasks."""
    numbers = {t.key: i + 1 for i, t in enumerate(plan.tasks)}
    names: dict[Key, str] = {}
    for task in plan.tasks:
        if task.inputs:
            inputs = [n for n in postorder(task.expr) if isinstance(n, Input)]
            names.update({n.key: f"task {numbers[n.task]}" for n in inputs if n.task in numbers})
    return names


def counted(number: int, thing: str) -> str:
    """Give ``1 file`` or ``3 files``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def kind_of_output(task: Task) -> str:
    """Say what a task delivers, and whether it runs once for each range of events."""
    return f"{task.output}, {'in ranges of events' if task.spread == 'partitions' else 'at once'}"


def columns_read(task: Task) -> str:
    """List the columns that a task reads itself; empty when it reads none."""
    if not task.columns:
        return ""
    more = len(task.columns) - MOST_COLUMNS
    rest = f", ... ({len(task.columns)} columns)" if more > 0 else ""
    return visible(f"reads {', '.join(task.columns[:MOST_COLUMNS])}{rest}")


def _heading(plan: Plan) -> str:
    plugins = sorted({t.plugin for t in plan.tasks})
    tables = {t.dataset.key: t.dataset for t in plan.tasks if t.dataset is not None}.values()
    data = [f"\nevents: {d.name}, {d.kind}, {counted(len(d.content), 'file')}" for d in list(tables)[:MOST_RESULTS]]
    return f"plan: {counted(len(plan.exprs), 'result')}, {counted(len(plan.tasks), 'task')} ({', '.join(plugins)}){''.join(data)}"


def _results(plan: Plan) -> list[str]:
    shown = plan.exprs[:MOST_RESULTS]
    most = max(MOST_LINES // max(len(shown), 1), 24)
    written = []
    for i, expr in enumerate(shown):
        number = f" {i + 1}" if len(plan.exprs) > 1 else ""
        heading = f"result{number}: {expr.type}{_line(plan, expr)}"
        written.append("\n".join([heading, *[f"  {line}" for line in tree_lines(expr, plan.labels, most)]]))
    left_out = len(plan.exprs) - len(shown)
    return [*written, f"... and {counted(left_out, 'more result')}"] if left_out else written


def _line(plan: Plan, expr: Expr) -> str:
    lines = plan.lines.get(expr.key, ())
    return f"    {lines[0].file.rsplit('/', 1)[-1]}:{lines[0].line}" if lines else ""


def _tasks(plan: Plan, status: Mapping[Key, str], sent: Mapping[Key, tuple[str, str]]) -> str:
    names = task_names(plan)
    numbers = {t.key: i + 1 for i, t in enumerate(plan.tasks)}
    lines = ["tasks"]
    for task in plan.tasks[:MOST_TASKS]:
        head = f"{numbers[task.key]:>3}  {task.plugin}: {kind_of_output(task)}"
        known = f", {status[task.key]}" if task.key in status else ""
        lines.append(f"{head}{known}    key {task.key.hex()[:8]}")
        lines.append(f"       {one_line(task.expr, WIDTH, names)}")
        after = [str(numbers[k]) for k in task.inputs if k in numbers]
        if after:
            lines.append(f"       takes the result of task {', '.join(after)}")
        if columns_read(task):
            lines.append(f"       {columns_read(task)}")
        if task.key in sent:
            lines += _sent(*sent[task.key])
    left_out = len(plan.tasks) - MOST_TASKS
    return "\n".join([*lines, f"  ... and {counted(left_out, 'more task')}"] if left_out > 0 else lines)


def _sent(place: str, text: str) -> list[str]:
    """Say where a task runs, and what is sent there."""
    lines = wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    more = [f"... ({len(text):,} characters)"] if len(lines) > MOST_SENT else []
    return [f"       sends to {place}", *[f"         {line}" for line in [*lines[:MOST_SENT], *more]]]


# Where the boxes of a layered drawing stand: what is used above what uses it, with few crossings and short lines -----------------
#
# The classic steps: every box gets a layer, lines over several layers are threaded through places of their own, each layer is ordered
# by the average place of its neighbours, and the boxes of a layer are put as close to their neighbours as their widths allow.

SWEEPS = 8
THREAD = 10.0

Name = str | bytes
Edge = tuple[Name, Name]
Place = Name | tuple[Edge, int]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions in a drawing.

    Parameters
    ----------
    left_top : dict
        The upper left corner of each box.
    bends : dict
        For each line, the points that it passes between its ends.
    width, height : float
        The size of the drawing.
    """

    left_top: dict[Name, Point]
    bends: dict[Edge, list[Point]]
    width: float
    height: float


def layered(
    sizes: Mapping[Name, Point],
    edges: Sequence[Edge],
    *,
    first: Collection[Name] = (),
    gap_x: float = 18,
    gap_y: float = 30,
    centred: bool = True,
) -> Layout:
    """Give the places of boxes.

    Parameters
    ----------
    sizes : mapping
        Width and height of each box; their order decides where nothing else does.
    edges : sequence of pairs
        Lines from what is used to what uses it; no circles.
    first : collection, optional
        Boxes that use nothing and belong to the top layer.
    gap_x, gap_y : float
        The least distance between boxes beside and below each other.
    centred : bool
        Whether lower boxes stand in the middle of their layer, or at its top.
    """
    layer = _layers(sizes, edges) | dict.fromkeys(first, 0)
    rows: list[list[Place]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in sizes:
        rows[layer[name]].append(name)
    links = _threaded(edges, layer, rows)
    above, below = _neighbours(links)
    _order(rows, above, below)
    widths: dict[Place, float] = {p: sizes[p][0] if not isinstance(p, tuple) else THREAD for row in rows for p in row}
    middle = _middles(rows, widths, above, below, gap_x)
    left = min([middle[p] - widths[p] / 2 for row in rows for p in row])
    right = max([middle[p] + widths[p] / 2 for row in rows for p in row])
    heights = [max([sizes[p][1] for p in row if not isinstance(p, tuple)], default=0.0) for row in rows]
    tops = [sum(heights[:i]) + gap_y * i for i in range(len(rows))]
    corners: dict[Name, Point] = {}
    bends: dict[Edge, list[Point]] = {}
    for i, row in enumerate(rows):
        for p in row:
            if isinstance(p, tuple):
                bends.setdefault(p[0], []).extend([(middle[p] - left, tops[i]), (middle[p] - left, tops[i] + heights[i])])
            else:
                down = (heights[i] - sizes[p][1]) / 2 if centred else 0
                corners[p] = (middle[p] - widths[p] / 2 - left, tops[i] + down)
    return Layout(corners, bends, right - left, tops[-1] + heights[-1])


def _layers(sizes: Mapping[Name, Point], edges: Sequence[Edge]) -> dict[Name, int]:
    """Number the layers from the top; every box stands as low as what uses it allows."""
    users: dict[Name, list[Name]] = {n: [] for n in sizes}
    waiting = dict.fromkeys(sizes, 0)
    used: dict[Name, list[Name]] = {n: [] for n in sizes}
    for a, b in edges:
        users[a].append(b)
        used[b].append(a)
        waiting[a] += 1
    height: dict[Name, int] = {}
    ready = [n for n in sizes if not waiting[n]]
    while ready:
        name = ready.pop()
        height[name] = max([height[u] + 1 for u in users[name]], default=0)
        for a in used[name]:
            waiting[a] -= 1
            if not waiting[a]:
                ready.append(a)
    top = max(height.values())
    return {n: top - height[n] for n in sizes}


def _threaded(edges: Sequence[Edge], layer: Mapping[Name, int], rows: list[list[Place]]) -> list[tuple[Place, Place]]:
    """Split lines into pieces from one layer to the next, with places of their own on the layers between."""
    links: list[tuple[Place, Place]] = []
    for edge in dict.fromkeys(edges):
        a, b = edge
        last: Place = a
        for i in range(layer[a] + 1, layer[b]):
            rows[i].append((edge, i))
            links.append((last, (edge, i)))
            last = (edge, i)
        links.append((last, b))
    return links


def _neighbours(links: Sequence[tuple[Place, Place]]) -> tuple[dict[Place, list[Place]], dict[Place, list[Place]]]:
    above: dict[Place, list[Place]] = {}
    below: dict[Place, list[Place]] = {}
    for a, b in links:
        below.setdefault(a, []).append(b)
        above.setdefault(b, []).append(a)
    return above, below


def _order(rows: list[list[Place]], above: Mapping[Place, list[Place]], below: Mapping[Place, list[Place]]) -> None:
    """Order each layer by the average place of the neighbours, first from the bottom up, then down, and again."""
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 0
        for row in reversed(rows) if upwards else rows:
            beside = below if upwards else above
            place = {p: i / max(len(r) - 1, 1) for r in rows for i, p in enumerate(r)}
            own = {p: i / max(len(row) - 1, 1) for i, p in enumerate(row)}
            means = {p: sum([place[q] for q in beside[p]]) / len(beside[p]) if p in beside else own[p] for p in row}
            row.sort(key=lambda p, means=means: means[p])  # type: ignore[misc]


def _middles(
    rows: Sequence[Sequence[Place]],
    widths: Mapping[Place, float],
    above: Mapping[Place, list[Place]],
    below: Mapping[Place, list[Place]],
    gap: float,
) -> dict[Place, float]:
    """Give the middle of every place: near to its neighbours, in order, without overlaps."""
    middle: dict[Place, float] = {}
    for row in rows:
        middle.update(zip(row, _spread([0.0] * len(row), row, widths, gap), strict=True))
    for sweep in range(2 * SWEEPS):
        upwards = sweep % 2 == 0
        for row in reversed(rows) if upwards else rows:
            wanted = []
            for p in row:
                beside = [*below.get(p, []), *above.get(p, [])] if sweep > SWEEPS else (below if upwards else above).get(p, [])
                wanted.append(sum([middle[q] for q in beside]) / len(beside) if beside else middle[p])
            middle.update(zip(row, _spread(wanted, row, widths, gap), strict=True))
    return middle


def _spread(wanted: Sequence[float], row: Sequence[Place], widths: Mapping[Place, float], gap: float) -> list[float]:
    """Give the middles nearest to the wanted ones (in the sum of squares) that keep order and distance."""
    offsets = [0.0]
    for a, b in itertools.pairwise(row):
        offsets.append(offsets[-1] + (widths[a] + widths[b]) / 2 + gap)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        mean, count = want - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, n = blocks.pop()
            mean, count = (mean * count + other * n) / (count + n), count + n
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    return [s + o for s, o in zip(starts, offsets, strict=False)]


# Boxes, lines and words as SVG, with nothing that a plain viewer does not know: no style sheet, no script ------------------------

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
CHARACTER, SMALL = 7.4, 6.7


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of one plug-in: of boxes, of frames, of lines and borders, of words."""

    light: str
    pale: str
    line: str
    dark: str


_KNOWN = {
    "servicex": Colours("#dbeafe", "#f5f9ff", "#3b82f6", "#1e40af"),
    "awkward": Colours("#dcfce7", "#f5fdf8", "#22a559", "#166534"),
    "fused": Colours("#ffedd5", "#fffaf3", "#f97316", "#9a3412"),
    "hist": Colours("#f3e8ff", "#fcf9ff", "#a855f7", "#6b21a8"),
    "coffea": Colours("#fef3c7", "#fffdf3", "#ca8a04", "#854d0e"),
}
_OTHERS = (
    Colours("#ccfbf1", "#f4fefc", "#14b8a6", "#115e59"),
    Colours("#fce7f3", "#fff7fb", "#ec4899", "#9d174d"),
    Colours("#e2e8f0", "#f8fafc", "#64748b", "#334155"),
)


def colours_of(plugins: Sequence[str]) -> dict[str, Colours]:
    """Give each plug-in its colours: the built-in ones always the same, others in order."""
    others = [p for p in plugins if p not in _KNOWN]
    return {p: _KNOWN[p] if p in _KNOWN else _OTHERS[others.index(p) % len(_OTHERS)] for p in plugins}


class Canvas:
    """Collects shapes, and gives the drawing."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self._shapes: list[str] = []

    def widen(self, width: float) -> None:
        """Make the drawing at least that wide."""
        self.width = max(self.width, width)

    def frame(self, x: float, y: float, width: float, height: float, colours: Colours) -> None:
        """Draw the border of a task."""
        self._rectangle(x, y, width, height, 10, f'fill="{colours.pale}" stroke="{colours.line}" stroke-width="1.2"')

    def box(  # noqa: PLR0913, PLR0917
        self, x: float, y: float, width: float, height: float, title: str, colours: Colours, hint: str, *, dashed: bool
    ) -> None:
        """Draw a step; the hint shows when a mouse is over it."""
        fill = "#ffffff" if dashed else colours.light
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self._shapes.append(f"<g><title>{_text(hint)}</title>")
        self._rectangle(x, y, width, height, 5, f'fill="{fill}" stroke="{colours.line}" stroke-width="1.2"{dashes}')
        self.text(x + width / 2, y + height / 2 + 4, title, "#0f172a", at="middle")
        self._shapes.append("</g>")

    def swatch(self, x: float, y: float, colours: Colours) -> None:
        """Draw the sign of a plug-in in the legend."""
        self._rectangle(x, y, 12, 12, 3, f'fill="{colours.light}" stroke="{colours.line}" stroke-width="1.2"')

    def line(self, points: Sequence[Point], colour: str, width: float) -> None:
        """Draw a smooth line through points that lie below each other, with an arrow head at its end."""
        (x, y), *rest = points
        path = [f"M{x:.1f},{y:.1f}"]
        for a, b in rest:
            half = (y + b) / 2
            path.append(f"C{x:.1f},{half:.1f} {a:.1f},{half:.1f} {a:.1f},{b:.1f}")
            x, y = a, b
        self._shapes.append(f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        self._shapes.append(f'<path d="M{x - 3.5:.1f},{y - 6:.1f} L{x:.1f},{y:.1f} L{x + 3.5:.1f},{y - 6:.1f} Z" fill="{colour}"/>')

    def text(  # noqa: PLR0913
        self,
        x: float,
        y: float,
        words: str,
        colour: str,
        *,
        bold: bool = False,
        small: bool = False,
        at: str = "start",
        behind: str = "",
    ) -> None:
        """Write words; ``behind`` is a colour that keeps lines below them from making them hard to read."""
        width = len(words) * (SMALL if small else CHARACTER)
        left = x - width / 2 if at == "middle" else x
        self.widen(left + width + 12)
        if behind:
            self._rectangle(left - 2, y - 11, width + 4, 14, 2, f'fill="{behind}" fill-opacity="0.85"')
        weight = ' font-weight="bold"' if bold else ""
        size = 11 if small else 12
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{at}"{weight} '
            f'xml:space="preserve">{_text(words)}</text>'
        )

    def svg(self, title: str) -> str:
        """Give the drawing."""
        width, height = round(self.width), round(self.height)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        return "\n".join(
            [
                f'{head} font-family="{FONT}" role="img">',
                f"<title>{_text(title)}</title>",
                f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
                *self._shapes,
                "</svg>",
            ]
        )

    def _rectangle(self, x: float, y: float, width: float, height: float, radius: float, look: str) -> None:
        self._shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}" {look}/>')


def _text(words: str) -> str:
    """Give words as XML text: escaped, and without the control characters that XML does not allow."""
    return escape("".join([c if c >= " " or c in "\n\t" else " " for c in words]))


# A plan as a drawing: one frame for each task, in it the steps of its expression, colours by plug-in -----------------------------

MOST_DRAWN_TASKS = 30
MOST_STEPS, DEEPEST_DRAWN = 48, 24
LINE, PAD, HEAD, BOX = 15.0, 16.0, 50.0, 26.0
MOST_WORDS = 44  # in a line over the steps of a narrow task
MORE = b"more"
GREY = "#64748b"


@dataclass(frozen=True, slots=True)
class Frame:
    """One task: its words, its steps, where these stand inside the frame, and the size of the frame.

    ``above`` and ``below`` are the lines of words over and under the steps.
    """

    task: Task
    heading: str
    above: tuple[str, ...]
    below: tuple[str, ...]
    titles: Mapping[Name, str]
    hints: Mapping[Name, str]
    taken: Mapping[Key, Name]
    edges: tuple[tuple[Name, Name], ...]
    layout: Layout

    @property
    def head(self) -> float:
        """The height of the words over the steps."""
        return HEAD + LINE * (len(self.above) - 1)

    @property
    def width(self) -> float:
        """The width, of the steps or the words."""
        words = max(len(line) for line in (*self.above, *self.below)) * SMALL
        return max(self.layout.width, len(self.heading) * CHARACTER, words) + 2 * PAD

    @property
    def height(self) -> float:
        """The height of steps and words."""
        return self.layout.height + self.head + PAD + LINE * len(self.below) + 6


def plan_svg(plan: Plan, status: Mapping[Key, str] | None = None) -> str:
    """Give the plan as a drawing in SVG: data flow downwards, from the tables to the results.

    Every task is a frame, every step a box in the colour of the plug-in that runs it; what a task takes from another is a dashed box.
    Large plans are drawn in part, and the drawing says what is left out.
    """
    names = task_names(plan)
    known = status or {}
    frames = [_frame(t, i + 1, names, known.get(t.key, "")) for i, t in enumerate(plan.tasks[:MOST_DRAWN_TASKS])]
    keys: dict[Name, Frame] = {f.task.key: f for f in frames}
    edges: list[tuple[Name, Name]] = [(k, f.task.key) for f in frames for k in f.taken if k in keys]
    outer = layered({k: (f.width, f.height) for k, f in keys.items()}, edges, gap_x=28, gap_y=48, centred=False)
    plugins = list(dict.fromkeys([t.plugin for t in plan.tasks]))
    colours = colours_of(plugins)
    canvas = Canvas(max(outer.width, 440) + 2 * PAD, outer.height + 2 * PAD + HEAD + 24)
    _legend(canvas, plan, colours, len(plan.tasks) - len(frames))
    shift = (PAD + (canvas.width - 2 * PAD - outer.width) / 2, PAD + HEAD)
    places = {f.task.key: (x + shift[0], y + shift[1]) for f in frames for x, y in [outer.left_top[f.task.key]]}
    for f in frames:
        canvas.frame(*places[f.task.key], f.width, f.height, colours[f.task.plugin])
    for a, b in dict.fromkeys(edges):
        bends = [(x + shift[0], y + shift[1]) for x, y in outer.bends.get((a, b), [])]
        taken = _box_centre(keys[b], keys[b].taken[a], places[b])  # type: ignore[index]
        canvas.line([_bottom(keys[a], places[a]), *bends, taken], "#475569", 1.6)  # type: ignore[index]
    for f in frames:
        _draw_frame(canvas, f, places[f.task.key], colours[f.task.plugin])
        if f.task.key in plan.targets:
            _result(canvas, f, _bottom(f, places[f.task.key]))
    return canvas.svg(f"plan of {counted(len(plan.tasks), 'task')}")


def plan_html(plan: Plan, status: Mapping[Key, str] | None = None) -> str:
    """Give the plan as HTML that needs nothing else: the drawing, and the text below it; only ASCII characters."""
    text = escape(plan_text(plan, status))
    style = "font: 13px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    html = (
        f'<div class="hep-flows-plan" style="background: #ffffff; color: #0f172a; padding: 8px; overflow-x: auto">'
        f"{plan_svg(plan, status)}"
        f'<details><summary style="{style}; cursor: pointer">as text</summary>'
        f'<pre style="{style}; color: #0f172a; background: #f8fafc; padding: 12px; overflow-x: auto">{text}</pre></details></div>'
    )
    return html.encode("ascii", "xmlcharrefreplace").decode()


def _frame(task: Task, number: int, names: Mapping[Key, str], known: str) -> Frame:
    found = steps([task.expr], None, names)
    shown = nearest(task.expr, found, MOST_STEPS, DEEPEST_DRAWN)
    titles: dict[Name, str] = {}
    hints: dict[Name, str] = {}
    edges: list[tuple[Name, Name]] = []
    for key in [k for k in found if k in shown]:
        step = found[key]
        titles[key] = step.title
        hints[key] = f"{one_line(step.node, 400, names)}\n{step.node.type}"
        edges += [(i.key, key) for i in step.below if i.key in shown]
        hidden = {i.key for i in step.below if i.key not in shown}
        if hidden:
            titles[MORE + key], hints[MORE + key] = "...", f"{counted(len(hidden), 'part')} not drawn"
            edges.append((MORE + key, key))
    sizes: dict[Name, Point] = {k: (len(t) * CHARACTER + 18, BOX) for k, t in titles.items()}
    more = next((n for n in titles if n not in found), task.expr.key)
    taken = {s.node.task: k if k in shown else more for k, s in found.items() if isinstance(s.node, Input)}
    layout = layered(sizes, edges, first=[k for k in taken.values() if k in found and k != task.expr.key])
    hidden_steps = [f"{counted(len(found) - len(shown), 'step')} not drawn"] if len(found) > len(shown) else []
    said = ", ".join([kind_of_output(task), *([known] if known else [])])
    # What is known of a task is as long as a reason is: it takes lines, and does not make the frame wide.
    fits = max(MOST_WORDS, int(layout.width / SMALL))
    above, below = (*_wrapped(said, fits), *hidden_steps), tuple(_wrapped(columns_read(task), max(fits, 60)))
    return Frame(task, f"task {number}: {task.plugin}", above, below, titles, hints, taken, tuple(edges), layout)


def _wrapped(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split(" ") if text else []:
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _corner(f: Frame, name: Name, place: Point) -> Point:
    x, y = f.layout.left_top[name]
    return x + place[0] + (f.width - f.layout.width) / 2, y + place[1] + f.head


def _box_centre(f: Frame, name: Name, place: Point) -> Point:
    """Give the middle of the upper edge of a box."""
    x, y = _corner(f, name, place)
    return x + (len(f.titles[name]) * CHARACTER + 18) / 2, y


def _bottom(f: Frame, place: Point) -> Point:
    x, y = _box_centre(f, f.task.expr.key, place)
    return x, y + BOX


def _draw_frame(canvas: Canvas, f: Frame, place: Point, colours: Colours) -> None:
    x, y = place
    canvas.text(x + PAD, y + 19, f.heading, colours.dark, bold=True, behind=colours.pale)
    for i, line in enumerate(f.above):
        canvas.text(x + PAD, y + 34 + LINE * i, line, GREY, small=True, behind=colours.pale)
    for a, b in dict.fromkeys(f.edges):
        dx, dy = _corner(f, a, place)[0] - f.layout.left_top[a][0], place[1] + f.head
        bends = [(p + dx, q + dy) for p, q in f.layout.bends.get((a, b), [])]
        start = _box_centre(f, a, place)
        canvas.line([(start[0], start[1] + BOX), *bends, _box_centre(f, b, place)], colours.line, 1.3)
    inputs = set(f.taken.values())
    for name, title in f.titles.items():
        width = len(title) * CHARACTER + 18
        canvas.box(*_corner(f, name, place), width, BOX, title, colours, f.hints[name], dashed=name in inputs)
    for i, line in enumerate(f.below):
        canvas.text(x + PAD, y + f.head + f.layout.height + 20 + LINE * i, line, GREY, small=True, behind=colours.pale)


def _result(canvas: Canvas, f: Frame, bottom: Point) -> None:
    place = f.height - f.head - f.layout.height
    end = (bottom[0], bottom[1] + place + 14)
    canvas.line([bottom, end], "#0f172a", 1.8)
    canvas.text(end[0], end[1] + 14, f"result: {f.task.expr.type}", "#0f172a", small=True, at="middle", behind="#ffffff")


def _legend(canvas: Canvas, plan: Plan, colours: Mapping[str, Colours], left_out: int) -> None:
    more = f", {left_out} of them not drawn" if left_out > 0 else ""
    title = f"{counted(len(plan.exprs), 'result')}, {counted(len(plan.tasks), 'task')}{more}"
    canvas.text(PAD, PAD + 12, title, "#0f172a", bold=True)
    x = PAD + len(title) * CHARACTER + 28
    for plugin, c in colours.items():
        canvas.swatch(x, PAD + 2, c)
        canvas.text(x + 18, PAD + 12, plugin, "#0f172a")
        x += 18 + len(plugin) * CHARACTER + 20
    canvas.widen(x)


# What ``plan(x)`` gives: a plan that prints, shows and saves itself --------------------------------------------------------------


MUCH_BYTES = 1000  # of memory for an event: below it, no plan says so


class PlanView:
    """A plan, to look at.

    Parameters
    ----------
    plan : Plan
        The plan itself, kept as ``raw``.
    status : mapping, optional
        By task key, what is known of each task: whether it is stored, and why not. Kept as ``status``.
    sent : mapping, optional
        By task key, where it runs and what is sent there, for tasks that run elsewhere. Kept as ``sent``.
    remarks : sequence of str
        What else there is to say, among the notes. Kept as ``remarks``.
    """

    __slots__ = ("raw", "remarks", "sent", "status")

    def __init__(
        self,
        plan: Plan,
        status: Mapping[Key, object] | None = None,
        sent: Mapping[Key, tuple[str, str]] | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        """Keep the plan."""
        self.remarks = tuple(remarks)
        self.raw = plan
        self.sent = sent or {}
        self.status = status or {}

    def _words(self) -> dict[Key, str]:
        return {key: f"{known}" for key, known in self.status.items()}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, producers first."""
        return self.raw.tasks

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read, by the names that the files use, ordered by name."""
        return tuple(sorted({c for t in self.raw.tasks for c in t.columns}))

    @property
    def bytes(self) -> int | None:
        """About how many compressed bytes the columns have in the files; None when that cannot be told."""
        from hep_flows.plugins import find

        columns: dict[tuple[str, Dataset], set[str]] = {}
        for task in self.raw.tasks:
            if task.dataset is not None and task.columns:
                columns.setdefault((task.plugin, task.dataset), set()).update(task.columns)
        total = 0
        for (name, table), names in columns.items():
            found = find(name).column_bytes(table, tuple(sorted(names)))
            if found is None:
                return None
            total += found
        return total

    @property
    def event_bytes(self) -> dict[str, int]:
        """By table, about how many bytes of memory an event takes while it is worked on: an estimate from the metadata of a file."""
        from hep_flows.execute.machine import event_bytes
        from hep_flows.plugins import find

        plugins = {t.plugin: find(t.plugin) for t in self.raw.tasks}
        weights = event_bytes(self.raw, plugins)
        return {table.name: round(w.read + w.work) for table, w in weights.items()}

    def __str__(self) -> str:
        """Give the labelled tree, the tasks and what they read."""
        return plan_text(self.raw, self._words(), self.sent, [*self.remarks, *self._memory()])

    def _memory(self) -> list[str]:
        """Say how much memory an event takes, where that is much and something is left to be computed; no file of a server is opened for it."""
        if self.status and all(getattr(known, "state", "") == "hit" for known in self.status.values()):
            return []
        if any("://" in path for t in self.raw.tasks if t.dataset is not None for path in t.dataset.files):
            return []
        heavy = {name: n for name, n in self.event_bytes.items() if n >= MUCH_BYTES}
        return [
            f"an event of {name} takes about {n / 1000:,.1f} kB of memory while it is worked on (an estimate)"
            for name, n in heavy.items()
        ]

    def __repr__(self) -> str:
        """Give the same text: a plan is looked at."""
        return str(self)

    def _repr_html_(self) -> str:

        return plan_html(self.raw, self._words())

    def show(self) -> None:
        """Print the plan."""
        print(self)  # noqa: T201

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as a picture (``.svg``), a page (``.html``) or text (``.txt``).

        Raises
        ------
        LiteralError
            For another ending.
        StoreError
            When it cannot be written there.
        """
        target = Path(path)
        match target.suffix.lower():
            case ".svg":
                text = plan_svg(self.raw, self._words())
            case ".html" | ".htm":
                text = plan_html(self.raw, self._words())
            case ".txt":
                text = f"{self}\n"
            case ending:
                raise LiteralError(
                    f"a plan cannot be saved as {ending or 'a file without an ending'!r}",
                    where=user_site(),
                    do="use .svg, .html or .txt",
                )
        save_text(target, text, "the plan", user_site())

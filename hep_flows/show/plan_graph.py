"""A plan as a drawing: one frame for each task, in it the steps of its expression, colours by plug-in."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Input
from hep_flows.expr.text import one_line
from hep_flows.show.layout import Layout, layered
from hep_flows.show.plan_text import columns_read, counted, kind_of_output, plan_text, task_names
from hep_flows.show.steps import steps
from hep_flows.show.svg import CHARACTER, SMALL, Canvas, Colours, colours_of
from hep_flows.show.tree import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.planning.task import Key, Plan, Task
    from hep_flows.show.layout import Name, Point

MOST_TASKS = 30
MOST_STEPS, DEEPEST = 48, 24
LINE, PAD, HEAD, BOX = 15.0, 16.0, 50.0, 26.0
MORE = b"more"
GREY = "#64748b"


@dataclass(frozen=True, slots=True)
class Frame:
    """One task: its steps, where they stand inside the frame, and the size of the frame."""

    task: Task
    number: int
    titles: Mapping[Name, str]
    hints: Mapping[Name, str]
    taken: Mapping[Key, Name]
    edges: tuple[tuple[Name, Name], ...]
    layout: Layout
    width: float
    height: float
    left_out: int


def plan_svg(plan: Plan, status: Mapping[Key, str] | None = None) -> str:
    """Give the plan as a drawing in SVG: data flow downwards, from the tables to the results.

    Every task is a frame, every step a box in the colour of the plug-in that runs it; what a task takes from another is a dashed box.
    Large plans are drawn in part, and the drawing says what is left out.
    """
    names = task_names(plan)
    frames = [_frame(t, i + 1, names) for i, t in enumerate(plan.tasks[:MOST_TASKS])]
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
        _draw_frame(canvas, f, places[f.task.key], colours[f.task.plugin], (status or {}).get(f.task.key, ""))
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


def _frame(task: Task, number: int, names: Mapping[Key, str]) -> Frame:
    found = steps([task.expr], None, names)
    shown = nearest(task.expr, found, MOST_STEPS, DEEPEST)
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
    columns = columns_read(task)
    left_out = len(found) - len(shown)
    words = max(len(_heading(task, number)) * CHARACTER, len(_subtitle(task, left_out)) * SMALL, min(len(columns), 60) * SMALL)
    height = layout.height + HEAD + PAD + LINE * len(_wrapped(columns))
    return Frame(task, number, titles, hints, taken, tuple(edges), layout, max(layout.width, words) + 2 * PAD, height + 6, left_out)


def _heading(task: Task, number: int) -> str:
    return f"task {number}: {task.plugin}"


def _subtitle(task: Task, left_out: int) -> str:
    more = f", {counted(left_out, 'step')} not drawn" if left_out else ""
    return f"{kind_of_output(task)}{more}"


def _wrapped(text: str, width: int = 60) -> list[str]:
    lines: list[str] = []
    for word in text.split(" ") if text else []:
        if lines and len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _corner(f: Frame, name: Name, place: Point) -> Point:
    x, y = f.layout.left_top[name]
    return x + place[0] + (f.width - f.layout.width) / 2, y + place[1] + HEAD


def _box_centre(f: Frame, name: Name, place: Point) -> Point:
    """Give the middle of the upper edge of a box."""
    x, y = _corner(f, name, place)
    return x + (len(f.titles[name]) * CHARACTER + 18) / 2, y


def _bottom(f: Frame, place: Point) -> Point:
    x, y = _box_centre(f, f.task.expr.key, place)
    return x, y + BOX


def _draw_frame(canvas: Canvas, f: Frame, place: Point, colours: Colours, known: str) -> None:
    x, y = place
    stored = f", {known}" if known else ""
    canvas.text(x + PAD, y + 19, _heading(f.task, f.number), colours.dark, bold=True, behind=colours.pale)
    canvas.text(x + PAD, y + 34, f"{_subtitle(f.task, f.left_out)}{stored}", GREY, small=True, behind=colours.pale)
    for a, b in dict.fromkeys(f.edges):
        dx, dy = _corner(f, a, place)[0] - f.layout.left_top[a][0], place[1] + HEAD
        bends = [(p + dx, q + dy) for p, q in f.layout.bends.get((a, b), [])]
        start = _box_centre(f, a, place)
        canvas.line([(start[0], start[1] + BOX), *bends, _box_centre(f, b, place)], colours.line, 1.3)
    inputs = set(f.taken.values())
    for name, title in f.titles.items():
        width = len(title) * CHARACTER + 18
        canvas.box(*_corner(f, name, place), width, BOX, title, colours, f.hints[name], dashed=name in inputs)
    for i, line in enumerate(_wrapped(columns_read(f.task))):
        canvas.text(x + PAD, y + HEAD + f.layout.height + 20 + LINE * i, line, GREY, small=True, behind=colours.pale)


def _result(canvas: Canvas, f: Frame, bottom: Point) -> None:
    place = f.height - HEAD - f.layout.height
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

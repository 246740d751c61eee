"""A plan as text: the labelled tree of every result, the tasks, and what there is to note."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Expr, Input
from hep_flows.expr.text import one_line
from hep_flows.expr.walk import postorder
from hep_flows.show.notes import notes, refusals
from hep_flows.show.tree import MOST_LINES, tree_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.planning.task import Key, Plan, Task

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
            parts.append("\n".join([title, *[f"  {line}" for line in lines]]))
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
    return f"reads {', '.join(task.columns[:MOST_COLUMNS])}{rest}"


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

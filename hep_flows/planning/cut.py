"""Cut labelled expressions into tasks.

Before: ``fill(histogram, record(J.pt / J.pt.Max().Max()))``, each node with its label and its reach. After: one task for the
global maximum (a number), one for the record (columns, which takes the number as an `Input`), one for the fill.

A border lies between a node and its user where the label changes, where events meet merged results, and above every reduction
over events. What else was asked for makes no border, so a task has the same key whatever stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from hep_flows.expr import build
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Histogram, Loop, Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.task import Task
from hep_flows.planning.task_key import task_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.planning.spread import Reach
    from hep_flows.planning.task import Key, Output
    from hep_flows.plugin import Label


@dataclass(frozen=True, slots=True)
class Borders:
    """What decides where expressions are cut: label and reach of each node, and nodes to cut above in any case."""

    labels: Mapping[Key, Label]
    reach: Mapping[Key, Reach]
    extra: Collection[Key] = ()

    def between(self, node: Expr, user: Expr, runs_user: Label) -> bool:
        """Say whether the user, which a plug-in runs, sees the node only through the result of a task."""
        if isinstance(node, Literal) or node.type.loops:
            return False  # What depends on a loop's element has a value only inside the loop.
        if node.key in self.extra or self.labels[node.key] != runs_user:
            return True
        here, there = self.reach[node.key], self.reach[user.key]
        if here == "anywhere":
            return False
        if here != there:
            return True
        return here == "partitions" and not node.type.axes and not _is_chain(node, user)


def _is_chain(node: Expr, user: Expr) -> bool:
    """Say whether it is one fill of a histogram upon another."""
    return isinstance(node.type.item, Histogram) and isinstance(user.type.item, Histogram)


def cut(exprs: Sequence[Expr], borders: Borders, versions: Mapping[Label, str]) -> tuple[tuple[Task, ...], tuple[Key, ...]]:
    """Give the tasks, producers first, and the key of the task of each expression.

    Parameters
    ----------
    exprs : sequence of Expr
        The expressions, each over at most one table.
    borders : Borders
        Where to cut.
    versions : mapping
        The result version of each plug-in.
    """
    tasks: dict[Key, Task] = {}
    inner: dict[tuple[Key, Label], Expr] = {}
    run_by = _run_by(exprs, borders.labels)
    tables: dict[Key, Dataset | None] = {}
    made: dict[Key, Key] = {}

    def task_of(node: Expr) -> Key:
        if node.key not in made:
            plugin = borders.labels[node.key]
            task = _task(node, inner[node.key, plugin], plugin, versions[plugin], borders.reach[node.key], tables[node.key])
            tasks.setdefault(task.key, task)
            made[node.key] = task.key
        return made[node.key]

    def seen(i: Expr, user: Expr, plugin: Label) -> Expr:
        if borders.between(i, user, plugin):
            return build.task_input(task_of(i), i.type)
        return i if isinstance(i, Literal) else inner[i.key, plugin]

    for node in postorder(*exprs):
        for plugin in run_by[node.key]:
            inner[node.key, plugin] = over(node, tuple([seen(i, node, plugin) for i in _read_by(node)]))
        below = [tables[i.key] for i in node.inputs()]
        tables[node.key] = node if isinstance(node, Dataset) else next((t for t in below if t is not None), None)
    targets = tuple([task_of(e) for e in exprs])
    return tuple(tasks.values()), targets


def _run_by(exprs: Sequence[Expr], labels: Mapping[Key, Label]) -> dict[Key, dict[Label, None]]:
    """Give the plug-ins that run each node: its own, but of what depends on a loop's element those of all loops that it is in.

    Loops of several plug-ins may share a body: each runs it itself.
    """
    found: dict[Key, dict[Label, None]] = {}
    for node in reversed(list(postorder(*exprs))):
        mine = found.setdefault(node.key, {})
        if not mine or not node.type.loops:
            mine[labels[node.key]] = None
        for i in node.inputs():
            if i.type.loops:
                found.setdefault(i.key, {}).update(mine)
    return found


def _read_by(node: Expr) -> tuple[Expr, ...]:
    """Give the inputs of a node.

    Of a loop over objects, the lists are all that is read: a leaf that its body takes anyway has them too, and costs no transfer of
    whole objects.
    """
    if not isinstance(node, Map) or not isinstance(node.over.type.item, Record):
        return node.inputs()
    over = node.over.type
    loop = Loop(over.axes[1], node.level)
    for inside in postorder(node.body, into=lambda n: loop in n.type.loops):
        if isinstance(inside, Bound) and inside.level == node.level and not isinstance(inside.type.item, Record):
            leaf = inside.of.type
            if (leaf.axes[:2], leaf.loops) == (over.axes[:2], over.loops):
                return (inside.of, node.body)
    return node.inputs()


def _task(node: Expr, expr: Expr, plugin: Label, version: str, reach: Reach, table: Dataset | None) -> Task:
    output = output_of(node)
    inputs = tuple([n.task for n in postorder(expr) if isinstance(n, Input)])
    by_partition = reach == "partitions"
    return Task(
        key=task_key(plugin, version, expr, output),
        plugin=plugin,
        expr=expr,
        inputs=tuple(dict.fromkeys(inputs)),
        output=output,
        spread="partitions" if by_partition else "whole",
        dataset=table if by_partition else None,
    )


def output_of(node: Expr) -> Output:
    """Give the form of a node's result."""
    if isinstance(node.type.item, Histogram):
        return "histogram"
    return "columns" if node.type.axes else "scalar"


def over(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Give the same node over other inputs that stand for the same values: its type stays, whatever their keys are."""
    if all(a is b for a, b in zip(inputs, node.inputs(), strict=True)):
        return node
    match node:
        case Dataset() | Literal() | Input():
            return node
        case Field() | Bound():
            return replace(node, of=inputs[0])
        case Filter():
            return replace(node, of=inputs[0], mask=inputs[1])
        case Map():
            return replace(node, over=inputs[0], body=inputs[1])
        case Call():
            return replace(node, args=inputs)
        case _:
            assert_never(node)

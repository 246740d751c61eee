"""From normalised expressions to a plan: check, label, cut, and ask each plug-in what it reads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import AxisError, PlanError
from hep_flows.expr.file_names import shown
from hep_flows.expr.loops import PROVISIONAL
from hep_flows.expr.nodes import Bound, Dataset, Expr, Map
from hep_flows.expr.walk import postorder
from hep_flows.planning.cut import Borders, cut
from hep_flows.planning.label import label
from hep_flows.planning.lines import Lines
from hep_flows.planning.spread import spread
from hep_flows.planning.task import Plan
from hep_flows.plugin import Reading, numerics_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Label, Plugin


def make_plan(
    exprs: Sequence[Expr],
    plugins: Sequence[Plugin],
    *,
    pins: Mapping[Key, Label] | None = None,
    extra_cuts: Collection[Key] = (),
) -> Plan:
    """Give the tasks that deliver the expressions.

    Parameters
    ----------
    exprs : sequence of Expr
        Normalised; equal ones share their task.
    plugins : sequence of Plugin
        Those that may be used.
    pins : mapping, optional
        The plug-in of some nodes, by expression key; ``labels`` of an earlier plan are good.
    extra_cuts : collection of bytes
        Nodes (by key) whose results are to be tasks of their own. The values stay the same.

    Raises
    ------
    PlanError
        When the element of a lambda is used outside of it, or no plug-in can run a node.
    AxisError
        When one expression is over two tables.
    """
    exprs = tuple(exprs)
    _check_loops(exprs)
    _check_tables(exprs)
    labels = label(exprs, plugins, pins)
    borders = Borders(labels.names, spread(exprs), frozenset(extra_cuts))
    by_name = {p.name: p for p in plugins}
    tasks, targets, forms = cut(exprs, borders, lambda name, kind: numerics_of(by_name[name], kind))
    columns = {p.name: _columns_by(p) for p in plugins}
    tasks = tuple([replace(t, columns=columns[t.plugin](t)) for t in tasks])
    return Plan(tasks, targets, exprs, labels.names, labels.refusals, Lines(exprs), forms)


def _columns_by(plugin: Plugin) -> Callable[[Task], tuple[str, ...]]:
    """Give the function that tells what a task reads."""
    able: object = plugin
    return able.columns if isinstance(able, Reading) else lambda task: plugin.translate(task).columns


def _check_loops(exprs: Sequence[Expr]) -> None:
    for node in postorder(*exprs):
        if isinstance(node, Bound | Map) and node.level >= PROVISIONAL:
            raise _escaped(node)
    for expr in exprs:
        if expr.type.loops:
            raise _escaped(expr)


def _escaped(node: Expr) -> PlanError:
    return PlanError(
        "an element of a lambda was used outside of it",
        where=node.where,
        why="the parameter of a function given to map or to a column has a value only inside that function",
        do="return what you need from the function, and use the result of map",
    )


def _check_tables(exprs: Sequence[Expr]) -> None:
    """Refuse an expression over two tables, where they meet."""
    tables: dict[Key, Dataset | None] = {}
    for node in postorder(*exprs):
        if isinstance(node, Dataset):
            tables[node.key] = node
            continue
        below = [t for i in node.inputs() if (t := tables[i.key]) is not None]
        tables[node.key] = below[0] if below else None
        for other in below[1:]:
            if other != below[0]:
                raise _two_tables(node, below[0], other)


def _two_tables(node: Expr, first: Dataset, second: Dataset) -> AxisError:
    return AxisError(
        f"one expression is over two tables: {_title(first)} and {_title(second)}",
        where=node.where,
        why="events of one table say nothing about those of another",
        do="use one table, or make each local and combine the arrays",
    )


def _title(table: Dataset) -> str:
    return f"{table.name!r} ({shown(table.files[0])})" if table.files else repr(table.name)

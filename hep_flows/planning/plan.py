"""From normalised expressions to a plan: check, label, cut, and ask each plug-in what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from hep_flows.contract import No, Plan, StandingIn, Yes, numerics_of
from hep_flows.errors import AxisError, NoPluginError, PlanError, Site, did_you_mean
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.loops import PROVISIONAL, rebuilt
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Literal, Map
from hep_flows.expr.text import shown
from hep_flows.expr.walk import postorder, rewrite
from hep_flows.planning.cut import Borders, cut
from hep_flows.planning.spread import spread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from types import CodeType

    from hep_flows.contract import Key, Label, Plugin, Task
    from hep_flows.errors import SourceLine, Where

# Where the user wrote each step of a plan: found out when somebody looks, which most plans do without ----------------------------


class Lines(Mapping["Key", "tuple[SourceLine, ...]"]):
    """The user's lines of every node, by key; equal nodes that were written in several places have several.

    Parameters
    ----------
    exprs : sequence of Expr
        The expressions of the plan.
    """

    def __init__(self, exprs: Sequence[Expr]) -> None:
        """Nothing is looked for yet."""
        self._exprs = exprs

    @cached_property
    def _found(self) -> dict[Key, tuple[SourceLine, ...]]:
        found: dict[Key, dict[SourceLine, None]] = {}
        known: dict[tuple[CodeType, int], SourceLine] = {}

        def line(where: Where) -> SourceLine | None:
            if not isinstance(where, Site):
                return where
            place = (where.code, where.instruction)
            if place not in known:
                known[place] = where.source_line()
            return known[place]

        for node in [*self._exprs, *[i for n in postorder(*self._exprs) for i in n.inputs()]]:
            here = line(node.where)
            if here is not None:
                found.setdefault(node.key, {})[here] = None
        return {key: tuple(lines) for key, lines in found.items()}

    def __getitem__(self, key: Key) -> tuple[SourceLine, ...]:
        """Give the lines of a node."""
        return self._found[key]

    def __iter__(self) -> Iterator[Key]:
        """Give the keys of the nodes."""
        return iter(self._found)

    def __len__(self) -> int:
        """Give the number of nodes."""
        return len(self._found)


# Say which plug-in runs each node ------------------------------------------------------------------------------------------------
#
# Leaves to root: a plug-in that ran the inputs goes on where it can, else the cheapest that can takes over (ties by name). A
# constant goes with whatever uses it first.


@dataclass(frozen=True, slots=True)
class Labels:
    """The plug-in of each node, and why each other one does not take it; both by expression key."""

    names: Mapping[Key, Label]
    refusals: Mapping[Key, Mapping[str, str]]


def label(exprs: Sequence[Expr], plugins: Sequence[Plugin], pins: Mapping[Key, Label] | None = None) -> Labels:
    """Give every node of the expressions a plug-in.

    Parameters
    ----------
    exprs : sequence of Expr
        The expressions, normalised.
    plugins : sequence of Plugin
        Those that may be used.
    pins : mapping, optional
        Nodes (by key) that are to be run by the plug-in of that name.

    Raises
    ------
    NoPluginError
        When no plug-in can run a node; every refusal stands in ``why``.
    """
    names: dict[Key, Label] = {}
    refusals: dict[Key, Mapping[str, str]] = {}
    roots = {e.key for e in exprs}
    for node in postorder(*exprs):
        if isinstance(node, Literal) and node.key not in roots:
            continue
        inputs = ["" if isinstance(i, Literal) else names[i.key] for i in node.inputs()]
        yes, no = _asked(node, inputs, plugins)
        pin = pins.get(node.key) if pins else None
        if pin is not None:
            names[node.key] = _pinned(node, pin, yes, no)
        elif yes:
            names[node.key] = _chosen(inputs, yes)
        else:
            raise _nobody(node, no, _line(node, exprs))
        if no:
            refusals[node.key] = no
        for i in node.inputs():
            names.setdefault(i.key, names[node.key])
    return Labels(_whole_loops(exprs, names), refusals)


def _whole_loops(exprs: Sequence[Expr], names: Mapping[Key, Label]) -> dict[Key, Label]:
    """Give what depends on a loop's element the plug-in of the loop: it has no result of its own that could be handed on."""
    whole = dict(names)
    for node in reversed(list(postorder(*exprs))):
        if isinstance(node, Map) or node.type.loops:
            for i in node.inputs():
                if i.type.loops:
                    whole[i.key] = whole[node.key]
    return whole


def _asked(node: Expr, inputs: Sequence[Label], plugins: Sequence[Plugin]) -> tuple[dict[str, float], dict[str, str]]:
    yes: dict[str, float] = {}
    no: dict[str, str] = {}
    for plugin in plugins:
        match plugin.can_run(node, inputs):
            case Yes(cost):
                yes[plugin.name] = cost
            case No(reason):
                no[plugin.name] = reason
    return yes, no


def _chosen(inputs: Sequence[Label], yes: Mapping[str, float]) -> Label:
    able = [n for n in inputs if n in yes] or list(yes)
    return min(able, key=lambda name: (yes[name], name))


def _pinned(node: Expr, pin: Label, yes: Mapping[str, float], no: Mapping[str, str]) -> Label:
    if pin in yes:
        return pin
    known = [*yes, *no]
    raise PlanError(
        f"{_label_title(node)} is pinned to the plug-in {pin!r}, which cannot run it",
        where=node.where,
        why=no.get(pin, "there is no plug-in of that name here"),
        do=did_you_mean(pin, known) or "leave the pin out",
    )


def _line(node: Expr, exprs: Sequence[Expr]) -> Where:
    """Give the line of a node; a table has none, so that of the expression that it is in."""
    if node.where is not None:
        return node.where
    return next((e.where for e in exprs if node in set(postorder(e))), None)


def _nobody(node: Expr, no: Mapping[str, str], where: Where) -> NoPluginError:
    why = "; ".join([f"{name}: {reason}" for name, reason in sorted(no.items())])
    if isinstance(node, Call) and isinstance(node.function, UserFunction) and node.function.body is None:
        name = node.function.name
        return NoPluginError(
            f"the function {name!r} has no body here, and no plug-in knows it",
            where=where,
            why=why,
            do=f"write the body of {name}, or install a plug-in that offers it",
        )
    return NoPluginError(
        f"no plug-in can run {_label_title(node)}",
        where=where,
        why=why or "there are no plug-ins",
        do="hep-flows plugins lists what is installed, and why something is not",
    )


def _label_title(node: Expr) -> str:
    match node:
        case Dataset():
            return f"the table {node.name!r}"
        case Field():
            return f"the leaf {node.name!r}"
        case Call():
            return node.function if isinstance(node.function, str) else node.function.name
        case _:
            return node.tag


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
    stand_ins = [p for p in plugins if isinstance(p, StandingIn)]
    others = {p.name for p in stand_ins}
    labels = label(
        exprs, [p for p in plugins if p not in stand_ins], {k: n for k, n in pins.items() if n not in others} if pins else None
    )
    borders = Borders(labels.names, spread(exprs), frozenset(extra_cuts))
    by_name = {p.name: p for p in plugins}
    tasks, targets, forms = cut(exprs, borders, lambda name, kind: numerics_of(by_name[name], kind))
    tasks = tuple([replace(t, columns=by_name[t.plugin].columns(t)) for t in tasks])
    tasks, labels = stood_in(tasks, labels, stand_ins)
    return Plan(tasks, targets, exprs, labels.names, labels.refusals, Lines(exprs), forms)


def stood_in(tasks: Sequence[Task], labels: Labels, stand_ins: Sequence[StandingIn]) -> tuple[tuple[Task, ...], Labels]:
    """Give the tasks with the plug-ins that stand in for others: how they are cut, and their keys, stay."""
    names, refusals = dict(labels.names), dict(labels.refusals)
    found: list[Task] = []
    for task in tasks:
        new = task
        for plugin in stand_ins:
            one = plugin.stands_in(new)
            if one is None:
                continue
            refusals.update({k: {**refusals.get(k, {}), plugin.name: why} for k, why in one.left.items()})
            if one.runs:
                mine = [n.key for n in postorder(task.expr) if names.get(n.key) == task.plugin and n.key not in one.left]
                names.update(dict.fromkeys(mine, plugin.name))
                new = replace(new, plugin=plugin.name)
        found.append(new)
    return tuple(found), Labels(names, refusals)


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
    """Refuse an expression over two tables, where they meet; a number over all of another tree of the same files is a number."""
    tables: dict[Key, Dataset | None] = {}
    for node in postorder(*exprs):
        if isinstance(node, Dataset):
            tables[node.key] = node
            continue
        first: Dataset | None = None
        for i in sorted(node.inputs(), key=lambda i: not (i.type.axes or i.type.loops)):
            other = tables[i.key]
            if first is None or other is None or other == first:
                first = first or other
            elif i.type.axes or i.type.loops or not other.files or other.files != first.files:
                raise _two_tables(node, first, other)
        tables[node.key] = first


def _two_tables(node: Expr, first: Dataset, second: Dataset) -> AxisError:
    return AxisError(
        f"one expression is over two tables: {_title(first)} and {_title(second)}",
        where=node.where,
        why="events of one table say nothing about those of another",
        do="use one table, or make each local and combine the arrays",
    )


def _title(table: Dataset) -> str:
    return f"{table.name!r} ({shown(table.files[0])})" if table.files else repr(table.name)


# The same expressions over other tables: recorded once, run over every dataset ---------------------------------------------------


def instantiate(exprs: Sequence[Expr], tables: Mapping[Key, Dataset]) -> tuple[Expr, ...]:
    """Give the expressions over other tables: checked and typed again, for the schema of each table.

    Parameters
    ----------
    exprs : sequence of Expr
        Expressions that were not cut into tasks.
    tables : mapping
        The table to take, by the key of the one that it replaces.

    Raises
    ------
    FieldError
        When the other table lacks a leaf; the user's line is named.
    RecordError
        When its leaves have types that do not fit.
    """

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if isinstance(node, Dataset):
            return tables.get(node.key, node)
        return rebuilt(node, inputs)

    return rewrite(exprs, change)

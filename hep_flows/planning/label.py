"""Say which plug-in runs each node.

Leaves to root: a plug-in that ran the inputs goes on where it can, else the cheapest that can takes over (ties by name). A
constant goes with whatever uses it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.errors import NoPluginError, PlanError, did_you_mean
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Call, Dataset, Field, Literal, Map
from hep_flows.expr.walk import postorder
from hep_flows.plugin import No, Yes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key
    from hep_flows.plugin import Label, Plugin


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
        f"{_title(node)} is pinned to the plug-in {pin!r}, which cannot run it",
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
        f"no plug-in can run {_title(node)}",
        where=where,
        why=why or "there are no plug-ins",
        do="hep-flows plugins lists what is installed, and why something is not",
    )


def _title(node: Expr) -> str:
    match node:
        case Dataset():
            return f"the table {node.name!r}"
        case Field():
            return f"the leaf {node.name!r}"
        case Call():
            return node.function if isinstance(node.function, str) else node.function.name
        case _:
            return node.tag

"""Definitions on other elements: what a column means where leaves were replaced.

A column is a definition on its elements, so one that uses a replaced leaf follows it. On a whole collection every mention of the
leaf follows, those that take the collection as a whole too: a share of the sum is a share of the new sum. A selection has no new
leaf for the elements that it left out, so there only what is computed element by element can follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import RecordError
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.loops import rebuilt, selected_again
from hep_flows.expr.nodes import Call, Expr, Field, Filter
from hep_flows.expr.walk import depending, postorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.errors import Where


def followed(definition: Expr, base: Expr, new: Mapping[bytes, Expr], crossed: Sequence[Expr], title: str, where: Where) -> Expr:
    """Give a column for the elements of a selection, with leaves replaced.

    Parameters
    ----------
    definition : Expr
        The column on ``base``.
    base : Expr
        What the column was defined on.
    new : mapping
        By key of a leaf of ``base``: what stands for it, on the elements of the selection.
    crossed : sequence of Expr
        The selections between the result and ``base``, outermost first.
    title : str
        What the column is called, for the error.

    Raises
    ------
    RecordError
        When the column takes a selection as a whole, and uses a replaced leaf.
    """
    changes = depending([definition], lambda node: node.key in new)
    if definition.key not in changes:
        return carried(definition, crossed)
    is_whole = all(_drops_events(c) for c in crossed) and base.type.axes[-1].key == base.type.axes[-1].root
    n_axes = len(base.type.axes)
    made: dict[bytes, Expr] = {}
    for node in postorder(definition):
        if node.key in new:
            made[node.key] = new[node.key]
        elif node.key in changes:
            alone = node.type.axes[:n_axes] == base.type.axes and _is_of_elements(node, n_axes)
            if not alone and (not is_whole or (crossed and not node.type.axes)):
                raise RecordError(
                    f"the column {title} takes a selection as a whole, and a leaf that it uses was replaced there",
                    where=where,
                    why="the new leaf has no values for the elements that were left out",
                    do="define the column again on the new one, or replace the leaf before the selection",
                )
            made[node.key] = rebuilt(node, tuple([made.get(i.key) or _outside(i, crossed) for i in node.inputs()]))
    return made[definition.key]


def swapped(definition: Expr, collections: Mapping[bytes, Expr], leaf: Callable[[Expr, str, Where], Expr]) -> Expr:
    """Give a definition with whole collections replaced, wherever it mentions them.

    Parameters
    ----------
    definition : Expr
        What was recorded over the collections as they were.
    collections : mapping
        By key of a stored collection: what stands for it.
    leaf : callable
        Gives a leaf of what stands for it, by name.
    """
    made: dict[bytes, Expr] = {}
    for node in postorder(definition):
        if node.key in collections:
            made[node.key] = collections[node.key]
        elif any(i.key in made for i in node.inputs()):
            if isinstance(node, Field):
                made[node.key] = leaf(made[node.of.key], node.name, node.where)
            else:
                made[node.key] = rebuilt(node, tuple([made.get(i.key, i) for i in node.inputs()]))
    return made.get(definition.key, definition)


def _is_of_elements(node: Expr, n_axes: int) -> bool:
    """Say whether each element of the first axes is computed from itself alone."""
    if isinstance(node, Filter):
        return node.at >= n_axes
    if not isinstance(node, Call):
        return False
    if isinstance(node.function, UserFunction) or node.function in ("record", "vary"):
        return True
    kind = FUNCTIONS[node.function].kind
    if kind == "reduce":
        return len(node.args[0].type.axes) > n_axes
    return kind == "elementwise" or (node.function in ("pick", "slice") and dict(node.options)["at"] >= n_axes)  # type: ignore[operator]


def _drops_events(node: Expr) -> bool:
    if isinstance(node, Filter):
        return node.at == 0
    return isinstance(node, Call) and node.function == "slice" and node.option("at") == 0


def carried(value: Expr, crossed: Sequence[Expr]) -> Expr:
    """Give a value for the elements of selections, outermost first."""
    for outer in reversed(crossed):
        value = selected_again(outer, value)
    return value


def _outside(value: Expr, crossed: Sequence[Expr]) -> Expr:
    """Give what is not replaced for the elements of the selection; what stands in a loop is selected from inside of it."""
    if not value.type.loops:
        return carried(value, crossed)
    return rebuilt(value, tuple([_outside(i, crossed) for i in value.inputs()]))

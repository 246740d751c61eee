"""Expressions that stand for several: a leaf that varies is one node, ``vary(nominal, jesUp, jesDown)``, and they are taken apart here.

Before anything is planned one value is chosen in each of these nodes, so that the nominal expression is the one that would have been
written without variations (the same key, the same stored result), and the others share with it every part that does not depend on
what varies.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from hep_flows.expr import build
from hep_flows.expr.loops import is_with, rebuilt
from hep_flows.expr.nodes import Call, Expr, Field, Filter
from hep_flows.expr.walk import depending, postorder, rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOMINAL = "nominal"
AXIS = "variation"  # of a histogram that what varies is filled into
_SIDES = re.compile(r"(.+?)(?:_*1)?(up|down)", re.IGNORECASE)


def varying(*exprs: Expr) -> list[Call]:
    """Give the nodes that vary."""
    return [n for n in postorder(*exprs) if isinstance(n, Call) and n.function == "vary"]


def source_of(node: Call) -> str:
    """Give the name of the source of a node that varies."""
    return str(node.option("source")[0])  # type: ignore[index]


def labels(*exprs: Expr) -> tuple[str, ...]:
    """Give the names of the variations that expressions have, nominal first; none where nothing varies.

    Sources come in the order in which they were applied, words in the order in which they were given.
    """
    words: dict[str, dict[str, None]] = {}
    for node in sorted(varying(*exprs), key=lambda n: int(n.option("source")[1])):  # type: ignore[index, arg-type]
        words.setdefault(source_of(node), {}).update(dict.fromkeys(node.option("words")))  # type: ignore[arg-type]
    found = [label(source, word) for source, some in words.items() for word in some]
    return (NOMINAL, *found) if found else ()


def label(source: str, word: str) -> str:
    """Give the name of one variation: the source, and the word with a capital."""
    return f"{source}{word[:1].upper()}{word[1:]}"


def up_and_down(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give the names of variations by source: that of the one up and that of the one down, empty where there is none.

    ``jesUp`` and ``jesDown`` are of ``jes``, ``jes__1up`` and ``jes__1down`` too; any other name but the nominal one is a source that has
    only one variation.
    """
    found: dict[str, dict[str, str]] = {}
    for name in names:
        match = _SIDES.fullmatch(name)
        if name != NOMINAL:
            source, side = (match[1], match[2].lower()) if match else (name, "up")
            found.setdefault(source, {})[side] = name
    return {source: (sides.get("up", ""), sides.get("down", "")) for source, sides in found.items()}


def at(exprs: Iterable[Expr], *names: str) -> dict[str, tuple[Expr, ...]]:
    """Give expressions as they are in each of some variations, by name; where they do not have it, the nominal ones."""
    exprs = tuple(exprs)
    varied = depending(exprs, lambda node: isinstance(node, Call) and node.function == "vary")
    return {name: rewrite(exprs, partial(_chosen, name), into=lambda node: node.key in varied) for name in names}


def _chosen(name: str, node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Give a node as it is in one variation."""
    if isinstance(node, Call) and node.function == "vary":
        names = [label(source_of(node), str(w)) for w in node.option("words")]  # type: ignore[union-attr]
        return inputs[1 + names.index(name)] if name in names else inputs[0]
    if is_with(node):
        return _without_nominal(node, inputs)
    if isinstance(node, Filter) and _keeps_all(inputs[1]):
        return inputs[0]
    return rebuilt(node, inputs)


def _without_nominal(node: Call, inputs: tuple[Expr, ...]) -> Expr:
    """Give a collection with the leaves that really are other ones replaced."""
    of, *values = inputs
    names: Sequence[str] = node.option("names")  # type: ignore[assignment]
    given = {n: v for n, v in zip(names, values, strict=True) if not _is_leaf(v, of, n)}
    if not given:
        return of
    hidden: Sequence[str] = node.option("hidden")  # type: ignore[assignment]
    return build.replaced(of, tuple(given), tuple(given.values()), hidden, node.where)


def _is_leaf(value: Expr, of: Expr, name: str) -> bool:
    return value == of or (isinstance(value, Field) and value.name == name and value.of == of)


def _keeps_all(mask: Expr) -> bool:
    """Say whether a mask is that of a variation that drops nothing."""
    if not (isinstance(mask, Call) and mask.function == "logical_or"):
        return False
    return any(isinstance(a, Call) and a.function == "logical_not" and a.args[0] == b for a, b in (mask.args, mask.args[::-1]))


def nominal_leaf(of: Expr, mask: Expr) -> str:
    """Give a leaf, or a collection, of which a mask takes the nominal one where there are variations of it; empty where it follows them.

    Parameters
    ----------
    of : Expr
        What replaces leaves and collections: objects that vary, or the table of them.
    mask : Expr
        The mask.
    """
    if labels(mask):
        return ""
    varied: set[tuple[bytes, str]] = set()
    for node in postorder(of):
        if is_with(node):
            names: Sequence[str] = node.option("names")  # type: ignore[assignment]
            varied |= {(node.args[0].key, n) for n, v in zip(names, node.args[1:], strict=True) if _is_varied(v)}
    if not varied:
        return ""
    return next((n.name for n in postorder(mask) if isinstance(n, Field) and (n.of.key, n.name) in varied), "")


def _is_varied(value: Expr) -> bool:
    """Say whether a value is one for each variation itself, or objects of which a variation drops some."""
    return (isinstance(value, Call) and value.function == "vary") or (isinstance(value, Filter) and _is_varied(value.mask))

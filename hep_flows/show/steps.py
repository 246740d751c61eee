"""The steps of an expression as they are drawn: what stands in one box or on one line, and what stands below it.

Constants are part of the step that uses them, and a stored leaf is one step (``events.Jet.pt``), unless different plug-ins run its parts.
The place of another step is a ``·``, or its name when it is a leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Expr, Literal
from hep_flows.expr.spelling import NO_NAMES, Spelling, loop_collections, spelled, stepwise
from hep_flows.expr.text import one_line
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.planning.task import Key

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

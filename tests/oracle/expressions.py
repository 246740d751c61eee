"""Hypothesis strategies of well-typed expressions over a table, made with the functions of `hep_flows.expr.build`.

A pool of expressions grows step by step; a step takes what it needs from the pool, so every draw that fits is used, and a
counterexample shrinks to few steps. Inside a loop the pool is joined by the bound elements of the collections that are looped over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import assume
from hypothesis import strategies as st

from hep_flows.expr import build
from hep_flows.expr.loops import close, provisional_level
from hep_flows.expr.text import one_line
from hep_flows.expr.walk import postorder
from oracle import item_steps, list_steps
from oracle.pool import Made, Pool, choose, leaves, loop_depth
from oracle.tables import Table, tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn

    from hep_flows.expr.nodes import Expr


def looped(draw: DrawFn, pool: Pool) -> Made | None:
    """A map over a collection, with a body of some steps."""
    over = choose(draw, pool, lambda m: len(m.type.axes) > 1)
    if over is None or loop_depth(pool) > 2:
        return None
    level = provisional_level(loop_depth(pool))
    elements = [Made(build.bound(m.expr, level), m.steady, m.plain) for m in pool if m.type.axes[:2] == over.type.axes[:2]]
    inside = grown(draw, [*pool, *elements], draw(st.integers(1, 4)))
    events = over.type.axes[0]
    made = inside[len(pool) + len(elements) :] or elements
    able = [m for m in made if not m.type.axes or m.type.axes[0] == events]
    inner = len(over.type.loops) + 1
    body = max(able, key=lambda m: (len(m.type.loops) >= inner, len(list(postorder(m.expr)))), default=None)
    if body is None:
        return None
    return Made(close(over.expr, body.expr, level), body.steady, body.plain)


STEPS: tuple[Callable[[DrawFn, Pool], Made | None], ...] = (
    item_steps.arithmetic,
    item_steps.comparison,
    list_steps.filtered,
    list_steps.reduction,
    looped,
    item_steps.unary,
    list_steps.picked,
    list_steps.gathered,
    item_steps.logic,
    item_steps.choice,
    list_steps.sliced,
    item_steps.missing,
    item_steps.text,
    item_steps.angles,
    list_steps.flattened,
    list_steps.regrouped,
    list_steps.concatenated,
    list_steps.recorded,
    list_steps.referring,
    list_steps.replaced,
    list_steps.of_each_list,
    item_steps.declared,
)


def grown(draw: DrawFn, pool: Pool, steps: int) -> Pool:
    """Give the pool with some expressions more."""
    pool = list(pool)
    made = 0
    for _ in range(3 * steps):
        new = draw(st.sampled_from(STEPS))(draw, pool)
        if new is not None:
            pool.append(new)
            made += 1
        if made == steps:
            break
    return pool


@dataclass(frozen=True)
class Case:
    """A table and an expression over it; ``steady`` says whether every bit of the value is determined."""

    table: Table
    expr: Expr
    steady: bool

    def __repr__(self) -> str:
        """Show the expression's text and the events."""
        return f"{one_line(self.expr)}: {self.expr.type}\n  over {self.table!r}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@st.composite
def cases(draw: DrawFn, max_steps: int = 7, max_events: int = 4, *, special: bool = False, kind: str = "memory") -> Case:
    """Give a table and an expression without open loops over it; ``special`` tables hold values that are not finite."""
    table = draw(tables(max_events=max_events, special=special, kind=kind))
    pool = leaves(table)
    made = grown(draw, pool, draw(st.integers(2, max_steps)))[len(pool) :]
    assume(made)
    best = max(made, key=lambda m: len(list(postorder(m.expr))))
    return Case(table, best.expr, best.steady)

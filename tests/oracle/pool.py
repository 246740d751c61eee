"""The pool that drawn expressions grow from: what is in it, how something that fits is chosen, and how calls are made.

Each expression carries what two correct implementations may disagree about. ``steady``: every bit is determined (IEEE arithmetic in
the declared width). ``plain``: stored numbers and sums of them, exact in any order of addition. Functions with jumps (comparisons,
floor, ...) are applied to steady arguments only, sums to plain ones or at the price of steadiness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from hep_flows.expr import build
from hep_flows.expr.types import Bool, Float, Int, Record, Type, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypothesis.strategies import DrawFn

    from hep_flows.expr.nodes import Expr
    from oracle.tables import Table


@dataclass(frozen=True)
class Made:
    """An expression, and what is known of its bits."""

    expr: Expr
    steady: bool = True
    plain: bool = True

    @property
    def type(self) -> Type:
        """The expression's type."""
        return self.expr.type


Pool = list[Made]


def leaves(table: Table) -> Pool:
    """Give every stored leaf that is no record, and the collections."""
    return [Made(e) for e in _leaves(table.dataset)]


def _leaves(of: Expr) -> Iterator[Expr]:
    record = of.type.item
    assert isinstance(record, Record)
    for name, member in record.members.items():
        node = build.field(of, name)
        if isinstance(member.item, Record):
            yield from _leaves(node)
        else:
            yield node


def choose(draw: DrawFn, pool: Sequence[Made], fits: Callable[[Made], bool]) -> Made | None:
    """Give one expression of the pool that fits, one of the latest in most cases."""
    able = [m for m in pool if fits(m)][::-1]
    if draw(st.integers(0, 3)):
        able = able[:3]
    return draw(st.sampled_from(able)) if able else None


def number(m: Made) -> bool:
    """Say whether it is a number (truth values included)."""
    return is_number(m.type.item)


def real(m: Made) -> bool:
    """Say whether it is a number that is no truth value."""
    return isinstance(m.type.item, Int | Float)


def mask(m: Made) -> bool:
    """Say whether it is a truth value."""
    return isinstance(m.type.item, Bool)


def aligned(a: Made, b: Made) -> bool:
    """Say whether the axes of one begin with those of the other."""
    n = min(len(a.type.axes), len(b.type.axes))
    return a.type.axes[:n] == b.type.axes[:n]


def constant(draw: DrawFn, like: Made) -> Made:
    """Give a constant that numpy would adapt to the other operand, or one with a width of its own."""
    kinds: list[tuple[Any, str]] = [(draw(st.integers(0, 5)), ""), (draw(st.integers(-12, 12)) / 4, ""), (draw(st.booleans()), "")]
    if isinstance(like.type.item, Int):
        kinds = [kinds[0], kinds[1], (draw(st.integers(0, 5)), "int32")]
    elif isinstance(like.type.item, Float):
        kinds = [kinds[1], kinds[0], (draw(st.integers(-12, 12)) / 4, "float32")]
    value, dtype = draw(st.sampled_from(kinds))
    return Made(build.literal(value, dtype))


def partner(draw: DrawFn, pool: Pool, a: Made, fits: Callable[[Made], bool] = number) -> Made:
    """Give a second operand: something that aligns, or a constant."""
    found = None if draw(st.integers(0, 3)) == 0 else choose(draw, pool, lambda m: fits(m) and aligned(a, m))
    return found or constant(draw, a)


def call(name: str, *args: Made | Any, options: Any = (), steady: bool = True, plain: bool = False) -> Made:
    """Give a function of expressions and constants."""
    made = [a if isinstance(a, Made) else Made(build.literal(a)) for a in args]
    node = build.call(name, [m.expr for m in made], options)
    return Made(node, steady and all(m.steady for m in made), plain and all(m.plain for m in made))


def reducible(m: Made) -> bool:
    """Say whether there is an axis to reduce."""
    return len(m.type.axes) > (1 if m.type.loops else 0)


def loop_depth(pool: Pool) -> int:
    """Count the loops that are open."""
    return max(len(m.type.loops) for m in pool)

"""Hypothesis strategies of well-typed expressions over a table, made with the functions of `hep_flows.expr.build`.

A pool of expressions grows step by step; a step takes what it needs from the pool, so every draw that fits is used, and a
counterexample shrinks to few steps. Inside a loop the pool is joined by the bound elements of the collections that are looped over.

Each expression carries what two correct implementations may disagree about. ``steady``: every bit is determined (IEEE arithmetic in
the declared width). ``plain``: stored numbers and sums of them, exact in any order of addition. Functions with jumps (comparisons,
floor, ...) are applied to steady arguments only, sums to plain ones or at the price of steadiness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import assume
from hypothesis import strategies as st
from oracle.tables import Table, tables

from hep_flows.expr import build
from hep_flows.expr.loops import close, provisional_level
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Bool, Float, Int, Record, String, Type, is_number
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypothesis.strategies import DrawFn
    from hep_flows.expr.nodes import Expr


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
Step = "Callable[[DrawFn, Pool], Made | None]"

_JUMPS = ("floor", "ceil", "trunc", "rint", "sign")
_SMOOTH = ("sin", "cos", "arctan", "tanh", "arcsinh", "exp2", "cbrt", "degrees", "radians")
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


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


# -------------------------------------------------------------------------------------------------- choosing from the pool


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


# ----------------------------------------------------------------------------------------------------------- single steps


def unary(draw: DrawFn, pool: Pool) -> Made | None:
    """A function of one argument."""
    a = choose(draw, pool, real)
    if a is None:
        return None
    kind = draw(st.sampled_from(["sign", "jump", "smooth", "root", "ask", "round"]))
    match kind:
        case "sign":
            return call(draw(st.sampled_from(["negative", "positive", "absolute", "conjugate"])), a, plain=True)
        case "jump" if a.steady:
            return call(draw(st.sampled_from(_JUMPS)), a)
        case "round" if a.steady:
            return call("round", a, options=(("decimals", draw(st.integers(0, 1))),))
        case "root":
            return call("sqrt", call("absolute", a))
        case "ask" if a.steady:
            return call(draw(st.sampled_from(["isnan", "isfinite", "isinf", "logical_not"])), a)
    name = draw(st.sampled_from(_SMOOTH))
    return call(name, call("minimum", a, 9) if name == "exp2" else a, steady=False)


def arithmetic(draw: DrawFn, pool: Pool) -> Made | None:
    """A function of two numbers."""
    a = choose(draw, pool, number)
    if a is None:
        return None
    b = partner(draw, pool, a)
    if draw(st.booleans()):
        a, b = b, a
    kind = draw(st.sampled_from(["add", "subtract", "multiply", "true_divide", "floor_divide", "extreme", "hypot", "power"]))
    match kind:
        case "add" | "subtract":
            return call(kind, a, b, plain=True)
        case "multiply":
            return call(kind, a, b)
        case "floor_divide" if a.steady:
            name = draw(st.sampled_from(["floor_divide", "remainder", "fmod"]))
            return call(name, a, draw(st.sampled_from([2, 3])))
        case "extreme":
            return call(draw(st.sampled_from(["maximum", "minimum", "fmax", "fmin"])), a, b, plain=True)
        case "hypot":
            name = draw(st.sampled_from(["hypot", "arctan2"]))
            return call(name, a, call("add", call("absolute", b), 1), steady=False)
        case "power":
            return call("power", a, 2, steady=False) if isinstance(a.type.item, Float) else call("power", a, 2)
    return call("true_divide", a, call("add", call("absolute", b), 1))


def comparison(draw: DrawFn, pool: Pool) -> Made | None:
    """A comparison: a mask."""
    a = choose(draw, pool, lambda m: m.steady and number(m))
    return a and call(draw(st.sampled_from(_COMPARISONS)), a, partner(draw, pool, a, lambda m: m.steady and number(m)))


def text(draw: DrawFn, pool: Pool) -> Made | None:
    """A question about a text, or about membership in a list of constants."""
    a = choose(draw, pool, lambda m: m.steady and not isinstance(m.type.item, Float | Record))
    if a is None:
        return None
    if isinstance(a.type.item, String):
        return call(draw(st.sampled_from(["equal", "not_equal"])), a, draw(st.sampled_from(["a", "", "zz"])))
    return call("isin", a, options=(("values", tuple(draw(st.lists(st.integers(-1, 4), min_size=1, max_size=3)))),))


def logic(draw: DrawFn, pool: Pool) -> Made | None:
    """A combination of masks, or the opposite of one."""
    a = choose(draw, pool, mask)
    if a is None:
        return None
    if draw(st.integers(0, 2)) == 0:
        return call(draw(st.sampled_from(["invert", "logical_not"])), a)
    b = choose(draw, pool, lambda m: mask(m) and aligned(a, m)) or Made(build.literal(value=True))
    names = ["bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_or", "logical_xor", "add"]
    return call(draw(st.sampled_from(names)), a, b)


def choice(draw: DrawFn, pool: Pool) -> Made | None:
    """np.where: a mask and two values of one kind."""
    m = choose(draw, pool, mask)
    if m is None:
        return None
    a = partner(draw, pool, m)
    b = partner(draw, pool, a, lambda x: number(x) and aligned(m, x))
    return call("where", m, a, b)


def missing(draw: DrawFn, pool: Pool) -> Made | None:
    """What replaces missing values, or asks for them."""
    a = choose(draw, pool, lambda m: number(m) and m.type.optional)
    if a is None:
        return None
    if draw(st.booleans()):
        return call("is_none", a)
    return call("fill_none", a, partner(draw, pool, a, number))


def angles(draw: DrawFn, pool: Pool) -> Made | None:
    """The distance of two directions."""
    a = choose(draw, pool, lambda m: isinstance(m.type.item, Float) and m.plain)
    if a is None:
        return None
    b, c, d = [partner(draw, pool, a, lambda m: isinstance(m.type.item, Float) and m.plain) for _ in range(3)]
    if draw(st.booleans()):
        return call("delta_phi", a, b, steady=False)
    assume(all(aligned(x, y) for x in (b, c, d) for y in (b, c, d)))
    return call("delta_r", a, b, c, d, steady=False)


def reduction(draw: DrawFn, pool: Pool) -> Made | None:
    """An aggregate over the innermost axis."""
    a = choose(draw, pool, lambda m: number(m) and reducible(m))
    if a is None:
        return None
    name = draw(st.sampled_from(["count", "sum", "any", "all", "max", "min", "mean", "prod"]))
    if name == "count":
        return Made(build.call(name, [a.expr]))
    if name in {"any", "all"}:
        return call(name, a) if a.steady else None
    exact = a.plain or not isinstance(a.type.item, Float)
    if name == "prod":
        return call(name, a, steady=not isinstance(a.type.item, Float))
    return call(name, a, steady=exact if name == "sum" else name != "mean", plain=name != "mean")


def reducible(m: Made) -> bool:
    """Say whether there is an axis to reduce."""
    return len(m.type.axes) > (1 if m.type.loops else 0)


def filtered(draw: DrawFn, pool: Pool) -> Made | None:
    """A selection by a mask, at any axis."""
    m = choose(draw, pool, lambda x: mask(x) and x.steady)
    if m is None:
        return None
    depth = len(m.type.axes)
    of = choose(draw, pool, lambda x: x.type.axes[:depth] == m.type.axes and bool(x.type.axes))
    if of is None:
        return None
    lowest = 1 if of.type.loops or m.type.loops else 0
    places = list(range(max(depth - 1, lowest), len(of.type.axes)))
    if not places:
        return None
    at = draw(st.sampled_from(places[::-1]))
    return Made(build.filtered(of.expr, m.expr, at), of.steady, of.plain)


def picked(draw: DrawFn, pool: Pool) -> Made | None:
    """One entry of an axis."""
    a = choose(draw, pool, reducible)
    if a is None or (len(a.type.axes) == 1 and isinstance(a.type.item, Record)):
        return None
    last = len(a.type.axes) - 1
    at = draw(st.sampled_from(list(range(last, 0, -1)) or [0]))
    return Made(build.pick(a.expr, draw(st.integers(-2, 2)), at), a.steady, a.plain)


def sliced(draw: DrawFn, pool: Pool) -> Made | None:
    """A slice of an axis."""
    a = choose(draw, pool, reducible)
    if a is None:
        return None
    at = draw(st.integers(1 if a.type.loops else 0, len(a.type.axes) - 1))
    edge = st.none() | st.integers(-3, 3)
    step = draw(st.sampled_from([None, 1, 2, -1, -2]))
    return Made(build.sliced(a.expr, (draw(edge), draw(edge), step), at), a.steady, a.plain)


def gathered(draw: DrawFn, pool: Pool) -> Made | None:
    """The entries that integers point to."""
    index = choose(draw, pool, lambda m: isinstance(m.type.item, Int) and m.steady and bool(m.type.axes))
    if index is None:
        return None
    depth, item = len(index.type.axes), index.type.item
    assert isinstance(item, Int)

    def fits(m: Made) -> bool:
        at = _gather_axis(m, index)
        if not at or not set(m.type.loops) <= set(index.type.loops):
            return False
        axis = m.type.axes[at]
        return not item.refers_to or (axis.name == item.refers_to and axis.key == axis.root)

    of = choose(draw, pool, fits)
    if of is None:
        return None
    at = _gather_axis(of, index)
    assert at
    assume(depth >= at)
    return Made(build.gathered(of.expr, index.expr, at), of.steady, of.plain)


def _gather_axis(of: Made, index: Made) -> int:
    """Give the first collection axis of ``of`` that the index does not share; 0 when there is none."""
    a, b = of.type.axes, index.type.axes
    common = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return common if 0 < common < len(a) else 0


def flattened(draw: DrawFn, pool: Pool) -> Made | None:
    """Two collection axes joined."""
    a = choose(draw, pool, lambda m: len(m.type.axes) > 2)
    return a and Made(build.flattened(a.expr), a.steady, a.plain)


def recorded(draw: DrawFn, pool: Pool) -> Made | None:
    """A record of two parts."""
    a = choose(draw, pool, lambda m: not isinstance(m.type.item, Record) and bool(m.type.axes))
    if a is None:
        return None
    b = partner(draw, pool, a)
    return Made(build.record(("x", "y"), [a.expr, b.expr]), a.steady and b.steady, plain=False)


def looped(draw: DrawFn, pool: Pool) -> Made | None:
    """A map over a collection, with a body of some steps."""
    over = choose(draw, pool, lambda m: len(m.type.axes) > 1)
    if over is None or loop_depth(pool) > 2:
        return None
    level = provisional_level(loop_depth(pool))
    elements = [
        Made(build.bound(m.expr, level), m.steady, m.plain) for m in pool if m.type.axes[:2] == over.type.axes[:2]
    ]
    inside = grown(draw, [*pool, *elements], draw(st.integers(1, 4)))
    events = over.type.axes[0]
    made = inside[len(pool) + len(elements) :] or elements
    able = [m for m in made if not m.type.axes or m.type.axes[0] == events]
    inner = len(over.type.loops) + 1
    body = max(able, key=lambda m: (len(m.type.loops) >= inner, len(list(postorder(m.expr)))), default=None)
    if body is None:
        return None
    return Made(close(over.expr, body.expr, level), body.steady, body.plain)


def loop_depth(pool: Pool) -> int:
    """Count the loops that are open."""
    return max(len(m.type.loops) for m in pool)


STEPS: tuple[Callable[[DrawFn, Pool], Made | None], ...] = (
    arithmetic,
    comparison,
    filtered,
    reduction,
    looped,
    unary,
    picked,
    gathered,
    logic,
    choice,
    sliced,
    missing,
    text,
    angles,
    flattened,
    recorded,
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
def cases(draw: DrawFn, max_steps: int = 7, max_events: int = 4) -> Case:
    """Give a table and an expression without open loops over it."""
    table = draw(tables(max_events=max_events))
    pool = leaves(table)
    made = grown(draw, pool, draw(st.integers(2, max_steps)))[len(pool) :]
    assume(made)
    best = max(made, key=lambda m: len(list(postorder(m.expr))))
    return Case(table, best.expr, best.steady)

"""Steps that work on lists: aggregates, filters, picks, slices, indices, records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from hep_flows.expr import build
from hep_flows.expr.types import Bool, Float, Int, Record
from oracle.pool import Made, Pool, call, choose, mask, number, partner, real, reducible

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from hep_flows.expr.types import Axis


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


def of_each_list(draw: DrawFn, pool: Pool) -> Made | None:
    """A position, a statistic, or a list of the same length or another, of each innermost list."""
    a = choose(draw, pool, lambda m: real(m) and len(m.type.axes) > 1 and m.steady)
    if a is None:
        return None
    name = draw(st.sampled_from(["argmax", "argmin", "std", "var", "median", "quantile", "index", "rank", "unique", "cumsum"]))
    options = (("q", draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))),) if name == "quantile" else ()
    whole = name in {"argmax", "argmin", "index", "rank", "unique"}
    return call(name, a, options=options, steady=whole or (name == "cumsum" and (a.plain or isinstance(a.type.item, Int))))


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
    index = choose(draw, pool, lambda m: isinstance(m.type.item, Int) and m.steady)
    if index is None:
        return None
    item = index.type.item
    assert isinstance(item, Int)

    def places(m: Made) -> list[int]:
        return [at for at in _index_axes(m, index) if not item.refers_to or _is_whole(m.type.axes[at], item.refers_to)]

    of = choose(draw, pool, lambda m: bool(places(m)))
    if of is None:
        return None
    return Made(build.gathered(of.expr, index.expr, draw(st.sampled_from(places(of)))), of.steady, of.plain)


def regrouped(draw: DrawFn, pool: Pool) -> Made | None:
    """The members of combinations, lists that are filled up, or the entries in another order."""
    of = choose(draw, pool, lambda m: reducible(m) and len(m.type.axes) > 1)
    if of is None:
        return None
    last = len(of.type.axes) - 1
    how = draw(st.sampled_from(["argcombinations", "argpad", "argsort"]))
    if how == "argsort":
        key = choose(draw, pool, lambda m: m.type.axes == of.type.axes and number(m) and m.steady)
        if key is None:
            return None
        order = build.call(how, [key.expr], (("descending", draw(st.booleans())),))
        return Made(build.gathered(of.expr, order, last, inside=True), of.steady, of.plain)
    if how == "argpad":
        places = build.call(how, [of.expr], (("clip", draw(st.booleans())), ("n", draw(st.integers(0, 3)))))
        return Made(build.gathered(of.expr, places, last), of.steady, of.plain)
    n = draw(st.integers(1, 3))
    member = build.call(how, [of.expr], (("n", n), ("which", draw(st.integers(0, n - 1)))))
    return Made(build.gathered(of.expr, member, last, inside=True), of.steady, of.plain)


def concatenated(draw: DrawFn, pool: Pool) -> Made | None:
    """The entries of two lists of each event, as one list."""
    a = choose(draw, pool, lambda m: number(m) and len(m.type.axes) > 1)
    if a is None:
        return None
    outer = a.type.axes[:-1]
    b = choose(
        draw,
        pool,
        lambda m: number(m) and m.type.axes[:-1] == outer and isinstance(m.type.item, Bool) is isinstance(a.type.item, Bool),
    )
    return b and Made(build.concatenated((a.expr, b.expr), len(outer)), a.steady and b.steady, a.plain and b.plain)


def _is_whole(axis: Axis, name: str) -> bool:
    return axis.name == name and axis.key == axis.root


def _index_axes(of: Made, index: Made) -> range:
    """Give the collection axes of ``of`` that an index may point into: it shares those outside, or is repeated along them."""
    a, b = of.type.axes, index.type.axes
    common = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    first = max(common, 1)
    return range(first, len(a) if common == len(b) else min(first + 1, len(a)) if common else 0)


def flattened(draw: DrawFn, pool: Pool) -> Made | None:
    """Two collection axes joined."""
    a = choose(draw, pool, lambda m: len(m.type.axes) > 2)
    return a and Made(build.flattened(a.expr), a.steady, a.plain)


def referring(draw: DrawFn, pool: Pool) -> Made | None:
    """The places of those that refer to each element of a list."""
    index = choose(draw, pool, lambda m: isinstance(m.type.item, Int) and m.steady and len(m.type.axes) > 1)
    return index and Made(build.referring(index.expr))


def replaced(draw: DrawFn, pool: Pool) -> Made | None:
    """Objects with a member replaced, another added, and perhaps one hidden."""
    of = choose(draw, pool, lambda m: isinstance(m.type.item, Record) and bool(m.type.axes) and bool(m.type.item.members))
    if of is None:
        return None
    assert isinstance(of.type.item, Record)
    value = choose(draw, pool, lambda m: m.type.axes[: len(of.type.axes)] == of.type.axes and not isinstance(m.type.item, Record))
    if value is None:
        return None
    first, *others = of.type.item.members
    hidden = draw(st.sampled_from([(), *[(n,) for n in others[:2]]]))
    names = draw(st.sampled_from([(first,), ("new",), (first, "new")]))
    return Made(build.replaced(of.expr, names, [value.expr] * len(names), hidden), of.steady and value.steady, plain=False)


def recorded(draw: DrawFn, pool: Pool) -> Made | None:
    """A record of two parts."""
    a = choose(draw, pool, lambda m: not isinstance(m.type.item, Record) and bool(m.type.axes))
    if a is None:
        return None
    b = partner(draw, pool, a)
    n_axes = draw(st.none() | st.integers(1, max(len(a.type.axes), len(b.type.axes))))
    return Made(build.record(("x", "y"), [a.expr, b.expr], n_axes=n_axes), a.steady and b.steady, plain=False)

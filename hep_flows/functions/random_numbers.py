"""Random numbers that belong to the elements of the data: ``random_normal``, ``random_uniform``, ``random_poisson``.

A number is computed from what an element is (run, luminosity block, event, collection, position in the stored collection) and a seed text,
by mixing the bits of these integers: it is the same in every thread, for every order of files, behind every filter, in every process.
Only additions, multiplications, divisions and square roots of doubles are used, which every machine rounds in the same way; the
logarithm and the cosine are written out.

Formulas: the mixing function and the sequence of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014); normal numbers by G. Box and
M. Muller (Ann. Math. Stat. 29, 1958); Poisson numbers by adding up probabilities from the most probable number outwards until their sum
exceeds a uniform number; the factorial by Stirling's series.
"""

from __future__ import annotations

import math
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.functions import Calls, UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.loops import close
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Map
from hep_flows.expr.types import Float, Int
from hep_flows.record.arguments import checked
from hep_flows.record.operands import event_ids, expr_of
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.types import Item
    from hep_flows.record.dataframe import DataFrame

_WORD, _ODD = (1 << 64) - 1, 0x9E3779B97F4A7C15
MOST_MEAN = 1e9


@checked
def random_normal(X: DataFrame, seed: str, *, event_id: Sequence[Any] | None = None) -> DataFrame:  # noqa: N803 - a collection
    """Give a number of the standard normal distribution for each element.

    Parameters
    ----------
    X : DataFrame
        Elements of a stored collection, filtered or not, or events: events, or events x collection.
    seed : str
        Another text gives other numbers.
    event_id : sequence, optional
        What tells events apart: names of leaves of the table (``"EventInfo.eventNumber"``), or expressions of whole numbers. When left out,
        run, luminosity block and event number as NanoAOD and xAOD name them.

    Returns
    -------
    DataFrame
        float64, aligned with X. An element has one number, whatever it is selected by.

    Raises
    ------
    AxisError
        When elements of X are no stored ones: pairs, for example.
    FieldError
        When the table has no such leaves.
    LiteralError
        When the seed is no text.
    """
    return _drawn("random_normal", X, seed, event_id, Float(64), _normal)


@checked
def random_uniform(X: DataFrame, seed: str, *, event_id: Sequence[Any] | None = None) -> DataFrame:  # noqa: N803 - a collection
    """Give a number from 0 (inclusive) to 1 (exclusive) for each element, as float64; all else is as in `random_normal`."""
    return _drawn("random_uniform", X, seed, event_id, Float(64), _uniform)


@checked
def random_poisson(X: DataFrame, mean: Any, seed: str, *, event_id: Sequence[Any] | None = None) -> DataFrame:  # noqa: N803 - a collection
    """Give a Poisson number (int64) for each element; ``mean`` is a number or an aligned expression; all else is as in `random_normal`."""
    return _drawn("random_poisson", X, seed, event_id, Int(64), _poisson, mean)


def _drawn(
    name: str, frame: DataFrame, seed: str, event_id: Sequence[Any] | None, returns: Item, body: Callable[..., Any], *more: Any
) -> DataFrame:
    where = user_site()
    if not hasattr(frame, "_expr"):
        raise LiteralError(f"{name} gives a number for each element of an expression, not of {with_article(frame)}", where=where)
    if seed == "" or type(seed) is not str:
        raise LiteralError(f"the seed of {name} is a text, not {seed!r}", where=where, do=f'{name}(X, seed="jer")')
    expr, table = frame._expr, frame._table  # noqa: SLF001
    axes = expr.type.axes
    if not axes:
        raise AxisError(f"{name} gives a number for each event or element, and this is {expr.type}", where=where)
    events = _event_key(event_ids(table, event_id, where), where)
    key = _Elements(name, events, where).key(expr, len(axes))
    parameters = ("key", *[f"x{i}" for i in range(len(more))])
    function = _function(name, parameters, returns, digest(name, 1, seed), partial(body, _salt(name, seed)))
    return frame._made(build.call(function, [key, *[expr_of(m, table, where) for m in more]], where=where))  # noqa: SLF001


def _function(name: str, parameters: tuple[str, ...], returns: Item, code: bytes, body: Callable[..., Any]) -> UserFunction:
    calls = Calls()
    calls.is_checked = True
    return UserFunction(name, parameters, (None,) * len(parameters), returns, code, body=body, calls=calls)


# What an element is.


def _event_key(found: Sequence[Expr], where: Where) -> Expr:
    names = tuple([f"id{i}" for i in range(len(found))])
    return build.call(_function("event_key", names, Int(64, signed=False), digest("event key", 1), _absorbed), found, where=where)


class _Elements:
    """The keys of the elements of expressions: an element has the key of what it is in, and its position there."""

    def __init__(self, name: str, events: Expr, where: Where) -> None:
        self._name, self._events, self._where = name, events, where

    def key(self, expr: Expr, n: int) -> Expr:
        """Give the keys of the entries of the first ``n`` axes of an expression, aligned with it."""
        match expr:
            case Dataset():
                return self._events
            case Field():
                return self._of_field(expr, n)
            case Filter():
                inner = self.key(expr.of, n)
                return inner if expr.at >= n else build.filtered(inner, expr.mask, expr.at, self._where)
            case Bound():
                return build.bound(self.key(expr.of, n + 1), expr.level, self._where)
            case Map():
                over = self.key(expr.over, min(n, 2))
                return over if n <= 2 else close(expr.over, self.key(expr.body, n - 1), expr.level, self._where)
            case Call():
                return self._of_call(expr, n)
            case _:
                raise self._refused(expr)

    def _of_field(self, field: Field, n: int) -> Expr:
        n_outer = len(field.of.type.axes)
        key = self.key(field.of, min(n, n_outer))
        for at in range(n_outer, n):
            # The collection is known by its name: jet 0 and muon 0 of an event have numbers of their own.
            name = field.type.axes[at].name
            body, code = partial(_of_element, _salt("element", name)), digest("element key", 1, name)
            child = _function("element_key", ("key", "position"), Int(64, signed=False), code, body)
            key = build.call(child, [key, self._position(field, at)], where=self._where)
        return key

    def _position(self, field: Expr, at: int) -> Expr:
        """Give the position of each entry of an axis in its list."""
        while len(field.type.axes) > at + 1:
            field = build.call("count", [field], where=self._where)
        return build.call("index", [field], where=self._where)

    def _of_call(self, call: Call, n: int) -> Expr:
        options: dict[str, Any] = dict(call.options)
        match call.function:
            case "pick" if options["at"] <= n:
                return build.pick(self.key(call.args[0], n + 1), options["index"], options["at"], self._where)
            case "slice" if options["at"] < n:
                bounds = (options["start"], options["stop"], options["step"])
                return build.sliced(self.key(call.args[0], n), bounds, options["at"], self._where)
            case "gather" if n >= (n_chosen := max(len(call.args[1].type.axes), options["at"])):
                of, index = call.args
                return build.gathered(self.key(of, options["at"] + 1 + n - n_chosen), index, options["at"], self._where)
            case "concatenate" if n > options["at"]:
                return build.concatenated([self.key(a, n) for a in call.args], options["at"], self._where)
            case "record" if len({self.key(a, n).key for a in call.args if len(a.type.axes) >= n}) > 1:
                raise self._refused(call)  # Pairs: they are elements of their own.
            case "flatten" if n >= len(call.type.axes):
                raise self._refused(call)
            case "gather" if n > options["at"]:
                raise self._refused(call)
            case "pick" | "slice" | "gather" | "flatten":
                return self.key(call.args[0], n)
            case _:
                pass
        whole = [a for a in call.args if len(a.type.axes) >= n and set(a.type.loops) >= set(call.type.loops)]
        if not whole:
            raise self._refused(call)
        return self.key(whole[0], n)

    def _refused(self, expr: Expr) -> AxisError:
        return AxisError(
            f"{self._name} needs elements that are stored, and these are not: {expr.type}",
            where=self._where,
            why="a random number belongs to an element of a collection in the file, by its position there",
            do="draw for the collections that they are made of, keep that as a column, and use the column",
        )


# The numbers.


def _mixed(bits: Any) -> Any:
    """Give other 64 bits, each of which depends on all of these."""
    bits = (bits ^ (bits >> 30)) * _u64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> 27)) * _u64(0x94D049BB133111EB)
    return bits ^ (bits >> 31)


def _u64(value: int) -> Any:
    import numpy as np

    return np.asarray([value & _WORD], dtype=np.uint64)


def _absorbed(*words: Any) -> Any:
    """Give 64 bits for some whole numbers, their order included."""
    import numpy as np

    bits = _u64(_ODD)
    for word in words:
        bits = _mixed((bits ^ np.asarray(word).astype(np.uint64)) + _u64(_ODD))
    return bits


def _salt(*texts: str) -> int:
    """Give 64 bits for some texts, which are not those of a key: keys may change their format, random numbers never."""
    framed = b"".join([b"%d:%b" % (len(t), t) for t in [text.encode() for text in texts]])
    return int.from_bytes(sha256(framed).digest()[:8], "big")


def _of_element(salt: int, key: Any, position: Any) -> Any:
    return _absorbed(key ^ _u64(salt), position)


def _bits(salt: int, key: Any, number: int) -> Any:
    """Give the bits with that number of the sequence that belongs to a key."""
    return _mixed(_mixed(key ^ _u64(salt)) + _u64((number + 1) * _ODD))


def _uniform(salt: int, key: Any, number: int = 0) -> Any:
    return (_bits(salt, key, number) >> _u64(11)) * 2.0**-53


def _normal(salt: int, key: Any) -> Any:
    import numpy as np

    radius = np.sqrt(-2.0 * _log(1.0 - _uniform(salt, key, 0)))
    return radius * _cos_of_turns(_uniform(salt, key, 1))


def _log(x: Any) -> Any:
    """Give the natural logarithm of positive numbers: 2 artanh((m - 1)/(m + 1)) + e log 2, for x = m 2^e with m about 1."""
    import numpy as np

    m, e = np.frexp(x)
    small = m < math.sqrt(0.5)
    m, e = np.where(small, 2.0 * m, m), np.where(small, e - 1, e)
    f = (m - 1.0) / (m + 1.0)
    return 2.0 * f * _polynomial(f * f, [1.0 / (2 * i + 1) for i in range(12)]) + e * math.log(2.0)


def _exp(x: Any) -> Any:
    import numpy as np

    e = np.rint(x * (1.0 / math.log(2.0)))
    # Two parts of log 2, the first of which is exact when it is multiplied by a small whole number.
    high = 0.693147180369123816490
    rest = (x - e * high) - e * (math.log(2.0) - high)
    return np.ldexp(_polynomial(rest, [1.0 / math.factorial(i) for i in range(16)]), np.clip(e, -2000, 2000).astype(np.int32))


def _cos_of_turns(turns: Any) -> Any:
    """Give the cosine of an angle in turns from 0 to 1: of a quarter of it by its series, then twice as of the doubled angle."""
    quarter = (turns - 0.5) * (math.pi / 2)
    cosine = _polynomial(quarter * quarter, [(-1.0) ** i / math.factorial(2 * i) for i in range(12)])
    for _ in range(2):
        cosine = 2.0 * cosine * cosine - 1.0
    return -cosine


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    total = 0.0 * x + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _log_factorial(n: Any) -> Any:
    import numpy as np

    x = np.maximum(n, 1.0)
    series = _polynomial(1.0 / (x * x), [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188]) / x
    large = (x + 0.5) * _log(x) - x + _log(np.asarray([2 * math.pi])) / 2 + series
    exact = _log(np.asarray([float(math.factorial(i)) for i in range(19)]))
    return np.where(n < 19, exact[np.minimum(n, 18).astype(np.int64)], large)


def _poisson(salt: int, key: Any, mean: Any) -> Any:
    import numpy as np

    key, mean = np.broadcast_arrays(key, np.asarray(mean, dtype=np.float64))
    if len(mean) and not (mean.min() >= 0 and mean.max() <= MOST_MEAN):
        raise ValueError(f"the mean of a Poisson distribution lies between 0 and {MOST_MEAN:.0e}")
    found = np.floor(mean)
    left = np.asarray(_uniform(salt, key))
    up = _exp(found * _log(np.where(mean > 0, mean, 1.0)) - mean - _log_factorial(found))
    left = left - up
    todo = np.flatnonzero((left >= 0) & (mean > 0))
    top, bottom, m = found[todo], found[todo], mean[todo]
    up, left = up[todo], left[todo]
    down = up
    while len(todo):
        top = top + 1
        up = up * m / top
        left = left - up
        found[todo] = np.where(left < 0, top, found[todo])
        on = left >= 0
        down = np.where(bottom > 0, down * bottom / m, 0.0)
        bottom = bottom - 1
        left = np.where(on, left - down, left)
        found[todo] = np.where(on & (left < 0), bottom, found[todo])
        # Where the probabilities add up to less than the uniform number, by rounding, the most probable number stands.
        on = (left >= 0) & (up + down > 1e-300)
        todo, top, bottom, m, up, down, left = (a[on] for a in (todo, top, bottom, m, up, down, left))
    return found.astype(np.int64)

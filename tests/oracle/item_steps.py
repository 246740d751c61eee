"""Steps that work item by item: arithmetic, comparisons, logic, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import assume
from hypothesis import strategies as st

from hep_flows.expr import build
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.types import Float, Record, String
from oracle.pool import Made, Pool, aligned, call, choose, mask, number, partner, real

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

# Functions as a user declares them; what is declared pure=False stays where it was written, and has the same values here.
_FLOATS = {"parameters": ("x",), "accepts": (Float(64),), "returns": Float(64)}
DECLARED = {
    "affine": UserFunction("affine", **_FLOATS, code=b"affine", body=lambda x: 2 * x + 1),
    "each": UserFunction("each", **_FLOATS, code=b"each", body=lambda x: x * 2 if x > 1 else -1.0, mode="single"),
    "fickle": UserFunction("fickle", **_FLOATS, code=b"fickle", body=lambda x: x - 0.5, pure=False),
    "ends": UserFunction(
        "ends",
        **_FLOATS,
        code=b"ends",
        body=lambda x: float(x[0] - x[-1]) + len(x) if len(x) else 0.25,
        mode="single",
        lists=("x",),
    ),
}

_JUMPS = ("floor", "ceil", "trunc", "rint", "sign")
_SMOOTH = ("sin", "cos", "arctan", "tanh", "arcsinh", "exp2", "cbrt", "degrees", "radians")
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


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


def declared(draw: DrawFn, pool: Pool) -> Made | None:
    """A function of the user's: of single numbers or whole lists, pure or not."""
    function = DECLARED[draw(st.sampled_from(list(DECLARED)))]
    a = choose(
        draw,
        pool,
        lambda m: (
            real(m)
            and m.steady
            and (len(m.type.axes) > 1 and not m.type.optional if function.lists else bool(m.type.axes))
            and (function.pure or not m.type.loops)
        ),
    )
    return a and Made(build.call(function, [a.expr]), a.steady, plain=False)


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

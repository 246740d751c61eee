"""Numbers of a fileset's metadata: as parameters of one recording where they are only computed with, and as plain numbers elsewhere.

``events.metadata["xsec"] * events.genWeight`` holds for every dataset, whatever its cross section is: the number stands in the
expression under its name, and each dataset puts its own value there. ``if events.metadata["xsec"] > 1`` decides something, so the
recording then depends on the value, as with any other metadata.
"""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from hep_flows.errors import LiteralError
from hep_flows.expr import build
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Expr, Literal
from hep_flows.expr.walk import depending, postorder, rewrite
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hep_flows.errors import Where

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "true_divide": operator.truediv,
    "power": operator.pow,
}


class Parameter:
    """A number of the metadata: arithmetic with other numbers and with expressions keeps its name, everything else reads its value.

    Parameters
    ----------
    value : int or float
        Its value in the dataset that is recorded.
    node : Expr
        What stands for it in expressions.
    read : callable
        Notes that the recording depends on the value.
    """

    __slots__ = ("_note", "_number", "node")

    def __init__(self, value: float, node: Expr, read: Callable[[], None]) -> None:
        """Nothing depends on its value yet."""
        self._number, self.node, self._note = value, node, read

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Its kind of number, for ``isinstance``."""
        return type(self._number)

    def value(self) -> Any:
        """Read the value."""
        self._note()
        return self._number

    def _with(self, name: str, other: Any, *, mirrored: bool) -> Any:
        plain: Any
        if type(other) is Parameter or type(other) is _Whole:
            plain, node = other._number, other.node  # noqa: SLF001

            def note() -> None:
                self._note()
                other._note()  # noqa: SLF001
        elif type(other) in (int, float):
            plain, node, note = other, build.literal(other), self._note
        elif isinstance(other, int | float | complex) or type(other).__module__ == "numpy":
            value = self.value()
            return _OPERATORS[name](other, value) if mirrored else _OPERATORS[name](value, other)
        else:
            return NotImplemented
        (x, a), (y, b) = ((plain, node), (self._number, self.node)) if mirrored else ((self._number, self.node), (plain, node))
        value = computed(name, x, y, None)
        return _made(value, build.call(name, (a, b), where=user_site()), note)

    def __getattr__(self, name: str) -> Any:
        """Give what a number of its kind has."""
        return getattr(self.value(), name)

    def __reduce__(self) -> Any:
        """Be pickled as a plain number."""
        return (type(self._number), (self.value(),))

    def __copy__(self) -> Any:
        """Give a plain number."""
        return self.value()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Give a plain number."""
        return self.value()

    def __hash__(self) -> int:
        """Hash as the number."""
        return hash(self.value())

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Give an array of no dimensions."""
        return sys.modules["numpy"].asarray(self.value(), *args, **kwargs)  # It is numpy that asks.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Compute with the value, unless there is an expression among the arguments: it records."""
        if any(hasattr(i, "_expr") for i in inputs):
            return NotImplemented
        return getattr(ufunc, method)(*[plain_number(i) for i in inputs], **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a number has nothing to set."""
        if name in Parameter.__slots__:
            object.__setattr__(self, name, value)
        else:
            _refuse(name)


def _refuse(name: str) -> NoReturn:
    raise AttributeError(f"a number has no attribute {name!r} to set")


class _Whole(Parameter):
    """A whole number, which may be a position."""

    __slots__ = ()

    def __index__(self) -> int:
        """Give the value."""
        return int(self.value())


def _arithmetic(name: str, *, mirrored: bool) -> Callable[[Any, Any], Any]:
    def method(self: Parameter, other: Any) -> Any:
        return self._with(name, other, mirrored=mirrored)

    return method


def _reading(name: str) -> Callable[..., Any]:
    def method(self: Parameter, *args: Any) -> Any:
        return getattr(self.value(), name)(*[plain_number(a) for a in args])

    return method


for _name, _function in (("add", "add"), ("sub", "subtract"), ("mul", "multiply"), ("truediv", "true_divide"), ("pow", "power")):
    setattr(Parameter, f"__{_name}__", _arithmetic(_function, mirrored=False))
    setattr(Parameter, f"__r{_name}__", _arithmetic(_function, mirrored=True))
for _name in (
    "eq ne lt le gt ge bool float int str repr format round trunc floor ceil abs neg pos invert mod rmod floordiv rfloordiv divmod rdivmod "
    "and rand or ror xor rxor lshift rlshift rshift rrshift"
).split():
    setattr(Parameter, f"__{_name}__", _reading(f"__{_name}__"))


def _made(value: float, node: Expr, read: Callable[[], None]) -> Any:
    return (_Whole if isinstance(value, int) else Parameter)(value, node, read)


def parameter(name: str, value: float, read: Callable[[], None]) -> Any:
    """Give a number of the metadata as a parameter."""
    return _made(value, build.parameter(name, value), read)


def is_parameter(value: Any) -> bool:
    """Say whether a value is a parameter."""
    return type(value) in (Parameter, _Whole)


def plain_number(value: Any) -> Any:
    """Give the value of a parameter, which is thereby read; anything else is itself."""
    return value.value() if is_parameter(value) else value


def computed(name: str, x: Any, y: Any, where: Where) -> Any:
    """Compute with two numbers as Python does.

    Raises
    ------
    LiteralError
        When Python cannot.
    """
    try:
        value = _OPERATORS[name](x, y)
    except (ArithmeticError, ValueError) as error:
        raise LiteralError(
            f"{x!r} and {y!r} of the metadata: {error}", where=where, do="look at the metadata of the dataset"
        ) from error
    if isinstance(value, complex):
        raise LiteralError(
            f"{x!r} ** {y!r} of the metadata is no real number", where=where, do="look at the metadata of the dataset"
        )
    return value


def parameters(exprs: Iterable[Expr]) -> dict[str, int | float]:
    """Give the parameters that expressions have, with the values that they were recorded with."""
    found = [n for n in postorder(*exprs) if isinstance(n, Call) and n.function == "parameter"]
    return {str(n.option("name")): n.args[0].value for n in found if isinstance(n.args[0], Literal)}  # type: ignore[misc]


def fixed(exprs: Iterable[Expr], values: Mapping[str, Any]) -> tuple[Expr, ...]:
    """Give expressions with the values of their parameters as constants, as if these had been written.

    Parameters
    ----------
    exprs : iterable of Expr
        The expressions.
    values : mapping
        The number of each parameter.
    """
    exprs = tuple(exprs)
    depends = depending(exprs, lambda node: isinstance(node, Call) and node.function == "parameter")
    if not depends:
        return exprs

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if isinstance(node, Call) and node.function == "parameter":
            return build.literal(values[str(node.option("name"))], where=node.where)
        if isinstance(node, Call) and node.function in _OPERATORS and all(isinstance(i, Literal) and not i.dtype for i in inputs):
            x, y = [i.value for i in inputs if isinstance(i, Literal)]
            return build.literal(computed(str(node.function), x, y, node.where), where=node.where)
        return rebuilt(node, inputs)

    return rewrite(exprs, change, into=lambda node: node.key in depends)

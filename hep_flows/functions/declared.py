"""Functions that are declared, not written: their arguments have names and types, and their body comes from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, did_you_mean
from hep_flows.expr import build
from hep_flows.expr.types import Bool, Int, Item, String
from hep_flows.record.operands import expr_of
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.functions import UserFunction
    from hep_flows.record.table import Recorded


class DeclaredFunction:
    """A function that can stand in expressions, and computes numbers when it is called with numbers.

    Parameters
    ----------
    declared : UserFunction
        With a body. Unlike those of `user_func`, its parameters need not be names of Python.
    """

    def __init__(self, declared: UserFunction) -> None:
        self.declared = declared

    def __repr__(self) -> str:
        """Show the name and the parameters with their types."""
        shown = ", ".join([f"{n}: {a}" for n, a in zip(self.declared.parameters, self.declared.accepts, strict=True)])
        return f"<{self.declared.name}({shown}) -> {self.declared.returns}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record a call when an argument is an expression, else compute.

        Raises
        ------
        LiteralError
            When an argument is missing, is not known, or is of the wrong kind.
        """
        values = self._bound(args, kwargs)
        frames = [v for v in values if hasattr(v, "_expr")]
        if frames:
            return recorded_call(self.declared, frames[0], values, exactly=True)
        assert self.declared.body is not None
        return self.declared.body(*values)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        names = self.declared.parameters
        if len(args) > len(names):
            raise self._refused(f"takes {len(names)} arguments, not {len(args)}")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names:
                raise self._refused(f"takes no {name}", did_you_mean(name, names))
            if name in given:
                raise self._refused(f"is given {name} twice")
            given[name] = value
        missing = [n for n in names if n not in given]
        if missing:
            raise self._refused(f"is called without {', '.join(missing)}")
        return [given[n] for n in names]

    def _refused(self, what: str, do: str = "") -> LiteralError:
        shown = ", ".join([f"{n} ({a})" for n, a in zip(self.declared.parameters, self.declared.accepts, strict=True)])
        return LiteralError(f"{self.declared.name} {what}", where=user_site(), why=f"its arguments are {shown}", do=do)


def recorded_call(
    declared: UserFunction,
    frame: Recorded,
    values: Sequence[Any],
    *,
    exactly: bool = False,
    results: Mapping[str, Item] | None = None,
) -> Recorded:
    """Record a call.

    Parameters
    ----------
    declared : UserFunction
        The function.
    frame : DataFrame
        One of the values; the others are constants, or of the same table.
    values : sequence
        All of them, by place.
    exactly : bool
        Whether a fraction is refused where a whole number is declared, instead of leaving that to the body.
    results : mapping of str to Item, optional
        Where it gives several results, their names and kinds: the call is then a record.

    Raises
    ------
    LiteralError
        When a value is of the wrong kind.
    """
    where = user_site()
    args = [expr_of(v, frame._table, where) for v in values]  # noqa: SLF001
    for name, wanted, arg in zip(declared.parameters, declared.accepts, args, strict=True):
        _check(declared.name, name, wanted, arg.type.item, where, exactly=exactly)
    if results:
        parts = [build.call(replace(declared, member=n, returns=item), args, where=where) for n, item in results.items()]
        return frame._made(build.record(tuple(results), parts, where))  # type: ignore[no-any-return]  # noqa: SLF001
    return frame._made(build.call(declared, args, where=where))  # type: ignore[no-any-return]  # noqa: SLF001


def _check(function: str, name: str, wanted: Item | None, item: Item, where: Where, *, exactly: bool) -> None:
    if wanted is not None and isinstance(wanted, String) != isinstance(item, String):
        raise LiteralError(f"{function} takes {name} as {wanted}, not {item}", where=where)
    fits = {Int: Bool | Int, Bool: Bool}
    if exactly and isinstance(wanted, Int | Bool) and not isinstance(item, fits[type(wanted)]):
        do = f"a user_func that returns {'int' if isinstance(wanted, Int) else 'bool'} can make it one"
        raise LiteralError(f"{function} takes {name} as {wanted}, not {item}", where=where, do=do)

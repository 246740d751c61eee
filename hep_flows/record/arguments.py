"""Calls whose arguments do not fit: told with the user's line, instead of Python's `TypeError` from within the package."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from hep_flows.errors import LiteralError, did_you_mean
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., Any]")


def checked(function: Function) -> Function:
    """Let a function of the package refuse arguments that do not fit its signature as other mistakes are refused.

    Nothing is looked at unless the call fails: what is recorded often must not cost more.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            _check(function, args, kwargs)
            raise

    return cast("Function", call)


def _check(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        own = "self" in signature.parameters
        parameters = {n: p for n, p in signature.parameters.items() if n != "self"}
        shown = ", ".join([_shown(p) for p in parameters.values()])
        raise LiteralError(
            f"{function.__name__}: {error}",
            where=user_site(),
            why=f"it is {function.__name__}({shown})",
            do=_advice(function.__name__, parameters, len(args) - own, kwargs),
        ) from None


def _advice(name: str, parameters: dict[str, inspect.Parameter], n_given: int, kwargs: dict[str, Any]) -> str:
    unknown = next((k for k in kwargs if k not in parameters), "")
    if unknown:
        return did_you_mean(unknown, parameters) or f"leave {unknown} out"
    by_place = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if n_given > len(by_place):
        if [p.name for p in by_place] in (["x"], ["exprs"]):
            return f"put several into one list: {name}([a, b])"
        named = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
        return (
            f"give what follows by name: {named[0]}=..." if named else f"{name} takes {len(by_place)} of them: leave the others out"
        )
    missing = [n for n in needed[n_given:] if n not in kwargs]
    return f"give {' and '.join(missing)}" if missing else ""


def _shown(parameter: inspect.Parameter) -> str:
    name = parameter.name
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"*{name}"
    if parameter.kind is parameter.VAR_KEYWORD:
        return f"**{name}"
    return name if parameter.default is inspect.Parameter.empty else f"{name}={parameter.default!r}"

"""``@user_func``: a function of numbers that is applied item by item, here or by a back end that knows it."""

from __future__ import annotations

import functools
import inspect
import typing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, with_article
from hep_flows.expr.functions import CppFunction, UserFunction
from hep_flows.expr.types import Bool, Float, Int, Item, String
from hep_flows.functions.declared import recorded_call
from hep_flows.functions.identity import code_identity, has_body, inferred_return
from hep_flows.record.arguments import checked
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable

_ITEMS: dict[object, Item] = {float: Float(64), int: Int(64), bool: Bool(), str: String()}


@checked
def user_func(function: Callable[..., Any] | None = None, *, cpp: CppFunction | str | None = None) -> Callable[..., Any]:
    """Let a function be used in expressions.

    Parameters
    ----------
    function : callable
        Annotated with ``float``, ``int``, ``bool`` or ``str``. With a local body it is called on arrays, or item by item where the
        body works on single values only. Without one (a docstring, ``...``, ``pass``, ``raise``) a plug-in must know the name.
    cpp : CppFunction or str, optional
        The body in C++, for back ends that generate it: ``@user_func(cpp="return x * x;")``. With headers other than ``cmath`` it is a
        `CppFunction`.

    Returns
    -------
    callable
        Records a call when an argument is an expression, else calls the function.

    Raises
    ------
    LiteralError
        When the body in C++ cannot be sent, or a parameter is a text.

    Notes
    -----
    The function is identified by its code with its captured values and its body in C++, never by its name and line. A call whose
    arguments are missing somewhere is missing there.
    """
    if cpp is not None and not isinstance(cpp, str | CppFunction):
        raise LiteralError(f"a body in C++ is a text or a CppFunction, not {with_article(cpp)}", where=user_site())
    body = CppFunction(cpp) if isinstance(cpp, str) else cpp
    if function is not None and not callable(function):
        raise LiteralError(
            f"user_func takes a function, not {with_article(function)}", where=user_site(), do="write @user_func above it"
        )
    if function is None:
        return functools.partial(_user_func, cpp=body)
    return _user_func(function, cpp=body)


def _user_func(function: Callable[..., Any], *, cpp: CppFunction | None) -> Callable[..., Any]:
    declared = declaration_of(function)
    if cpp is not None:
        declared = replace(declared, cpp=_checked_cpp(cpp, declared))
    signature = inspect.signature(function)

    @functools.wraps(function)
    def record(*args: Any, **kwargs: Any) -> Any:
        nonlocal declared
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise LiteralError(f"{declared.name}{signature} is called with other arguments: {error}", where=user_site()) from None
        given.apply_defaults()
        frames = [v for v in given.arguments.values() if hasattr(v, "_expr")]
        if not frames:
            return function(*args, **kwargs)
        declared = _as_it_is_now(declared, function)
        return recorded_call(declared, frames[0], [given.arguments[p] for p in declared.parameters])

    return record


def _as_it_is_now(declared: UserFunction, function: Callable[..., Any]) -> UserFunction:
    """Give the declaration with the values and functions that the body uses when the call is written."""
    if declared.body is None:
        return declared
    code, why = code_identity(function)
    if why and not declared.portable:
        return declared  # one mark for all calls: the same selection, written twice, stays the same
    return replace(declared, code=code, portable=not why, why_not_portable=why, now=lambda: code_identity(function)[0])


def _checked_cpp(cpp: CppFunction, declared: UserFunction) -> CppFunction:
    texts = [i for i in (*declared.accepts, declared.returns) if isinstance(i, String)]
    why = ""
    if texts:
        why = "C++ functions are about numbers, and it declares a str"
    elif "return" not in cpp.body:
        why = "it returns nothing"
    elif "//" in cpp.body or "#" in cpp.body:
        why = "it is sent on one line: a // comment or a # would swallow the rest"
    elif "argument_" in cpp.body:
        why = "names that begin with argument_ are those of the caller"
    if why:
        raise LiteralError(f"user function {declared.name} has a body in C++ that cannot be sent", where=user_site(), why=why)
    return replace(cpp, body=" ".join([line.strip() for line in cpp.body.splitlines() if line.strip()]))


def declaration_of(function: Callable[..., Any]) -> UserFunction:
    """Give what an expression needs to know about a user's function.

    Raises
    ------
    LiteralError
        When it takes ``*args`` or ``**kwargs``, or is annotated with types that no item has.
    """
    name = getattr(function, "__name__", type(function).__name__)
    signature = inspect.signature(function)
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    for p in signature.parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise LiteralError(f"user function {name} takes {p}", where=user_site(), do="name each parameter")
    accepts = tuple([_item(hints.get(p), name, p) for p in signature.parameters])
    returns = _item(hints.get("return"), name, "return")
    note = ""
    if returns is None:
        returns, note = _ITEMS[inferred_return(function)], f"{name} declares no return type; taken from its body"
        if not has_body(function):
            returns, note = Float(64), f"{name} declares no return type and has no body; taken as float"
    body = _by_place(function, signature) if has_body(function) else None
    code, why = code_identity(function) if body else (b"", "")
    return UserFunction(name, tuple(signature.parameters), accepts, returns, code, not why, body, note, why)


def _by_place(function: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    """Give the function with every parameter taken by its place, as plug-ins call it: those after ``*`` too."""
    named = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    if not named:
        return function
    first = len(signature.parameters) - len(named)

    def body(*values: Any) -> Any:
        return function(*values[:first], **dict(zip(named, values[first:], strict=True)))

    return body


def _item(hint: object, name: str, parameter: str) -> Item | None:
    if hint is None or hint is inspect.Parameter.empty or hint is Any:
        return None
    item = _ITEMS.get(hint)
    if item is None and getattr(hint, "__module__", "") == "numpy":
        item = _numpy_item(getattr(hint, "__name__", ""))
    if item is None:
        shown = getattr(hint, "__name__", hint)
        raise LiteralError(
            f"user function {name} declares {parameter} as {shown}", where=user_site(), do="declare float, int, bool or str"
        )
    return item


def _numpy_item(name: str) -> Item | None:
    kind = name.rstrip("0123456789_")
    digits = name[len(kind) :].rstrip("_")
    if kind == "bool":
        return Bool()
    if not digits or kind not in ("int", "uint", "float"):
        return None
    return Float(int(digits)) if kind == "float" else Int(int(digits), signed=kind == "int")

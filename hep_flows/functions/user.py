"""``@user_func``: a function of numbers that is applied item by item, here or by a back end that knows it."""

from __future__ import annotations

import functools
import inspect
import typing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hep_flows.errors import HepFlowsError, LiteralError, with_article
from hep_flows.expr.functions import Calls, CppFunction, UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.types import Bool, Float, Int, Item, String
from hep_flows.functions.declared import recorded_call
from hep_flows.functions.identity import check_body, code_identity, has_body, inferred_return, record_fields
from hep_flows.record.arguments import checked
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hep_flows.expr.functions import Mode

_ITEMS: dict[object, Item] = {float: Float(64), int: Int(64), bool: Bool(), str: String()}


@checked
def user_func(
    function: Callable[..., Any] | None = None,
    *,
    cpp: CppFunction | str | None = None,
    single: bool = False,
    jagged: bool = False,
    pure: bool = True,
    version: str | None = None,
) -> Callable[..., Any]:
    """Let a function be used in expressions.

    Parameters
    ----------
    function : callable
        Annotated with ``float``, ``int``, ``bool`` or ``str``; ``list[float]`` for a whole list; a NamedTuple, dataclass or TypedDict of these
        for an object, and for several results. With a local body it is called with flat arrays of many elements, and with single values
        where that raises. Without one (a docstring, ``...``, ``pass``, ``raise``) a plug-in must know the name.
    cpp : CppFunction or str, optional
        The body in C++, for back ends that generate it: ``@user_func(cpp="return x * x;")``. With headers other than ``cmath`` it is a
        `CppFunction`.
    single : bool
        Call the body with one value at a time.
    jagged : bool
        Give parameters that are annotated as lists as jagged awkward arrays, for many lists at a time.
    pure : bool
        Whether the same arguments give the same result. A column of a function that is not pure is computed once in each run, where it was
        written, before any filter, and never stored.
    version : str, optional
        Stands for all that the body does and reads: results are stored under it, and computed anew when it changes.

    Returns
    -------
    callable
        Records a call when an argument is an expression, else calls the function.

    Raises
    ------
    LiteralError
        When the body in C++ cannot be sent, or the annotations are not those of values in arrays.

    Notes
    -----
    The function is identified by its code with its captured values and its body in C++, never by its name and line. A call whose
    arguments are missing somewhere is missing there.
    """
    if cpp is not None and not isinstance(cpp, str | CppFunction):
        raise LiteralError(f"a body in C++ is a text or a CppFunction, not {with_article(cpp)}", where=user_site())
    if single and jagged:
        raise LiteralError("a user function is called with single values, or with jagged arrays", where=user_site())
    if version == "" or not isinstance(version, str | None):
        raise LiteralError(f"the version of a user function is a text, not {version!r}", where=user_site())
    body = CppFunction(cpp) if isinstance(cpp, str) else cpp
    if function is not None and not callable(function):
        raise LiteralError(
            f"user_func takes a function, not {with_article(function)}", where=user_site(), do="write @user_func above it"
        )
    mode: Mode = "single" if single else "jagged" if jagged else "arrays"
    declare = functools.partial(_user_func, cpp=body, mode=mode, pure=pure, version=version)
    return declare if function is None else declare(function)


def _user_func(
    function: Callable[..., Any], *, cpp: CppFunction | None, mode: Mode, pure: bool, version: str | None
) -> Callable[..., Any]:
    signature = _signature(function)
    declared = _declared(function, signature, mode)
    if cpp is not None:
        declared = replace(declared, cpp=_checked_cpp(cpp, declared))
    if version is not None:
        declared = replace(declared, code=digest("version", version), portable=True, why_not_portable="")
    if not pure:
        declared = replace(declared, pure=False, portable=False, why_not_portable="is declared pure=False")
    objects = {p: record_fields(h) for p, h in _hints(function).items() if p != "return" and record_fields(h)}
    results = _results(function)

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
        if declared.body is not None:
            check_body(function, declared.name)
        if version is None:
            declared = _as_it_is_now(declared, function)
        values = [v for p in signature.parameters for v in _leaves(declared.name, p, given.arguments[p], objects.get(p, {}))]
        return recorded_call(declared, frames[0], values, results=results)

    record.declared_version, record.declared_pure = version, pure  # type: ignore[attr-defined]
    return record


def _leaves(function: str, parameter: str, value: Any, fields: Mapping[str, Any]) -> list[Any]:
    """Give the members of an object in their order; of a number, itself."""
    if not fields:
        return [value]
    try:
        return [value[n] if isinstance(value, dict) else getattr(value, n) for n in fields]
    except (KeyError, AttributeError) as error:
        if isinstance(error, HepFlowsError):
            raise
        names = ", ".join(fields)
        raise LiteralError(
            f"{function} takes an object with {names} for {parameter}, not {with_article(value)}", where=user_site()
        ) from None


def _as_it_is_now(declared: UserFunction, function: Callable[..., Any]) -> UserFunction:
    """Give the declaration with the values and functions that the body uses when the call is written."""
    if declared.body is None or not declared.pure:
        return declared
    code, why = code_identity(function)
    if why and not declared.portable:
        return declared  # one mark for all calls: the same selection, written twice, stays the same
    calls = declared.calls if code == declared.code else Calls()
    now = lambda: code_identity(function)[0]  # noqa: E731
    return replace(declared, code=code, portable=not why, why_not_portable=why, now=now, calls=calls)


def _checked_cpp(cpp: CppFunction, declared: UserFunction) -> CppFunction:
    texts = [i for i in (*declared.accepts, declared.returns) if isinstance(i, String)]
    why = ""
    if declared.lists or declared.members or any("." in p for p in declared.parameters):
        why = "C++ functions are about single numbers, and it declares lists, objects or several results"
    elif texts:
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


def _declared(function: Callable[..., Any], signature: inspect.Signature, mode: Mode) -> UserFunction:
    name = getattr(function, "__name__", type(function).__name__)
    hints = _hints(function)
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise LiteralError(f"user function {name} takes {parameter}", where=user_site(), do="name each parameter")
    lists: list[str] = []
    taken: dict[str, Item | None] = {}
    for p in signature.parameters:
        of = record_fields(hints.get(p))
        for member, hint in of.items() if of else {"": hints.get(p)}.items():
            full = f"{p}.{member}" if of else p
            if typing.get_origin(hint) is list:
                lists.append(full)
                hint = (*typing.get_args(hint), None)[0]  # noqa: PLW2901
            taken[full] = _item(hint, name, full)
    if mode == "jagged" and not lists:
        raise LiteralError(
            f"{name} is declared jagged=True and takes no lists", where=user_site(), do="annotate what is one: list[float]"
        )
    results = _results(function)
    returns = next(iter(results.values())) if results else _item(hints.get("return"), name, "return")
    note = ""
    if returns is None:
        returns, note = _ITEMS[inferred_return(function)], f"{name} declares no return type; taken from its body"
        if not has_body(function):
            returns, note = Float(64), f"{name} declares no return type and has no body; taken as float"
    body = _by_place(function, signature, hints) if has_body(function) else None
    code, why = code_identity(function) if body else (b"", "")
    members = tuple(results)
    return UserFunction(
        name,
        tuple(taken),
        tuple(taken.values()),
        returns,
        code,
        not why,
        body,
        note,
        why,
        mode=mode,
        lists=tuple(lists),
        members=members,
        member=members[0] if members else "",
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        # numpy's vectorize says of every function that it takes *args.
        return inspect.signature(getattr(function, "pyfunc", function))
    except ValueError:
        raise LiteralError(
            f"{getattr(function, '__name__', function)} does not say what it takes",
            where=user_site(),
            do="write a function that calls it: def f(x: float) -> float: return ...",
        ) from None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(getattr(function, "pyfunc", function))
    except (NameError, TypeError, AttributeError):
        return {}


def _results(function: Callable[..., Any]) -> dict[str, Item]:
    """Give the items of several results by name; nothing for one."""
    name = getattr(function, "__name__", type(function).__name__)
    found: dict[str, Item] = {}
    for member, hint in record_fields(_hints(function).get("return")).items():
        item = _item(hint, name, f"its result's {member}")
        found[member] = Float(64) if item is None else item
    return found


def _by_place(function: Callable[..., Any], signature: inspect.Signature, hints: Mapping[str, Any]) -> Callable[..., Any]:
    """Give the function with every value taken by its place, as plug-ins call it: those after ``*`` too, and the members of objects."""
    parameters = list(signature.parameters.values())
    objects = [record_fields(hints.get(p.name)) for p in parameters]
    if not any(objects) and not any(p.kind is p.KEYWORD_ONLY for p in parameters):
        return function

    def body(*values: Any) -> Any:
        left = list(values)
        placed: list[Any] = []
        named: dict[str, Any] = {}
        for p, fields in zip(parameters, objects, strict=True):
            value = hints[p.name](**{n: left.pop(0) for n in fields}) if fields else left.pop(0)
            if p.kind is p.KEYWORD_ONLY:
                named[p.name] = value
            else:
                placed.append(value)
        return function(*placed, **named)

    return body


def _item(hint: object, name: str, parameter: str) -> Item | None:
    if hint is None or hint is inspect.Parameter.empty or hint is Any or _is_array(hint):
        return None
    item = _ITEMS.get(hint) if isinstance(hint, type) else None
    if item is None and getattr(hint, "__module__", "") == "numpy":
        item = _numpy_item(getattr(hint, "__name__", ""))
    if item is None:
        shown = getattr(hint, "__name__", hint)
        raise LiteralError(
            f"user function {name} declares {parameter} as {shown}",
            where=user_site(),
            do="declare float, int, bool or str; list[float] for a whole list; a NamedTuple or dataclass of these for an object",
        )
    return item


def _is_array(hint: object) -> bool:
    """Say whether an annotation says that an array is meant, which leaves open of what kind of numbers."""
    name = getattr(typing.get_origin(hint) or hint, "__name__", "")
    module = str(getattr(typing.get_origin(hint) or hint, "__module__", "")).partition(".")[0]
    return (module, name) in {("numpy", "ndarray"), ("awkward", "Array"), ("numpy", "_ArrayLike")}


def _numpy_item(name: str) -> Item | None:
    kind = name.rstrip("0123456789_")
    digits = name[len(kind) :].rstrip("_")
    if kind == "bool":
        return Bool()
    if not digits or kind not in ("int", "uint", "float"):
        return None
    return Float(int(digits)) if kind == "float" else Int(int(digits), signed=kind == "int")

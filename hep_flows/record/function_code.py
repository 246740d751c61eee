"""The identity of a user's function: what it does, not where it stands or what it is called.

The digest covers the canonical form of its source (comments, layout, annotations and docstring gone), its defaults, the values that
it captured, and, through every name that it uses, the project functions and constants behind it. Library functions count by their
module and name. What cannot be encoded makes the function good in this process only; it is then never stored.
"""

from __future__ import annotations

import ast
import types
import uuid
from typing import TYPE_CHECKING, Any

from hep_flows.expr.key import digest
from hep_flows.record.declared_function import DeclaredFunction
from hep_flows.record.function_source import source_tree
from hep_flows.record.outside import reads_outside
from hep_flows.record.used_names import UnknownError, is_library, modules_used, unbound_names, unwrapped, used_values

if TYPE_CHECKING:
    from collections.abc import Callable


# Fields of syntax trees that change nothing: annotations, and how a text constant was written.
_NOT_MEANING = frozenset({"annotation", "returns", "type_comment", "type_params", "kind"})


def code_identity(function: Callable[..., Any]) -> tuple[bytes, str]:
    """Give the digest of what a function does, and why it means nothing to another process; empty where it does."""
    try:
        return _function(function, {}), ""
    except (UnknownError, OSError, SyntaxError, TypeError) as error:
        why = f"{error}" if isinstance(error, UnknownError | OSError) else ""
        return uuid.uuid4().bytes, why or "holds values that have no content key"


def has_body(function: Callable[..., Any]) -> bool:
    """Say whether a function does anything: a docstring, ``...``, ``pass``, ``assert False`` or ``raise`` alone does not."""
    try:
        tree = source_tree(function)
    except (OSError, SyntaxError, TypeError):
        return True
    if isinstance(tree, ast.Lambda):
        return True
    return any(not _does_nothing(s) for s in tree.body)


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Raise() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assert(test=ast.Constant(value=value)):
            return not value
        case _:
            return False


def inferred_return(function: Callable[..., Any]) -> type:
    """Give ``bool`` for a function that only returns comparisons, ``int`` or ``str`` for such constants, else ``float``."""
    try:
        tree = source_tree(function)
    except (OSError, SyntaxError, TypeError):
        return float
    values = [tree.body] if isinstance(tree, ast.Lambda) else [n.value for n in ast.walk(tree) if isinstance(n, ast.Return)]
    kinds = {_kind(v) for v in values}
    return kinds.pop() if len(kinds) == 1 else float


def _kind(value: ast.expr | None) -> type:
    match value:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return bool
        case ast.BoolOp(values=parts) if all(_kind(p) is bool for p in parts):
            return bool
        case ast.Constant(value=bool() | int() | str() as constant):
            return type(constant)
        case _:
            return float


def _canonical(function: types.FunctionType) -> tuple[object, ...]:
    """Give the parameters and the body as nested tuples; constants that do nothing, such as docstrings, are left out."""
    tree = source_tree(function)
    body = [tree.body] if isinstance(tree, ast.Lambda) else [s for s in tree.body if not _is_comment(s)]
    return (_shape(tree.args), tuple([_shape(s) for s in body]))


def _is_comment(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _shape(node: object) -> object:
    """Give a syntax tree as nested tuples of what is there: the same on every Python, whose texts of a tree differ."""
    if isinstance(node, ast.AST):
        fields = [(n, getattr(node, n, None)) for n in node._fields if n not in _NOT_MEANING]
        return (type(node).__name__, tuple([(n, _shape(v)) for n, v in fields if v is not None and v != []]))
    if isinstance(node, list):
        return tuple([_shape(n) for n in node])
    if node is Ellipsis or isinstance(node, complex):
        return ("constant", str(node))
    return node


def _function(function: Any, seen: dict[int, int]) -> bytes:
    function = unwrapped(function)
    address = _address(function)
    if address in seen:
        return digest("recursion", seen[address])
    seen[address] = len(seen)
    tree = source_tree(function)
    through = modules_used(function, tree)
    names = used_values(function)
    _check_inside(function, tree, names)
    _check_attributes(tree, names)
    values = tuple([(n, _value(names[n], seen)) for n in sorted(names) if n not in through])
    parts = tuple([(n, tuple([(part, _value(v, seen)) for part, v in through[n]])) for n in sorted(through)])
    defaults = _value(function.__defaults__ or (), seen), _value(tuple(sorted((function.__kwdefaults__ or {}).items())), seen)
    return digest("code", _canonical(function), values, parts, defaults)


def _check_inside(function: types.FunctionType, tree: ast.AST, names: dict[str, Any]) -> None:
    outside = reads_outside(tree, {n: is_library(v) for n, v in names.items()}, unbound_names(function))
    if outside:
        raise UnknownError(f"may read something that is in no key, by {outside}")


def _check_attributes(tree: ast.AST, names: dict[str, Any]) -> None:
    """Refuse what is kept on a function, as in ``f.calls``: it is no part of what the function does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            value = names.get(node.value.id)
            if isinstance(value, types.FunctionType) and not is_library(value):
                raise UnknownError


def _address(value: object) -> int:
    """Tell objects of this process apart while one function is followed; never part of a digest."""
    return id(value)


def _value(value: Any, seen: dict[int, int]) -> bytes:
    """Give the digest of a captured value."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return digest("value", type(value).__name__, value)
    if type(value) in (tuple, list):
        return digest("values", type(value).__name__, tuple([_value(v, seen) for v in value]))
    if type(value) is dict:
        return digest("mapping", tuple([(_value(k, seen), _value(v, seen)) for k, v in value.items()]))
    if isinstance(value, DeclaredFunction) and value.declared.portable:
        return digest("declared", value.declared.identity())
    name = is_library(value)
    if name:
        return digest("library", name)
    if type(value).__module__ == "numpy" and hasattr(value, "dtype") and not value.dtype.hasobject:
        return digest("array", type(value).__name__, str(value.dtype), tuple(value.shape), value.tobytes())
    return _function(value, seen)

"""Read an expression from Python: the inverse of `hep_flows.expr.python_ast.to_python`.

Only the forms that `to_python` writes are read, and nothing is ever executed.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from hep_flows.errors import RecordError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Default
from hep_flows.expr.python_ast import BINARY, COMPARED, DTYPES, ELEMENT, KEEP, LOOP, RESULT, SPEC, UNARY
from hep_flows.expr.remake import made_call
from hep_flows.expr.types import Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Constant, Expr
    from hep_flows.expr.python_ast import Named

_BINARY = {kind: name for name, kind in BINARY.items()}
_COMPARED = {kind: name for name, kind in COMPARED.items()}
_UNARY = {kind: name for name, kind in UNARY.items()}
DEEPEST = 200


def from_python(module: ast.Module, names: Mapping[str, Named]) -> Expr:
    """Give the expression that a module of assignments ends in.

    Parameters
    ----------
    module : ast.Module
        Assignments to single names, the last one to ``result``.
    names : mapping
        What the free names stand for: tables, users' functions, results of tasks.

    Raises
    ------
    RecordError
        For Python that is no expression of the language, and for nested Python that is too deep to read.
    """
    reader = _Reader(names)
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                reader.values[name] = reader.read(value, 0)
            case _:
                raise _refused(statement, "a step is an assignment to one name")
    if RESULT not in reader.values:
        raise RecordError("this Python has no result", do=f"end it with {RESULT} = ...")
    return reader.values[RESULT]


def _refused(node: ast.AST, why: str) -> RecordError:
    line = getattr(node, "lineno", 0)
    place = f" (line {line})" if line else ""
    return RecordError(f"this Python is not an expression of hep_flows{place}: {type(node).__name__}", why=why)


class _Reader:
    """Reads one step at a time; ``values`` are the steps so far."""

    def __init__(self, names: Mapping[str, Named]) -> None:
        self.values: dict[str, Expr] = {}
        self._functions = {n: v for n, v in names.items() if isinstance(v, UserFunction)}
        self._types = {n: v for n, v in names.items() if isinstance(v, Type)}
        self.values.update({n: v for n, v in names.items() if not isinstance(v, UserFunction | Type)})

    def read(self, tree: ast.expr, depth: int) -> Expr:
        if depth > DEEPEST:
            raise _refused(tree, f"it is nested more than {DEEPEST} deep; assign its parts to names first")
        constant = _constant(tree)
        if constant is not None:
            return build.literal(*constant)
        match tree:
            case ast.Name(id=name):
                if name not in self.values:
                    raise _refused(tree, f"nothing is called {name}")
                return self.values[name]
            case ast.Attribute(value=of, attr=name) | ast.Subscript(value=of, slice=ast.Constant(value=str(name))):
                return build.field(self.read(of, depth + 1), name)
            case ast.Call(func=ast.Attribute(value=of, attr="get"), args=[ast.Constant(value=str(name)), value], keywords=keywords):
                as_ = [str(_option(k.value)) for k in keywords if k.arg == "as_"]
                return build.field(self.read(of, depth + 1), name, default=Default(_option(value), *as_))
            case ast.Subscript(value=of, slice=mask):
                base = self.read(of, depth + 1)
                return build.filtered(base, self.read(mask, depth + 1), len(base.type.axes) - 1)
            case ast.Call(func=ast.Name(id="typed"), args=[of, ast.Name(id=name)], keywords=[]) if name in self._types:
                return replace(self.read(of, depth + 1), type=self._types[name])
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                options = [(k.arg, _option(k.value)) for k in keywords]
                return self._call(tree, name, [self.read(a, depth + 1) for a in args], options)
            case _:
                function, operands = _operator(tree)
                return build.call(function, [self.read(o, depth + 1) for o in operands])

    def _call(self, tree: ast.expr, name: str, args: list[Expr], options: list[tuple[str | None, Constant]]) -> Expr:
        named = {n: v for n, v in options if n is not None}
        spec = named.pop(SPEC, "")
        try:
            if name in self._functions:
                return build.call(self._functions[name], args)
            match name:
                case "element":
                    return build.bound(args[0], _whole(named["level"]))
                case "loop":
                    return build.mapped(args[0], args[1], _whole(named["level"]))
                case "keep":
                    return build.filtered(args[0], args[1], _whole(named["at"]))
                case _:
                    return made_call(name, args, tuple(named.items()), str(spec))
        except RecordError:
            raise
        except (LookupError, TypeError, ValueError, AssertionError) as error:
            why = (
                f"{name} does not take these arguments"
                if name in FUNCTIONS or name in {ELEMENT, LOOP, KEEP}
                else f"there is no function {name}"
            )
            raise _refused(tree, why) from error


def _operator(tree: ast.expr) -> tuple[str, list[ast.expr]]:
    match tree:
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)], [left, right]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            return _COMPARED[type(op)], [left, right]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)], [operand]
        case _:
            raise _refused(tree, "the language has no such syntax")


def _whole(value: Constant) -> int:
    assert type(value) is int
    return value


def _option(tree: ast.expr) -> Constant:
    constant = _constant(tree)
    if constant is None:
        raise _refused(tree, "an option is a constant")
    return constant[0]


def _constant(tree: ast.expr) -> tuple[Constant, str] | None:
    """Give the value and the numpy type of a constant; None for anything else."""
    match tree:
        case ast.Constant(value=None | bool() | int() | float() | str() | bytes()):
            return tree.value, ""  # type: ignore[return-value]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if type(value) is not bool:
            return -value, ""
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))], keywords=[]):
            return float(text), ""
        case ast.Call(func=ast.Name(id=dtype), args=[value], keywords=[]) if dtype in DTYPES or dtype == "bool_":
            inside = _constant(value)
            return None if inside is None else (inside[0], dtype.rstrip("_"))
        case ast.Tuple(elts=parts):
            values = [_constant(p) for p in parts]
            return None if any(v is None for v in values) else (tuple([v[0] for v in values if v is not None]), "")
        case _:
            return None

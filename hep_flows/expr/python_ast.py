"""Expressions as Python: a module of short assignments, and back.

::

    v1 = events.Jet.pt > 30.5
    result = count(events.Jet.pt[v1])

Operators, leaves (``events.Jet.pt``) and filters of the innermost axis (``x[mask]``) are Python's own syntax; every other function of
the table is a call by its name with its options as keywords: ``pick(x, index=0, at=1)``. Constants are Python's; numpy's are written
``float32(0.5)``. An element of a loop is ``element(x, level=1)``, a closed loop ``loop(over, body, level=1)``, a filter of another axis
``keep(x, mask, at=0)``. What has no literal form (tables, users' functions, results of tasks) are names, and `PythonForm.names` says
what they stand for; so are types that a node has only because it stands above the result of a task: ``typed(x[mask], type_1)``. No step is deep, so neither the expression's depth nor its sharing is limited by Python's parser.
"""

from __future__ import annotations

import ast
import keyword
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.remake import retyped
from hep_flows.expr.types import Histogram, Type
from hep_flows.expr.walk import postorder, uses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Constant, Default

Named = Dataset | UserFunction | Input | Type
DEEPEST = 12
BINARY: dict[str, type[ast.operator]] = {
    "add": ast.Add,
    "subtract": ast.Sub,
    "multiply": ast.Mult,
    "true_divide": ast.Div,
    "floor_divide": ast.FloorDiv,
    "remainder": ast.Mod,
    "power": ast.Pow,
    "bitwise_and": ast.BitAnd,
    "bitwise_or": ast.BitOr,
    "bitwise_xor": ast.BitXor,
    "left_shift": ast.LShift,
    "right_shift": ast.RShift,
}
COMPARED: dict[str, type[ast.cmpop]] = {
    "equal": ast.Eq,
    "not_equal": ast.NotEq,
    "less": ast.Lt,
    "less_equal": ast.LtE,
    "greater": ast.Gt,
    "greater_equal": ast.GtE,
}
UNARY: dict[str, type[ast.unaryop]] = {"negative": ast.USub, "positive": ast.UAdd, "invert": ast.Invert}
ELEMENT, LOOP, KEEP, TYPED, RESULT, SPEC = "element", "loop", "keep", "typed", "result", "spec_"
DTYPES = frozenset(
    f"{kind}{bits}"
    for kind, widths in (("float", (16, 32, 64)), ("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)))
    for bits in widths
)
_TAKEN = frozenset({ELEMENT, LOOP, KEEP, TYPED, RESULT, "float", "bool_"}) | DTYPES | frozenset(FUNCTIONS)


@dataclass(frozen=True, slots=True)
class PythonForm:
    """An expression as Python: the module, and what its free names stand for.

    `ast.unparse` of the module is its text; the text parsed again is the same expression.
    """

    module: ast.Module
    names: Mapping[str, Named]


def to_python(expr: Expr) -> PythonForm:
    """Give the expression as a module that ends in ``result = ...``; `from_python` is the inverse."""
    writer = _Writer(expr)
    return PythonForm(ast.fix_missing_locations(ast.Module(writer.statements, [])), writer.names)


class _Writer:
    """Writes the statements while the nodes are met from the leaves up."""

    def __init__(self, expr: Expr) -> None:
        self.statements: list[ast.stmt] = []
        self.names: dict[str, Named] = {}
        self._name_of: dict[bytes, str] = {}
        self._written: dict[bytes, tuple[ast.expr, int]] = {}
        self._leaves: set[bytes] = set()
        count = uses(expr)
        types = retyped(expr)
        for node in postorder(expr):
            form = self._form(node)
            if node.key in types:
                kind = self._named(b"type of " + node.key, f"type_{len(self.names) + 1}", node.type)
                form = ast.Call(ast.Name(TYPED, ast.Load()), [form, kind], [])
            depth = 1 + max([self._written[i.key][1] for i in node.inputs()], default=0)
            if isinstance(node, Literal | Dataset | Input) or (isinstance(node, Field) and node.of.key in self._leaves):
                self._leaves.add(node.key)
            shared = count[node.key] > 1 and node.key not in self._leaves
            if node is expr:
                self._assign(RESULT, form)
            elif shared or depth >= DEEPEST:
                form = self._assign(self._free("v", len(self.statements) + 1), form)
                depth = 0
            self._written[node.key] = (form, depth)

    def _assign(self, name: str, value: ast.expr) -> ast.expr:
        self.statements.append(ast.Assign([ast.Name(name, ast.Store())], value))
        return ast.Name(name, ast.Load())

    def _free(self, stem: str, number: int) -> str:
        while f"{stem}{number}" in self.names:
            number += 1
        return f"{stem}{number}"

    def _named(self, key: bytes, wanted: str, what: Named) -> ast.expr:
        """Give the name that stands for a table, a function or a task; two things never share one."""
        if key not in self._name_of:
            clean = "".join([c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in wanted]) or "_"
            clean = f"_{clean}" if clean[0].isdigit() or keyword.iskeyword(clean) or _is_counted(clean) else clean
            name, number = clean, 2
            while name in self.names or name in _TAKEN:
                name, number = f"{clean}_{number}", number + 1
            self.names[name] = what
            self._name_of[key] = name
        return ast.Name(self._name_of[key], ast.Load())

    def _of(self, node: Expr) -> ast.expr:
        return self._written[node.key][0]

    def _form(self, node: Expr) -> ast.expr:  # noqa: PLR0911
        match node:
            case Dataset():
                return self._named(node.key, "events", node)
            case Input():
                return self._named(node.key, f"task_{node.task.hex()[:8]}", node)
            case Literal():
                return _literal(node)
            case Field():
                return (
                    _member(self._of(node.of), node.name)
                    if node.default is None
                    else _get(self._of(node.of), node.name, node.default)
                )
            case Filter():
                if node.at == len(node.of.type.axes) - 1:
                    return ast.Subscript(self._of(node.of), self._of(node.mask), ast.Load())
                return _called(KEEP, [self._of(node.of), self._of(node.mask)], (("at", node.at),))
            case Bound():
                return _called(ELEMENT, [self._of(node.of)], (("level", node.level),))
            case Map():
                return _called(LOOP, [self._of(node.over), self._of(node.body)], (("level", node.level),))
            case Call():
                return self._call(node)

    def _call(self, node: Call) -> ast.expr:
        args = [self._of(a) for a in node.args]
        function = node.function
        if isinstance(function, UserFunction):
            return ast.Call(self._named(function.identity(), function.name, function), args, [])
        if function in BINARY and not node.options:
            return ast.BinOp(args[0], BINARY[function](), args[1])
        if function in COMPARED and not node.options:
            return ast.Compare(args[0], [COMPARED[function]()], [args[1]])
        if function in UNARY and not isinstance(node.args[0], Literal):
            return ast.UnaryOp(UNARY[function](), args[0])
        spec = ((SPEC, node.type.item.spec),) if isinstance(node.type.item, Histogram) else ()
        return _called(function, args, (*node.options, *spec))


def _is_counted(name: str) -> bool:
    """Say whether it looks like the name of a step: ``v12``."""
    return name[:1] == "v" and name[1:].isdigit()


def _member(of: ast.expr, name: str) -> ast.expr:
    if name.isidentifier() and name.isascii() and not keyword.iskeyword(name):
        return ast.Attribute(of, name, ast.Load())
    return ast.Subscript(of, ast.Constant(name), ast.Load())


def _get(of: ast.expr, name: str, default: Default) -> ast.expr:
    kind = [ast.keyword("as_", ast.Constant(default.as_))] if default.as_ else []
    return ast.Call(ast.Attribute(of, "get", ast.Load()), [ast.Constant(name), constant_form(default.value)], kind)


def _called(name: str, args: list[ast.expr], options: tuple[tuple[str, Constant], ...]) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), args, [ast.keyword(n, constant_form(v)) for n, v in options])


def _literal(node: Literal) -> ast.expr:
    value = constant_form(node.value)
    if node.dtype:
        return ast.Call(ast.Name("bool_" if node.dtype == "bool" else node.dtype, ast.Load()), [value], [])
    return value


def constant_form(value: Constant) -> ast.expr:
    """Give a constant as Python syntax: a negative number is minus a positive one, and nan and inf are calls of float."""
    if isinstance(value, tuple):
        return ast.Tuple([constant_form(v) for v in value], ast.Load())
    if isinstance(value, float) and not math.isfinite(value):
        return ast.Call(ast.Name("float", ast.Load()), [ast.Constant(str(value))], [])
    if isinstance(value, int | float) and not isinstance(value, bool) and str(value)[0] == "-":
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)

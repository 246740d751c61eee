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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hep_flows.errors import RecordError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.loops import PROVISIONAL
from hep_flows.expr.nodes import Bound, Call, Dataset, Default, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.text import one_line
from hep_flows.expr.transport import made_call, remade, retyped, same_item, same_type
from hep_flows.expr.types import Histogram, Loop, Record, Type
from hep_flows.expr.walk import postorder, uses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.types import Constant

Named = Dataset | UserFunction | Input | Type
DEEPEST_TERM = 12
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
            elif shared or depth >= DEEPEST_TERM:
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


# Read an expression from Python: the inverse of `to_python` -----------------------------------------------------------------------
#
# Only the forms that `to_python` writes are read, and nothing is ever executed.

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


# What a well-formed expression is: asserted between passes, in tests -------------------------------------------------------------


def check(*exprs: Expr, closed: bool = True) -> None:
    """Assert that expressions are well formed.

    Every node has the key and the type that it gets when it is made anew; a leaf is taken of a stored record; loops are numbered
    from the inside; and where ``closed``, no element is outside its loop. Above the results of other tasks axes need only have the
    same names, and levels may have been counted before the task was cut.

    Raises
    ------
    AssertionError
        With the node that is not.
    """
    in_task: set[bytes] = set()
    for node in postorder(*exprs):
        if isinstance(node, Input) or any(i.key in in_task for i in node.inputs()):
            in_task.add(node.key)
        _check_anew(node, exactly=node.key not in in_task)
        if isinstance(node, Field):
            record = node.of.type.item
            _require(isinstance(record, Record) and record.model != "tuple", node, "a leaf of something that is not stored")
        if isinstance(node, Bound):
            _require(0 < node.level < PROVISIONAL, node, f"an element with the level {node.level}, which no closed loop has")
        if isinstance(node, Map) and node.key not in in_task:
            _check_loop(node)
    for root in exprs if closed else ():
        _require(not root.type.loops, root, "an element outside its loop")


def _check_anew(node: Expr, *, exactly: bool) -> None:
    try:
        again = remade(node)
    except (RecordError, KeyError, TypeError, IndexError, ValueError) as error:
        raise AssertionError(f"{one_line(node)}: cannot be made anew: {error}") from error
    _require(again.key == node.key, node, "another key when made anew")
    same = same_type if exactly else _alike
    _require(same(again.type, node.type), node, f"{node.type}, but {again.type} when made anew")
    _require(again.height == node.height, node, "another height when made anew")


def _alike(a: Type, b: Type) -> bool:
    """Compare types where results of other tasks stand for parts: axes keep the identity that they had without."""
    kinds = (a.optional, a.unit, len(a.loops)) == (b.optional, b.unit, len(b.loops))
    return kinds and [x.name for x in a.axes] == [x.name for x in b.axes] and same_item(a.item, b.item)


def _check_loop(node: Map) -> None:
    if node.level == 0:
        return
    loop = Loop(node.over.type.axes[1], node.level)
    _require(loop in node.body.type.loops, node, "a loop with a level whose body does not depend on it")
    wanted = node.body.height + 1
    _require(node.level == wanted, node, f"a loop of level {node.level} around {wanted - 1} loops")


def _require(fine: object, node: Expr, what: str) -> None:
    if not fine:
        raise AssertionError(f"{one_line(node)}: {what}")

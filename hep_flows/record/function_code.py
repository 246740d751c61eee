"""The identity of a user's function: what it does, not where it stands or what it is called.

The digest covers the canonical form of its source (comments, layout, annotations and docstring gone), its defaults, the values that
it captured, and, through every name that it uses, the project functions and constants behind it. Library functions count by their
module and name, if they are known to be pure (`hep_flows.record.outside`). Whatever else it may reach makes the function good in this
process only; what depends on it is then never stored, and the plan names the line.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import types
import typing
import uuid
from typing import TYPE_CHECKING, Any

from hep_flows.expr.key import digest
from hep_flows.record.declared_function import DeclaredFunction
from hep_flows.record.function_source import source_tree
from hep_flows.record.outside import ATTRIBUTES, BUILTINS, CHANGES, ORDER_FREE, draws, known_pure
from hep_flows.record.used_names import UnknownError, is_library, library_name, library_version, runs, unbound_names, used_values
from hep_flows.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


# Fields of syntax trees that change nothing: annotations, and how a text constant was written.
_NOT_MEANING = frozenset({"annotation", "returns", "type_comment", "type_params", "kind"})


def code_identity(function: Callable[..., Any]) -> tuple[bytes, str]:
    """Give the digest of what a function does, and why it means nothing to another process; empty where it does."""
    try:
        return _value(function, {}), ""
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


def _function(function: types.FunctionType, seen: dict[int, int], *, keeps: bool) -> bytes:
    address = _address(function)
    if address in seen:
        return digest("recursion", seen[address])
    seen[address] = len(seen)
    tree = source_tree(function)
    used = _Body(function, tree).used()
    kept = [name for name, (value, _) in used.items() if value is not function and not library_name(value)]
    if keeps and kept:
        raise UnknownError(f"keeps what it gave (lru_cache, numba) while {kept[0]}, which it uses, may change")
    values = tuple([(name, used[name][1] or _value(used[name][0], seen)) for name in sorted(used)])
    defaults = _value(function.__defaults__ or (), seen), _value(tuple(sorted((function.__kwdefaults__ or {}).items())), seen)
    return digest("code", _canonical(function), values, defaults)


class _Body:
    """What one function reaches, name by name; anything that may differ from one run to the next is an `UnknownError` with its line."""

    def __init__(self, function: types.FunctionType, tree: ast.FunctionDef | ast.Lambda) -> None:
        self._file = function.__code__.co_filename.rpartition("/")[2]
        self._function, self._tree = function, tree
        body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
        self._nodes = [n for statement in body for n in _meant(statement)]
        self._parents = {child: n for n in self._nodes for child in ast.iter_child_nodes(n)}
        self._unbound = unbound_names(function)
        self._values = used_values(function)
        self._allowed = ATTRIBUTES | _fields(function)
        self._all_attributes = False

    def used(self) -> dict[str, tuple[Any, bytes]]:
        """Give what the function uses by dotted name: the value, and its digest where that is no business of the value's alone."""
        self._import_names()
        self._check_names()
        found: dict[str, tuple[Any, bytes]] = {}
        inside: set[ast.AST] = set()
        for node in self._nodes:  # parents before children: the longest chain of names comes first
            if isinstance(node, ast.Attribute) and node not in inside and (chain := _chain(node)) and chain[0] in self._values:
                inside.update(ast.walk(node))
                name, more = self._resolved(chain, node, found)
                self._check_use(name, node, found[name][0], more)
            elif isinstance(node, ast.Name) and node not in inside and node.id in self._values:
                name, more = self._resolved([node.id], node, found)
                self._check_use(name, node, found[name][0], more)
        for node in self._nodes:
            self._check(node, inside)
        return found

    def _no(self, why: str, node: ast.AST) -> UnknownError:
        line = getattr(node, "lineno", 0)
        return UnknownError(f"{why} ({self._file}:{line})" if line else why)

    def _import_names(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Import):
                bound = [
                    (a.asname or a.name.partition(".")[0], a.name if a.asname else a.name.partition(".")[0], "") for a in node.names
                ]
            elif isinstance(node, ast.ImportFrom):
                bound = [(a.asname or a.name, "" if node.level else node.module or "", a.name) for a in node.names]
            else:
                continue
            for name, module, part in bound:
                if not is_library(module):
                    raise self._no(f"imports {module or 'a module of the project'} inside", node)
                if name in self._values:
                    raise self._no(f"uses {name} for two things", node)
                self._values[name] = _imported(module, part)

    def _check_names(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Global | ast.Nonlocal):
                raise self._no(f"changes {node.names[0]} outside of itself", node)
        own = {n.arg for n in (*ast.walk(self._tree.args), *self._nodes) if isinstance(n, ast.arg)}
        own |= {n.id for n in self._nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        twice = sorted(own & self._values.keys())
        if twice:
            raise self._no(f"uses {twice[0]} for two things", self._tree)

    def _resolved(self, chain: list[str], node: ast.AST, found: dict[str, tuple[Any, bytes]]) -> tuple[str, list[str]]:
        """Go through modules and classes of the project to what is used; give its dotted name, and the attributes after it."""
        value, at = self._values[chain[0]], 1
        owner = None
        while isinstance(value, types.ModuleType) or (isinstance(value, type) and not library_name(value) and at < len(chain)):
            if at == len(chain):
                raise self._no(f"hands on the module {chain[-1]}", node)
            owner, value = value, getattr(value, chain[at], UnknownError)
            at += 1
        name = ".".join(chain[:at])
        if value is UnknownError:
            raise self._no(f"uses {name}, which is not there", node)
        if isinstance(owner, types.ModuleType) and is_library(owner.__name__):
            found[name] = value, self._of_library(f"{owner.__name__}.{chain[at - 1]}", name, value, node)
        elif library_name(value):
            found[name] = value, self._of_library(library_name(value), name, value, node)
        else:
            found[name] = value, b""
        return name, chain[at:]

    def _of_library(self, full: str, name: str, value: Any, node: ast.AST) -> bytes:
        if value is None or type(value) in (bool, int, float, complex, str, bytes):
            return _value(value, {})
        if known_pure(full):
            return digest("library", full)
        if known := library_name(value):
            if known_pure(known):
                return digest("library", known)
            full = known
        if isinstance(value, DeclaredFunction) and value.declared.portable:
            return _value(value, {})
        top = full.partition(".")[0]
        if top in read_settings().pure_modules:
            self._all_attributes = True
            version = library_version(top)
            if version:
                return digest("pure module", full, version)
        if draws(full) or draws(name):
            do = "random_normal(X, seed=...) and its like draw so that a result can be stored"
            raise self._no(f"draws random numbers that are in no key, by {name}; {do}", node)
        raise self._no(f"may read something that is in no key, by {name}, which is not known to be pure", node)

    def _check_use(self, name: str, node: ast.AST, value: Any, more: list[str]) -> None:
        """Look at what is done with a value from outside."""
        user = self._parents.get(node)
        if more:
            if isinstance(value, types.FunctionType) and not library_name(value):
                raise self._no(f"uses {name}.{more[0]}, which is kept on a function", node)
            if not self._all_attributes and not self._allowed.issuperset(more):
                raise self._no(f"may read something that is in no key, by {name}.{'.'.join(more)}", node)
            if more[-1] in CHANGES and isinstance(user, ast.Call) and user.func is node and not library_name(value):
                raise self._no(f"changes {name}, which it shares with others", node)
        if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del) or _is_changed(node, self._parents):
            raise self._no(f"changes {name}, which it shares with others", node)
        if isinstance(value, set | frozenset):
            self._check_order(node)
        if isinstance(user, ast.Call) and user.func is node:
            full = library_name(value)
            given = {k.arg for k in user.keywords}
            if full == "numpy.ndarray" or (type(value).__name__ == "ufunc" and "where" in given and "out" not in given):
                raise self._no(f"takes memory as it is, by {name} without out=", node)

    def _check(self, node: ast.AST, inside: set[ast.AST]) -> None:
        match node:
            case ast.Name(id=name) if name in self._unbound and name not in self._values:
                if name not in BUILTINS:
                    raise self._no(f"may read something that is in no key, by {name}", node)
                user = self._parents.get(node)
                if name in {"set", "frozenset"}:
                    self._check_order(user if isinstance(user, ast.Call) and user.func is node else node)
            case ast.Attribute(attr=name) if node not in inside:
                if isinstance(node.ctx, ast.Store | ast.Del):
                    raise self._no(f"sets the attribute {name}", node)
                if not (name in self._allowed or (self._all_attributes and not name.startswith("_"))):
                    said = (
                        "draws random numbers that are in no key" if draws(f".{name}") else "may read something that is in no key"
                    )
                    raise self._no(f"{said}, by .{name}, which is not known to be pure", node)
            case ast.Set() | ast.SetComp():
                self._check_order(node)
            case ast.Constant(value=str(text)) if text.lower() in {"now", "today"} or "M8" in text or "datetime64" in text:
                raise self._no(f"may read the clock, by {text!r}", node)
            case ast.FormattedValue(format_spec=ast.JoinedStr(values=[*_, ast.Constant(value=str(spec))])) if spec.endswith("n"):
                raise self._no("writes numbers as the user's language does", node)

    def _check_order(self, node: ast.AST) -> None:
        """Let a set stand only where its order, another one in each process, cannot be seen."""
        user = self._parents.get(node)
        if isinstance(user, ast.Compare) and node in user.comparators and all(isinstance(o, ast.In | ast.NotIn) for o in user.ops):
            return
        if isinstance(user, ast.Call) and isinstance(user.func, ast.Name) and user.func.id in ORDER_FREE & self._unbound:
            return
        raise self._no("may depend on the order of a set", node)


def _meant(node: ast.AST) -> Iterator[ast.AST]:
    """Give a node and all in it, annotations left out, from the outside in."""
    yield node
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in _NOT_MEANING:
                yield from _meant(child)


def _imported(module: str, part: str) -> Any:
    from importlib import import_module

    try:
        found = import_module(module)
        return getattr(found, part) if part and hasattr(found, part) else import_module(f"{module}.{part}") if part else found
    except ImportError:
        raise UnknownError(f"imports {module}, which is not there") from None


def _chain(node: ast.expr) -> list[str]:
    """Give the names of ``a.b.c``, from the left; nothing for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _is_changed(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Say whether an item of a value is set: ``a[i] = x``, ``a[i] += x``, ``del a[i]``."""
    user = parents.get(node)
    while isinstance(user, ast.Subscript) and user.value is node:
        if isinstance(user.ctx, ast.Store | ast.Del):
            return True
        node, user = user, parents.get(user)
    return False


def _fields(function: types.FunctionType) -> frozenset[str]:
    """Give the names of the members of the records that a function takes or gives."""
    try:
        hints: Iterable[Any] = typing.get_type_hints(function).values()
    except (NameError, TypeError, AttributeError):
        hints = ()
    made = [v for v in used_values(function).values() if isinstance(v, type)]
    return frozenset([n for h in (*hints, *made) for n in record_fields(h)])


def record_fields(kind: Any) -> dict[str, Any]:
    """Give the members of a NamedTuple, dataclass or TypedDict with their annotations; nothing for anything else."""
    if not isinstance(kind, type):
        return {}
    if not (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))):
        return {}
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, TypeError):
        hints = {}
    names = [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else getattr(kind, "_fields", tuple(hints))
    return {n: hints.get(n) for n in names}


_OF_RECORDS = frozenset(
    "__annotations__ __annotate_func__ __annotations_cache__ __dataclass_fields__ __dataclass_params__ __dict__ __doc__ __eq__ "
    "__firstlineno__ __getnewargs__ __hash__ __init__ __match_args__ __module__ __new__ __optional_keys__ __orig_bases__ __readonly_keys__ "
    "__mutable_keys__ __replace__ __repr__ __required_keys__ __slots__ __static_attributes__ __total__ __weakref__ __closed__ "
    "__extra_items__ __lt__ __le__ __gt__ __ge__ _asdict _field_defaults _fields _make _replace __setattr__ __delattr__ __getstate__ "
    "__setstate__".split()
)


def _record_kind(kind: type, seen: dict[int, int]) -> bytes:
    """Give the digest of a NamedTuple, dataclass or TypedDict that has members and nothing else."""
    fields = record_fields(kind)
    if not fields or [n for n in vars(kind) if n not in _OF_RECORDS and n not in fields]:
        raise UnknownError(f"uses the class {kind.__name__}, of which only members that are used by name count")
    if dataclasses.is_dataclass(kind):
        made = [f for f in dataclasses.fields(kind) if f.default_factory is not dataclasses.MISSING]
        if made:
            raise UnknownError(f"uses {kind.__name__}, whose {made[0].name} is made anew each time")
        defaults = tuple(
            [(f.name, _value(f.default, seen)) for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING]
        )
    else:
        defaults = tuple([(n, _value(v, seen)) for n, v in sorted(getattr(kind, "_field_defaults", {}).items())])
    sort = "dataclass" if dataclasses.is_dataclass(kind) else "mapping" if typing.is_typeddict(kind) else "tuple"
    return digest("record", sort, tuple(fields), defaults)


def _address(value: object) -> int:
    """Tell objects of this process apart while one function is followed; never part of a digest."""
    return id(value)


def _value(value: Any, seen: dict[int, int]) -> bytes:
    """Give the digest of a captured value."""
    found = _of_constant(value, seen)
    if found:
        return found
    if isinstance(value, DeclaredFunction) and value.declared.portable:
        return digest("declared", value.declared.identity())
    if isinstance(version := getattr(value, "declared_version", None), str) and isinstance(value, types.FunctionType):
        return digest("version", value.__name__, version)
    if type(value).__module__ == "numpy":
        return _of_numpy(value, seen)
    name = library_name(value)
    if name:
        if not known_pure(name):
            raise UnknownError(f"may read something that is in no key, by {name}, which is not known to be pure")
        return digest("library", name)
    if isinstance(value, type):
        return _record_kind(value, seen)
    if fields := record_fields(type(value)):
        return digest("record of", _record_kind(type(value), seen), tuple([_value(getattr(value, n), seen) for n in fields]))
    function, keeps = runs(value)
    options = getattr(value, "targetoptions", None)
    return digest("function", _function(function, seen, keeps=keeps), *([] if options is None else [_value(dict(options), seen)]))


def _of_constant(value: Any, seen: dict[int, int]) -> bytes:
    """Give the digest of data that have a canonical form, and of a ``partial``; nothing for anything else."""

    def all_of(values: Iterable[Any]) -> tuple[bytes, ...]:
        return tuple([_value(v, seen) for v in values])

    kind = type(value).__name__
    match value:
        case str() if value.lower() in {"now", "today"}:
            raise UnknownError(f"may read the clock, by {value!r}")
        case None | bool() | int() | float() | str() | bytes() if value is None or type(value) in (bool, int, float, str, bytes):
            return digest("value", kind, value)
        case complex() if type(value) is complex:
            return digest("complex", value.real, value.imag)
        case tuple() | list() if type(value) in (tuple, list):
            return digest("values", kind, all_of(value))
        case set() | frozenset() if type(value) in (set, frozenset):
            return digest("set", kind, tuple(sorted(all_of(value))))
        case dict() if type(value) is dict:
            return digest("mapping", tuple([all_of(pair) for pair in value.items()]))
        case range() | slice():
            return digest(kind, all_of((value.start, value.stop, value.step)))
        case functools.partial() if type(value) is functools.partial:
            return digest("partial", all_of((value.func, value.args, dict(sorted(value.keywords.items())))))
        case _:
            return b""


def _of_numpy(value: Any, seen: dict[int, int]) -> bytes:
    if hasattr(value, "pyfunc") and type(value).__name__ == "vectorize" and not value.cache:
        parts = value.otypes, value.signature, value.excluded
        return digest("vectorize", _value(value.pyfunc, seen), tuple([_value(p, seen) for p in parts]))
    if isinstance(getattr(value, "shape", None), tuple) and not value.dtype.hasobject:
        return digest("array", type(value).__name__, str(value.dtype), tuple(value.shape), value.tobytes())
    name = library_name(value)
    if not name or not known_pure(name):
        raise UnknownError("holds values that have no content key")
    return digest("library", name)

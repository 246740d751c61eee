"""What a function uses from outside of itself: captured values, globals, and parts of modules.

Names count wherever they stand, also inside of comprehensions, lambdas and functions in the function. What belongs to an installed
library or to Python counts by its name; what belongs to the project is followed. Where that cannot be told, the function is unknown.
"""

from __future__ import annotations

import ast
import builtins
import dis
import importlib.util
import sys
import sysconfig
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = str(Path(__file__).parents[1])


class UnknownError(Exception):
    """A value that no digest can stand for; the text is what to say of the function that uses it."""


def unwrapped(function: Any) -> types.FunctionType:
    """Give the function that runs: `user_func` and caches of the standard library add nothing to it, other decorators may.

    Raises
    ------
    UnknownError
        When it is no Python function.
    """
    for _ in range(100):
        inside = getattr(function, "__wrapped__", None)
        if isinstance(function, types.FunctionType):
            if inside is None or not function.__code__.co_filename.startswith(_PACKAGE):
                return function
        elif inside is None or type(function).__module__ != "functools":
            break
        function = inside
    raise UnknownError


def used_values(function: types.FunctionType) -> dict[str, Any]:
    """Give what the names stand for that a function takes from outside; built-in functions are left out.

    They are in `unbound_names`.

    Raises
    ------
    UnknownError
        When a name stands for nothing yet.
    """
    found: dict[str, Any] = {}
    for name in _globals_in(function.__code__):
        if name in function.__globals__:
            found[name] = function.__globals__[name]
        elif not hasattr(builtins, name):
            raise UnknownError
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            raise UnknownError from None
    return found


def unbound_names(function: types.FunctionType) -> list[str]:
    """Give the names that a function uses and that only Python itself gives a meaning."""
    return [n for n in _globals_in(function.__code__) if n not in function.__globals__]


def _globals_in(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            yield str(instruction.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _globals_in(inner)


def modules_used(function: types.FunctionType, tree: ast.AST) -> dict[str, list[tuple[str, Any]]]:
    """Give, for each name that stands for a module or a class of the project, the parts that are used, each with its dotted name.

    Raises
    ------
    UnknownError
        When the function uses such a name otherwise than by ``module.name`` or ``Class.name``, or imports a module itself.
    """
    own = {n: v for n, v in used_values(function).items() if _has_parts(v)}
    _check_imports(tree)
    if not own:
        return {}
    found: dict[str, dict[str, Any]] = {n: {} for n in own}
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        chain = _chain(node) if isinstance(node, ast.Attribute) and node not in inside else []
        if not chain or chain[0] not in own:
            continue
        value: Any = own[chain[0]]
        for i, part in enumerate(chain[1:], 1):
            value = getattr(value, part, UnknownError)
            if not _has_parts(value):
                found[chain[0]][".".join(chain[1 : i + 1])] = value
                break
        else:
            raise UnknownError
        inside.update(ast.walk(node))
    if any(isinstance(n, ast.Name) and n.id in own and n not in inside for n in ast.walk(tree)):
        raise UnknownError
    return {name: sorted(parts.items()) for name, parts in found.items()}


def _has_parts(value: Any) -> bool:
    """Say whether it is a module or a class of the project, of which only the parts that are used count."""
    return isinstance(value, types.ModuleType | type) and not is_library(value)


def _chain(node: ast.expr) -> list[str]:
    """Give the names of ``a.b.c``, from the left; nothing for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _check_imports(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["" if node.level else node.module or ""]
        else:
            continue
        if not all(_is_installed(n) for n in names):
            raise UnknownError


def is_library(value: Any) -> str:
    """Give the full name of what belongs to Python or to an installed library, and is found there by that name; else nothing."""
    if isinstance(value, types.ModuleType):
        return value.__name__ if _is_installed(value.__name__) else ""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    module = getattr(value, "__module__", None) or type(value).__module__
    if not isinstance(name, str) or not isinstance(module, str) or not _is_installed(module):
        return ""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}.{name}" if found is value else ""


def _is_installed(module: str) -> bool:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "hep_flows":
        return top != "__main__"
    loaded = sys.modules.get(top)
    spec = getattr(loaded, "__spec__", None) or (_spec(top) if loaded is None else None)
    origin = getattr(spec, "origin", None)
    return isinstance(origin, str) and origin.startswith(_installed_in())


def _spec(top: str) -> Any:
    try:
        return importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        return None


def _installed_in() -> tuple[str, ...]:
    return tuple({sysconfig.get_paths()[n] for n in ("purelib", "platlib")})

"""What a function uses from outside of itself, and to whom that belongs: to Python, to a library, or to the project.

What belongs to the project is followed. What belongs to Python or to a library counts by its name, and only where it is known to be
pure. A library is recognised wherever it lies (site-packages of the interpreter, of the user or of the system, a view of a software stack,
``PYTHONPATH``): by its metadata, not by a folder. A file of the project that has the name of a library is the project's.
"""

from __future__ import annotations

import builtins
import dis
import functools
import gc
import importlib
import importlib.util
import os
import re
import sys
import sysconfig
import types
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.record.outside import KNOWN, LIBRARIES, known_pure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_CACHE = type(functools.lru_cache(len))


class UnknownError(Exception):
    """A value that no digest can stand for; the text is what to say of the function that uses it."""


def runs(function: Any) -> tuple[types.FunctionType, bool]:
    """Give the function of Python that runs when something is called, and whether what it gave is kept for later calls.

    `user_func` adds nothing to a function, ``functools.lru_cache`` and numba keep what they made at the first call. Any other decorator is a
    function of its own that is followed.

    Raises
    ------
    UnknownError
        When it is no Python function.
    """
    keeps = False
    for _ in range(100):
        if isinstance(function, types.FunctionType):
            if not function.__code__.co_filename.startswith(PACKAGE):
                return function, keeps
            # Not __wrapped__, which anybody may set.
            inside = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)).get("function")
            function = None if inside is None else inside.cell_contents
        elif isinstance(function, _CACHE) and any(function.__wrapped__ is r for r in gc.get_referents(function)):
            function, keeps = function.__wrapped__, True
        elif type(function).__module__.partition(".")[0] == "numba" and hasattr(function, "py_func"):
            function, keeps = function.py_func, True
        else:
            break
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
            raise UnknownError(f"uses {name}, which stands for nothing yet")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            raise UnknownError(f"uses {name}, which stands for nothing yet") from None
    return found


def unbound_names(function: types.FunctionType) -> set[str]:
    """Give the names that a function uses and that only Python itself gives a meaning."""
    return {n for n in _globals_in(function.__code__) if n not in function.__globals__}


def _globals_in(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            yield str(instruction.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _globals_in(inner)


def library_name(value: Any) -> str:
    """Give the full name of what belongs to Python or to an installed library, and is found there by that name; else nothing.

    Of the names that it is found by, one that is known to be pure is given.
    """
    if isinstance(value, types.ModuleType):
        return value.__name__ if is_library(value.__name__) else ""
    for module, names in KNOWN.items():
        loaded = sys.modules.get(module)
        for name in _names(loaded, names, value) if loaded is not None else ():
            if getattr(loaded, name, None) is value and known_pure(f"{module}.{name}") and is_library(module):
                return f"{module}.{name}"
    owner = getattr(value, "__module__", None) or type(value).__module__
    path = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(path, str) or not isinstance(owner, str) or not is_library(owner):
        return ""
    found: Any = sys.modules.get(owner)
    for part in path.split("."):
        found = getattr(found, part, None)
    return f"{owner}.{path}" if found is value else ""


def _names(module: types.ModuleType, names: frozenset[str], value: Any) -> Iterator[str]:
    called = getattr(value, "__name__", "")
    if called in names:
        yield called
    yield from vars(module) if "*" in names else names


def is_library(module: str) -> bool:
    """Say whether a module belongs to Python or to an installed library, wherever that lies."""
    top = module.partition(".")[0]
    if top in {"hep_flows", "builtins"}:
        return True
    loaded = sys.modules.get(top)
    spec = getattr(loaded, "__spec__", None) or (_spec(top) if loaded is None else None)
    origin = getattr(loaded, "__file__", None) or getattr(spec, "origin", None)
    if top in sys.stdlib_module_names:
        return top != "__main__" and (origin in {None, "built-in", "frozen"} or _is_of_python(str(origin)))
    if not isinstance(origin, str) or top == "__main__":
        return False
    is_package = Path(origin).name.startswith("__init__.")
    has_version = loaded is None or isinstance(getattr(loaded, "__version__", None), str)
    return _is_installed(top, origin, may_lack_metadata=top in LIBRARIES and is_package and has_version)


def _spec(top: str) -> Any:
    try:
        return importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        return None


@lru_cache(maxsize=256)
def _is_of_python(origin: str) -> bool:
    folders = {Path(os.__file__).parent, *[Path(sysconfig.get_path(n)) for n in ("stdlib", "platstdlib")]}
    file = Path(origin)
    for found in (file, Path(os.path.realpath(origin))):
        for folder in (*folders, *[Path(os.path.realpath(f)) for f in folders]):
            if found.is_relative_to(folder) and not {"site-packages", "dist-packages"} & set(found.relative_to(folder).parts):
                return True
    return False


@lru_cache(maxsize=256)
def _is_installed(top: str, origin: str, *, may_lack_metadata: bool) -> bool:
    """Say whether a module has been installed: its distribution is recorded beside it, and was not made of a folder of the user's."""
    found = distribution_of(top, origin)
    if found is not None:
        return top in LIBRARIES or '"file:' not in re.sub(r"\s", "", found.read_text("direct_url.json") or "")
    here = _folder_of(origin)
    if here.name in {"site-packages", "dist-packages"} or str(here) in {sysconfig.get_path(n) for n in ("purelib", "platlib")}:
        return True
    # A view or a copy of a library may lack what records it; a folder of the project that has its name is not meant.
    return may_lack_metadata and not here.is_relative_to(Path.cwd())


def distribution_of(top: str, origin: str) -> Distribution | None:
    """Give the distribution that a module was installed with, where its metadata lie beside it."""
    from importlib.metadata import distributions

    folders = list(dict.fromkeys([str(_folder_of(origin)), str(_folder_of(os.path.realpath(origin)))]))
    for found in distributions(name=top, path=folders):
        return found
    for found in distributions(path=folders):
        listed = (found.read_text("top_level.txt") or "").split()
        if top in listed or (not listed and any(f.parts[0] in {top, f"{top}.py"} for f in found.files or ())):
            return found
    return None


def _folder_of(origin: str) -> Path:
    file = Path(origin)
    return file.parents[1] if file.name.startswith("__init__.") else file.parent


def library_version(top: str) -> str:
    """Give the version of an installed library, empty where it has none."""
    module = importlib.import_module(top)
    found = distribution_of(top, getattr(module, "__file__", None) or "")
    return found.version if found is not None else str(getattr(module, "__version__", ""))

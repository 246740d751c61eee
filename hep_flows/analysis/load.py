"""An analysis: a function of events that gives named expressions, alone or in a file."""

from __future__ import annotations

import functools
import linecache
import os
import sys
import types
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.user_line import line_in
from hep_flows.errors import AnalysisError, HepFlowsError, SourceLine, with_article

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hep_flows.errors import Where

FUNCTION = "analysis"
_FORM = "an analysis file has: def analysis(events): return {'name': expression}"


@dataclass(frozen=True, slots=True)
class Analysis:
    """A function to record.

    Parameters
    ----------
    function : callable
        Gets the events of a dataset.
    title : str
        How it is called in messages.
    where : SourceLine, optional
        Where it is defined.
    folder : str
        The folder of its file; empty for a function.
    names : mapping
        What its file defines; empty for a function.
    """

    function: Callable[[Any], Any]
    title: str
    where: Where
    folder: str
    names: Mapping[str, Any]


@contextmanager
def loaded(analysis: Any) -> Iterator[Analysis]:
    """Give an analysis; inside the ``with`` block the folder of its file can be imported from.

    Parameters
    ----------
    analysis : callable, str or Path
        The function, or a file that defines ``analysis``.

    Raises
    ------
    AnalysisError
        When the file is missing or fails, or has no such function.
    """
    if callable(analysis):
        yield Analysis(analysis, getattr(analysis, "__name__", FUNCTION), _defined_at(analysis), "", {})
        return
    if not isinstance(analysis, str | os.PathLike):
        raise AnalysisError(f"an analysis is a function or a file, not {with_article(analysis)}", do=_FORM)
    path = Path(analysis).expanduser().absolute()
    with _importable(path.parent):
        names = _imported(path)
        yield Analysis(_function(names, path), path.name, _defined_at(names[FUNCTION]), str(path.parent), names)


class _FromSource(SourceFileLoader):
    """Compiles a file whenever it is imported: what Python keeps of an earlier time notices changes by the second only."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _imported(path: Path) -> dict[str, Any]:
    """Import the file, and give what it defines."""
    linecache.checkcache(str(path))
    name = f"_analysis_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    loader = _FromSource(name, str(path))
    module = types.ModuleType(name)
    module.__file__ = str(path)
    # It is known to Python while it runs, since dataclasses look their module up, and not afterwards: other processes cannot import it.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except HepFlowsError:
        raise
    except SyntaxError as error:
        line = SourceLine(error.filename or str(path), error.lineno or 1, max(0, (error.offset or 1) - 1))
        raise AnalysisError(f"{path.name} is no Python: {error.msg}", where=line) from None
    except (Exception, SystemExit) as error:  # a script that ends itself has done nothing of what was asked for
        where = line_in(error, str(path.parent))
        if where is None and isinstance(error, OSError | ValueError):
            raise AnalysisError(f"the analysis {path} cannot be read", why=str(error), do=_FORM) from None
        raise AnalysisError(f"{path.name} fails when it is imported: {type(error).__name__}: {error}", where=where) from error
    finally:
        del sys.modules[name]
    return module.__dict__


def _function(names: Mapping[str, Any], path: Path) -> Callable[[Any], Any]:
    function = names.get(FUNCTION)
    if callable(function):
        return function  # type: ignore[no-any-return]
    where = SourceLine(str(path), 1)
    if function is None:
        own = [n for n, v in names.items() if isinstance(v, types.FunctionType) and v.__code__.co_filename == str(path)]
        why = f"its functions are {', '.join(own)}" if own else "it defines no function"
        raise AnalysisError(f"{path.name} has no function {FUNCTION!r}", where=where, why=why, do=_FORM)
    raise AnalysisError(f"{FUNCTION!r} in {path.name} is {with_article(function)}, not a function", where=where, do=_FORM)


def _defined_at(function: Any) -> Where:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return None if code is None else SourceLine(code.co_filename, code.co_firstlineno)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules of a folder be imported; afterwards both the path and these modules are gone, so that another folder can have its own."""
    place, before = str(folder), set(sys.modules)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        if place in sys.path:
            sys.path.remove(place)
        for name in [n for n in sys.modules if n not in before]:
            file = getattr(sys.modules[name], "__file__", None)
            if isinstance(file, str) and Path(file).is_relative_to(folder) and not _is_installed(file):
                del sys.modules[name]


def _is_installed(file: str) -> bool:
    return "site-packages" in Path(file).parts

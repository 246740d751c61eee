"""Find the user's own line: the first frame outside the package, and outside the libraries that call it back."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

from hep_flows.errors import ControlFlowError, Site, line_of

if TYPE_CHECKING:
    from types import FrameType

    from hep_flows.errors import SourceLine

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120
_LISTINGS = _PACKAGE + "demo" + os.sep  # The paper's listings are written as a user writes them, and shown as such.
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep


def user_site(skip: int = 1) -> Site | None:
    """Give where the user's code stands now, or None when there is no frame outside the package.

    Frames are walked one by one: this runs at every recorded operation. Where a library calls us back, as matplotlib does for
    ``plt.hist(x)``, the line is that of the call of the library.
    """
    frame: FrameType | None = sys._getframe(skip)  # noqa: SLF001
    outside: FrameType | None = None
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) or file.startswith(_LISTINGS):
            outside = outside or frame
            if not _is_library(file, frame.f_globals.get("__name__", "")):
                return Site(frame.f_code, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return None if outside is None else Site(outside.f_code, outside.f_lasti, outside.f_lineno)


def asking_library() -> str:
    """Give the name of the library that calls us on behalf of the user; empty where the user does it directly."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    asked_by = ""
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_globals.get("__name__", "")
        if not file.startswith(_PACKAGE) or file.startswith(_LISTINGS):
            if not _is_library(file, name):
                return asked_by
            asked_by = name.split(".")[0]
        frame = frame.f_back
    return ""


def is_within_a_run() -> bool:
    """Say whether a plug-in of ours called the code that runs now: the body of a user's function."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("hep_flows.plugins."):
            return True
        frame = frame.f_back
    return False


@lru_cache(maxsize=4096)
def _is_library(file: str, module: str) -> bool:
    """Say whether code is that of a library: installed, or of Python, and nothing in it comes from this package.

    An analysis may be installed as well; it imports this package, or parts of it.
    """
    if not any(part in file for part in _INSTALLED) and not file.startswith(_STDLIB) and not file.startswith("<frozen "):
        return False
    content = vars(sys.modules[module]).values() if module in sys.modules else ()
    return not any(_is_ours(value) for value in list(content))


def _is_ours(value: object) -> bool:
    # Attributes of other values may run code.
    if isinstance(value, ModuleType):
        name = vars(value).get("__name__", "")
    else:
        name = getattr(value if isinstance(value, type | FunctionType) else type(value), "__module__", "")
    return isinstance(name, str) and (name == "hep_flows" or name.startswith("hep_flows."))


# Python control flow on an expression: refused, with what to write instead -------------------------------------------------------
#
# An expression has no value while it is recorded. ``and``, ``or``, ``not``, ``if`` and chained comparisons would ask for one, and
# would silently drop a part of the selection if they got an answer.

_FORMS = (
    (ast.BoolOp, "use & for `and`, | for `or`, with parentheses: (x > 1) & (y < 2)"),
    (ast.Not, "use ~ for `not`: ~(x > 1)"),
    (ast.IfExp, "use np.where(condition, a, b) for `a if condition else b`"),
    (ast.In, "use == with |, or np.isin(x, [1, 2]) for `in`"),
    (ast.NotIn, "use ~np.isin(x, [1, 2]) for `not in`"),
)
_BUILTINS = {
    "any": "use x.Any()",
    "all": "use x.All()",
    "sum": "use x.Sum()",
    "sorted": "the largest is x.Max(), the smallest x.Min(); all in order: ak.sort(make_local(x))",
    "zip": "leaves of one collection stand beside each other as they are: X.pt * X.eta; as one record: X[['pt', 'eta']]",
    "enumerate": "positions are known of values: ak.local_index(make_local(x))",
    "reversed": "use x[::-1]",
    "set": "np.unique(ak.flatten(make_local(x), axis=None)) are the values that occur",
}
_ALL = (
    "use & for `and`, | for `or`, ~ for `not`, np.where for `if`, (1 < x) & (x < 3) for 1 < x < 3, np.minimum and np.maximum for "
    "min and max, parentheses around comparisons that & and | join"
)


def no_truth(site: Site | None) -> ControlFlowError:
    """Say that an expression has no truth value, and the right form for what stands on the line."""
    return ControlFlowError(
        "an expression has no truth value while it is recorded",
        where=site,
        why="`and`, `or`, `not`, `if`, `in`, chained comparisons, min() and max() ask for one value, and it stands for all events",
        do=_advice(site),
    )


def no_value(site: Site | None, what: str, do: str) -> ControlFlowError:
    """Say that an expression has no value of that kind yet; where a library asks for it, that the library needs values."""
    library = asking_library()
    if library in ("awkward", "numpy"):
        do = "make both local, make_local([x, y]), and go on with the arrays; or do it before: make_local(X[X.pt > 30])"
        what = f"what {library} does with an array here"
    elif library:
        do = "make_local(x) gives them; where they are lists: ak.flatten(make_local(x), axis=None)"
        what = library
    return ControlFlowError(
        f"{what} needs values, and an expression has none while it is recorded",
        where=site,
        why="it stands for all events of the table; nothing has been read yet",
        do=do,
    )


def no_iteration(site: Site | None) -> ControlFlowError:
    """Say that an expression cannot be looped over, unpacked or searched with ``in``."""
    line = line_of(site)
    tree = _asking_part(line) if line else None
    if tree is not None and any(isinstance(n, ast.In | ast.NotIn) for n in ast.walk(tree)):
        return no_truth(site)
    forms = [_form(n) for n in ast.walk(tree) if isinstance(n, ast.Call)] if tree is not None else []
    do = "; ".join(dict.fromkeys(f for f in forms if f)) or "use X.map(lambda x: ...), or loop over make_local(x)"
    return no_value(site, "iteration (a for loop, unpacking, list())", do)


def _advice(site: Site | None) -> str:
    line = line_of(site)
    tree = _asking_part(line) if line else None
    if tree is None:
        return _ALL
    found = [_form(n) for n in ast.walk(tree)]
    return "; ".join(dict.fromkeys(f for f in found if f)) or _ALL


def _form(node: ast.AST) -> str:
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        return "write a chained comparison as two: (1 < x) & (x < 3); put parentheses around comparisons joined by & or |"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"min", "max"}:
        return "use np.minimum(x, y), np.maximum(x, y) between two, x.Min(), x.Max() within a collection"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BUILTINS:
        return _BUILTINS[node.func.id]
    if isinstance(node, ast.If | ast.While | ast.Assert):
        return "use a mask or np.where for a decision per event, make_local first for a decision on the result"
    return next((text for kind, text in _FORMS if isinstance(node, kind)), "")


def _asking_part(line: SourceLine) -> ast.AST | None:
    """Parse what asked for the value: the marked columns where they are known and say it, else the whole line."""
    text = linecache.getline(line.file, line.line)
    marked = _statement(text[line.start : line.end]) if line.end else None
    if marked is not None and any(_form(n) for n in ast.walk(marked)):
        return marked
    return _statement(text)


def _statement(text: str) -> ast.AST | None:
    """Parse one line of a statement, which may be the head of a block or a part of a longer one."""
    text = text.strip()
    head = text[2:] if text.startswith("elif") else text
    for candidate in (text, f"{head} pass", f"({text.rstrip(',')})", f"({text.removeprefix('return ')}"):
        try:
            return ast.parse(candidate)
        except SyntaxError:
            continue
    return None

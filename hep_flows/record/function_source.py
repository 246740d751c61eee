"""The source of a function, where the function is what that source says.

A file may be edited while a process goes on with what it had loaded from it. The source that is there then is that of another function,
so it is compiled and compared: at the place of the function it has to give the code that runs.
"""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Tree = ast.FunctionDef | ast.Lambda

_FUTURE = 0x1FF0000  # the bits of a code's flags that ``from __future__ import ...`` sets
_CHANGED = "has no source, or another one than it was made from: was its file changed after it was imported?"


def source_tree(function: Callable[..., Any]) -> Tree:
    """Give the syntax tree of a function or a lambda.

    Raises
    ------
    OSError
        When there is no source, or it is not what the function was made from.
    SyntaxError
        When the source is none of Python any more.
    TypeError
        When it is not a function written in Python.
    """
    # From the code, not the function: of one that was wrapped, the source would be that of what is inside.
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        raise TypeError("not a function written in Python")
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, getattr(function, "__globals__", None)))
    found: Sequence[Tree] = _functions(text).get((code.co_name, code.co_firstlineno), [])
    if code.co_name == "<lambda>":
        found = _innermost(found, code)
    if len(found) != 1:
        raise OSError(_CHANGED)
    if code not in _codes(text, code.co_flags & _FUTURE) and code not in _code_alone(text, code):
        raise OSError(_CHANGED)
    return found[0]


@lru_cache(maxsize=32)
def _functions(text: str) -> dict[tuple[str, int], list[Tree]]:
    """Give the functions of a file by their name and the line that they begin at, decorators included."""
    found: dict[tuple[str, int], list[Tree]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            found.setdefault((node.name, first), []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
    return found


def _innermost(lambdas: Sequence[Tree], code: CodeType) -> Sequence[Tree]:
    """Give the lambda that a code is at: there may be several on a line, one in the other."""
    places = [(line, column) for line, _, column, end in code.co_positions() if line and column is not None and end]
    around = [
        n for n in lambdas if isinstance(n, ast.Lambda) and places and _start(n.body) <= min(places) <= max(places) < _end(n.body)
    ]
    return sorted(around, key=_start)[-1:]


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


@lru_cache(maxsize=32)
def _codes(text: str, flags: int) -> frozenset[CodeType]:
    return frozenset(_inside(compile(text, "<source>", "exec", flags, dont_inherit=True)))


def _code_alone(text: str, code: CodeType) -> frozenset[CodeType]:
    """Give the code of the statement that a function stands in, compiled by itself as notebooks do it.

    How a call is compiled depends on the imports that are compiled with it.
    """
    statements = [
        s
        for s in ast.parse(text).body
        if min([n.lineno for n in (s, *getattr(s, "decorator_list", ()))]) <= code.co_firstlineno <= (s.end_lineno or 0)
    ]
    alone = ast.Module(statements, [])
    return frozenset(_inside(compile(alone, "<source>", "exec", code.co_flags & _FUTURE, dont_inherit=True)))


def _inside(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inside(constant)

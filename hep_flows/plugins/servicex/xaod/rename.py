"""Every variable of a query gets a name of its own: no lambda hides the variable of another one.

before: ``e.Jets().Select(lambda x1: e.Muons().Where(lambda x1: ...))``; after: ``x1``, and ``x2`` inside. Shared parts become copies.
"""

from __future__ import annotations

import ast

from hep_flows.plugins.servicex.xaod.declarations import carried, declaring


def renamed(query: ast.expr) -> ast.expr:
    """Give the same query with distinct variables, numbered in the order of the text; those of the events keep their name."""
    return _Renamer().rename(query, {})


class _Renamer:
    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def rename(self, node: ast.expr, names: dict[str, str]) -> ast.expr:
        match node:
            case ast.Name():
                return ast.Name(names.get(node.id, node.id), ast.Load())
            case ast.Lambda():
                inner = {a.arg: self._fresh(a.arg) for a in node.args.args}
                arguments = ast.arguments([], [ast.arg(n) for n in inner.values()], None, [], [], None, [])
                return ast.Lambda(arguments, self.rename(node.body, {**names, **inner}))
            case _:
                return self._copied(node, names)

    def _fresh(self, name: str) -> str:
        letter = name.rstrip("0123456789")
        if name == "e":
            return name
        self._used[letter] = self._used.get(letter, 0) + 1
        return f"{letter}{self._used[letter]}"

    def _copied(self, node: ast.expr, names: dict[str, str]) -> ast.expr:
        made = type(node)()
        for name, value in ast.iter_fields(node):
            setattr(made, name, self._part(value, names))
        return declaring(made, carried(node))

    def _part(self, value: object, names: dict[str, str]) -> object:
        if isinstance(value, list):
            return [self._part(v, names) for v in value]
        return self.rename(value, names) if isinstance(value, ast.expr) else value

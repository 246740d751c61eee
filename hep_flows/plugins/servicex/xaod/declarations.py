"""What a query must declare besides its text: functions in C++, collections, and the types of methods.

A part of a query that needs a declaration carries it, so a query declares what it uses, whatever was written before it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.xaod.own_functions import own_functions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CARRIED = "hep_flows_declaration"
_ORDER = ("add_atlas_event_collection_info", "add_method_type_info", "add_cpp_function")


def declaring(node: ast.expr, declaration: Mapping[str, object] | None) -> ast.expr:
    """Give the same part, which now carries a declaration."""
    if declaration is not None:
        setattr(node, _CARRIED, declaration)
    return node


def carried(node: ast.expr) -> Mapping[str, object] | None:
    """Give the declaration that a part carries."""
    found: Mapping[str, object] | None = getattr(node, _CARRIED, None)
    return found


def declarations(query: ast.expr) -> list[Mapping[str, object]]:
    """Give what a query must declare, each once, in an order that depends on the query alone."""
    own = own_functions()
    found = {_place(d): d for d in _carried_in(query)}
    for node in ast.walk(query):
        if isinstance(node, ast.Name) and node.id in own:
            declaration = own[node.id].metadata()
            found[_place(declaration)] = declaration
    return [found[p] for p in sorted(found)]


def _carried_in(query: ast.expr) -> Iterator[Mapping[str, object]]:
    for node in ast.walk(query):
        declaration = carried(node) if isinstance(node, ast.expr) else None
        if declaration is not None:
            yield declaration


def _place(declaration: Mapping[str, object]) -> tuple[int, str, str]:
    names = [str(declaration.get(k, "")) for k in ("type_string", "method_name", "name")]
    return (_ORDER.index(str(declaration["metadata_type"])), names[0], names[1] + names[2])

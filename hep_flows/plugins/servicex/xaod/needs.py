"""What a query must declare besides its text: functions in C++, collections, and the types of methods."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.xaod.own_functions import own_functions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.plugins.servicex.xaod.cpp_spec import CppSpec

Metadata = "Mapping[str, object]"


class Needs:
    """Knows the declarations of everything that texts may use; a query takes those that it does use."""

    def __init__(self) -> None:
        """Only the dialect's own functions are known at first."""
        self._functions: dict[str, CppSpec] = dict(own_functions())
        self._collections: dict[str, Mapping[str, object]] = {}
        self._methods: dict[tuple[str, str], Mapping[str, object]] = {}

    def function(self, spec: CppSpec) -> None:
        """Learn a function."""
        self._functions[spec.name] = spec

    def collection(self, name: str, metadata: Mapping[str, object]) -> None:
        """Learn a collection that the generator does not know."""
        self._collections[name] = metadata

    def method(self, accessor: str, name: str, metadata: Mapping[str, object]) -> None:
        """Learn the type of a method."""
        self._methods[accessor, name] = metadata

    def of(self, query: ast.expr) -> list[Mapping[str, object]]:
        """Give the declarations for one query, in an order that depends on the query alone."""
        names = {n.id for n in ast.walk(query) if isinstance(n, ast.Name)}
        attributes = {n.attr for n in ast.walk(query) if isinstance(n, ast.Attribute)}
        collections = [self._collections[n] for n in sorted(self._collections) if n in attributes]
        methods = [self._methods[k] for k in sorted(self._methods) if set(k) <= attributes]
        found = [self._functions[n].metadata() for n in sorted(self._functions) if n in names]
        return [*collections, *methods, *found]

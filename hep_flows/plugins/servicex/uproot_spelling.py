"""How the dialect ``uproot`` writes what is stored: a branch is an item of the event, a collection a Zip of its branches, or the only one."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.terms import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Dataset
    from hep_flows.plugins.servicex.terms import Collection, Leaf


class UprootSpelling:
    """Writes for func_adl_uproot."""

    def table(self, dataset: Dataset) -> ast.expr:
        """Give the stream of events; the file is given to the generated code when it runs."""
        return _call(ast.Name("EventDataset", ast.Load()), ast.Constant("bogus.root"), ast.Constant(dataset.tree))

    def column(self, event: ast.expr, column: str) -> ast.expr:
        """Give a branch; as an item, since names of branches hold dots, and words that arrays have of their own.

        A branch inside of another goes by its own name, and a member of a branch of records by one more item.
        """
        branch, *members = column.split("|")
        found: ast.expr = event
        for name in (branch.rsplit("/", 1)[-1], *members):
            found = ast.Subscript(found, ast.Constant(name), ast.Load())
        return found

    def collection(self, event: ast.expr, collection: Collection, leaves: Mapping[str, str]) -> ast.expr:
        """Give the objects with the leaves that are used; where there is one only, the list of its values."""
        del collection
        if "" in leaves:
            return self.column(event, leaves[""])
        labels = [ast.Constant(label) for label in leaves]
        columns = [self.column(event, column) for column in leaves.values()]
        return _call(ast.Name("Zip", ast.Load()), ast.Dict(list(labels), columns))

    def leaf(self, element: ast.expr, leaf: Leaf, label: str) -> ast.expr:
        """Give a stored value of an object."""
        del leaf
        return element if not label else ast.Attribute(element, label, ast.Load())

    def constant(self, value: object, dtype: str) -> ast.expr:
        """Give a constant, with a width where it has one.

        Raises
        ------
        Refused
            When it is no finite number.
        """
        if isinstance(value, float) and not math.isfinite(value):
            raise Refused(f"the query language cannot write {value}")
        written = ast.Constant(value)  # type: ignore[arg-type]  # a constant of the language is one of Python
        if not dtype or isinstance(value, bool):
            return written
        return _call(ast.Attribute(ast.Name("np", ast.Load()), dtype, ast.Load()), written)


def _call(function: ast.expr, *args: ast.expr) -> ast.expr:
    return ast.Call(function, list(args), [])

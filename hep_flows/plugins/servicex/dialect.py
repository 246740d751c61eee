"""What a back end can do: a table of rows, each with how it is written, or why it is not.

The builder (`hep_flows.plugins.servicex.query_ast`) is the same for every dialect. A dialect says how a table, a branch, a collection and
a leaf are written, which functions and aggregates there are, and which shapes of captured values work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.terms import Collection, Leaf, Term, Terms


def _fine(items: Sequence[Item], result: Item) -> str:  # noqa: ARG001
    return ""


def _any_shape(args: Sequence[Term]) -> str:  # noqa: ARG001
    return ""


@dataclass(frozen=True, slots=True)
class Row:
    """A function of items, or an aggregate.

    Parameters
    ----------
    write : callable, optional
        Gives the syntax tree from those of the arguments; None when the row is refused, or made of other rows.
    made_of : callable, optional
        Gives a term that means the same, of other rows.
    check : callable
        Says why some kinds of arguments are refused.
    shape : callable
        Says why some shapes of arguments are refused.
    reason : str
        Why the whole row is refused.
    """

    write: Callable[[Sequence[ast.expr]], ast.expr] | None = None
    made_of: Callable[[Terms, Sequence[Term], Item], Term] | None = None
    check: Callable[[Sequence[Item], Item], str] = field(default=_fine)
    shape: Callable[[Sequence[Term]], str] = field(default=_any_shape)
    reason: str = ""


class Spelling(Protocol):
    """How a dialect writes what is stored."""

    def table(self, dataset: Dataset) -> ast.expr:
        """Give the stream of events."""
        ...

    def column(self, event: ast.expr, column: str) -> ast.expr:
        """Give a branch of the event."""
        ...

    def collection(self, event: ast.expr, collection: Collection, leaves: Mapping[str, str]) -> ast.expr:
        """Give a list of objects; ``leaves`` are the branches that are used of it, by the label that `leaf` gets, empty for an only one."""
        ...

    def leaf(self, element: ast.expr, leaf: Leaf, label: str) -> ast.expr:
        """Give a stored value of an element."""
        ...

    def constant(self, value: object, dtype: str) -> ast.expr:
        """Give a constant; with numpy's name of its type where it has one.

        Raises
        ------
        Refused
            When it cannot be written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """A capability table.

    Parameters
    ----------
    name : str
        ``uproot`` or ``xaod``: the code generator that understands it.
    spelling : Spelling
        How stored things are written.
    functions : mapping of str to Row
        Functions of items, by the name in `hep_flows.expr.functions`.
    reducers : mapping of str to Row
        Aggregates over lists; ``made_of`` gets the list as its only argument.
    names_values : bool
        Whether a Select of a dict can give names to intermediate values, for what comes after it.
    captured_lists : str
        Why a list of the event cannot be filtered inside of another one's lambda; empty when it can.
    """

    name: str
    spelling: Spelling
    functions: Mapping[str, Row]
    reducers: Mapping[str, Row]
    names_values: bool = True
    captured_lists: str = ""

"""Where the user wrote each step of a plan: found out when somebody looks, which most plans do without."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from hep_flows.errors import Site
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType

    from hep_flows.errors import SourceLine, Where
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key


class Lines(Mapping["Key", "tuple[SourceLine, ...]"]):
    """The user's lines of every node, by key; equal nodes that were written in several places have several.

    Parameters
    ----------
    exprs : sequence of Expr
        The expressions of the plan.
    """

    def __init__(self, exprs: Sequence[Expr]) -> None:
        """Nothing is looked for yet."""
        self._exprs = exprs

    @cached_property
    def _found(self) -> dict[Key, tuple[SourceLine, ...]]:
        found: dict[Key, dict[SourceLine, None]] = {}
        known: dict[tuple[CodeType, int], SourceLine] = {}

        def line(where: Where) -> SourceLine | None:
            if not isinstance(where, Site):
                return where
            place = (where.code, where.instruction)
            if place not in known:
                known[place] = where.source_line()
            return known[place]

        for node in [*self._exprs, *[i for n in postorder(*self._exprs) for i in n.inputs()]]:
            here = line(node.where)
            if here is not None:
                found.setdefault(node.key, {})[here] = None
        return {key: tuple(lines) for key, lines in found.items()}

    def __getitem__(self, key: Key) -> tuple[SourceLine, ...]:
        """Give the lines of a node."""
        return self._found[key]

    def __iter__(self) -> Iterator[Key]:
        """Give the keys of the nodes."""
        return iter(self._found)

    def __len__(self) -> int:
        """Give the number of nodes."""
        return len(self._found)

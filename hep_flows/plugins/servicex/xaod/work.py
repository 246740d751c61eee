"""How long a text is, and how much work it stands for: nothing that is used twice can be kept, so it is written and computed twice."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.terms import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

TOO_LONG = 20_000
# Of steps for one event, where each list has that many elements: loops in loops in loops, and a loop in these.
TOO_MUCH = 1_000_000
ELEMENTS = 20

_LOOPS = frozenset({"Select", "Where", "Aggregate"})


class Work:
    """Measures texts; parts that were measured once are remembered."""

    def __init__(self) -> None:
        """Nothing is measured yet."""
        # By identity, so the nodes are kept: another node in the place of one that is gone would be taken for it.
        self._known: dict[int, tuple[ast.AST, int, int]] = {}

    def check(self, nodes: Sequence[ast.expr]) -> None:
        """See whether a text is bearable.

        Raises
        ------
        Refused
            When it grows beyond measure.
        """
        measured = [self._measured(n) for n in nodes]
        if sum([length for length, _ in measured]) > TOO_LONG:
            raise Refused(f"its text has more than {TOO_LONG} parts: the query language cannot share them")
        if sum([steps for _, steps in measured]) > TOO_MUCH:
            raise Refused("it loops over lists in lists, and computes the same again and again: the query language cannot share it")

    def _measured(self, node: ast.AST) -> tuple[int, int]:
        found = self._known.get(id(node))
        if found is None:
            parts = [self._measured(n) for n in ast.iter_child_nodes(node)]
            length = 1 + sum([n for n, _ in parts])
            steps = 1 + sum([s for _, s in parts])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOOPS:
                # The last argument is what is done for each element.
                steps += (ELEMENTS - 1) * parts[-1][1]
            found = self._known[id(node)] = (node, length, steps)
        return found[1], found[2]

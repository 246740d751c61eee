"""Expressions as text: on one line, and one line per step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Dataset, Expr
from hep_flows.expr.spelling import ATOM, EVENTS, LOOSE, NO_NAMES, Part, Spelling, loop_collections, loop_variable, spelled
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 100
SHORT = 24


def one_line(expr: Expr, limit: int = 160, names: Mapping[bytes, str] = NO_NAMES) -> str:
    """Give the expression as a physicist writes it; what goes beyond ``limit`` characters is cut off with ``...``.

    Loop variables are named by level: ``x1`` is the element of the innermost loop. ``names`` says, by key, what tables and results
    of other tasks are to be called.
    """
    over = loop_collections(expr)
    written: list[str] = []
    length = 0
    ahead: list[Part] = [(expr, LOOSE)]
    while ahead and length <= limit:
        part = ahead.pop()
        if isinstance(part, str):
            written.append(part)
            length += len(part)
            continue
        node, least = part
        spelling = spelled(node, over, names)
        parts = spelling.parts if spelling.strength >= least else ("(", *spelling.parts, ")")
        ahead.extend(reversed(parts))
    text = "".join(written)
    return text if length <= limit else f"{text[: max(limit - 4, 0)].rstrip()} ..."


def tree_text(expr: Expr) -> str:
    """Give the expression as text, one line per step.

    First come the tables. A part that is used more than once, or that would make a line too long, is written once, on a line
    ``v1 = ...`` of its own, and stands by that name in the lines below. Lines inside a `map` say for which element they hold.
    """
    tables = _table_names(expr)
    return "\n".join([*_table_lines(expr, tables), *_Lines(expr, tables).written])


def _table_names(expr: Expr) -> dict[bytes, str]:
    """Name the tables: ``events``, and if there are more ``events_2``, ``events_3``, ..."""
    keys = [n.key for n in postorder(expr) if isinstance(n, Dataset)]
    return {key: EVENTS if i == 0 else f"{EVENTS}_{i + 1}" for i, key in enumerate(keys)}


def _table_lines(expr: Expr, names: dict[bytes, str]) -> list[str]:
    lines = []
    for node in postorder(expr):
        if isinstance(node, Dataset):
            count = len(node.content)
            tree = f", tree {node.tree}" if node.tree else ""
            lines.append(f"{names[node.key]}: {node.name}, {node.kind}, {count} file{'' if count == 1 else 's'}{tree}")
    return lines


class _Lines:
    """The lines of one expression, written while the nodes are met from the leaves up."""

    def __init__(self, expr: Expr, tables: dict[bytes, str]) -> None:
        self.written: list[str] = []
        self._texts: dict[bytes, tuple[int, str]] = {}
        self._long: set[bytes] = set()
        self._named = 0
        nodes = list(postorder(expr))
        spellings = _spellings(expr, nodes, tables)
        uses = _uses(expr, nodes, spellings)
        for node in nodes:
            if node.key not in uses:
                continue
            spelling = spellings[node.key]
            text = self._fitted(spelling)
            self._texts[node.key] = (spelling.strength, text)
            if not _is_plain(spelling):
                self._long.add(node.key)
                if uses[node.key] > 1 and node is not expr:
                    self._name(node)
        self.written.append(f"result = {self._texts[expr.key][1]}    # {expr.type}")

    def _fitted(self, spelling: Spelling) -> str:
        """Join the parts; while that is too long, give the longest part a line of its own."""
        inputs = {n.key: n for n in spelling.inputs() if n.key in self._long}
        excess = sum([len(self._shown(p)) for p in spelling.parts]) - WIDTH
        for node in sorted(inputs.values(), key=lambda n: -len(self._texts[n.key][1])):
            length = len(self._texts[node.key][1])
            if excess <= 0 or length < SHORT:
                break
            excess -= length
            self._name(node)
        return "".join([self._shown(p) for p in spelling.parts])

    def _shown(self, part: Part) -> str:
        if isinstance(part, str):
            return part
        strength, text = self._texts[part[0].key]
        return text if strength >= part[1] else f"({text})"

    def _name(self, node: Expr) -> None:
        self._long.discard(node.key)
        self._named += 1
        name = f"v{self._named}"
        variables = [loop_variable(o.level) for o in node.type.loops]
        note = f"    # for each {', '.join(variables)}" if variables else ""
        self.written.append(f"{name} = {self._texts[node.key][1]}{note}")
        self._texts[node.key] = (ATOM, name)


def _spellings(expr: Expr, nodes: Sequence[Expr], tables: dict[bytes, str]) -> dict[bytes, Spelling]:
    over = loop_collections(expr)
    return {n.key: spelled(n, over, tables) for n in nodes}


def _uses(expr: Expr, nodes: Sequence[Expr], spellings: dict[bytes, Spelling]) -> dict[bytes, int]:
    """Count how often each node is written, starting from the root; nodes that are not written do not occur."""
    uses = {expr.key: 1}
    for node in reversed(nodes):
        if node.key in uses:
            for part in spellings[node.key].inputs():
                uses[part.key] = uses.get(part.key, 0) + 1
    return uses


def _is_plain(spelling: Spelling) -> bool:
    """Say whether it is a leaf or a constant short enough to be written anywhere."""
    return not spelling.inputs() and sum([len(p) for p in spelling.parts if isinstance(p, str)]) < WIDTH

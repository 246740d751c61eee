"""A labelled expression drawn as a tree of lines, root first."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.show.steps import steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key
    from hep_flows.show.steps import Step

MOST_LINES = 120
DEEPEST = 20
WIDTH = 80


@dataclass(slots=True)
class _Drawing:
    """What is known while the lines are drawn."""

    steps: Mapping[Key, Step]
    labels: Mapping[Key, str]
    shown: set[Key]
    shared: set[Key]
    numbers: dict[Key, int] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)


def tree_lines(root: Expr, labels: Mapping[Key, str], most: int = MOST_LINES) -> list[str]:
    """Give the lines of the tree: each step with the plug-in that runs it.

    A part that is used more than once is drawn where it comes first, with a number; elsewhere stands the number. Of a tree of more
    than ``most`` steps those nearest to the root are drawn, and the last line says how many are not.
    """
    found = steps([root], labels)
    shown = nearest(root, found, most)
    uses: dict[Key, int] = {}
    for key in shown:
        for i in found[key].below:
            uses[i.key] = uses.get(i.key, 0) + 1
    shared = {key for key, n in uses.items() if n > 1 and found[key].below}
    drawing = _Drawing(found, labels, shown, shared)
    _draw(root, drawing)
    width = min(max([len(text) for text, _ in drawing.lines]), WIDTH)
    lines = [f"{text.ljust(width)}  {label}".rstrip() for text, label in drawing.lines]
    left_out = len(found) - len(shown)
    return [*lines, f"({left_out:,} more steps are not drawn)"] if left_out else lines


def nearest(root: Expr, found: Mapping[Key, Step], most: int, deepest: int = DEEPEST) -> set[Key]:
    """Give at most that many steps: those nearest to the root."""
    shown: set[Key] = set()
    ahead = deque([(root.key, 0)])
    while ahead and len(shown) < most:
        key, depth = ahead.popleft()
        if key in shown or depth > deepest:
            continue
        shown.add(key)
        ahead.extend([(i.key, depth + 1) for i in found[key].below])
    return shown


def _draw(root: Expr, drawing: _Drawing) -> None:
    ahead = [(root, "", "")]
    while ahead:
        node, branch, indent = ahead.pop()
        step = drawing.steps[node.key]
        number = drawing.numbers.get(node.key)
        if node.key not in drawing.shown:
            drawing.lines.append((f"{branch}...", ""))
            continue
        if number is not None:
            drawing.lines.append((f"{branch}see ({number})", ""))
            continue
        mark = ""
        if node.key in drawing.shared:
            drawing.numbers[node.key] = len(drawing.numbers) + 1
            mark = f"  ({drawing.numbers[node.key]})"
        drawing.lines.append((f"{branch}{step.title}{mark}", f"[{drawing.labels.get(node.key, '?')}]"))
        last = len(step.below) - 1
        children = [
            (i, indent + ("└─ " if n == last else "├─ "), indent + ("   " if n == last else "│  "))
            for n, i in enumerate(step.below)
        ]
        ahead.extend(reversed(children))

"""Where the boxes of a layered drawing stand: what is used above what uses it, with few crossings and short lines.

The classic steps: every box gets a layer, lines over several layers are threaded through places of their own, each layer is ordered
by the average place of its neighbours, and the boxes of a layer are put as close to their neighbours as their widths allow.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

SWEEPS = 8
THREAD = 10.0

Name = str | bytes
Edge = tuple[Name, Name]
Place = Name | tuple[Edge, int]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions in a drawing.

    Parameters
    ----------
    left_top : dict
        The upper left corner of each box.
    bends : dict
        For each line, the points that it passes between its ends.
    width, height : float
        The size of the drawing.
    """

    left_top: dict[Name, Point]
    bends: dict[Edge, list[Point]]
    width: float
    height: float


def layered(
    sizes: Mapping[Name, Point],
    edges: Sequence[Edge],
    *,
    first: Collection[Name] = (),
    gap_x: float = 18,
    gap_y: float = 30,
    centred: bool = True,
) -> Layout:
    """Give the places of boxes.

    Parameters
    ----------
    sizes : mapping
        Width and height of each box; their order decides where nothing else does.
    edges : sequence of pairs
        Lines from what is used to what uses it; no circles.
    first : collection, optional
        Boxes that use nothing and belong to the top layer.
    gap_x, gap_y : float
        The least distance between boxes beside and below each other.
    centred : bool
        Whether lower boxes stand in the middle of their layer, or at its top.
    """
    layer = _layers(sizes, edges) | dict.fromkeys(first, 0)
    rows: list[list[Place]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in sizes:
        rows[layer[name]].append(name)
    links = _threaded(edges, layer, rows)
    above, below = _neighbours(links)
    _order(rows, above, below)
    widths: dict[Place, float] = {p: sizes[p][0] if not isinstance(p, tuple) else THREAD for row in rows for p in row}
    middle = _middles(rows, widths, above, below, gap_x)
    left = min([middle[p] - widths[p] / 2 for row in rows for p in row])
    right = max([middle[p] + widths[p] / 2 for row in rows for p in row])
    heights = [max([sizes[p][1] for p in row if not isinstance(p, tuple)], default=0.0) for row in rows]
    tops = [sum(heights[:i]) + gap_y * i for i in range(len(rows))]
    corners: dict[Name, Point] = {}
    bends: dict[Edge, list[Point]] = {}
    for i, row in enumerate(rows):
        for p in row:
            if isinstance(p, tuple):
                bends.setdefault(p[0], []).extend([(middle[p] - left, tops[i]), (middle[p] - left, tops[i] + heights[i])])
            else:
                down = (heights[i] - sizes[p][1]) / 2 if centred else 0
                corners[p] = (middle[p] - widths[p] / 2 - left, tops[i] + down)
    return Layout(corners, bends, right - left, tops[-1] + heights[-1])


def _layers(sizes: Mapping[Name, Point], edges: Sequence[Edge]) -> dict[Name, int]:
    """Number the layers from the top; every box stands as low as what uses it allows."""
    users: dict[Name, list[Name]] = {n: [] for n in sizes}
    waiting = dict.fromkeys(sizes, 0)
    used: dict[Name, list[Name]] = {n: [] for n in sizes}
    for a, b in edges:
        users[a].append(b)
        used[b].append(a)
        waiting[a] += 1
    height: dict[Name, int] = {}
    ready = [n for n in sizes if not waiting[n]]
    while ready:
        name = ready.pop()
        height[name] = max([height[u] + 1 for u in users[name]], default=0)
        for a in used[name]:
            waiting[a] -= 1
            if not waiting[a]:
                ready.append(a)
    top = max(height.values())
    return {n: top - height[n] for n in sizes}


def _threaded(edges: Sequence[Edge], layer: Mapping[Name, int], rows: list[list[Place]]) -> list[tuple[Place, Place]]:
    """Split lines into pieces from one layer to the next, with places of their own on the layers between."""
    links: list[tuple[Place, Place]] = []
    for edge in dict.fromkeys(edges):
        a, b = edge
        last: Place = a
        for i in range(layer[a] + 1, layer[b]):
            rows[i].append((edge, i))
            links.append((last, (edge, i)))
            last = (edge, i)
        links.append((last, b))
    return links


def _neighbours(links: Sequence[tuple[Place, Place]]) -> tuple[dict[Place, list[Place]], dict[Place, list[Place]]]:
    above: dict[Place, list[Place]] = {}
    below: dict[Place, list[Place]] = {}
    for a, b in links:
        below.setdefault(a, []).append(b)
        above.setdefault(b, []).append(a)
    return above, below


def _order(rows: list[list[Place]], above: Mapping[Place, list[Place]], below: Mapping[Place, list[Place]]) -> None:
    """Order each layer by the average place of the neighbours, first from the bottom up, then down, and again."""
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 0
        for row in reversed(rows) if upwards else rows:
            beside = below if upwards else above
            place = {p: i / max(len(r) - 1, 1) for r in rows for i, p in enumerate(r)}
            own = {p: i / max(len(row) - 1, 1) for i, p in enumerate(row)}
            means = {p: sum([place[q] for q in beside[p]]) / len(beside[p]) if p in beside else own[p] for p in row}
            row.sort(key=lambda p, means=means: means[p])  # type: ignore[misc]


def _middles(
    rows: Sequence[Sequence[Place]],
    widths: Mapping[Place, float],
    above: Mapping[Place, list[Place]],
    below: Mapping[Place, list[Place]],
    gap: float,
) -> dict[Place, float]:
    """Give the middle of every place: near to its neighbours, in order, without overlaps."""
    middle: dict[Place, float] = {}
    for row in rows:
        middle.update(zip(row, _spread([0.0] * len(row), row, widths, gap), strict=True))
    for sweep in range(2 * SWEEPS):
        upwards = sweep % 2 == 0
        for row in reversed(rows) if upwards else rows:
            wanted = []
            for p in row:
                beside = [*below.get(p, []), *above.get(p, [])] if sweep > SWEEPS else (below if upwards else above).get(p, [])
                wanted.append(sum([middle[q] for q in beside]) / len(beside) if beside else middle[p])
            middle.update(zip(row, _spread(wanted, row, widths, gap), strict=True))
    return middle


def _spread(wanted: Sequence[float], row: Sequence[Place], widths: Mapping[Place, float], gap: float) -> list[float]:
    """Give the middles nearest to the wanted ones (in the sum of squares) that keep order and distance."""
    offsets = [0.0]
    for a, b in itertools.pairwise(row):
        offsets.append(offsets[-1] + (widths[a] + widths[b]) / 2 + gap)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        mean, count = want - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, n = blocks.pop()
            mean, count = (mean * count + other * n) / (count + n), count + n
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    return [s + o for s, o in zip(starts, offsets, strict=False)]

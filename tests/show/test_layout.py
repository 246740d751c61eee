"""Where boxes stand."""

from __future__ import annotations

import random

import pytest

from hep_flows.show.plan import layered


def sizes(names, width=80.0, height=20.0):
    return dict.fromkeys(names, (width, height))


def test_one_box_fills_the_drawing():
    layout = layered(sizes("a"), [])
    assert layout.left_top == {"a": (0, 0)}
    assert (layout.width, layout.height) == (80, 20)


def test_what_is_used_stands_above_its_user():
    layout = layered(sizes("abc"), [("a", "b"), ("b", "c"), ("a", "c")], gap_y=30)
    assert [layout.left_top[n][1] for n in "abc"] == [0, 50, 100]


def test_inputs_stand_right_above_their_user():
    layout = layered(sizes("abcd"), [("a", "b"), ("b", "c"), ("d", "c")], gap_y=30)
    assert layout.left_top["d"][1] == layout.left_top["b"][1]


def test_boxes_can_be_kept_in_the_first_layer():
    layout = layered(sizes("abcd"), [("a", "b"), ("b", "c"), ("d", "c")], first=["d"])
    assert layout.left_top["d"][1] == 0
    assert ("d", "c") in layout.bends


def test_a_user_stands_in_the_middle_below_its_inputs():
    layout = layered(sizes("abc"), [("a", "c"), ("b", "c")])
    middle = (layout.left_top["a"][0] + layout.left_top["b"][0]) / 2
    assert layout.left_top["c"][0] == pytest.approx(middle)


def test_crossings_are_taken_out():
    layout = layered(sizes(["a", "b", "c", "d", "e"]), [("a", "d"), ("b", "c"), ("c", "e"), ("d", "e")])
    (a, _), (b, _), (c, _), (d, _) = (layout.left_top[n] for n in "abcd")
    assert (a < b) == (d < c)


def test_long_lines_pass_between_boxes():
    layout = layered(sizes("abcd"), [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d")])
    for bends in layout.bends.values():
        for x, y in bends:
            for left, top in layout.left_top.values():
                assert not (left < x < left + 80 and top < y < top + 20)


@pytest.mark.parametrize("seed", range(20))
def test_no_boxes_overlap_in_any_graph(seed):
    draw = random.Random(seed)
    names = [f"n{i}" for i in range(draw.randint(1, 40))]
    edges = [(a, b) for i, b in enumerate(names) for a in names[:i] if draw.random() < 2 / (i + 1)]
    boxes = {n: (draw.uniform(20, 200), draw.uniform(10, 60)) for n in names}
    layout = layered(boxes, edges)
    placed = [(*layout.left_top[n], *boxes[n]) for n in names]
    for i, (x, y, w, h) in enumerate(placed):
        assert x >= -1e-6
        assert y >= -1e-6
        assert x + w <= layout.width + 1e-6
        assert y + h <= layout.height + 1e-6
        for a, b, c, d in placed[:i]:
            assert x + w <= a + 1e-6 or a + c <= x + 1e-6 or y + h <= b + 1e-6 or b + d <= y + 1e-6
    for a, b in edges:
        assert layout.left_top[a][1] + boxes[a][1] < layout.left_top[b][1] + 1e-6

"""The drawing of plans: well formed, readable, bounded, and free of anything from outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from calls import in_proportion
from expr.sample import call, delta, leaf, lit, table
from hep_flows.expr import build
from hep_flows.show.plan import plan_html, plan_svg
from show.plans import plan_of, plans

SVG = "{http://www.w3.org/2000/svg}"


def shapes(plan, kind="rect"):
    return list(ET.fromstring(plan_svg(plan)).iter(f"{SVG}{kind}"))


def boxes(plan):
    """The boxes of steps: x, y, width, height."""
    root = ET.fromstring(plan_svg(plan))
    return [tuple(float(g.find(f"{SVG}rect").get(k)) for k in ("x", "y", "width", "height")) for g in root.iter(f"{SVG}g")]


def words(plan):
    return [e.text for e in shapes(plan, "text")]


@pytest.mark.parametrize("name", plans())
def test_boxes_do_not_overlap_and_lie_in_the_drawing(name):
    plan = plans()[name]
    root = ET.fromstring(plan_svg(plan))
    width, height = float(root.get("width")), float(root.get("height"))
    found = boxes(plan)
    for i, (x, y, w, h) in enumerate(found):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for a, b, c, d in found[:i]:
            assert x + w <= a or a + c <= x or y + h <= b or b + d <= y


@pytest.mark.parametrize("name", plans())
def test_every_step_stands_in_the_frame_of_its_task(name):
    plan = plans()[name]
    frames = [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in shapes(plan) if r.get("rx") == "10"]
    assert len(frames) == len(plan.tasks)
    for x, y, w, h in boxes(plan):
        assert any(a <= x and b <= y and x + w <= a + c and y + h <= b + d for a, b, c, d in frames)


@pytest.mark.parametrize("name", plans())
def test_titles_fit_in_their_boxes(name):
    root = ET.fromstring(plan_svg(plans()[name]))
    for g in root.iter(f"{SVG}g"):
        assert len(g.find(f"{SVG}text").text) * 7.25 < float(g.find(f"{SVG}rect").get("width"))


def test_every_plug_in_is_in_the_legend_and_has_its_colour():
    plan = plans()["histogram"]
    assert {"servicex", "awkward", "hist"} <= set(words(plan))
    swatches = [r.get("fill") for r in shapes(plan) if r.get("width") == "12.0"]
    assert len(set(swatches)) == 3


def test_unknown_plug_ins_get_colours_of_their_own():
    plan = plan_of(call("sqrt", leaf("Jet.pt")), label=lambda n: "mine" if n.tag == "call" else "yours")
    swatches = [r.get("fill") for r in shapes(plan) if r.get("width") == "12.0"]
    assert len(set(swatches)) == 2


def test_columns_and_results_are_named():
    text = " ".join(words(plans()["filter"]))
    assert "reads nJet, Jet_pt" in text
    assert "result: float32, events x Jet[...]" in text
    assert "task 3: awkward" in text


def test_what_is_known_of_a_task_is_shown():
    plan = plans()["filter"]
    assert "in ranges of events, stored" in plan_svg(plan, {plan.tasks[0].key: "stored"})


@pytest.mark.parametrize("name", plans())
def test_a_long_reason_stays_in_the_frame_of_its_task(name):
    plan = plans()[name]
    why = "miss: the cut changed from events.Jet.pt > 30 to events.Jet.pt > 35 since the last run of this analysis (line 12)"
    root = ET.fromstring(plan_svg(plan, {t.key: f"{why} {i}" for i, t in enumerate(plan.tasks)}))
    rects = [{k: float(r.get(k)) for k in ("x", "y", "width", "height")} for r in root.iter(f"{SVG}rect") if r.get("rx") == "10"]
    said = []
    for frame in rects:
        lines = [t for t in root.iter(f"{SVG}text") if t.get("font-size") == "11" and float(t.get("x")) == frame["x"] + 16]
        lines = [t for t in lines if frame["y"] < float(t.get("y")) < frame["y"] + frame["height"]]
        assert all(len(t.text) * 6.7 < frame["width"] - 16 for t in lines)
        said.append(" ".join([t.text for t in lines]))
    assert len(said) == len(plan.tasks)
    assert all(f"{why} {i}" in " ".join(said) for i in range(len(plan.tasks)))


def test_words_are_escaped():
    odd = build.dataset("tree", ("a",), "t", table().type.item, name="<script>&\"'")
    expr = call("equal", build.field(odd, "kind"), lit("<b>\x00&'"))
    for text in (plan_svg(plan_of(expr)), plan_html(plan_of(expr))):
        assert "<script" not in text
        assert "<b>" not in text
        assert "\x00" not in text
    ET.fromstring(plan_svg(plan_of(expr)))


@pytest.mark.parametrize("name", plans())
def test_nothing_comes_from_outside(name):
    html = plan_html(plans()[name])
    assert not re.search(r"(?i)<script|<link|<img|href|@import|url\(|\son\w+=", html)
    assert re.findall(r"https?://[^\"' ]+", html) == ["http://www.w3.org/2000/svg"]


def test_the_page_is_ascii_and_holds_the_text():
    html = plan_html(plans()["filter"])
    assert html.isascii()
    assert "events.Jet.eta" in html
    assert "<details>" in html


def test_equal_plans_give_equal_drawings():
    assert plan_svg(plans()["several results"]) == plan_svg(plans()["several results"])


@pytest.mark.parametrize("step", [lambda x: call("add", call("sqrt", x), x), lambda x: call("sqrt", x)])
def test_a_large_plan_is_drawn_in_part(step):
    def chain(n):
        x = leaf("Jet.pt")
        for _ in range(n):
            x = step(x)
        return x

    assert in_proportion(lambda x: plan_svg(plan_of(x)), chain, 400)
    svg = plan_svg(plan_of(chain(5000)))
    assert len(svg) < 200_000
    assert "steps not drawn" in svg


def test_many_tasks_are_drawn_in_part():
    many = [call("sum", call("count", build.filtered(leaf("Jet.pt"), call("greater", leaf("Jet.pt"), i), 1))) for i in range(60)]
    svg = plan_svg(plan_of(*many))
    assert len(svg) < 400_000
    assert "of them not drawn" in svg


def test_a_long_title_is_cut():
    function = replace(delta(), name="f" * 300)
    titles = [t for t in words(plan_of(call(function, leaf("Jet.pt"), 1.0))) if t.startswith("f")]
    assert titles
    assert all(len(t) <= 64 for t in titles)

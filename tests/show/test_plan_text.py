"""The text of plans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calls import in_proportion
from expr.sample import call, leaf
from golden_files import assert_golden
from hep_flows.expr import build
from hep_flows.show.plan import plan_text, steps
from show.plans import plan_of, plans


def test_texts_are_those_that_were_looked_at():
    line = "=" * 100
    assert_golden("plans.txt", "\n".join([f"{line}\n{name}\n{line}\n{plan_text(p)}\n" for name, p in plans().items()]))


@pytest.mark.parametrize("name", plans())
def test_every_step_has_its_plug_in_and_every_task_is_listed(name):
    plan = plans()[name]
    text = plan_text(plan)
    for task in plan.tasks:
        assert task.key.hex()[:8] in text
        for column in task.columns:
            assert column in text
    assert "[?]" not in text


def test_a_shared_part_is_drawn_once():
    text = plan_text(plans()["shared"])
    tree = text[text.index("\nresult") : text.index("\ntasks")]
    assert tree.count("events.Jet.pt > 30.5") == 1
    assert "see (1)" in tree


def test_a_leaf_is_one_step_unless_different_plug_ins_run_its_parts():
    met = build.filtered(leaf("MET.pt"), leaf("trigger"), 0)
    together = plan_text(plan_of(met, label=lambda _: "awkward"))
    apart = plan_text(plan_of(met, label=lambda n: "awkward" if n == met else "servicex"))
    assert "  events[events.trigger].MET.pt  [awkward]" in together
    assert "  events.MET.pt[events.trigger]  [awkward]" in apart
    assert "├─ events.MET.pt               [servicex]" in apart


def test_constants_stand_in_the_step_that_uses_them():
    (root, *rest) = steps([call("add", call("sqrt", leaf("Jet.pt")), 1000)]).values()
    assert root.title == "· + 1000"
    assert [s.title for s in rest] == ["np.sqrt(events.Jet.pt)", "events.Jet.pt"]


def test_what_is_known_of_a_task_is_shown():
    plan = plans()["filter"]
    assert "awkward: columns, in ranges of events, stored" in plan_text(plan, {plan.tasks[-1].key: "stored"})


def test_notes_and_refusals_are_shown():
    text = plan_text(plans()["user function"])
    assert "DeltaR: no return type is declared: float64 is assumed" in text
    assert "not servicex: it does not know DeltaR (DeltaR(events.Jet.pt, 2.0))" in text


def test_mixed_units_are_noted():
    mev = replace(leaf("Jet.eta"), type=replace(leaf("Jet.eta").type, unit="MeV"))
    text = plan_text(plan_of(call("add", leaf("Jet.pt"), mev)))
    assert "mixes GeV and MeV; nothing is converted" in text


def test_the_users_line_is_named_without_its_folder():
    assert "analysis.py:8" in plan_text(plans()["leaf"])
    assert "somebody" not in plan_text(plans()["leaf"])


@pytest.mark.parametrize(
    "step", [lambda x: call("add", call("sqrt", x), x), lambda x: call("sqrt", x), lambda x: call("add", x, 1)]
)
def test_a_large_tree_is_summarised(step):
    def chain(n):
        x = leaf("Jet.pt")
        for _ in range(n):
            x = step(x)
        return x

    assert in_proportion(lambda x: plan_text(plan_of(x)), chain, 400)
    text = plan_text(plan_of(chain(10_000)))
    assert len(text) < 40_000
    assert "more steps are not drawn" in text


def test_many_results_and_tasks_are_summarised():
    many = [call("sum", call("count", build.filtered(leaf("Jet.pt"), call("greater", leaf("Jet.pt"), i), 1))) for i in range(60)]
    text = plan_text(plan_of(*many))
    assert "... and 48 more results" in text
    assert "more tasks" in text
    assert len(text) < 40_000


def test_a_broad_tree_is_summarised():
    parts = [call("add", leaf("Jet.pt"), i) for i in range(3000)]
    text = plan_text(plan_of(build.record([f"p{i}" for i in range(3000)], parts)))
    assert len(text) < 40_000
    assert "more steps are not drawn" in text

"""What the dialect leaves to others, each with a reason, and that it says so for every node of the language."""

from __future__ import annotations

import re

import numpy as np

from hep_flows import render, user_func
from hep_flows.expr.walk import postorder
from hep_flows.plugins.servicex.xaod.query import XaodDialect
from hep_flows.testing.suite import every_node
from plugins.servicex.xaod import expressions
from plugins.servicex.xaod.proof import normal


@user_func
def in_python(x: float) -> float:
    return x * 2


@user_func
def of_nobody(x: float) -> float: ...


@user_func
def of_lists(x: list[float]) -> float:
    return float(len(x))


def _refused(df) -> dict:
    jets, electrons, info = df.Jets("Jets"), df.Electrons("Electrons"), df.EventInfo("EventInfo")
    return {
        "total over all events": jets.Count().Sum(),
        "no steps in slices": jets[::2].pt,
        "numbers that are stored as a list": info.mcEventWeights[1],
        "lists in lists in lists": jets.map(lambda j: electrons.map(lambda e: jets.pt - j.pt * e.eta)),
        "records that may be missing": jets.map(lambda j: (j.pt, j.eta)).First(),
        "no gather": jets.pt[electrons.Count()],
        "bits of whole numbers": electrons.OQ & 3,
        "outside of int64, or have more digits": jets.PartonTruthLabelID.Sum() * jets.PartonTruthLabelID.Sum(),
        "compares 64-bit whole numbers": info.eventNumber > info.mcEventNumber,
        "no arithmetic on 64-bit whole numbers": info.eventNumber // 2,
        "no power of whole numbers": jets.PartonTruthLabelID**3,
        "whose last digits are not the same": jets[np.sin(jets.phi) > 0.5].pt,
        "its body is Python": in_python(jets.pt),
        "it has no body in C": of_nobody(jets.pt),
        "of_lists: its body is Python": of_lists(jets.pt),
        "which class the objects of BTagging": df.BTagging("BTagging_AntiKt4EMPFlow").Count(),
        "product of whole numbers": jets.PartonTruthLabelID.Prod(),
        "rounds to whole numbers": np.round(jets.pt, 2),
        "an object inside": electrons.trackParticleLinks.m_persIndex,
        "events are chosen by their place": info.averageInteractionsPerCrossing[:10],
    }


def test_refusals_say_why(df):
    dialect = XaodDialect()
    for reason, frame in _refused(df).items():
        assert re.search(reason, dialect.refusal(normal(frame))), f"{reason}: {dialect.refusal(normal(frame))!r}"


def test_nothing_is_refused_that_is_proved(df):
    dialect = XaodDialect()
    for name, frame in expressions.expressions(df).items():
        assert dialect.refusal(normal(frame)) == "", name


def test_every_part_of_what_is_sent_can_be_sent_or_is_part_of_a_loop(df):
    dialect = XaodDialect()
    for name, frame in expressions.expressions(df).items():
        for node in postorder(normal(frame)):
            if node.type.axes and not node.type.loops:
                assert dialect.refusal(node) == "", f"{name}: {node}"


def test_every_node_of_the_language_has_an_answer(df):
    dialect = XaodDialect()
    answers = {name: dialect.refusal(node) for name, node in every_node().items()}
    assert all(isinstance(a, str) for a in answers.values())
    assert sum(bool(a) for a in answers.values()) > len(answers) / 2


def test_what_is_nested_too_deeply_is_refused_at_once(df):
    x = df.Jets("Jets").pt
    for _ in range(5000):
        x = x + 1.0
    dialect = XaodDialect()
    assert "nested" in dialect.refusal(render(x))
    assert "nested" in dialect.refusal(render(x))


def test_a_text_that_would_grow_beyond_measure_is_refused(df):
    x = df.Jets("Jets").pt
    for _ in range(30):
        x = x * x
    dialect = XaodDialect()
    assert "cannot share" in dialect.refusal(render(x))
    assert "cannot share" in dialect.refusal(render(x))


def test_loops_that_would_never_end_are_refused(df):
    x = df.Jets("Jets").pt
    frames = []
    for _ in range(4):
        x = x / x.Sum()
        frames.append(x)
    answers = [XaodDialect().refusal(normal(f)) for f in frames]
    assert answers[0] == ""
    assert "again and again" in answers[-1]


def test_loops_are_nested_three_deep_and_then_refused(df):
    jets = df.Jets("Jets")

    def counted(deep: int, *outer):
        if not deep:
            return jets[sum(o.eta for o in outer) < jets.eta].Count() > 0
        return jets.map(lambda j: counted(deep - 1, *outer, j)).Any()

    answers = [XaodDialect().refusal(normal(counted(deep))) for deep in range(1, 6)]
    assert answers[:2] == [""] * 2
    assert all("again and again" in a for a in answers[2:])

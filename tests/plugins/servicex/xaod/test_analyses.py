"""What physicists write gives what awkward gives, wherever each part of it is computed, and all but a few are sent as a whole."""

from __future__ import annotations

import os

import awkward as ak
import pytest

from hep_flows import make_local
from plugins.servicex.xaod import analyses
from plugins.servicex.xaod.proof import assert_same, digits, normal

# The others look much like the expressions of test_equal.py.
GROUPS = (
    ("objects", "truth", "events", "nested", "edges") if os.environ.get("HEP_FLOWS_XAOD_ALL") else ("events", "nested", "edges")
)
STAYS = {
    "four loops": "more digits than a double has",
    "four loops of lists": "no more than lists in lists",
    "third power of integers": "no power of whole numbers",
    "every other": "takes no steps in slices",
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("group", GROUPS)
def test_what_is_sent_and_what_is_not_give_what_awkward_gives(group, df, remote, deliver, proof):
    wanted, frames = make_local(getattr(analyses, group)(df)), getattr(analyses, group)(remote)
    plan, results = deliver(*frames.values())
    assert {t.plugin for t in plan.tasks} <= {"servicex", "awkward"}
    for (name, frame), result in zip(frames.items(), results, strict=True):
        expr = normal(frame)
        is_sent = not proof.dialect.refusal(expr)
        try:
            got = result.array if hasattr(result, "array") else result.value
            assert_same(got, wanted[name], bits=digits(proof.dialect.asked([expr])[0].text) if is_sent else 0)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


def test_all_but_a_few_are_sent_as_a_whole(df, proof):
    frames = analyses.analyses(df)
    refused = {name: proof.dialect.refusal(normal(frame)) for name, frame in frames.items()}
    assert {name for name, reason in refused.items() if reason} == set(STAYS)
    for name, reason in STAYS.items():
        assert reason in refused[name]
    assert len(frames) > 150


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_few_results_are_trivial(df):
    one_value = set()
    for name, result in make_local(analyses.analyses(df)).items():
        numbers = [] if isinstance(result, int) else ak.to_list(ak.drop_none(ak.flatten(result, axis=None)))
        if isinstance(result, ak.Array) and len({str(n) for n in numbers}) < 2:
            one_value.add(name)
    assert len(one_value) < 30, sorted(one_value)

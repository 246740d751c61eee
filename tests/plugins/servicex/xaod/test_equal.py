"""What the dialect sends gives what the awkward plug-in gives: the real generator's C++ is compiled and runs on a real file."""

from __future__ import annotations

import os

import pytest

from hep_flows import make_local
from hep_flows.plugins.servicex.translate import about_events, event_filters
from plugins.servicex.xaod import expressions
from plugins.servicex.xaod.proof import assert_same, digits, normal

EACH = bool(os.environ.get("HEP_FLOWS_XAOD_ALL"))
GROUPS = ("items", "functions", "lists", "loops", "missing")


def _events_of(expr):
    return tuple([f.mask.key for f in event_filters(about_events(expr))])


def _compare(proof, frames: dict) -> None:
    """Run all in one query, and each is told apart when it differs."""
    wanted = make_local(frames)
    got = proof.results([normal(f) for f in frames.values()])
    for (name, frame), result in zip(frames.items(), got, strict=True):
        try:
            assert_same(result, wanted[name], bits=digits(proof.text(frame)))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}\n{proof.text(frame)}") from None


@pytest.mark.parametrize("group", GROUPS)
def test_one_query_gives_what_awkward_gives(group, df, proof):
    _compare(proof, getattr(expressions, group)(df))


def test_chosen_events_give_what_awkward_gives(df, proof):
    groups: dict = {}
    for name, frame in expressions.events(df).items():
        groups.setdefault(_events_of(normal(frame)), {})[name] = frame
    assert len(groups) > 4
    for frames in groups.values():
        _compare(proof, frames)


@pytest.mark.skipif(not EACH, reason="one compilation for each expression: HEP_FLOWS_XAOD_ALL=1")
@pytest.mark.parametrize("group", [*GROUPS, "events"])
def test_each_query_alone_gives_what_awkward_gives(group, df, proof):
    for name, frame in getattr(expressions, group)(df).items():
        _compare(proof, {name: frame})


def test_no_result_is_trivial(df):
    for name, result in make_local(expressions.expressions(df)).items():
        assert str(result) not in {"[]", "0"} or name == "no events", name

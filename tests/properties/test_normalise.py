"""The passes: idempotent, and neither the type nor a bit of the value changes."""

from __future__ import annotations

import pytest
from hypothesis import given

from expr.python_view import check
from hep_flows.expr.text import one_line
from hep_flows.planning.normalise import PASSES, normalise
from oracle.compare import differences
from oracle.expressions import cases
from oracle.interpreter import interpret


def kept(before, after, events):
    assert str(after.type) == str(before.type)
    assert differences(interpret(after, events), interpret(before, events), exact=True) == [], one_line(after)


@pytest.mark.parametrize("one", PASSES, ids=lambda p: p.__name__)
@given(case=cases())
def test_pass_is_idempotent_and_keeps_type_and_value(one, case):
    (once,) = one((case.expr,))
    check(once)
    kept(case.expr, once, case.table.events)
    (twice,) = one((once,))
    assert twice == once, f"{one_line(once)}\n{one_line(twice)}"


@given(case=cases())
def test_normal_form_is_a_fixed_point_with_the_same_value(case):
    (once,) = normalise([case.expr])
    kept(case.expr, once, case.table.events)
    (twice,) = normalise([once])
    assert twice == once, f"{one_line(once)}\n{one_line(twice)}"

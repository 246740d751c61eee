"""An array that is not what its expression says is refused, whoever made it."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from hep_flows import render
from hep_flows.execute.work import wrong_array
from tables_without_files import nano_record, table

DF = table(nano_record(), "nanoaod")
JAGGED = ak.values_astype(ak.Array([[1.0, 2.0], []]), np.float32)


@pytest.mark.parametrize(
    ("array", "expr"),
    [
        (JAGGED, DF.Jet.pt),
        (ak.Array(np.asarray([1.0, 2.0], np.float32)), DF.MET.pt),
        (ak.firsts(JAGGED), DF.Jet.pt.First()),
        (ak.Array(["a", "b"]), DF.Type),
        (ak.Array([[{"pt": 1.0}], []]), DF.Jet),
        (ak.values_astype(ak.num(JAGGED), np.int64), DF.Jet.Count()),
    ],
)
def test_what_was_asked_for_is_accepted(array, expr):
    assert wrong_array(array, render(expr).type, 2) == ""


@pytest.mark.parametrize(
    ("array", "expr", "why"),
    [
        (ak.flatten(JAGGED), DF.Jet.pt, "no lists for the axis Jet"),
        (ak.values_astype(JAGGED, np.float64), DF.Jet.pt, "float64, and should be float32"),
        (JAGGED[:1], DF.Jet.pt, "1 events, and the range has 2"),
        (ak.pad_none(JAGGED, 1), DF.Jet.pt, "may be missing"),
        (ak.Array(["a", "b"]), DF.Jet.pt, "no lists"),
        (ak.Array(["a", "b"]), DF.run, "string, and should be uint32"),
        (JAGGED, DF.MET.pt, "should be float32"),
        (JAGGED, DF.Jet, "no members"),
    ],
)
def test_anything_else_is_named(array, expr, why):
    assert why in wrong_array(array, render(expr).type, 2)

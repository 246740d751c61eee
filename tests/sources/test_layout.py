"""Arrays are brought to the layout that the schema declares, or refused."""

import awkward as ak
import numpy as np
import pytest
from awkward.contents import IndexedArray, ListArray, ListOffsetArray, NumpyArray, UnmaskedArray
from awkward.index import Index64
from hypothesis import given
from hypothesis import strategies as st

from hep_flows.expr.types import Float, Int, Member, String
from hep_flows.sources.read import NotAsDeclaredError, counts_at, offsets_at, plain

PT = Member(Float(64))


def test_lists_in_any_order_come_out_in_offsets_from_zero():
    content = NumpyArray(np.arange(10.0))
    layout = ListArray(Index64(np.array([7, 0, 3])), Index64(np.array([9, 0, 6])), content)
    got = plain(ak.Array(layout), PT, 1)
    assert got.tolist() == [[7, 8], [], [3, 4, 5]]
    assert offsets_at(got, 0).tolist() == [0, 2, 2, 5]


def test_a_slice_of_a_bigger_array_holds_only_its_own_values():
    got = plain(ak.Array([[1.0], [2.0, 3.0], [4.0]])[1:2], PT, 1)
    assert got.tolist() == [[2, 3]]
    assert len(ak.to_layout(got).content) == 2


def test_arrays_of_fixed_size_become_lists():
    got = plain(ak.Array(np.arange(6.0).reshape(3, 2)), PT, 1)
    assert str(got.type) == "3 * var * float64"
    assert str(plain(ak.Array(np.zeros((2, 0))), PT, 1).type) == "2 * var * float64"


def test_options_without_missing_values_disappear_and_those_with_stay_where_declared():
    unmasked = ak.Array(UnmaskedArray(ListOffsetArray(Index64(np.array([0, 1])), UnmaskedArray(NumpyArray(np.ones(1))))))
    assert str(plain(unmasked, PT, 1).type) == "1 * var * float64"
    gaps = ak.Array([[1.0, None], []])
    assert plain(gaps, Member(Float(64), optional=True), 1).tolist() == [[1, None], []]
    with pytest.raises(NotAsDeclaredError, match="a value is missing"):
        plain(gaps, PT, 1)
    with pytest.raises(NotAsDeclaredError, match="a list is missing"):
        plain(ak.Array([[1.0], None]), Member(Float(64), optional=True), 1)


def test_categories_become_their_values():
    layout = IndexedArray(Index64(np.array([1, 0, 1])), NumpyArray(np.array([10.0, 20.0])))
    assert plain(ak.Array(layout), PT, 0).tolist() == [20, 10, 20]


@pytest.mark.parametrize(
    ("array", "member", "depth"),
    [
        (ak.Array(np.ones(2, np.float32)), PT, 0),
        (ak.Array([1, 2]), PT, 0),
        (ak.Array(["a"]), PT, 0),
        (ak.Array([1.0]), Member(String()), 0),
        (ak.Array([1.0]), PT, 1),
        (ak.Array([[1.0]]), PT, 0),
        (ak.Array(np.array([1], np.uint32)), Member(Int(32)), 0),
    ],
)
def test_another_kind_than_declared_is_refused(array, member, depth):
    with pytest.raises(NotAsDeclaredError):
        plain(array, member, depth)


@given(st.lists(st.lists(st.lists(st.floats(0, 1), max_size=3), max_size=4), min_size=1, max_size=5))
def test_counts_are_those_of_the_lists(events):
    builder = ak.values_astype(ak.concatenate([ak.Array([[[0.5]]]), ak.Array(events)])[1:], np.float64)
    got = plain(builder, PT, 2)
    assert got.tolist() == events
    assert counts_at(got, 0).tolist() == [len(e) for e in events]
    assert counts_at(got, 1).tolist() == [[len(x) for x in e] for e in events]

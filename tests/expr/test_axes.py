"""Which operands align, and what the errors say when they do not."""

from __future__ import annotations

import pytest

from expr.sample import call, leaf, lit, table
from hep_flows.errors import AxisError, FieldError, LiteralError
from hep_flows.expr import build

HARD = call("greater", leaf("Jet.pt"), 30.5)
TWO = call("greater", call("count", leaf("Jet")), 2)


def jets(name, mask=HARD):
    return build.filtered(leaf(f"Jet.{name}"), mask, 1)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (leaf("Jet.pt"), leaf("Jet.eta"), "float32, events x Jet"),
        (leaf("Jet.pt"), leaf("MET.pt"), "float32, events x Jet"),
        (leaf("MET.pt"), leaf("Jet.pt"), "float32, events x Jet"),
        (leaf("Jet.tracks"), leaf("Jet.pt"), "float32, events x Jet x tracks"),
        (leaf("Jet.tracks"), leaf("MET.pt"), "float32, events x Jet x tracks"),
        (leaf("Jet.pt"), lit(1), "float32, events x Jet"),
        (leaf("Jet.pt"), call("max", leaf("MET.pt")), "?float32, events x Jet"),
        (jets("pt"), jets("eta"), "float32, events x Jet[...]"),
        (jets("pt"), leaf("MET.pt"), "float32, events x Jet[...]"),
        (build.filtered(leaf("MET.pt"), TWO, 0), build.filtered(leaf("Jet.pt"), TWO, 0), "float32, events x Jet"),
    ],
)
def test_operands_align_by_prefix(a, b, expected):
    assert str(call("add", a, b).type) == expected


@pytest.mark.parametrize(
    ("a", "b", "what"),
    [
        (leaf("Jet.pt"), leaf("Muon.pt"), "Jet and Muon are different collections, even where their counts agree"),
        (jets("pt"), leaf("Jet.pt"), "different selections of Jet"),
        (jets("pt"), jets("pt", leaf("Jet.tight")), "different selections of Jet"),
        (leaf("MET.pt"), build.filtered(leaf("MET.pt"), TWO, 0), "one side keeps all events"),
        (leaf("Jet.pt"), leaf("Jet.pt", table(("other",))), "two different tables"),
        (build.sliced(leaf("Jet.pt"), (None, 2, None), 1), leaf("Jet.pt"), "different selections of Jet"),
    ],
)
def test_what_does_not_align_is_an_error_that_says_why(a, b, what):
    for one, other in ((a, b), (b, a)):
        with pytest.raises(AxisError) as caught:
            call("add", one, other)
        assert what in caught.value.why or what.replace("Jet and Muon", "Muon and Jet") in caught.value.why
        assert caught.value.do


def test_a_deeper_mask_is_an_error_that_suggests_a_reduction():
    with pytest.raises(AxisError, match="the mask is deeper") as caught:
        build.filtered(leaf("MET.pt"), HARD, 0)
    assert ".Any()" in caught.value.do


def test_a_mask_of_another_view_is_an_error():
    with pytest.raises(AxisError, match="a mask"):
        build.filtered(jets("pt"), leaf("Jet.tight"), 1)


def test_a_mask_is_true_or_false():
    with pytest.raises(LiteralError, match="a mask must be true or false, and this one is int32") as caught:
        build.filtered(leaf("Jet.pt"), leaf("Jet.id"), 1)
    assert "!= 0" in caught.value.do


def test_equal_selections_are_one_axis():
    assert jets("pt").type.axes == jets("eta").type.axes
    assert jets("pt").type.axes != leaf("Jet.pt").type.axes
    assert jets("pt").type.axes[1].root == leaf("Jet.pt").type.axes[1].root


def test_a_selection_by_events_leaves_the_events():
    by_event = build.filtered(leaf("Jet.pt"), leaf("trigger"), 1)
    assert by_event.type.axes[0] == leaf("Jet.pt").type.axes[0]
    assert by_event.type.axes[1] != leaf("Jet.pt").type.axes[1]


def test_reductions_remove_the_innermost_axis_until_none_is_left():
    tracks = leaf("Jet.tracks")
    for expected in ("events x Jet", "events", "one"):
        tracks = call("sum", tracks)
        assert expected in str(tracks.type)
    with pytest.raises(AxisError, match="Sum requires a sequence"):
        call("sum", tracks)


def test_objects_have_no_sum():
    with pytest.raises(LiteralError, match="Sum of Jet objects has no meaning"):
        call("sum", leaf("Jet"))


def test_an_unknown_leaf_is_named_with_near_ones():
    with pytest.raises(FieldError, match="record Jet has no leaf 'Eta'") as caught:
        leaf("Jet.Eta")
    assert caught.value.do == "did you mean 'eta'?"


def test_a_leaf_that_cannot_be_read_says_why():
    with pytest.raises(FieldError, match=r"event\.broken cannot be read") as caught:
        leaf("broken")
    assert caught.value.why == "a class without a dictionary"


def test_a_leaf_of_a_number_is_an_error():
    with pytest.raises(FieldError, match="float32 has no leaf"):
        build.field(leaf("MET.pt"), "x")


def test_a_stored_index_picks_from_the_whole_collection_only():
    picked = build.gathered(leaf("Muon.pt"), leaf("Jet.muonIdx"), 1)
    assert str(picked.type) == "?float32, events x Jet"
    selected = build.filtered(leaf("Muon.pt"), call("greater", leaf("Muon.pt"), 5), 1)
    for wrong in (selected, leaf("Jet.pt")):
        with pytest.raises(AxisError, match="the index refers to Muon"):
            build.gathered(wrong, leaf("Jet.muonIdx"), 1)


def test_an_index_is_an_integer():
    with pytest.raises(LiteralError, match="an index must be an integer"):
        build.gathered(leaf("Muon.pt"), leaf("Jet.pt"), 1)


def test_picks_remove_their_axis_and_may_be_missing():
    assert str(build.pick(leaf("Jet.pt"), 0, 1).type) == "?float32, events"
    assert str(build.pick(leaf("Jet.tracks"), 0, 1).type) == "?float32, events x tracks[...]"
    with pytest.raises(AxisError, match="one event cannot be picked"):
        build.pick(leaf("Jet.pt"), 0, 0)


def test_a_step_of_zero_is_an_error():
    with pytest.raises(LiteralError, match="a slice step cannot be zero"):
        build.sliced(leaf("Jet.pt"), (None, None, 0), 1)


def test_flattening_needs_two_collection_axes():
    assert str(build.flattened(leaf("Jet.tracks")).type) == "float32, events x (Jet, tracks)"
    with pytest.raises(AxisError, match="no two collection axes"):
        build.flattened(leaf("Jet.pt"))


def test_units_are_kept_by_sums_and_lost_by_products():
    pt = leaf("Jet.pt")
    assert call("add", pt, 1).type.unit == "GeV"
    assert call("max", pt).type.unit == "GeV"
    assert call("multiply", pt, pt).type.unit == ""

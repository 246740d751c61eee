"""Schemas of ATLAS events that no file describes."""

from __future__ import annotations

import pytest

from hep_flows import render
from hep_flows.contract import Description
from hep_flows.errors import FieldError, SourceError
from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.plugins.servicex.xaod.schema import assumed_leaves, installed_release, open_event, typed_event
from hep_flows.record.dataframe import table_of


def table(record: Record):
    return table_of(Description(record, ("rucio://data:set",), ("epoch 0",), "", "events"), "servicex:xaod-cpp")


@pytest.fixture(params=["22", "25"])
def release(request):
    pytest.importorskip(f"func_adl_servicex_xaodr{request.param}")
    return request.param


@pytest.fixture
def typed(release):
    return typed_event(release)


def members(event: Record, container: str):
    return event.members[container].item.members


def test_methods_have_the_types_of_the_data_model(typed):
    jets, muons, truth = members(typed, "AnalysisJets"), members(typed, "AnalysisMuons"), members(typed, "TruthElectrons")
    assert jets["pt"].item == Float(64)
    assert muons["charge"].item == Float(32)
    assert muons["passesIDCuts"].item == Bool()
    assert truth["pdgId"].item == Int(32)
    assert members(typed, "EventInfo")["runNumber"].item == Int(32, signed=False)


def test_methods_with_parameters_and_methods_that_give_objects_are_left_out(typed):
    muons = members(typed, "AnalysisMuons")
    assert not {"isAuthor", "primaryTrackParticle", "p4", "author", "usingPrivateStore", "clearDecorations"} & set(muons)


def test_units_are_those_of_the_data_model(typed):
    assert members(typed, "AnalysisJets")["pt"].unit == "MeV"
    assert members(typed, "AnalysisJets")["eta"].unit == ""


def test_a_wrong_name_is_found_while_it_is_written(typed):
    df = table(typed)
    with pytest.raises(FieldError, match="has no leaf 'ptt'") as found:
        df.Jets("AnalysisJets").ptt()
    assert "did you mean 'pt'" in str(found.value)


def test_containers_are_known_by_the_names_that_atlas_gives_them(typed):
    df = table(typed)
    assert render(df.Jets("AntiKt4EMPFlowJets").pt()).type.item == Float(64)
    assert render(df.Electrons("Electrons")) == render(df.Electrons("AnalysisElectrons"))
    with pytest.raises(FieldError, match="no container 'Wrong'"):
        df.Jets("Wrong")


def test_other_containers_and_leaves_can_be_declared(release):
    event = typed_event(release, containers={"MyJets": "Jets"}, leaves={"MyJets": {"score": "float32"}})
    jets = table(event).Jets("MyJets")
    assert render(jets.score).type.item == Float(32)
    assert render(jets.pt()).type.item == Float(64)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"containers": {"A": "Jetz"}}, "'Jetz' is no method of the event"),
        ({"leaves": {"AnalysisJets": {"a": "double"}}}, "'double' is no type of a leaf"),
        ({"leaves": {"Unheard": {"a": "float32"}}}, "what the container Unheard holds"),
    ],
)
def test_wrong_declarations_are_refused(given, what):
    with pytest.raises(SourceError, match=what):
        open_event(**given)


def test_without_the_package_the_error_says_what_to_install(modules):
    modules(**{"func_adl_servicex_xaodr22": None, "func_adl_servicex_xaodr22.event_collection": None})
    with pytest.raises(SourceError, match="release 22 cannot be read") as found:
        typed_event("22")
    assert "pip install func-adl-servicex-xaodr22" in str(found.value)


def test_an_unknown_release_is_refused():
    with pytest.raises(SourceError, match="no schema of release '19'"):
        typed_event("19")


def test_the_newest_installed_release_is_found(typed):
    assert installed_release() == "25"


def test_an_open_event_takes_any_leaf_for_a_double_and_says_so():
    df = table(open_event())
    jets = df.Jets("AnalysisJets")
    expr = render(jets[jets.width() > 0.1].pt() * jets[jets.width() > 0.1].emFraction)
    assert expr.type.item == Float(64)
    assert assumed_leaves([expr]) == ("AnalysisJets.width", "AnalysisJets.emFraction")


def test_an_open_event_leaves_the_words_of_the_language_alone():
    df = table(open_event())
    jets = df.Jets("AnalysisJets")
    assert render(jets.count()) == render(jets.Count())
    assert render(jets.pt.sum()) == render(jets.pt.Sum())
    for name in ("_private", "Capital", "mass"):
        assert name not in render(jets).type.item.members


def test_known_leaves_of_an_open_event_have_their_types():
    event = open_event()
    assert members(event, "EventInfo")["eventNumber"].item == Int(64, signed=False)
    assert members(event, "AnalysisElectrons")["charge"].item == Float(32)

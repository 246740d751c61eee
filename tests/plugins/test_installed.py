"""Finding plug-ins through entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

import hep_flows.plugins
from hep_flows.contract import Describing, Plugin, Splitting
from hep_flows.errors import PluginError
from hep_flows.plugins import find, installed, registered


@pytest.fixture
def points(monkeypatch):
    """Replace the entry points that are installed."""

    def replace(*pairs):
        made = [EntryPoint(name, value, "hep_flows.plugins") for name, value in pairs]
        monkeypatch.setattr(hep_flows.plugins, "entry_points", lambda group: made)

    return replace


def test_the_built_in_ones_are_found():
    assert [p.name for p in installed()] == ["awkward", "hist", "servicex"]
    assert isinstance(find("awkward"), Plugin | Describing | Splitting)
    assert isinstance(find("hist"), Plugin)


def test_a_list_of_names_restricts_them():
    assert [p.name for p in installed(["hist"])] == ["hist"]
    assert [p.name for p in installed(())] == ["awkward", "hist", "servicex"]


def test_an_unknown_name_is_an_error_with_near_names():
    with pytest.raises(PluginError, match="no plug-in 'awkwrd'") as caught:
        installed(["awkwrd"])
    assert "'awkward'" in caught.value.do


def test_a_plugin_that_cannot_be_imported_is_a_reason_and_no_crash(points):
    points(("lost", "no_such_module:Plugin"), ("gone", "json:NoSuchClass"))
    assert installed() == ()
    reasons = {f.name: f.reason for f in registered()}
    assert "ModuleNotFoundError: No module named 'no_such_module'" in reasons["lost"]
    assert "NoSuchClass" in reasons["gone"]
    with pytest.raises(PluginError, match="'lost' of no_such_module cannot be used") as caught:
        find("lost")
    assert "no_such_module" in caught.value.why


def test_two_packages_with_one_name_are_an_error(points):
    points(("twin", "json:A"), ("twin", "math:B"))
    with pytest.raises(PluginError, match="two packages register a plug-in 'twin'"):
        installed()


def test_one_package_seen_twice_is_one(points):
    points(("json", "json:JSONDecoder"), ("json", "json:JSONDecoder"))
    assert [f.name for f in registered()] == ["json"]
    assert "no attribute 'name'" in registered()[0].reason

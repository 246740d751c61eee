"""Finding plug-ins through entry points."""

from __future__ import annotations

import pytest

from hep_flows.contract import Plugin
from hep_flows.errors import PluginError
from hep_flows.plugins import find, installed, registered

BUILT_IN = ["awkward", "fused", "hist", "servicex"]


@pytest.fixture
def points(as_if_installed):
    """Install packages that register a plug-in each."""

    def install(*pairs):
        for number, (name, value) in enumerate(pairs):
            as_if_installed(f"package{number}", "1.0", f"[hep_flows.plugins]\n{name} = {value}\n")

    return install


def test_the_built_in_ones_are_found():
    assert [p.name for p in installed()] == BUILT_IN
    assert isinstance(find("awkward"), Plugin)
    assert isinstance(find("hist"), Plugin)


def test_a_list_of_names_restricts_them():
    assert [p.name for p in installed(["hist"])] == ["hist"]
    assert [p.name for p in installed(())] == BUILT_IN


def test_an_unknown_name_is_an_error_with_near_names():
    with pytest.raises(PluginError, match="no plug-in 'awkwrd'") as caught:
        installed(["awkwrd"])
    assert "'awkward'" in caught.value.do


def test_a_plugin_that_cannot_be_imported_is_a_reason_and_no_crash(points):
    points(("lost", "no_such_module:Plugin"), ("gone", "json:NoSuchClass"))
    assert [p.name for p in installed()] == BUILT_IN
    reasons = {f.name: f.reason for f in registered()}
    assert "ModuleNotFoundError: No module named 'no_such_module'" in reasons["lost"]
    assert "NoSuchClass" in reasons["gone"]
    with pytest.raises(PluginError, match=r"'lost' of package0 1\.0 cannot be used") as caught:
        find("lost")
    assert "no_such_module" in caught.value.why


def test_two_packages_with_one_name_are_an_error(points):
    points(("twin", "json:A"), ("twin", "math:B"))
    with pytest.raises(PluginError, match=r"two packages register a plug-in 'twin': package[01] 1\.0 and package[01] 1\.0"):
        installed()


def test_one_package_seen_twice_is_one(points):
    points(("json", "json:JSONDecoder"), ("json", "json:JSONDecoder"))
    found = {f.name: f for f in registered()}
    assert sorted(found) == [*BUILT_IN[:3], "json", "servicex"]
    assert "no attribute 'name'" in found["json"].reason

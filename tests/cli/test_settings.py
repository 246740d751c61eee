"""Settings come from the environment, are checked, and never change."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from hep_flows.errors import HepFlowsError
from hep_flows.settings import read_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("CACHE", "WORKERS", "CHUNK_EVENTS", "PLUGINS"):
        monkeypatch.delenv(f"HEP_FLOWS_{name}", raising=False)


def test_defaults_are_usable():
    settings = read_settings()
    assert settings.workers >= 1
    assert settings.chunk_events == 200_000
    assert settings.plugins == ()
    assert settings.cache.name == "hep_flows"


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("HEP_FLOWS_PLUGINS", "awkward, hist")
    monkeypatch.setenv("HEP_FLOWS_WORKERS", "3")
    monkeypatch.setenv("HEP_FLOWS_CACHE", "~/results")
    settings = read_settings()
    assert settings.plugins == ("awkward", "hist")
    assert settings.workers == 3
    assert settings.cache == Path.home() / "results"


def test_what_is_given_wins(monkeypatch):
    monkeypatch.setenv("HEP_FLOWS_WORKERS", "3")
    assert read_settings(workers=2).workers == 2


def test_the_cache_follows_the_convention_of_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert read_settings().cache == tmp_path / "hep_flows"


@pytest.mark.parametrize(("name", "value"), [("WORKERS", "0"), ("WORKERS", "many"), ("CHUNK_EVENTS", "-1")])
def test_a_wrong_value_is_an_error_that_names_the_setting(monkeypatch, name, value):
    monkeypatch.setenv(f"HEP_FLOWS_{name}", value)
    with pytest.raises(HepFlowsError, match=name.lower()) as error:
        read_settings()
    assert f"HEP_FLOWS_{name}" in str(error.value)


def test_settings_do_not_change():
    settings = read_settings()
    with pytest.raises(FrozenInstanceError):
        settings.workers = 5

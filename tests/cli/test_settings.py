"""Settings come from the environment, are checked, and never change."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from hep_flows.errors import HepFlowsError
from hep_flows.settings import explained_settings, read_settings


@pytest.fixture(autouse=True)
def _clean_environment(environment):
    environment(**{f"HEP_FLOWS_{name}": None for name in ("CACHE", "WORKERS", "CHUNK_EVENTS", "PLUGINS")})


def test_defaults_are_usable():
    settings = read_settings()
    assert settings.workers >= 1
    assert settings.chunk_events is None
    assert settings.plugins == ()
    assert settings.cache.name == "hep_flows"


def test_the_environment_is_read(environment):
    environment(HEP_FLOWS_PLUGINS="awkward, hist", HEP_FLOWS_WORKERS="3", HEP_FLOWS_CACHE="~/results")
    settings = read_settings()
    assert settings.plugins == ("awkward", "hist")
    assert settings.workers == 3
    assert settings.cache == Path.home() / "results"


def test_what_is_given_wins(environment):
    environment(HEP_FLOWS_WORKERS="3")
    assert read_settings(workers=2).workers == 2


def test_the_cache_follows_the_convention_of_the_system(environment, tmp_path):
    environment(XDG_CACHE_HOME=tmp_path)
    assert read_settings().cache == tmp_path / "hep_flows"


@pytest.mark.parametrize(("name", "value"), [("WORKERS", "0"), ("WORKERS", "many"), ("CHUNK_EVENTS", "-1")])
def test_a_wrong_value_is_an_error_that_names_the_setting(environment, name, value):
    environment(**{f"HEP_FLOWS_{name}": value})
    with pytest.raises(HepFlowsError, match=name.lower()) as error:
        read_settings()
    assert f"HEP_FLOWS_{name}" in str(error.value)


def test_settings_do_not_change():
    settings = read_settings()
    with pytest.raises(FrozenInstanceError):
        settings.workers = 5


def test_each_setting_says_where_it_comes_from(environment, work_in, tmp_path):
    environment(XDG_CONFIG_HOME=tmp_path / "config")
    (tmp_path / "config" / "hep_flows").mkdir(parents=True)
    (tmp_path / "config" / "hep_flows" / "config.toml").write_text('workers = 2\ncache_limit = "20GB"\nchunk_events = 7\n')
    project = tmp_path / "project" / "deep"
    project.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text('[tool.hep_flows]\nworkers = 3\ncache = "results"\nchunk_events = 8\n')
    work_in(project)
    environment(HEP_FLOWS_CHUNK_EVENTS="9")
    found = {s.name: (s.value, s.source) for s in explained_settings(plugins=("hist",))}
    pyproject = f"{tmp_path / 'project' / 'pyproject.toml'}, [tool.hep_flows]"
    assert found["workers"] == (3, pyproject)
    assert found["cache"] == (tmp_path / "project" / "results", pyproject)
    assert found["cache_limit"] == (20 * 10**9, str(tmp_path / "config" / "hep_flows" / "config.toml"))
    assert found["chunk_events"] == (9, "environment variable HEP_FLOWS_CHUNK_EVENTS")
    assert found["plugins"] == (("hist",), "argument")
    assert found["cache_layers"] == ((), "default")


def test_the_cache_can_be_turned_off(environment):
    environment(HEP_FLOWS_CACHE="off")
    assert read_settings().cache is None


def test_a_setting_that_does_not_exist_is_an_error(work_in, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.hep_flows]\nworker = 3\n")
    work_in(tmp_path)
    with pytest.raises(HepFlowsError, match="there is no setting 'worker'") as error:
        read_settings()
    assert "workers" in str(error.value)


@pytest.mark.parametrize(("text", "value"), [("1000", 1000), ("1kB", 1000), ("1.5 GiB", 3 * 2**29), ("2TB", 2 * 10**12)])
def test_sizes_have_units(text, value):
    assert read_settings(cache_limit=text).cache_limit == value


@pytest.mark.parametrize("value", ["-5GB", "-1", "1e400", "12XB", "GB", "."])
@pytest.mark.parametrize("name", ["cache_limit", "direct_below"])
def test_a_size_that_is_no_number_of_bytes_is_refused(environment, name, value):
    environment(**{f"HEP_FLOWS_{name.upper()}": value})
    with pytest.raises(HepFlowsError, match=f"the setting '{name}' has no usable value"):
        read_settings()

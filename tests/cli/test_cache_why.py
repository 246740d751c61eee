"""``hep-flows cache why`` says what changed, in the words of a plan."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from hep_flows import Histogram, nanoaod_table, plan, run
from hep_flows.cli.main import app
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.plugins.hist.plugin import HistPlugin


@pytest.fixture
def file(tmp_path):
    return str(sample_files(tmp_path, Recipe(events=200)).nanoaod)


def asked(file, cut):
    df = nanoaod_table(file)
    return Histogram.new.Reg(20, 0, 200, name="pt").Double().fill(pt=df.Jet.pt[df.Jet.pt > cut])


def keys(file, cut):
    seen = plan(asked(file, cut))
    why = [s.why for s in seen.status.values()]
    run(asked(file, cut), on_error="raise")
    return [t.key.hex() for t in seen.tasks], why


def why(key):
    result = CliRunner().invoke(app, ["cache", "why", key])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_says_what_changed_and_what_it_replaced_and_the_line(file):
    (_, first), _ = keys(file, 30.0)
    assert "computed for the first time" in why(first)
    assert re.search(r"written at test_cache_why\.py:\d+", why(first))
    (_, second), planned = keys(file, 35.0)
    words = "`events.Jet.pt > 30.0` became `events.Jet.pt > 35.0` at test_cache_why.py:"
    assert planned[0].startswith(words)
    assert f"computed because {planned[0]}" in why(second)
    assert f"instead of {first[:12]}, stored 20" in why(second)
    assert f"since then {planned[0]}" in why(first)
    assert f"in its place is {second[:12]}, stored 20" in why(first)


def test_the_parts_of_a_result_know_it_too(file, cache_folder):
    keys(file, 30.0)
    before = {p.stem for p in cache_folder.glob("objects-*/??/*.json")}
    _, planned = keys(file, 35.0)
    parts = {p.stem for p in cache_folder.glob("objects-*/??/*.json")} - before
    assert len(parts) == 3
    assert all(f"computed because {planned[0]}" in why(k) for k in parts)


def test_versions_of_libraries_and_plugins_that_differ_are_said(file, monkeypatch, as_if_installed):
    (_, key), _ = keys(file, 30.0)
    assert " then, " not in why(key)
    before = version("hist")
    as_if_installed("hist", "99.9")
    assert f"hist {before} then, 99.9 now" in why(key)
    assert "not part of the key" in why(key)
    monkeypatch.setattr(HistPlugin, "result_version", "77")
    assert "the results of hist have version 77 now: a run computes it again" in why(key)

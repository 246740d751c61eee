"""Nothing stale, nothing needless: after every change exactly what depends on it is computed again."""

from __future__ import annotations

import shutil
import time

import pytest
from bench import Project, same
from mutations import MUTATIONS

from hep_flows.sources import stored


@pytest.fixture(scope="module")
def computed_once(tmp_path_factory):
    """A project whose results were all computed; copied for each mutation."""
    folder = tmp_path_factory.mktemp("torture")
    project = Project.new(folder)
    time.sleep(stored.SETTLED_S + 0.1)  # so that the files are remembered
    before = pytest.MonkeyPatch()
    try:
        before.setenv("HEP_FLOWS_CACHE", str(project.cache))
        values, computed = project.results()
        assert set(computed) == set(values)
        _, again = project.results()
        assert again == {}
        yield project, values
    finally:
        before.undo()


@pytest.fixture
def project(computed_once, tmp_path):
    first, _ = computed_once
    cache = tmp_path / "cache"
    shutil.copytree(first.cache, cache)
    root = tmp_path / "project"
    shutil.copytree(first.root, root)
    return Project(root, cache, [root / f.name for f in first.files])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_exactly_what_depends_on_a_change_is_computed_again(mutation, project, computed_once, monkeypatch, record_property):
    monkeypatch.setattr(stored, "SETTLED_S", -1.0)
    project.results()  # the files lie elsewhere now, and are remembered
    mutation.make(project)
    values, computed = project.results()
    fresh, _ = project.results(store=False)
    stale = [n for n in values if not same(values[n], fresh[n])]
    changed = [n for n in values if not same(values[n], computed_once[1][n])]
    needless = {n: rows for n, rows in computed.items() if rows != mutation.expected.get(n)}
    record_property("change", mutation.name)
    record_property("stale", len(stale))
    record_property("needless", len(needless))
    record_property("computed", ", ".join([f"{n} {'+'.join(str(b) for _, b in rows)}" for n, rows in computed.items()]))
    assert not stale, f"stale: {stale}"
    assert computed == mutation.expected, f"needless: {needless}"
    # A factor that all entries share multiplies what is stored, so another value costs nothing.
    assert bool(changed) == bool(mutation.expected) or "version" in mutation.name or mutation.name == "factor of all weights"


def test_a_file_that_a_function_reads_itself_is_never_stale(project):
    """Such a function is not stored, so whatever the file holds is what comes out."""
    factor = project.root / "factor.txt"
    project.edit("    return tools.smear(pt)", f"    return pt * float(open({str(factor)!r}).read())")
    found = []
    for text in ("2.0", "4.0"):
        factor.write_text(text)
        values, computed = project.results()
        fresh, _ = project.results(store=False)
        assert same(values["smeared"], fresh["smeared"])
        assert computed == {"smeared": [("awkward", 3)]}
        found.append(values["smeared"])
    assert found[1] == 2 * found[0]

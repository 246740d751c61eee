"""A table stands for what its files held when it was made: nothing is handed out for files that hold something else by now."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hep_flows import make_local, nanoaod_table, run
from hep_flows.errors import SourceError

pytestmark = pytest.mark.data


@pytest.fixture
def file(data, tmp_path):
    return shutil.copy(data("nano_dy.root"), tmp_path / "events.root")


def test_a_stored_result_is_not_given_for_a_file_that_was_overwritten(file, data):
    n_jets = nanoaod_table(file).Jet.Count().Sum()
    before = make_local(n_jets)
    shutil.copy(data("nano_dimuon.root"), file)
    with pytest.raises(SourceError, match="has changed since the table was made"):
        make_local(n_jets)
    assert make_local(nanoaod_table(file).Jet.Count().Sum()) != before


def test_a_file_that_was_touched_or_written_with_the_same_content_is_the_same(file, data):
    n_jets = nanoaod_table(file).Jet.Count().Sum()
    before = make_local(n_jets)
    os.utime(file)
    assert make_local(n_jets) == before
    shutil.copy(data("nano_dy.root"), file)
    assert make_local(n_jets) == before


def test_a_changed_file_is_a_failure_of_its_own_when_the_rest_goes_on(file, data):
    n_jets = nanoaod_table(file).Jet.Count().Sum()
    make_local(n_jets)
    shutil.copy(data("nano_dimuon.root"), file)
    done = run(n_jets)
    assert not done.is_complete
    assert not done.values
    assert "events.root" in str(done.report)


def test_a_file_that_is_gone_is_named(file):
    n_jets = nanoaod_table(file).Jet.Count().Sum()
    make_local(n_jets)
    Path(file).unlink()
    with pytest.raises(SourceError, match=r"events\.root") as caught:
        make_local(n_jets)
    assert caught.value.where is not None

"""What a remote endpoint delivers when the server does what it should."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import pytest

from hep_flows.plugins.servicex.endpoint import Delivered, EndpointError, Query
from hep_flows.testing.servicex_sim.faults import FileFault
from plugins.servicex.remote_runs import DATASET, OPEN_DATA, QUERY, object_of


@pytest.mark.parametrize("capabilities", [("poll_local_transformation_results",), ()], ids=["results", "bucket"])
def test_every_file_of_a_list_comes_once_and_right(start, ask, names, right, capabilities):
    sim = start(capabilities=capabilities)
    came = ask(sim, names)
    right(came, names)
    assert not came.errors
    assert came.refused is None
    assert len(sim.submits()) == 1
    assert {i.request_id for i in came.items} == set(sim.statuses())


@pytest.mark.parametrize("capabilities", [("poll_local_transformation_results",), ()], ids=["results", "bucket"])
def test_a_dataset_gives_the_files_that_the_server_knows(start, ask, names, jets, capabilities):
    sim = start(capabilities=capabilities)
    came = ask(sim, [DATASET])
    assert came.refused is None
    assert not came.errors
    assert sorted(came.results) == sorted(map(object_of, names))
    assert all(ak.array_equal(came.results[object_of(n)], jets[n][1]) for n in names)
    assert came.progress[-1] == (6, 0, 6)


def test_datasets_and_files_can_be_asked_for_together(sim, ask, names):
    came = ask(sim, [OPEN_DATA, names[3], DATASET])
    assert came.refused is None
    assert not came.errors
    assert sorted([(i.dataset, i.file) for i in came.items]) == sorted(
        [("", names[3]), *[(OPEN_DATA, object_of(n)) for n in names[:2]], *[(DATASET, object_of(n)) for n in names]]
    )

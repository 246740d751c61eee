"""Runs with a real Prefect server: the values of an inline run to the last bit, nothing computed twice, and what the server shows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import uproot
from jet_files import bits, everything, fill, inline, n_computed, new_process, states, write
from prefect_view import flow_run_count, latest

from hep_flows import make_local, nanoaod_table, run
from hep_flows.store.index import sidecars
from hep_flows.store.store import Store


def stored(cache):
    return {name for name, _ in sidecars(Store(cache).folder)}


def test_a_cold_run_gives_the_bits_of_an_inline_run(files, served):
    events = nanoaod_table(files)
    done = run(everything(events), engine="embedded", on_error="raise")
    assert bits(done.values) == bits(inline(everything(events)))
    assert done.report.engine == "server"
    assert done.report.engine_url == served
    assert {r.state for r in done.report.tasks} == {"computed"}
    flow = latest(served)
    assert flow.state == "Completed"
    assert set(flow.tasks.values()) == {"Completed"}


def test_the_values_are_those_of_the_files(files, served):
    done = run(everything(nanoaod_table(files)), engine="embedded", on_error="raise").values
    met = np.concatenate([uproot.open(f)["Events"]["MET_pt"].array(library="np") for f in files])
    pt = np.concatenate([np.concatenate(uproot.open(f)["Events"]["Jet_pt"].array(library="np")) for f in files])
    assert done["of the largest"].to_numpy().tolist() == (met / met.max()).tolist()
    assert done["first"].to_numpy().tolist() == met[:7].tolist()
    assert done["counts and edges"][0].tolist() == np.histogram(met, bins=10, range=(0, 200))[0].tolist()
    hard = pt[pt > 30]
    assert done["nested"][0] == len(hard)
    want, _ = np.histogram(hard, bins=20, range=(0, 200), weights=(hard * np.float32(0.1)).astype(np.float64))
    np.testing.assert_allclose(done["filled"].values(), want, rtol=1e-6)


def test_the_second_run_finds_everything_and_starts_no_flow(files, served):
    first = run(everything(nanoaod_table(files)), engine="embedded")
    n_flows = flow_run_count(served)
    new_process()
    second = run(everything(nanoaod_table(files)), engine="embedded", on_error="raise")
    assert bits(second.values) == bits(first.values)
    assert n_computed(second) == 0
    assert second.report.engine == "inline"
    assert second.report.engine_why == "everything is stored"
    assert flow_run_count(served) == n_flows

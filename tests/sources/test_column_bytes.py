"""The sizes of columns in files against uproot's and pyarrow's own figures."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from described import described
from hep_flows.plugins.awkward.plugin import AwkwardPlugin

column_bytes = AwkwardPlugin().column_bytes


@pytest.mark.data
def test_a_jagged_branch_counts_with_its_counter(data):
    path = data("Run2012B_SingleMu_1000.root")
    with uproot.open(path) as file:
        tree = file["Events"]
        pt, n, met = [tree[b].compressed_bytes for b in ("Jet_pt", "nJet", "MET_pt")]
    table = described("nanoaod", path, tree="Events")
    assert column_bytes(table, ("MET_pt",)) == met
    assert column_bytes(table, ("Jet_pt", "MET_pt")) == pt + n + met
    assert column_bytes(table, ("Jet_pt", "nJet")) == pt + n
    assert column_bytes(table, ()) == 0


@pytest.mark.data
def test_files_add_up(data):
    path = data("uproot-Zmumu.root")
    one = column_bytes(described("tree", path, tree="events"), ("M",))
    assert column_bytes(described("tree", path, path, tree="events"), ("M",)) == 2 * one > 0


def test_fields_of_an_ntuple_add_up_to_all_pages(tmp_path):
    values = {"a": np.random.default_rng(1).random(1000), "j": ak.Array([[1.0, 2.0], []] * 500)}
    with uproot.recreate(tmp_path / "n.root", compression=None) as file:
        file.mkrntuple("t", ak.Array(values))
    table = described("tree", tmp_path / "n.root", tree="t")
    assert column_bytes(table, ("a",)) == pytest.approx(8000, rel=0.02)
    assert column_bytes(table, ("j",)) == pytest.approx(8 * 1000 + 8 * 1000, rel=0.05)
    assert column_bytes(table, ("a", "j")) == column_bytes(table, ("a",)) + column_bytes(table, ("j",))


def test_columns_of_parquet_with_the_fields_inside(tmp_path):
    table = pa.table({"a": np.random.default_rng(1).random(1000), "r": [{"x": i, "y": 2.0} for i in range(1000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300, compression="none", use_dictionary=False)
    found = described("parquet", tmp_path / "a.parquet")
    assert 8000 <= column_bytes(found, ("a",)) < 8500
    assert 16000 <= column_bytes(found, ("r",)) < 17000
    assert column_bytes(found, ("r.x",)) == column_bytes(found, ("r",))

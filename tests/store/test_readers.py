"""Objects are ordinary Parquet files for pyarrow, pandas, DuckDB and awkward."""

import json

import awkward as ak
import duckdb
import hist
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hep_flows.contract import Columns, HistogramResult, Scalar
from hep_flows.store.about import Provenance

EVENTS = ak.Array({
    "run": np.array([1, 2, 3], dtype=np.uint32),
    "good": np.array([True, False, True]),
    "met": ak.Array([1.5, None, 2.5]),
    "pt": ak.values_astype(ak.Array([[10.5, 20.5], [], [30.5]]), "float32"),
    "jets": ak.Array([[{"pt": 1, "tags": ["b", "c"]}], [], [{"pt": 2, "tags": []}]]),
    "name": ["a", "b", "żółć"],
})  # fmt: skip
ROWS = [
    {"run": 1, "good": True, "met": 1.5, "pt": [10.5, 20.5], "jets": [{"pt": 1, "tags": ["b", "c"]}], "name": "a"},
    {"run": 2, "good": False, "met": None, "pt": [], "jets": [], "name": "b"},
    {"run": 3, "good": True, "met": 2.5, "pt": [30.5], "jets": [{"pt": 2, "tags": []}], "name": "żółć"},
]


@pytest.fixture
def path(store, key):
    store.put(key("events"), Columns(EVENTS), Provenance(name="events", expression="E", text="events", dataset={"name": "ttbar"}))
    return store.path(key("events"))


def test_pyarrow_reads_it(path):
    table = pq.read_table(path)
    assert table.to_pylist() == ROWS
    assert not table.schema.field("run").nullable
    assert table.schema.field("met").nullable
    assert not any("extension" in str(f.type) for f in table.schema)


def test_pandas_reads_it(path):
    frame = pd.read_parquet(path)
    assert list(frame.columns) == EVENTS.fields
    assert [list(p) for p in frame["pt"]] == [r["pt"] for r in ROWS]
    assert frame["run"].dtype == np.uint32
    assert frame["name"].tolist() == ["a", "b", "żółć"]


def test_duckdb_reads_it(path):
    with duckdb.connect() as db:
        rows = db.execute("select run, good, met, pt, jets, name from read_parquet(?)", [path]).fetchall()
        assert [dict(zip(EVENTS.fields, r, strict=True)) for r in rows] == ROWS
        assert db.execute("select sum(list_sum(pt)) from read_parquet(?) where good", [path]).fetchone() == (61.5,)


def test_awkward_reads_it(path):
    assert ak.to_list(ak.from_parquet(path)) == ROWS


def test_a_plain_array_is_one_column_of_its_name(store, key):
    store.put(key("pt"), Columns(EVENTS.pt), Provenance(name="pt"))
    assert pq.read_table(store.path(key("pt"))).to_pydict() == {"pt": [[10.5, 20.5], [], [30.5]]}
    store.put(key("pt"), Columns(EVENTS.pt))
    assert pq.read_table(store.path(key("pt"))).column_names == ["value"]


@pytest.mark.parametrize("value", [True, 7, 1.5, "text", None])
def test_a_value_is_one_row(store, key, value):
    store.put(key("n"), Scalar(value), Provenance(name="n"))
    assert pq.read_table(store.path(key("n"))).to_pylist() == [{"n": value}]
    with duckdb.connect() as db:
        assert db.execute("select n from read_parquet(?)", [store.path(key("n"))]).fetchall() == [(value,)]


def test_a_histogram_is_one_row_for_each_bin(store, key):
    store.put(key("h"), HistogramResult(hist.Hist.new.Reg(2, 0, 1).Weight().fill([0.1, 0.2, 9], weight=0.5)))
    assert pq.read_table(store.path(key("h"))).to_pydict() == {"value": [0, 1, 0, 0.5], "variance": [0, 0.5, 0, 0.25]}


@pytest.mark.parametrize("dtype", "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 bool".split())
def test_other_readers_see_every_width(store, key, dtype):
    store.put(key(dtype), Columns(ak.Array(np.array([0, 1], dtype=dtype))))
    path = store.path(key(dtype))
    assert pd.read_parquet(path)["value"].dtype == dtype
    with duckdb.connect() as db:
        assert db.execute("select value from read_parquet(?)", [path]).fetchall() == [(0,), (1,)]


def test_the_footer_tells_where_it_comes_from(path, key):
    footer = json.loads(pq.ParquetFile(path).metadata.metadata[b"hep_flows"])
    assert footer["format"] == "hf-store/3"
    (said,) = footer["results"]
    assert said["key"] == key("events").hex()
    assert said["type"] == str(EVENTS.type)
    assert said["provenance"]["expression"] == "E"
    assert said["provenance"]["dataset"] == {"name": "ttbar"}
    assert said["provenance"]["versions"]["awkward"] == ak.__version__
    assert said["provenance"]["created"].endswith("Z")

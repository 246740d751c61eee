"""Parquet: structs, lists, missing values, widths; pandas stays unloaded."""

import subprocess
import sys

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from described import axes_of, described, member, one, read
from hep_flows.errors import SourceError
from hep_flows.sources.read import partitions, read_columns

EVENTS = [
    {
        "x": 1,
        "jets": [{"pt": 1.5, "tags": [1, 2]}, {"pt": 2.5, "tags": []}],
        "s": "a",
        "o": None,
        "l": [1.0],
        "g": {"a": 1, "b": True},
    },
    {"x": 2, "jets": [], "s": "", "o": 3, "l": [], "g": {"a": 2, "b": False}},
    {"x": 3, "jets": [{"pt": 3.5, "tags": [3]}], "s": "c", "o": None, "l": [2.0, 3.0], "g": {"a": 3, "b": True}},
]


def table(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return described("parquet", path)


@pytest.fixture(params=["awkward", "arrow"])
def nested(request, tmp_path):
    path = tmp_path / "nested.parquet"
    if request.param == "awkward":
        ak.to_parquet(ak.Array(EVENTS), path, row_group_size=2)
    else:
        pq.write_table(pa.Table.from_pylist(EVENTS), path, row_group_size=2)
    return described("parquet", path)


def test_structs_are_groups_and_lists_of_structs_collections(nested):
    assert member(nested, "g").axes == ()
    assert member(nested, "jets").axes == ("jets",)
    assert [a.name for a in axes_of(nested, "jets", "tags")] == ["event", "jets", "tags"]
    assert [a.name for a in axes_of(nested, "l")] == ["event", "l"]
    assert axes_of(nested, "jets", "pt") != axes_of(nested, "l")


def test_values_come_back_as_they_were_written(nested):
    got = read(nested, "x", "s", "o", "l", "g.a", "g.b", "jets.pt", "jets.tags", "jets")
    for name in ("x", "s", "o", "l"):
        assert got[(name,)].tolist() == [e[name] for e in EVENTS]
    assert got[("g", "a")].tolist() == [1, 2, 3]
    for leaf in ("pt", "tags"):
        assert got[("jets", leaf)].tolist() == [[j[leaf] for j in e["jets"]] for e in EVENTS]
    assert got[("jets",)].tolist() == [2, 0, 1] == one(nested, "jets").tolist()


def test_ranges_lie_on_row_groups(nested):
    ranges = partitions(nested, 2)
    assert [(p.start, p.stop) for p in ranges] == [(0, 2), (2, 3)]
    parts = [read_columns(nested, p, [("jets", "pt")])[("jets", "pt")] for p in ranges]
    assert ak.concatenate(parts).tolist() == [[1.5, 2.5], [], [3.5]]


def test_a_nullable_column_is_optional_only_where_something_is_missing(tmp_path):
    dataset = table(
        tmp_path / "a.parquet", {"full": pa.array([1, 2]), "gaps": pa.array([1, None]), "l": pa.array([[1.0], [2.0, None]])}
    )
    assert not member(dataset, "full").optional
    assert member(dataset, "gaps").optional
    assert member(dataset, "l").optional
    got = read(dataset, "full", "gaps", "l")
    assert str(got[("full",)].type) == "2 * int64"
    assert got[("gaps",)].tolist() == [1, None]
    assert got[("l",)].tolist() == [[1.0], [2.0, None]]


def test_without_statistics_a_nullable_column_may_be_missing(tmp_path):
    dataset = table(tmp_path / "a.parquet", {"x": pa.array([1, 2])}, write_statistics=False)
    assert member(dataset, "x").optional
    assert one(dataset, "x").tolist() == [1, 2]


def test_missing_lists_are_refused_when_they_are_read(tmp_path):
    dataset = table(tmp_path / "a.parquet", {"l": pa.array([[1.0], None]), "x": pa.array([1, 2])})
    assert one(dataset, "x").tolist() == [1, 2]
    with pytest.raises(SourceError, match="l cannot be used") as error:
        one(dataset, "l")
    assert "a list is missing" in error.value.why
    assert "a.parquet" in error.value.what


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"])
def test_widths_are_kept(tmp_path, kind):
    dataset = table(tmp_path / "a.parquet", {"x": pa.array(np.array([0, 1], dtype=kind))})
    assert str(member(dataset, "x").item) == kind
    assert ak.to_numpy(one(dataset, "x")).dtype == np.dtype(kind)


def test_bools_texts_dictionaries_and_fixed_lists_are_read(tmp_path):
    columns = {
        "b": pa.array([True, False]),
        "s": pa.array(["x", "yy"]),
        "big": pa.array(["x", "yy"], pa.large_string()),
        "d": pa.array(["u", "u"]).dictionary_encode(),
        "f": pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)),
    }
    dataset = table(tmp_path / "a.parquet", columns)
    got = read(dataset, *columns)
    for name, want in columns.items():
        assert got[(name,)].tolist() == want.to_pylist(), name
    assert str(member(dataset, "d").item) == "string"
    assert str(got[("f",)].type) == "2 * var * int32"


@pytest.mark.parametrize(
    ("column", "word"),
    [
        (pa.array([1, 2], pa.timestamp("us")), "datetime64"),
        (pa.array([1, 2], pa.decimal128(5, 2)), "decimal"),
        (pa.array([b"a", b"b"]), "bytes"),
        (pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())), "map"),
    ],
)
def test_a_column_of_another_kind_hurts_only_when_used(tmp_path, column, word):
    dataset = table(tmp_path / "a.parquet", {"odd": column, "x": pa.array([1, 2])})
    assert one(dataset, "x").tolist() == [1, 2]
    assert "odd" in member(dataset, "odd").unreadable
    assert word in member(dataset, "odd").unreadable


def test_a_missing_struct_makes_its_fields_missing(tmp_path):
    dataset = table(tmp_path / "a.parquet", {"g": pa.array([{"a": 1}, None])})
    assert member(dataset, "g", "a").optional
    assert one(dataset, "g.a").tolist() == [1, None]


def test_reading_parquet_does_not_load_pandas(tmp_path):
    table(tmp_path / "a.parquet", {"x": pa.array([1, 2]), "j": pa.array([[{"pt": 1.0}], []]), "s": pa.array(["a", "b"])})
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from described import described, read\n"
        "d = described('parquet', sys.argv[1]); read(d, 'x', 'j.pt', 'j', 's'); print('pandas' in sys.modules)"
    )
    tests = __file__.rsplit("/sources/", 1)[0]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.parquet"), tests], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"

"""Files as others write them: lists without counters, odd names, types without a form, headers that claim too much, and whole folders of files."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import re
import struct
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from awkward.forms import ListOffsetForm, NumpyForm

from hep_flows import errors, make_local, nanoaod_table, parquet_table, run, tree_table, xaod_table
from hep_flows.contract import StoredColumn
from hep_flows.execute.report import Missing
from hep_flows.expr.types import Record
from hep_flows.sources.schema import flat_record
from hep_flows.verbs import LeavesLeftOut

PT = ak.values_astype(ak.Array([[10.0, 20.0], [], [30.0]]), np.float32)
SHORT = ak.Array([[1.0], [], [2.0]])


def written(folder, form, columns, name="a"):
    """Write columns as an RNTuple, a TTree or Parquet, and give the table of it."""
    path = folder / f"{name}.{'parquet' if form == 'parquet' else 'root'}"
    if form == "parquet":
        ak.to_parquet(ak.Array(columns), path)
        return parquet_table(path)
    with uproot.recreate(path) as file:
        if form == "rntuple":
            file.mkrntuple("t", columns)
        else:
            types = {n: v.type.content if isinstance(v, ak.Array) else v.dtype for n, v in columns.items()}
            file.mktree("t", types).extend(columns)
    return tree_table(path, "t")


FORMS = ["rntuple", "ttree", "parquet"]
# Columns, what is asked for, and what comes out: values, or a word of the error.
LISTS = [
    ("a mask of a sibling", {"jet_pt": PT, "jet_eta": -PT}, lambda df: df.jet_pt[df.jet_eta > -25], [[10, 20], [], []]),
    ("a collection", {"jet_pt": PT, "jet_eta": -PT}, lambda df: df.jet[df.jet.eta > -15].pt, [[10], [], []]),
    ("counted", {"jet_pt": PT, "jet_eta": -PT}, lambda df: df.jet.Count(), [2, 0, 1]),
    ("one leaf alone", {"jet_pt": PT, "x": np.ones(3)}, lambda df: df.jet.pt.Sum(), [30, 0, 30]),
    ("the shortest prefix", {"jet_pt": PT, "jet_b_tag": -PT}, lambda df: df.jet.b_tag, (-PT).tolist()),
    ("before the first dot", {"jet.pt": PT, "jet.p4.x": -PT}, lambda df: df.jet["p4.x"] + df.jet.pt, [[0, 0], [], [0]]),
    ("a dot before a line", {"V.a": SHORT, "V_R.a": PT, "V_R.b": -PT}, lambda df: df.V_R.a + df.V_R.b, [[0, 0], [], [0]]),
    (
        "others of that prefix",
        {"jet_pt": PT, "jet_eta": -PT, "jet_trk": SHORT},
        lambda df: df.jet.pt + df.jet.eta,
        [[0, 0], [], [0]],
    ),
    ("the odd one by its full name", {"jet_pt": PT, "jet_eta": -PT, "jet_trk": SHORT}, lambda df: df.jet_trk, SHORT.tolist()),
    ("an event's value of that prefix", {"jet_pt": PT, "jet_n": np.arange(3)}, lambda df: df.jet_pt * df.jet_n, [[0, 0], [], [60]]),
    ("of other lengths", {"jet_pt": PT, "jet_eta": SHORT}, lambda df: df.jet_pt + df.jet_eta, "collections"),
    ("of other prefixes", {"jet_pt": PT, "mu_pt": PT}, lambda df: df.jet_pt + df.mu_pt, "align"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("columns", "ask", "want"), [c[1:] for c in LISTS], ids=[c[0] for c in LISTS])
def test_lists_without_a_counter_belong_together_by_name_and_lengths(form, columns, ask, want, tmp_path):
    df = written(tmp_path, form, columns)
    if isinstance(want, str):
        with pytest.raises(errors.HepFlowsError) as error:
            ask(df)
        assert want in str(error.value) or "align" in str(error.value)
    else:
        assert make_local(ask(df)).tolist() == want


def test_lists_of_lists_share_their_outer_axis_only(tmp_path):
    df = written(tmp_path, "parquet", {"jet_pt": PT, "jet_trk": ak.Array([[[1.0], [2.0, 3.0]], [], [[]]])})
    assert make_local(df.jet.trk.Sum() / df.jet.pt).tolist() == [[0.1, 0.25], [], [0.0]]


@pytest.mark.parametrize("form", FORMS)
def test_a_user_says_which_lists_belong_together(form, tmp_path):
    written(tmp_path, form, {"pt": PT, "elsewhere": -PT, "jet_mass": PT})
    path = next(tmp_path.glob("a.*"))
    named = {"jet": ["pt", "elsewhere", "jet_mass"]}
    df = parquet_table(path, collections=named) if form == "parquet" else tree_table(path, collections=named)
    assert make_local(df.jet[df.jet.mass > 15].elsewhere).tolist() == [[-20], [], [-30]]
    assert make_local(df.pt + df.elsewhere).tolist() == [[0, 0], [], [0]]
    other = {"jet": ["elsewhere"]}
    again = parquet_table(path, collections=other) if form == "parquet" else tree_table(path, collections=other)
    assert make_local(again.jet.elsewhere).tolist() == (-PT).tolist()
    for wrong in ({"jet": ["nothing"]}, {"pt": ["elsewhere"]}, {"jet": ["pt", "pt"]}, {"jet": "pt"}, ["pt"]):
        with pytest.raises(errors.SourceError, match="collection"):
            parquet_table(path, collections=wrong) if form == "parquet" else tree_table(path, collections=wrong)


def test_two_meanings_of_one_collection_have_two_results(tmp_path):
    written(tmp_path, "parquet", {"a": PT, "b": -PT})
    for leaf, want in (("a", 60), ("b", -60), ("a", 60)):
        named = {"jet": [leaf]}
        assert make_local(parquet_table(tmp_path / "a.parquet", collections=named).jet[leaf].Sum().Sum()) == want
    counts = [make_local(parquet_table(tmp_path / "a.parquet", collections={"jet": [n]}).jet.Count().Sum()) for n in "ab"]
    assert counts == [3, 3]


def test_lengths_that_differ_later_in_the_file_are_an_error_with_file_event_and_leaves(tmp_path):
    longer = ak.unflatten(np.arange(3000.0), np.ones(3000, np.int64))
    odd = ak.concatenate([longer[:2500], ak.Array([[1.0, 2.0]]), longer[2501:]])
    df = written(tmp_path, "parquet", {"jet_pt": longer, "jet_eta": odd})
    with pytest.raises(errors.HepFlowsError) as error:
        make_local(df.jet_pt + df.jet_eta)
    for word in ("a.parquet", "event 2500", "jet_pt", "jet_eta", "collections="):
        assert word in str(error.value)


def test_branches_of_split_objects_are_collections_by_what_precedes_their_dot():
    lists = ListOffsetForm("i64", NumpyForm("float32"))
    made = {}
    for prefix in ("Vertices", "Vertices_RC", "_Vertices_RC_parents"):
        for leaf in ("x", "chi2.value"):
            name = f"{prefix}/{prefix}.{leaf}"
            made[name] = StoredColumn(name, lists, counter=f"deep/{prefix}/size", inside=f"{name.rpartition('/')[0]}/")
    record = flat_record(made, {}, "tree")
    for prefix in ("Vertices", "Vertices_RC", "_Vertices_RC_parents"):
        found = record.members[prefix]
        assert found.axes == (prefix,)
        assert set(found.item.members) == {"x", "chi2.value"}


def test_physlite_as_an_rntuple_has_the_collections_of_a_tree(tmp_path):
    columns = {"AnalysisElectronsAuxDyn:pt": PT, "AnalysisElectronsAuxDyn:eta": -PT, "EventInfoAuxDyn:runNumber": np.arange(3)}
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("EventData", columns)
    df = xaod_table(tmp_path / "a.root")
    electrons = df.Electrons("Electrons")
    assert make_local(electrons[electrons.eta > -15].pt).tolist() == [[10], [], []]
    assert make_local(df.EventInfo.runNumber).tolist() == [0, 1, 2]


def test_a_schema_of_many_fields_asks_each_field_once(tmp_path, monkeypatch):
    from hep_flows.sources.open import open_table

    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("t", {f"c{i}": ak.Array([[1.0]]) for i in range(40)})
    asked = []
    inside = uproot.models.RNTuple.Model_ROOT_3a3a_RNTuple.field_form
    monkeypatch.setattr(
        uproot.models.RNTuple.Model_ROOT_3a3a_RNTuple, "field_form", lambda self, *a, **k: asked.append(a) or inside(self, *a, **k)
    )
    table = open_table("tree", str(tmp_path / "a.root"), ())
    assert len(table.columns()) == 40
    table.close()
    assert len(asked) == 80  # the list, and what is in it


# A name for a tree, where it is, and how it may be asked for.
TREES = [("dir/sub/tree", n) for n in ("dir/sub/tree", "/dir/sub/tree", "dir/sub/tree;1", "/dir/sub/tree;1")]
TREES += [("a:b", "a:b"), ("x|y", "x|y"), ("t;2", "t"), ("dir/a:b", "dir/a:b")]


@pytest.mark.parametrize(("stored", "name"), TREES)
def test_trees_are_found_by_whole_names(stored, name, tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree(stored.partition(";")[0], {"x": "f8"}).extend({"x": [1.0, 2.0]})
        file.mktree("other", {"x": "f8"}).extend({"x": [1.0]})
    assert make_local(tree_table(tmp_path / "a.root", tree=name).x).tolist() == [1, 2]


def test_one_cycle_of_a_tree_is_one_tree(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("t", {"x": "f8"}).extend({"x": [1.0]})
        file.mktree("t", {"x": "f8"}).extend({"x": [2.0]})
    assert [make_local(tree_table(tmp_path / "a.root", tree=n).x).tolist() for n in ("t", "t;1", "t;2")] == [[2], [1], [2]]


@pytest.mark.parametrize("name", ["dir", "dir/sub", "dir/sub/tree;7", "dir/sub/trees", "hist", ""])
def test_what_is_no_tree_is_told_with_the_trees(name, tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        for tree in ("dir/sub/tree", "two"):
            file.mktree(tree, {"x": "f8"}).extend({"x": [1.0]})
        file["hist"] = np.histogram([1.0])
    with pytest.raises(errors.SourceError, match="tree") as error:
        tree_table(tmp_path / "a.root", tree=name)
    assert "dir/sub/tree" in f"{error.value}"


@pytest.mark.parametrize("name", ["a|b", "a.b", "a/b", "a b", "a*", "[a]", "é", "a:b", "0"])
def test_names_of_columns_are_taken_as_they_are(name, tmp_path):
    table = pa.table({name: [1.0, 2.0], "a": [{"b": 10.0, "é": 5.0}, {"b": 20.0, "é": 6.0}], "aa": [7.0, 8.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    df = parquet_table(tmp_path / "a.parquet")
    assert make_local(df[name]).tolist() == [1, 2]
    assert make_local(df[df[name] > 1].a.b).tolist() == [20]


@pytest.mark.parametrize("name", ["a|b", "a*", "[a]", "a:b"])
def test_names_of_branches_are_taken_as_they_are(name, tmp_path):
    df = written(tmp_path, "ttree", {name: np.array([1.0, 2.0]), "a": np.array([3.0, 4.0]), "aa": np.array([5.0, 6.0])})
    assert [x.tolist() for x in make_local([df[name], df.a, df.aa])] == [[1, 2], [3, 4], [5, 6]]


# A column of Parquet that the language has no word for, and a word of the reason.
NO_WORD = [
    ("date", pa.array([dt.date(2020, 1, 1)]), "datetime64"),
    ("moment", pa.array([dt.datetime(2020, 1, 1)]), "datetime64"),  # noqa: DTZ001 - that is what the file holds
    ("duration", pa.array([dt.timedelta(1)]), "timedelta64"),
    ("decimal", pa.array([decimal.Decimal("1.5")]), "decimal"),
    ("bytes", pa.array([b"xy"]), "bytes"),
    ("bytes of one length", pa.array([b"xy"], pa.binary(2)), "bytes"),
    ("map", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "map"),
    ("nothing", pa.nulls(1), "no type"),
    ("dates in lists", pa.array([[dt.date(2020, 1, 1)]]), "datetime64"),
]


@pytest.mark.parametrize(("column", "word"), [c[1:] for c in NO_WORD], ids=[c[0] for c in NO_WORD])
def test_a_type_without_a_word_is_refused_by_leaf_and_hurts_nothing_else(column, word, tmp_path):
    pq.write_table(
        pa.table({"x": [1.0], "odd": column, "in": pa.StructArray.from_arrays([column, pa.array([2.0])], ["odd", "x"])}),
        tmp_path / "a.parquet",
    )
    df = parquet_table(tmp_path / "a.parquet")
    assert make_local([df.x, df["in"].x])[1].tolist() == [2.0]
    for ask in (lambda: df.odd, lambda: df["in"].odd):
        with pytest.raises(errors.FieldError) as error:
            ask()
        assert word in error.value.why
    with pytest.warns(LeavesLeftOut, match="odd"):
        assert make_local(df)["x"].tolist() == [1.0]


class _NoForm(uproot.interpretation.numerical.AsDtype):
    def awkward_form(self, *args, **kwargs):
        raise OverflowError("no form for this")


def test_a_branch_whose_form_cannot_be_made_hurts_only_when_used(tmp_path, monkeypatch):
    written(tmp_path, "ttree", {"good": np.array([1.0]), "bad": np.array([2.0], np.float32)})
    of = uproot.interpretation.identify.interpretation_of
    monkeypatch.setattr(
        uproot.interpretation.identify,
        "interpretation_of",
        lambda branch, *a, **k: _NoForm(">f4") if branch.name == "bad" else of(branch, *a, **k),
    )
    df = tree_table(tmp_path / "a.root")
    assert make_local(df.good).tolist() == [1]
    with pytest.raises(errors.FieldError) as error:
        df.bad  # noqa: B018
    assert "no form for this" in error.value.why
    with pytest.warns(LeavesLeftOut, match="bad"):
        assert make_local(df).fields == ["good"]


@pytest.mark.parametrize(
    "raised", [OverflowError("too long"), RuntimeError("AsDouble32"), AttributeError("x"), RecursionError(), MemoryError("1 PiB")]
)
def test_whatever_a_library_raises_while_reading_names_file_and_leaf(raised, tmp_path, monkeypatch):
    df = written(tmp_path, "ttree", {"x": np.array([1.0])})

    def array(*args, **kwargs):
        raise raised

    monkeypatch.setattr(uproot.TBranch, "array", array)
    with pytest.raises(errors.HepFlowsError) as error:
        make_local(df.x)
    for word in ("a.root", "x cannot be read", type(raised).__name__):
        assert word in str(error.value)


def _claims(path, place, value, size=8):
    raw = bytearray(path.read_bytes())
    raw[place : place + size] = value.to_bytes(size, "big")
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("claimed", [10**9, 10**12, 2**62, -1])
def test_events_that_a_header_claims_are_checked_against_the_file(claimed, tmp_path):
    written(tmp_path, "ttree", {"x": np.arange(1234.0)})
    path = tmp_path / "a.root"
    raw = path.read_bytes()
    place = raw.find(struct.pack(">q", 1234))
    path.write_bytes(raw[:place] + struct.pack(">q", claimed) + raw[place + 8 :])
    with pytest.raises(errors.SourceError, match=r"a\.root claims"):
        tree_table(path)


@pytest.mark.parametrize("extra", [8, 800, 2**30])
@pytest.mark.parametrize(
    "compression", [uproot.ZLIB(1), uproot.LZ4(1), uproot.ZSTD(1), uproot.LZMA(1)], ids=lambda c: type(c).__name__
)
def test_bytes_that_a_basket_claims_are_checked_before_they_are_allocated(extra, compression, tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=compression) as file:
        file.mktree("t", {"x": "f8"}).extend({"x": np.zeros(1000)})
    with uproot.open(path) as file:
        seek = int(file["t"]["x"].member("fBasketSeek")[0])
    _claims(path, seek + 6, 8000 + extra, 4)
    with pytest.raises(errors.HepFlowsError, match="x cannot be read") as error:
        make_local(tree_table(path).x)
    assert "claim" in str(error.value)


def test_a_branch_with_fewer_entries_than_its_tree_is_named(tmp_path):
    written(tmp_path, "ttree", {"x": np.arange(1234.0)})
    raw = (tmp_path / "a.root").read_bytes()
    place = raw.find(struct.pack(">q", 1234))
    (tmp_path / "a.root").write_bytes(raw[:place] + struct.pack(">q", 1240) + raw[place + 8 :])
    with pytest.raises(errors.HepFlowsError, match=r"a\.root: x has 1234 entries"):
        make_local(tree_table(tmp_path / "a.root").x)


# How a file changes while it is read: gets the path and the bytes of another file of the same form.
def _in_place(path, new):
    with path.open("r+b") as file:
        file.write(new)


def _replaced(path, new):
    (path.parent / "new").write_bytes(new)
    (path.parent / "new").replace(path)


def _with_its_time_back(path, new):
    old = path.stat()
    _in_place(path, new)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))


def _longer(path, new):
    with path.open("ab") as file:
        file.write(new)


@pytest.mark.parametrize("change", [_in_place, _replaced, _with_its_time_back, _longer])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("old", [False, True], ids=["just written", "old"])
def test_what_was_read_from_a_file_that_changed_is_neither_given_nor_stored(change, form, old, tmp_path, monkeypatch):
    from hep_flows.sources import parquet as parquet_files
    from hep_flows.sources import root as rntuple
    from hep_flows.sources import root as ttree

    for value in (1.0, 2.0):
        columns = {"x": np.full(2000, value)}
        folder = tmp_path / f"{value:.0f}"
        folder.mkdir()
        written(folder, form, columns)
    path = next((tmp_path / "1").glob("a.*"))
    before, after = path.read_bytes(), next((tmp_path / "2").glob("a.*")).read_bytes()
    if old:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    make = parquet_table if form == "parquet" else tree_table
    kind = {"parquet": parquet_files.ParquetTable, "rntuple": rntuple.RNTupleTable, "ttree": ttree.TTreeTable}[form]
    read, done = kind.read, []

    def slow(self, *args):  # stands for a slow disk
        if not done:
            done.append(change(path, after))
        return read(self, *args)

    df = make(path)
    monkeypatch.setattr(kind, "read", slow)
    failed = run(df.x.Sum(), workers=1)
    assert done
    assert not failed.is_complete
    assert re.search(r"changed", str(failed.report))
    path.write_bytes(before)
    assert make_local(make(path).x.Sum()) == 2000


# ------------------------------------------------------------------------------------------------ whole files of others


def _members(frame, path=()):
    record = frame.type.item
    for name, member in record.members.items():
        if isinstance(member.item, Record):
            yield from _inside(member.item, (*path, name))
        else:
            yield (*path, name), member


def _inside(record, path):
    for name, member in record.members.items():
        if isinstance(member.item, Record):
            yield from _inside(member.item, (*path, name))
        else:
            yield (*path, name), member


def _tables(path):
    """Give every table that a file makes: its kind and tree, or why there is none."""
    if path.suffix in {".parquet", ".parq", ".pq"}:
        yield "parquet", "", parquet_table
        return
    try:
        with uproot.open({str(path): None}) as file:
            trees = [
                n for n, c in file.classnames(recursive=True, cycle=False).items() if c in ("TTree", "TNtuple", "ROOT::RNTuple")
            ]
    except Exception:  # noqa: BLE001 - what uproot cannot open, the product must refuse
        yield "damaged", "", tree_table
        return
    for tree in trees:
        yield "tree", tree, lambda p, tree=tree: tree_table(p, tree)
        if tree == "Events":
            yield "nanoaod", tree, nanoaod_table
        if tree in ("CollectionTree", "EventData"):
            yield "xaod", tree, xaod_table


def _stored(path, tree, kind, stop):
    """Give how uproot or pyarrow read a column themselves."""
    if kind == "parquet":
        return lambda column: ak.from_arrow(pq.ParquetFile(path).read(columns=[column]).slice(0, stop))[column]
    opened = uproot.open({str(path): None}).key(tree).get()
    if hasattr(opened, "page_link_list"):
        return lambda column: opened.arrays(filter_field=lambda f: f.path.split(".")[0] == column, entry_stop=stop)[column]
    return lambda column: _branch(opened, column).array(entry_stop=stop)


def _branch(tree, path):
    first, *rest = [b for b in tree.branches if path == b.name or path.startswith(f"{b.name}/")]
    for branch in (first, *rest):
        if path == branch.name:
            return branch
        left = path[len(branch.name) + 1 :]
        if any(left == b.name or left.startswith(f"{b.name}/") for b in branch.branches):
            return _branch(branch, left)
    raise KeyError(path)


def check_every_leaf(path, stop=50):
    """Check that every leaf of a file is what uproot reads, or refused by name; gives how many of each there are."""
    equal = refused = 0
    for kind, tree, make in _tables(path):
        try:
            events = make(str(path))[:stop]
        except errors.HepFlowsError as error:
            assert path.name in str(error)  # noqa: PT017 - any other error is a failure
            refused += 1
            continue
        oracle = _stored(path, tree, kind, stop)
        leaves = {}
        for names, member in _members(events._expr):
            try:
                frame = events
                for name in names:
                    frame = frame[name]
                leaves[names] = (frame, member)
            except errors.HepFlowsError as error:
                _check_named(names, member, error)
                refused += 1
        for names, found in _values(leaves):
            member = leaves[names][1]
            if isinstance(found, errors.HepFlowsError):
                _check_named(names, member, found)
                refused += 1
                continue
            want = oracle(member.column)
            for field in member.inside:
                want = want[field]
            assert _same(found, want), (path.name, tree, names)
            equal += 1
    return equal, refused


def _values(leaves, at_once=40):
    """Give the values of leaves, many at a time, and why others cannot be read."""
    names = list(leaves)
    for i in range(0, len(names), at_once):
        group = names[i : i + at_once]
        done = run([leaves[n][0] for n in group])
        for name, value in zip(group, done.values, strict=True):
            yield name, errors.HepFlowsError(_reason(value.reason, done.report)) if isinstance(value, Missing) else value


def _reason(said, report):
    """Give the first reason where one task takes the result of another."""
    while found := re.search(r"is missing \(task (\w+)\)", said):
        said = next(r.reason for r in report.tasks if r.key.startswith(found.group(1)))
    return said


def _check_named(names, member, error):
    words = {names[-1], member.column, member.column.rsplit("/", 1)[-1]}
    assert any(w in str(error) for w in words), (names, str(error))


def _same(found, want):
    found, want = ak.materialize(found), ak.materialize(want)
    plain = ak.without_parameters if "string" not in str(found.type) else lambda x: x
    return (
        ak.array_equal(plain(found), plain(want), equal_nan=True, dtype_exact=False, check_parameters=False)
        or found.to_list() == want.to_list()
    )


def _foreign():
    folder = os.environ.get("HEP_FLOWS_FOREIGN", "")
    found = [p for p in sorted(Path(folder).rglob("*")) if p.suffix in {".root", ".parquet", ".pq", ".parq"}] if folder else []
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="HEP_FLOWS_FOREIGN names no folder of files"))]


@pytest.mark.parametrize("path", _foreign(), ids=lambda p: getattr(p, "name", "none"))
def test_every_leaf_of_a_foreign_file_is_uproots_or_refused_by_name(path):
    check_every_leaf(path)

"""Files of one dataset that are not alike: what each kind of difference gives, against numpy's and a loop over the files."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from hep_flows import errors, make_local, nanoaod_table, parquet_table, plan, run, run_analysis, tree_table

MIXED = errors.MixedFilesError


def nano(path, **branches):
    """Write NanoAOD: a dict is a collection with its counter."""
    values = {
        n: ak.zip({k: ak.values_astype(ak.Array(v), np.float32) for k, v in b.items()}) if isinstance(b, dict) else np.asarray(b)
        for n, b in branches.items()
    }
    types = {n: v.dtype if isinstance(v, np.ndarray) else v.type.content for n, v in values.items()}
    with uproot.recreate(path) as file:
        file.mktree("Events", types, counter_name=lambda c: f"n{c}").extend(values)
    return str(path)


@pytest.fixture
def eras(tmp_path):
    """Three files: HLT_B and FatJet are in the second only; Jet_q not in the last, MET_sig in the last only."""
    jet = {"pt": [[30.0, 40.0], [50.0]]}
    fat = {"pt": [[300.0], []], "m": [[90.0], []]}
    return [
        nano(tmp_path / "a.root", HLT_A=[True, False], Jet={**jet, "q": [[1.0, 2.0], [3.0]]}),
        nano(tmp_path / "b.root", HLT_A=[False, False], HLT_B=[True, False], Jet={**jet, "q": [[4.0, 5.0], [6.0]]}, FatJet=fat),
        nano(tmp_path / "c.root", HLT_A=[True, True], MET_sig=np.array([7, 8], np.int32), Jet=jet),
    ]


# What is asked of the three files, and its values in each.
GETS = [
    ("a flag", lambda df: df.HLT.get("B", False), [[False, False], [True, False], [False, False]]),
    ("the other default", lambda df: df.HLT.get("B", True), [[True, True], [True, False], [True, True]]),
    ("a mask", lambda df: df[df.HLT.get("B", False)].Jet.pt, [[], [[30.0, 40.0]], []]),
    ("missing", lambda df: df.HLT.get("B", None), [[None, None], [True, False], [None, None]]),
    ("by its full name", lambda df: df.get("HLT_B", False), [[False, False], [True, False], [False, False]]),
    ("a group of one file", lambda df: df.MET.get("sig", -1), [[-1, -1], [-1, -1], [7, 8]]),
    ("converted", lambda df: df.MET.get("sig", 0.5, as_="float64"), [[0.5, 0.5], [0.5, 0.5], [7.0, 8.0]]),
    ("for each object", lambda df: df.Jet.get("q", -1), [[[1, 2], [3]], [[4, 5], [6]], [[-1, -1], [-1]]]),
    ("for each object, by its full name", lambda df: df.get("Jet_q", -1), [[[1, 2], [3]], [[4, 5], [6]], [[-1, -1], [-1]]]),
    ("behind a filter", lambda df: df.Jet[df.Jet.pt > 35].get("q", -1), [[[2], [3]], [[5], [6]], [[-1], [-1]]]),
    ("of the first object", lambda df: df.Jet.First().get("q", -1), [[1, 3], [4, 6], [-1, -1]]),
    ("in a map", lambda df: df.Jet.map(lambda j: j.get("q", -1) + 1), [[[2, 3], [4]], [[5, 6], [7]], [[0, 0], [0]]]),
    ("a collection", lambda df: df.get("FatJet").pt, [[[], []], [[300.0], []], [[], []]]),
    ("a collection, counted", lambda df: df.get("FatJet").Count(), [[0, 0], [1, 0], [0, 0]]),
    (
        "a collection, filtered",
        lambda df: df.get("FatJet")[lambda f: f.m > 50].pt.Max(),
        [[None, None], [300.0, None], [None, None]],
    ),
    ("a name that no file has", lambda df: df.HLT.get("C", False), [[False, False]] * 3),
    ("for each object, a name that no file has", lambda df: df.Jet.get("z", 9.5), [[[9.5, 9.5], [9.5]]] * 3),
    ("with and without", lambda df: df.HLT.get("A", False) == df.HLT.A, [[True, True]] * 3),
]


@pytest.mark.parametrize(("ask", "values"), [g[1:] for g in GETS], ids=[g[0] for g in GETS])
@pytest.mark.parametrize("order", ["abc", "cab"])
def test_get_is_decided_file_by_file(ask, values, order, eras):
    files = ["abc".index(k) for k in order]
    found = make_local(ask(nanoaod_table([eras[i] for i in files])))
    assert found.tolist() == [v for i in files for v in values[i]]


@pytest.mark.parametrize(
    ("ask", "word"),
    [
        (lambda df: df.HLT.B, "HLT.B"),
        (lambda df: df.HLT["B"], "HLT.B"),
        (lambda df: hasattr(df.HLT, "B"), "HLT.B"),
        (lambda df: getattr(df.HLT, "B", False), "HLT.B"),
        (lambda df: df.HLT_B, "HLT_B"),
        (lambda df: df.Jet.q, "Jet.q"),
        (lambda df: df.FatJet, "FatJet"),
        (lambda df: df.FatJet_pt, "FatJet_pt"),
        (lambda df: df.Jet[df.Jet.pt > 35].q, "Jet.q"),
    ],
)
def test_what_only_some_files_have_is_an_error_that_names_files_and_get(ask, word, eras):
    with pytest.raises(MIXED) as error:
        ask(nanoaod_table(eras))
    assert not isinstance(error.value, AttributeError)
    assert word in error.value.what
    assert ".root" in error.value.why
    assert "get(" in error.value.do


def test_names_of_some_files_are_listed_and_marked(eras):
    df = nanoaod_table(eras)
    assert {"A", "B"} <= set(dir(df.HLT))
    assert "B (in some files)" in df.HLT.__doc__
    assert hasattr(df.HLT, "A")
    assert not hasattr(df.HLT, "C")
    assert hasattr(nanoaod_table(eras[1]).HLT, "B")


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda df: df.HLT.get("B", 0), errors.LiteralError),
        (lambda df: df.HLT.get("B"), errors.LiteralError),
        (lambda df: df.MET.get("sig", 0.5), errors.LiteralError),
        (lambda df: df.MET.get("sig", 1 << 40), errors.LiteralError),
        (lambda df: df.get("FatJet", 0), errors.LiteralError),
        (lambda df: df.MET.get("sig", 0, as_="flout"), errors.LiteralError),
        (lambda df: df.get(3, 0), errors.LiteralError),
        (lambda df: df.HLT.A.get("x", 0), errors.FieldError),
        (lambda df: df.HLT.get("C", None), errors.FieldError),
    ],
)
def test_a_default_that_does_not_fit_is_an_error_when_recorded(ask, kind, eras):
    with pytest.raises(kind):
        ask(nanoaod_table(eras))


def test_a_file_of_another_kind_does_not_recompute_the_others(tmp_path):
    a = nano(tmp_path / "a.root", n=np.array([1, 2], np.int32), m=np.array([1, 2], np.int32))
    b = nano(tmp_path / "b.root", n=np.array([3, 4], np.uint8), m=np.array([3, 4], np.int32))
    run([t.n * 2 for t in (nanoaod_table(a), nanoaod_table(b))] + [t.m * 2 for t in (nanoaod_table(a), nanoaod_table(b))])
    report = run([(df := nanoaod_table([a, b])).n * 2, df.m * 2]).report
    # Of b the leaf n alone is read again, as the kind that both can have.
    assert make_local(df.n * 2).tolist() == [2, 4, 6, 8]
    assert [row.state for row in report.tasks] == ["computed", "cached"]


# How two files hold x, and the kind that both are read as; None where there is none.
KINDS = [
    ("int32", "uint8", "int32"),
    ("int16", "uint16", "int32"),
    ("uint8", "uint32", "uint32"),
    ("int8", "int64", "int64"),
    ("float32", "float64", "float64"),
    ("int16", "float32", "float32"),
    ("int32", "float32", "float64"),
    ("int32", "float64", "float64"),
    ("int64", "float64", None),
    ("uint64", "int64", None),
    ("bool", "uint8", None),
    ("bool", "float32", None),
]


@pytest.mark.parametrize(("one", "other", "wide"), KINDS)
@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("turn", [1, -1])
def test_widths_are_promoted_where_nothing_is_lost(one, other, wide, lists, turn, tmp_path):
    values = {k: np.array([1, 0, 1], k) for k in (one, other)}
    shaped = {k: ak.unflatten(v, [2, 0, 1]) if lists else v for k, v in values.items()}
    for kind, v in shaped.items():
        ak.to_parquet(ak.Array({"x": v}), tmp_path / f"{kind}.parquet")
    df = parquet_table([str(tmp_path / f"{k}.parquet") for k in (one, other)[::turn]])
    if wide is None:
        with pytest.raises(MIXED) as error:
            df.x  # noqa: B018
        assert {one, other} <= set(error.value.why.split())
        kept = make_local(df.get("x", 0, as_="float64"))
        assert str(kept.type).endswith("float64")
    else:
        kept = make_local(df.x)
        assert str(kept.type).endswith(wide)
    assert kept.tolist() == ak.concatenate([shaped[k] for k in (one, other)[::turn]]).tolist()


# What two Parquet files hold, what is asked for, and what comes out: values, or a word of the error.
COLUMNS = [
    ("a column of nulls beside numbers", pa.nulls(2), pa.array([1.5, 2.5]), lambda df: df.x, [None, None, 1.5, 2.5]),
    ("a column of nulls beside text", pa.nulls(1), pa.array(["a"]), lambda df: df.x, [None, "a"]),
    ("empty lists of nothing", pa.array([[], []]), pa.array([[1, 2]]), lambda df: df.x, [[], [], [1, 2]]),
    ("lists of nothing in lists", pa.array([[[], []]]), pa.array([[[1.5]]]), lambda df: df.x, [[[], []], [[1.5]]]),
    (
        "a list of one length beside lists",
        pa.array([[1, 2]], pa.list_(pa.int64(), 2)),
        pa.array([[3]]),
        lambda df: df.x,
        [[1, 2], [3]],
    ),
    ("text by dictionary", pa.array(["a", "b"]).dictionary_encode(), pa.array(["c"]), lambda df: df.x, ["a", "b", "c"]),
    (
        "a field of objects",
        pa.array([[{"a": 1, "b": 2}]]),
        pa.array([[{"a": 3}, {"a": 4}]]),
        lambda df: df.x.get("b", 0),
        [[2], [0, 0]],
    ),
    ("a field of some objects", pa.array([[{"a": 1, "b": 2}]]), pa.array([[{"a": 3}]]), lambda df: df.x.b, "get("),
    (
        "a wider field",
        pa.array([[{"a": 1}]], pa.list_(pa.struct([("a", pa.int8())]))),
        pa.array([[{"a": 300}]]),
        lambda df: df.x.a,
        [[1], [300]],
    ),
    ("text and numbers", pa.array(["a"]), pa.array([1]), lambda df: df.x, "string"),
    ("lists and numbers", pa.array([[1]]), pa.array([1]), lambda df: df.x, "list"),
    ("missing in one file", pa.array([1, None]), pa.array([2, 3], pa.int32()), lambda df: df.x, [1, None, 2, 3]),
]


@pytest.mark.parametrize(("one", "other", "ask", "want"), [c[1:] for c in COLUMNS], ids=[c[0] for c in COLUMNS])
@pytest.mark.parametrize("turn", [1, -1])
def test_columns_of_parquet_files_that_differ(one, other, ask, want, turn, tmp_path):
    for i, column in enumerate((one, other)):
        pq.write_table(pa.table({"x": column}), tmp_path / f"{i}.parquet")
    df = parquet_table([str(tmp_path / f"{i}.parquet") for i in (0, 1)[::turn]])
    if isinstance(want, str):
        with pytest.raises(errors.RecordError, match=r"\.parquet") as error:
            ask(df)
        assert want in str(error.value)
        return
    parts = [want[: len(one)], want[len(one) :]][::turn]
    assert make_local(ask(df)).tolist() == [*parts[0], *parts[1]]


def histogram_only(path):
    with uproot.recreate(path) as file:
        file["cutflow"] = np.histogram([1.0, 2.0])
    return str(path)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (1, 2, 0)])
def test_a_file_without_the_tree_is_an_error_or_no_events(order, tmp_path):
    files = [nano(tmp_path / "a.root", x=[1.0, 2.0]), histogram_only(tmp_path / "b.root"), nano(tmp_path / "c.root", x=[3.0])]
    chosen = [files[i] for i in order]
    with pytest.raises(errors.SourceError, match=r"b\.root has no tree"):
        nanoaod_table(chosen)
    want = [x for i in order for x in ([1.0, 2.0], [], [3.0])[i]]
    for table in (nanoaod_table, lambda f, **k: tree_table(f, "Events", **k), tree_table):
        df = table(chosen, missing_tree="empty")
        assert make_local([df.x, df.Count(), df.x.Sum()])[0].tolist() == want
        assert make_local(df.Count()) == 3


@pytest.mark.parametrize("say", ["fileset", "argument"])
def test_a_fileset_says_what_a_file_without_the_tree_means(say, tmp_path):
    files = {nano(tmp_path / "a.root", x=[1.0, 2.0]): "Events", histogram_only(tmp_path / "b.root"): "Events"}
    own = {"missing_tree": "empty"} if say == "fileset" else {}
    given = {} if say == "fileset" else {"missing_tree": "empty"}
    done = run_analysis(lambda ev: {"n": ev.Count()}, {"d": {"files": files, **own}}, **given)
    assert done.values == {"d": {"n": 2}}


def test_files_that_all_lack_the_tree_are_an_error(tmp_path):
    files = [histogram_only(tmp_path / "a.root"), histogram_only(tmp_path / "b.root")]
    with pytest.raises(errors.SourceError, match="none of the 2 files has Events"):
        nanoaod_table(files, missing_tree="empty")


def test_a_file_that_gets_a_tree_is_another_file(tmp_path):
    files = [nano(tmp_path / "a.root", x=[1.0]), histogram_only(tmp_path / "b.root")]
    df = nanoaod_table(files, missing_tree="empty")
    assert make_local(df.Count()) == 1
    nano(tmp_path / "b.root", x=[2.0])
    assert make_local(nanoaod_table(files, missing_tree="empty").Count()) == 2


def test_values_of_a_dataset_that_failed_are_missing_by_any_name(tmp_path):
    done = run_analysis(lambda ev: {"n": ev.Count()}, {"d": {"files": {str(tmp_path / "gone.root"): "Events"}}})
    assert not done.is_complete
    assert "gone.root does not exist" in done.values["d"]["n"].reason
    assert "gone.root does not exist" in repr(done.values["d"])


@pytest.mark.parametrize("by", ["dot", "link", "hard link", "pattern", "folder", "tree"])
def test_a_file_by_two_spellings_is_an_error_that_names_both(by, tmp_path, work_in):
    work_in(tmp_path)
    nano(tmp_path / "a.root", x=[1.0])
    (tmp_path / "link.root").symlink_to("a.root")
    (tmp_path / "hard.root").hardlink_to("a.root")
    (tmp_path / "sub").mkdir()
    again = {
        "dot": "./a.root",
        "link": "link.root",
        "hard link": "hard.root",
        "pattern": "a*.root",
        "folder": "sub/../a.root",
        "tree": "a.root:Events",
    }
    with pytest.raises(errors.SourceError, match="twice") as error:
        nanoaod_table(["a.root", again[by]])
    assert "a.root" in error.value.why
    assert again[by].removesuffix(":Events") in error.value.why


def test_one_path_that_is_written_twice_is_read_twice_in_a_table_and_refused_in_a_fileset(tmp_path):
    path = nano(tmp_path / "a.root", x=[1.0])
    assert make_local(nanoaod_table([path, path]).Count()) == 2
    with pytest.raises(errors.SourceError, match="the same file"):
        run_analysis(lambda ev: {"n": ev.Count()}, {"d": [path, path]})


def test_a_plan_says_which_leaf_no_file_has(eras):
    assert "HLT.C is in no file" in str(plan(nanoaod_table(eras).HLT.get("C", False)))

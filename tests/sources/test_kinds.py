"""Kinds of tables that plug-ins bring: a package with CSV files of events, and packages whose source is broken."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

import csv_events
from csv_events import CsvSource, CsvTable
from hep_flows import Histogram, events_table, make_local, plan, run, run_analysis
from hep_flows.contract import Source, StoredTable
from hep_flows.errors import FieldError, HepFlowsError, PluginError, SourceError
from hep_flows.plugins import find, installed, registered
from hep_flows.sources.kinds import kinds, source_of
from hep_flows.sources.stored import whole_content

BUILT_IN = ["nanoaod", "xaod", "tree", "parquet"]
HEADER = "event,MET_pt[GeV],jet_pt[GeV],jet_eta,good:bool"


def lines_of(seed, n=40):
    """Give events: their number, met, the pt and eta of their jets, and a flag."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    return [
        (i, rng.exponential(40), rng.exponential(40, k).tolist(), rng.normal(0, 2, k).tolist(), bool(rng.integers(2)))
        for i, k in enumerate(counts)
    ]


def write(path, events, header=HEADER):
    rows = [f"{i},{met!r},{';'.join(map(repr, pt))},{';'.join(map(repr, eta))},{good:d}" for i, met, pt, eta, good in events]
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def cut_pts(*files):
    return [[p for p, e in zip(pt, eta, strict=True) if abs(e) < 1.5] for events in files for _, _, pt, eta, _ in events]


@pytest.fixture
def csv(as_if_installed):
    as_if_installed("csv_events_package", "1.0", "[hep_flows.plugins]\ncsv-events = csv_events:CsvPlugin\n")


def test_the_built_in_kinds_come_through_the_same_door():
    assert list(kinds().sources) == BUILT_IN
    assert set(kinds().packages.values()) == {next(f.package for f in registered() if f.name == "awkward")}


@pytest.mark.usefixtures("csv")
class TestCsv:
    def test_a_table_has_its_values_collections_and_units(self, tmp_path):
        one, two = lines_of(1), lines_of(2, 7)
        df = events_table([write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", two)], kind="csv")
        good, met, pts = make_local((df.jet[abs(df.jet.eta) < 1.5].pt, df.MET_pt[df.good], df.jet.pt.Sum()))
        assert good.tolist() == cut_pts(one, two)
        assert met.tolist() == [m for _, m, _, _, is_good in one + two if is_good]
        assert pts.tolist() == pytest.approx([sum(pt) for _, _, pt, _, _ in one + two])
        members = plan(df.jet.pt).raw.tasks[0].dataset.type.item.members
        assert [members[n].unit for n in ("MET_pt", "jet_pt", "jet_eta")] == ["GeV", "GeV", ""]
        assert members["jet"].item.members["pt"].unit == "GeV"

    def test_a_plan_says_what_is_read_and_that_nobody_knows_how_much(self, tmp_path):
        df = events_table(write(tmp_path / "a.csv", lines_of(1)), kind="csv")
        made = plan(df.jet[df.jet.eta > 0].pt)
        assert made.columns == ("jet_eta", "jet_pt")
        assert made.bytes is None
        assert "a.csv, csv, 1 file" in str(made)
        assert {t.plugin for t in made.tasks} == {"awkward"}

    def test_what_did_not_change_is_not_read_again(self, tmp_path):
        paths = [tmp_path / f"{name}.csv" for name in "abc"]
        events = [lines_of(n) for n in range(4)]
        for path, some in zip(paths, events, strict=False):
            write(path, some)

        def pts(*files):
            df = events_table([str(f) for f in files], kind="csv")
            done = run(df.jet[abs(df.jet.eta) < 1.5].pt)
            return done.values.tolist(), [(t.batches_computed, t.batches_cached) for t in done.report.tasks]

        assert pts(*paths[:2]) == (cut_pts(*events[:2]), [(2, 0)])
        assert pts(*paths[:2]) == (cut_pts(*events[:2]), [(0, 2)])
        assert pts(*paths) == (cut_pts(*events[:3]), [(1, 2)])
        write(paths[1], events[3])
        assert pts(*paths) == (cut_pts(events[0], events[3], events[2]), [(1, 2)])

    def test_a_table_stands_for_what_its_files_held(self, tmp_path):
        file = tmp_path / "a.csv"
        df = events_table(write(file, lines_of(1)), kind="csv")
        write(file, lines_of(2))
        with pytest.raises(SourceError, match="changed since the table was made"):
            make_local(df.jet.pt)

    @pytest.mark.parametrize("said", [{}, {"schema": "csv"}, {"format": "CsvSchema"}])
    def test_a_fileset_has_it_by_its_name_or_the_ending_of_its_files(self, tmp_path, said):
        for name in ("a", "b"):
            write(tmp_path / f"{name}.csv", lines_of(ord(name)))
        fileset = tmp_path / "fileset.yaml"
        fileset.write_text(yaml.safe_dump({n: {"files": [f"{n}.csv"], **said} for n in ("a", "b")}))

        def analysis(events):
            return {
                "n": events.jet.Count().Sum(),
                "pt": Histogram.new.Reg(10, 0, 200, name="pt").Double().fill(pt=events.jet.pt),
            }

        first, again = [run_analysis(analysis, fileset) for _ in range(2)]
        for name in ("a", "b"):
            pts = [p for _, _, pt, _, _ in lines_of(ord(name)) for p in pt]
            assert first.values[name]["n"] == again.values[name]["n"] == len(pts)
            assert (
                first.values[name]["pt"].values(flow=True).tolist()
                == np.histogram(pts, [-np.inf, *range(0, 201, 20), np.inf])[0].tolist()
            )
        assert all(t.batches_computed for t in first.report.tasks)
        assert not any(t.batches_computed for t in again.report.tasks)

    def test_a_folder_is_a_fileset(self, tmp_path):
        write(tmp_path / "a.csv", lines_of(1))
        assert run_analysis(lambda events: {"n": events.jet.Count().Sum()}, tmp_path).is_complete

    def test_a_column_that_is_not_there_is_an_error_at_the_users_line(self, tmp_path):
        df = events_table(write(tmp_path / "a.csv", lines_of(1)), kind="csv")
        with pytest.raises(FieldError, match="no leaf 'ptt'") as caught:
            make_local(df.jet.ptt)
        assert caught.value.where.file == __file__
        assert "df.jet.ptt" in str(caught.value)
        assert "'pt'" in caught.value.do

    def test_a_column_that_one_file_lacks_is_named(self, tmp_path):
        files = [
            write(tmp_path / "a.csv", lines_of(1)),
            write(tmp_path / "b.csv", lines_of(2), HEADER.replace("MET_pt", "met")),
        ]
        df = events_table(files, kind="csv")
        with pytest.raises(HepFlowsError, match="only some files of the dataset have MET_pt") as caught:
            make_local(df.MET_pt)
        assert "b.csv has no MET_pt" in str(caught.value)
        assert caught.value.where.file == __file__

    def test_it_executes_nothing(self):
        assert [p.name for p in installed()] == ["awkward", "fused", "hist", "servicex"]
        assert [p.name for p in installed(["awkward", "csv-events"])] == ["awkward"]
        with pytest.raises(PluginError, match="brings tables of kind csv") as caught:
            find("csv-events")
        assert "executes nothing" in str(caught.value)

    def test_a_kind_that_is_almost_there_is_suggested(self, tmp_path):
        with pytest.raises(SourceError, match="'cvs' is no kind of table") as caught:
            events_table(write(tmp_path / "a.csv", lines_of(1)), kind="cvs")
        assert "csv" in caught.value.do
        assert caught.value.where.file == __file__


class Lost(CsvTable):
    def read(self, paths, start, stop):
        return {p: a for p, a in super().read(paths, start, stop).items() if p != ("jet_pt",)}


class Short(CsvTable):
    def read(self, paths, start, stop):
        return {p: a[1:] for p, a in super().read(paths, start, stop).items()}


class Other(CsvTable):
    def read(self, paths, start, stop):
        return {p: np.arange(stop - start) for p in paths}


class Unnamed(CsvTable):
    def __init__(self, file):
        super().__init__(file)
        self.content = "yesterday"


class Unread(StoredTable):
    def __init__(self, file):
        self.entries, self.content = 40, whole_content(file, 40)


def failing(*_):
    raise KeyError("the header is odd")


BROKEN = [
    ("open", {"open": Source.open}, PluginError, "tables of kind 'csv', which odd_package 1.0 brings, cannot be read", "open"),
    ("made", {"__init__": lambda self, needed: None}, PluginError, "tables of kind 'csv'", "needed"),
    ("failing", {"open": failing}, SourceError, "a.csv", "KeyError: 'the header is odd'"),
    ("none", {"open": lambda *_: None}, PluginError, "the source of csv tables gave no table for .*a.csv", "None"),
    ("content", {"open": lambda self, file, trees: Unnamed(file)}, PluginError, "the source of csv tables", "'yesterday'"),
    (
        "columns",
        {"open": lambda self, file, trees: Unread(file)},
        SourceError,
        "its columns cannot be understood",
        "NotImplemented",
    ),
    ("describe", {"describe": lambda *_: {"a": 1}}, PluginError, "the source of csv tables described an event as", ""),
    ("failing describe", {"describe": failing}, SourceError, "the columns of csv tables cannot be described", "KeyError"),
    (
        "lost",
        {"open": lambda self, file, trees: Lost(file)},
        SourceError,
        "jet_pt cannot be read, between events 0 and 40",
        "KeyError",
    ),
    ("short", {"open": lambda self, file, trees: Short(file)}, SourceError, "has 39 entries between events 0 and 40", ""),
    ("other", {"open": lambda self, file, trees: Other(file)}, SourceError, "jet_pt cannot be used", "not a list"),
    ("partitions", {"partitions": failing}, None, "", ""),
]


@pytest.mark.parametrize(("members", "error", "what", "why"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_a_broken_source_says_what_is_wrong_with_it(tmp_path, as_if_installed, monkeypatch, members, error, what, why):
    odd = type("OddSource", (CsvSource,), dict(members))
    name = f"Odd{tmp_path.name}"  # an entry point that was loaded stays so in a process
    monkeypatch.setattr(csv_events, name, type("OddPlugin", (), {"name": "odd", "sources": (odd,)}), raising=False)
    as_if_installed("odd_package", "1.0", f"[hep_flows.plugins]\nodd = csv_events:{name}\n")
    file = write(tmp_path / "a.csv", lines_of(1))

    def pts():
        return make_local(events_table(file, kind="csv").jet_pt)

    if error is None:  # a short file is not cut
        assert len(pts()) == 40
        return
    with pytest.raises(HepFlowsError) as caught:
        pts()
    assert isinstance(caught.value, error), caught.value
    assert caught.match(what)
    assert why in str(caught.value)
    # Other kinds can be read all the same.
    assert list(kinds().sources)[:4] == BUILT_IN


def test_two_packages_with_one_kind_are_an_error(as_if_installed, monkeypatch):
    other = type("OtherSource", (CsvSource,), {})
    monkeypatch.setattr(csv_events, "OtherPlugin", type("OtherPlugin", (), {"sources": (other,)}), raising=False)
    for name, plugin in (("one", "CsvPlugin"), ("two", "OtherPlugin")):
        as_if_installed(f"package_{name}", "1.0", f"[hep_flows.plugins]\ncsv-{name} = csv_events:{plugin}\n")
    with pytest.raises(PluginError, match=r"two packages bring tables of kind 'csv': package_one 1\.0 and package_two 1\.0"):
        source_of("csv")


def test_a_package_that_cannot_be_imported_is_named_where_its_kind_is_missing(as_if_installed, tmp_path):
    as_if_installed("lost_package", "1.0", "[hep_flows.plugins]\nlost = no_such_module:Plugin\n")
    with pytest.raises(SourceError, match="'hdf' is no kind of table") as caught:
        events_table(str(tmp_path / "a.h5"), kind="hdf")
    assert "the plug-in 'lost' of lost_package 1.0 cannot be used: ModuleNotFoundError" in caught.value.why

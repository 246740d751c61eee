"""What a table says about itself in a session: its names, what is found in them, and a table in a notebook."""

from html.parser import HTMLParser

import pytest
import uproot

from hep_flows import nanoaod_table, tree_table
from hep_flows.errors import FieldError, LiteralError

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def df(data):
    return nanoaod_table(data("nano_dimuon.root"))


def test_fields_are_the_names_that_may_stand_in_brackets(df):
    assert "Muon" in df.fields
    assert {"pt", "eta", "phi", "mass", "charge"} <= set(df.Muon.fields)
    assert "px" not in df.Muon.fields
    muons = df.Muon
    muons["pt_gev"] = muons.pt * 1
    assert "pt_gev" in muons[muons.pt > 20].fields
    for of in (df, df[df.MET.pt > 20].Muon):
        assert of._ipython_key_completions_() == of.fields
        assert all(of[n] is not None for n in of.fields[:20])
    assert df.Muon.pt._ipython_key_completions_() == []
    with pytest.raises(FieldError):
        _ = df.Muon.pt.fields


def test_find_looks_into_names_titles_and_units(df, data):
    with uproot.open({data("nano_dimuon.root"): "Events"}) as tree:
        titles = {k: b.title for k, b in tree.items()}
    found = df.find("ISO")
    named = {k for k, t in titles.items() if "iso" in f"{k} {t}".lower() and k.startswith("Muon_")}
    assert {f"Muon_{p.partition('.')[2]}" for p in found if p.startswith("Muon.")} >= {n for n in named if "Idx" not in n}
    assert df.Muon.find("no such thing") == []
    with pytest.raises(LiteralError, match="is a text"):
        df.find(3)


def test_leaves_of_these_names_are_leaves(tmp_path):
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mktree("t", {"fields": "f4", "find": "f4"}).extend({"fields": [1.0], "find": [2.0]})
    table = tree_table(tmp_path / "t.root", tree="t")
    assert "float32" in repr(table.fields)
    assert "float32" in repr(table.find)


class _Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.within = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.within = tag == "td"
        if self.within:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.within:
            self.rows[-1][-1] += data


def test_a_notebook_shows_names_with_kinds_units_and_titles(df):
    cells = _Cells()
    cells.feed(df.Muon[df.Muon.pt > 20]._repr_html_())
    rows = {r[0]: r[1:] for r in cells.rows if r}
    assert rows["pt"][:2] == ["float32", "GeV"]
    assert rows.keys() == set(df.Muon.fields) - {"pt_gev"}
    assert "<table>" in df._repr_html_()
    assert "&lt;DataFrame" in df.Muon.pt._repr_html_()
    assert "<table>" not in df.Muon.pt._repr_html_()

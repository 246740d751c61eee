"""Files of results say where they come from, and are made again from that; what was altered or cut short is told."""

import json
import re

import hist
import numpy as np
import pytest
import uhi.io.json
import uproot

from hep_flows import Histogram, blind, run_analysis, user_func, vary
from hep_flows.analysis.story import compared, read_stories, replayed, story_text
from hep_flows.errors import AnalysisError, HepFlowsError, StoreError


@user_func
def doubled(x: float) -> float:
    return 2 * x


def analysis(ev):
    empty = Histogram.new.Reg(8, 0, 100, name="met").StrCat(["low", "high"], name="side").Weight()
    w = vary(ev.met * 0 + 0.3, "norm", up=lambda w: w * 1.1, down=lambda w: w * 0.7)
    return {
        "met": empty.fill(met=ev.met, side={"low": ev.met < 50, "high": ev.met >= 50}, weight=w),
        "plain": Histogram.new.Reg(5, 0, 50, name="met").Int64().fill(met=ev[ev.met > 20].met),
        "own": Histogram.new.Reg(5, 0, 50, name="met").Double().fill(met=doubled(ev.met)),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy.root"
    with uproot.recreate(path) as file:
        met = np.random.default_rng(3).exponential(30, 500).astype("f4")
        file.mktree("Events", {"met": met.dtype}).extend({"met": met})
    return path


@pytest.fixture
def out(data, tmp_path):
    run_analysis(analysis, {"toy": {"files": {str(data): "Events"}, "metadata": {"is_mc": True}}}, out=tmp_path / "out")
    return tmp_path / "out"


def _stories(file):
    return {one.name: one for one in read_stories(file)}


@pytest.mark.parametrize("name", ["histograms.json", "histograms.root"])
def test_a_file_of_histograms_is_made_again_bit_for_bit(out, name, environment, tmp_path):
    environment(HEP_FLOWS_CACHE=str(tmp_path / "another"))
    found = _stories(out / name)
    assert found.keys() == {"toy/met", "toy/plain", "toy/own"}
    for which in ("toy/met", "toy/plain"):
        assert not found[which].is_altered
        assert compared(found[which], replayed(found[which])) == ""
    with pytest.raises(AnalysisError, match="calls doubled"):
        replayed(found["toy/own"])


def test_a_story_names_query_data_versions_and_variations(out, data):
    text = story_text(_stories(out / "histograms.json")["toy/met"])
    for said in ("normUp: ", "fill(met=", f"{data}", "tree Events", "numpy ", "test_story.py:"):
        assert said in text
    assert "functions of the user: doubled" in story_text(_stories(out / "histograms.root")["toy/own"])


def test_a_picture_tells_of_its_histograms_and_has_none(out):
    (one,) = read_stories(out / "plots" / "plain.png")
    assert one.story == _stories(out / "histograms.json")["toy/plain"].story
    with pytest.raises(AnalysisError, match="no numbers to compare"):
        compared(one, None)


def test_contents_that_were_altered_are_told(out):
    file = out / "histograms.json"
    said = json.loads(file.read_text())
    said["toy/plain"]["storage"]["values"][1] += 1
    file.write_text(json.dumps(said))
    one = _stories(file)["toy/plain"]
    assert one.is_altered
    assert "ALTERED" in story_text(one)
    assert "1 bins differ" in compared(one, replayed(one))


def test_a_query_that_was_altered_is_not_that_of_its_key(out):
    one = _stories(out / "histograms.json")["toy/plain"]
    before = one.story["expression"]
    one.story["expression"] = re.sub(r'\["literal",(\{"f":"20.0"\}|20)', '["literal",30', before)
    assert one.story["expression"] != before
    with pytest.raises(HepFlowsError):
        replayed(one)


def test_what_is_blinded_is_not_shown_by_its_story(data, tmp_path):
    def hides(ev):
        return {"met": blind(Histogram.new.Reg(5, 0, 50, name="met").Int64().fill(met=ev.met), met=(20, 30))}

    done = run_analysis(hides, {"run": {"files": {str(data): "Events"}, "metadata": {"is_data": True}}}, out=tmp_path)
    one = _stories(tmp_path / "histograms.json")["run/met"]
    assert one.story["expression"] == ""
    with pytest.raises(AnalysisError, match="is blinded"):
        replayed(one)
    with pytest.raises(AnalysisError, match="'met' of run has blinded bins"):
        done.export(tmp_path / "fit.json", to="pyhf", signal="run")
    assert "blinded" in done.export(tmp_path / "y.tex").read_text()


def test_data_that_changed_is_an_error(out, data):
    one = _stories(out / "histograms.json")["toy/plain"]
    before = data.read_bytes()
    try:
        with uproot.recreate(data) as file:
            file.mktree("Events", {"met": "f4"}).extend({"met": np.ones(500, dtype="f4")})
        with pytest.raises(HepFlowsError):
            replayed(one)
    finally:
        data.write_bytes(before)


@pytest.mark.parametrize(("name", "left"), [("histograms.json", 0.95), ("histograms.root", 0.4), ("plots/plain.png", 0.95)])
def test_a_file_that_was_cut_short_is_told(out, name, left):
    file = out / name
    file.write_bytes(file.read_bytes()[: round(file.stat().st_size * left)])
    with pytest.raises(StoreError, match="cannot be read"):
        read_stories(file)


def test_a_file_of_somebody_else_tells_no_story(tmp_path):
    file = tmp_path / "h.json"
    own = hist.Hist.new.Reg(3, 0, 1).Double()
    file.write_text(json.dumps({"h": own}, default=uhi.io.json.default))
    with pytest.raises(StoreError, match="tells no story"):
        read_stories(file)
    (tmp_path / "h.txt").write_text("")
    with pytest.raises(StoreError, match="tells no story"):
        read_stories(tmp_path / "h.txt")

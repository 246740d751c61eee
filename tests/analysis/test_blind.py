"""Bins of recorded data that are blinded, in values and in every file, until a run is told to unblind."""

import json

import hist
import numpy as np
import pytest
import uproot

from hep_flows import Histogram, blind, make_local, nanoaod_table, run_analysis, vary
from hep_flows.cli.main import app
from hep_flows.errors import LiteralError

pytestmark = pytest.mark.data

DATA, MC = "Run2012B_SingleMu_1000.root", "nano_tt_v12.root"
TEXT = """
from hep_flows import Histogram, blind

def analysis(events):
    h = Histogram.new.Reg(10, 0, 100, name="met").{storage}().fill(met=events.MET.pt)
    region = Histogram.new.StrCat(["SR", "CR"], name="region").Reg(4, 0, 100, name="met").Weight()
    region = region.fill(region={{"SR": events.MET.pt > 30, "CR": events.MET.pt <= 30}}, met=events.MET.pt)
    return {{"met": blind(h, met=(25, 40)), "region": blind(region, region="SR", met=[(0, 50), (99, 1e9)]), "open": h}}
"""


@pytest.fixture(scope="module")
def fileset(data):
    return {
        "data": {"files": {data(DATA): "Events"}, "metadata": {"is_data": True}},
        "mc": {"files": {data(MC): "Events"}, "metadata": {"is_mc": True}},
    }


@pytest.mark.parametrize("storage", ["Weight", "Double", "Int64"])
def test_bins_of_data_are_not_a_number_and_simulation_is_whole(storage, fileset, tmp_path):
    file = tmp_path / "a.py"
    file.write_text(TEXT.format(storage=storage))
    closed = run_analysis(file, fileset).values
    shown = run_analysis(file, fileset, unblind=True).values
    assert shown["data"]["met"] == shown["data"]["open"]
    assert closed["mc"]["met"] == closed["mc"]["open"]
    whole, seen = shown["data"]["met"].values(flow=True), closed["data"]["met"].values(flow=True)
    inside = np.zeros(12, bool)
    inside[[3, 4]] = True
    assert np.isnan(seen[inside]).all()
    assert np.array_equal(seen[~inside], whole[~inside])
    signal = closed["data"]["region"]["SR", :].values(flow=True)
    assert np.isnan(signal).tolist() == [False, True, True, False, True, True]
    assert closed["data"]["region"]["CR", :] == shown["data"]["region"]["CR", :]


def test_every_file_is_blinded_until_it_is_unblinded(fileset, tmp_path):
    from typer.testing import CliRunner

    file, given, out = tmp_path / "a.py", tmp_path / "f.json", tmp_path / "out"
    file.write_text(TEXT.format(storage="Weight"))
    given.write_text(json.dumps(fileset))
    for option in ([], ["--unblind"], []):
        done = CliRunner().invoke(app, ["run", str(file), str(given), "--out", str(out), *option])
        assert done.exit_code == 0, done.output
        written = json.loads((out / "histograms.json").read_text())["data/met"]
        in_root = uproot.open(out / "histograms.root")["data/met"].values()
        for values in (hist.Hist(written).values(), in_root):
            assert np.isnan(values).tolist() == [not option and i in (2, 3) for i in range(10)]
        report = json.loads((out / "report.json").read_text())
        assert report["unblinded" if option else "blinded"] == {"data": ["met", "region"]}
        assert f"{'UNBLINDED' if option else 'blinded'} in data: met, region" in (out / "report.txt").read_text()
        assert (out / "plots").is_dir()


def test_what_varies_is_blinded_in_every_variation(data):
    df = nanoaod_table(data(DATA))
    met = vary(df.MET.pt, "met", up=df.MET.pt * 1.1)
    h = Histogram.new.Reg(5, 0, 100, name="met").Integer(0, 3, name="n").Double().fill(met=met, n=df.Muon.Count())
    seen = make_local(blind(h, met=(0, 20), n=1))
    assert np.isnan(seen.values()).tolist() == [[[i == 0 and n == 1 for n in range(3)] for i in range(5)]] * 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda h: blind(h, mett=(0, 3)), "no axis 'mett' to blind"),
        (lambda h: blind(h, met=(3, 0)), "from a number to a larger one"),
        (lambda h: blind(h, met="SR"), "from a number to a larger one"),
        (lambda h: blind(h, region="SRR"), "no category 'SRR' to blind"),
        (blind, "nothing of the histogram is blinded"),
        (lambda h: blind(3, met=(0, 3)), "a filled histogram, not an int"),
    ],
)
def test_what_cannot_be_blinded(wrong, says, data):
    df = nanoaod_table(data(DATA))
    h = Histogram.new.StrCat(["SR", "CR"], name="region").Reg(5, 0, 100, name="met").Double().fill(region="SR", met=df.MET.pt)
    with pytest.raises(LiteralError, match=says) as caught:
        wrong(h)
    assert caught.value.where.file == __file__

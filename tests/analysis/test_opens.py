"""Which files are opened when the usual recipe of a weight changes: counted by an audit hook of the interpreter."""

import os
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import uproot

from hep_flows import Histogram, run_analysis
from hep_flows.sources.stored import is_settled, stamp_of

_OPENED: list[str] | None = None


def _noted(event, arguments):
    if event == "open" and _OPENED is not None and isinstance(arguments[0], str | bytes):
        _OPENED.append(os.fsdecode(arguments[0]))


@pytest.fixture(scope="module", autouse=True)
def hook():
    sys.addaudithook(_noted)  # it stays; outside of `opened` it does nothing


@pytest.fixture
def opened(monkeypatch):
    """Give what runs something, and counts how often each ROOT file was opened."""

    def counted(work):
        monkeypatch.setattr(sys.modules[__name__], "_OPENED", [])
        done = work()
        found = Counter([Path(f).name for f in _OPENED if f.endswith(".root")])
        monkeypatch.setattr(sys.modules[__name__], "_OPENED", None)
        return done, found

    return counted


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(11)
    found = []
    for i in range(11):
        path = tmp_path / f"f{i:02d}.root"
        with uproot.recreate(path) as file:
            file["Events"] = {"genWeight": rng.choice([-1.0, 1.0], 50), "met": rng.exponential(30, 50)}
            file["Runs"] = {"genEventSumw": np.array([float(100 + i)])}
        found.append(str(path))
    while not all([is_settled(stamp_of(f)) for f in found]):  # what was just written is looked at each time
        time.sleep(0.1)
    return found


def analysis(events):
    known = events.metadata
    weight = events.genWeight * known["xsec"] * known["lumi"] / events.sumw
    selected = events[events.met > 20]
    return {
        "met": Histogram.new.Reg(10, 0, 100, name="met").Weight().fill(met=selected.met, weight=weight[events.met > 20]),
        "yield": weight[events.met > 20].Sum(),
    }


def expected(files, xsec, lumi):
    sumw = sum([float(uproot.open(f)["Runs"]["genEventSumw"].array()[0]) for f in files])
    trees = [uproot.open(f)["Events"].arrays(library="np") for f in files]
    met, w = (np.concatenate([t[n] for t in trees]) for n in ("met", "genWeight"))
    return np.histogram(met[met > 20], 10, (0, 100), weights=w[met > 20])[0] * (xsec * lumi / sumw), w[met > 20].sum() * (
        xsec * lumi / sumw
    )


@pytest.mark.parametrize("engine", ["inline"])
def test_only_files_that_are_new_are_opened(files, opened, engine):
    def ran(chosen, xsec, lumi):
        fileset = {"ttbar": {"files": dict.fromkeys(chosen, "Events"), "metadata": {"xsec": xsec, "lumi": lumi}}}
        done, found = opened(lambda: run_analysis(analysis, fileset, engine=engine).values["ttbar"])
        bins, total = expected(chosen, xsec, lumi)
        np.testing.assert_allclose(done["met"].values(), bins, rtol=1e-12)
        assert done["yield"] == pytest.approx(total, rel=1e-12)
        return found

    ten = files[:10]
    cold = ran(ten, 10.0, 59.7)
    assert len(cold) == 10
    assert ran(ten, 10.0, 59.7) == {}
    assert ran(ten, 11.5, 59.7) == {}, "a corrected cross section opens nothing"
    assert ran(ten, 11.5, 138.0) == {}, "another luminosity opens nothing"
    assert set(ran(files, 11.5, 138.0)) == {"f10.root"}, "of one file more, that file is opened"
    assert ran(files[1:], 11.5, 138.0) == {}, "one file less opens nothing"
    assert ran(files[:5], 10.0, 59.7) == {}, "what is left of them is stored"

"""What is exported, opened by those that it is for: uproot, hist, pyhf, cabinetry, hepdata_lib; and the fit gives what was injected."""

import csv
import json
import warnings
from collections import Counter

import hist
import numpy as np
import pytest
import uhi.io.json
import uproot

from hep_flows import Histogram, run_analysis, vary
from hep_flows.errors import AnalysisError

# Of pyhf, cabinetry and hepdata_lib about the libraries that they use.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
N = {"sig": 400, "bkg_a": 2000, "bkg_b": 1500, "run": 700}
METADATA = {
    "sig": {"xsec": 0.05},
    "bkg_a": {"xsec": 0.4, "process": "bkg"},
    "bkg_b": {"xsec": 0.3, "process": "bkg"},
    "run": {"process": "data"},
}
LUMI = 1.0
MU = 1.6  # of the signal in the data


def analysis(ev):
    empty = Histogram.new.Reg(4, 0, 100, name="met", label="$E_T$ [GeV]").StrCat(["low", "high"], name="side").Weight()
    flat = Histogram.new.Reg(3, 0, 100, name="met").Reg(2, 0, 2, name="side").Double()
    side = {"low": ev.side < 1, "high": ev.side > 0}
    two = flat.fill(met=ev.met, side=ev.side)
    if not hasattr(ev, "genWeight"):
        return {"met": empty.fill(met=ev.met, side=side), "two": two}
    w = vary(ev.genWeight, "norm", up=ev.genWeight * 1.1, down=ev.genWeight * 0.9)
    w = vary(w, "tilt", up=w * (1 + ev.met / 500))
    return {"met": empty.fill(met=ev.met, side=side, weight=w), "two": two}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Give results of files in which the data is what is predicted with the signal scaled by ``MU``, as well as whole events can."""
    folder, rng, fileset = tmp_path_factory.mktemp("toy"), np.random.default_rng(11), {}
    met = {n: rng.exponential(25, k) if n != "sig" else rng.normal(80, 8, k) for n, k in N.items()}
    side = {n: rng.integers(0, 2, k) for n, k in N.items()}
    parts = {"sig": 50 * MU, "bkg_a": 400, "bkg_b": 300}
    drawn = {n: np.arange(round(k)) * N[n] // round(k) for n, k in parts.items()}
    met["run"] = np.concatenate([np.sort(met[n])[i] for n, i in drawn.items()])
    side["run"] = np.concatenate([side[n][np.argsort(met[n])][i] for n, i in drawn.items()])
    for name, n in N.items():
        path = folder / f"{name}.root"
        with uproot.recreate(path) as file:
            leaves = {"met": met[name].astype("f4"), "side": side[name].astype("i4")}
            if name != "run":
                leaves["genWeight"] = np.ones(n, dtype="f4")
                file.mktree("Runs", {"genEventSumw": "f8"}).extend({"genEventSumw": np.array([float(n)])})
            file.mktree("Events", {k: v.dtype for k, v in leaves.items()}).extend(leaves)
        fileset[name] = {"files": {str(path): "Events"}, "metadata": METADATA[name]}
    return run_analysis(analysis, fileset).scaled(lumi=LUMI)


@pytest.mark.parametrize("ending", ["root", "json"])
def test_histograms_come_back_exactly_by_their_names_with_flow_bins_and_variances(done, tmp_path, ending):
    file = done.export(tmp_path / f"h.{ending}", "{side}/{process}/{observable}_{variation}", observables="met")
    if ending == "root":
        with uproot.open(file) as opened:
            found = {k.partition(";")[0]: opened[k].to_hist() for k in opened.keys(filter_classname="TH1*", recursive=True)}
    else:
        found = {k: hist.Hist(h) for k, h in json.loads(file.read_text(), object_hook=uhi.io.json.object_hook).items()}
    expected = {}
    for process, values in done.processes.items():
        for side in ("low", "high"):
            h = values["met"][{"side": side}]
            words = list(h.axes["variation"]) if h.ndim == 2 else [""]
            for word in words:
                expected[f"{side}/{process}/met_{word or 'nominal'}"] = h[{"variation": word}] if word else h
    assert found.keys() == expected.keys()
    assert Counter(k.split("_")[-1] for k in found) == {"nominal": 6, "normUp": 4, "normDown": 4, "tiltUp": 4}
    for name, h in expected.items():
        assert np.array_equal(found[name].values(flow=True), h.values(flow=True))
        assert np.array_equal(found[name].variances(flow=True), h.variances(flow=True))


def _fit(said, data=None):
    import pyhf

    pyhf.set_backend("numpy", "minuit")
    model = pyhf.Workspace(said).model()
    counts = pyhf.Workspace(said).data(model) if data is None else data(model)
    fitted = pyhf.infer.mle.fit(counts, model, return_uncertainties=True)
    return fitted[model.config.poi_index]


def test_a_workspace_is_fitted_by_pyhf_and_gives_what_was_injected(done, tmp_path):
    path = done.export(tmp_path / "fit.json", to="pyhf", observables="met", signal="sig", lumi_uncertainty=0.02)
    said = json.loads(path.read_text())
    high = {c["name"]: c for c in said["channels"]}["high"]
    assert [s["name"] for s in high["samples"]] == ["sig", "bkg"]
    signal = {m["name"]: m for m in high["samples"][0]["modifiers"]}
    assert {n: m["type"] for n, m in signal.items()} == {
        "staterror_high": "staterror",
        "norm": "normsys",
        "tilt": "histosys",
        "mu": "normfactor",
        "lumi": "lumi",
    }
    assert signal["norm"]["data"] == pytest.approx({"hi": 1.1, "lo": 0.9})
    whole = done.processes["sig"]["met"][{"side": "high"}]
    plain, up = whole[{"variation": "nominal"}], whole[{"variation": "tiltUp"}]
    np.testing.assert_allclose(signal["tilt"]["data"]["hi_data"], up.values())
    np.testing.assert_allclose(signal["tilt"]["data"]["lo_data"], 2 * plain.values() - up.values())
    np.testing.assert_allclose(signal["staterror_high"]["data"], np.sqrt(plain.variances()))
    value, error = _fit(said)
    assert abs(value - MU) < 0.3 * error
    value, error = _fit(said, lambda model: model.expected_data([*model.config.suggested_init()]))
    assert value == pytest.approx(1.0, abs=1e-3)
    assert 0 < error < 1


def test_without_data_the_observations_are_what_is_predicted(done, tmp_path):
    path = done.export(tmp_path / "fit.json", to="pyhf", observables="met", signal="sig", data=False)
    value, _ = _fit(json.loads(path.read_text()))
    assert value == pytest.approx(1.0, abs=1e-3)


def test_cabinetry_builds_the_same_workspace_and_fits_it(done, tmp_path):
    import cabinetry

    folder = done.export(tmp_path / "cabinetry", to="cabinetry", observables="met", signal="sig", lumi_uncertainty=0.02)
    config = cabinetry.configuration.load(folder / "config.yml")
    cabinetry.templates.collect(config)
    cabinetry.templates.postprocess(config)
    built = cabinetry.workspace.build(config)
    path = done.export(tmp_path / "fit.json", to="pyhf", observables="met", signal="sig")
    own = json.loads(path.read_text())
    contents = lambda said: {(c["name"], s["name"]): s["data"] for c in said["channels"] for s in c["samples"]}
    assert contents(built).keys() == contents(own).keys()
    for key, values in contents(own).items():
        np.testing.assert_allclose(contents(built)[key], values)
    value, error = _fit(built)
    assert abs(value - MU) < 0.3 * error


def test_a_datacard_of_combine_has_what_its_format_asks_for(done, tmp_path):
    folder = done.export(tmp_path / "combine", to="combine", observables="met", signal="sig", lumi_uncertainty=0.02)
    lines = [line.split() for line in (folder / "datacard.txt").read_text().splitlines()]
    assert [line[:2] for line in lines[:3]] == [["imax", "2"], ["jmax", "1"], ["kmax", "3"]]
    table = [line for line in lines if line and line[0] in ("bin", "process", "rate")][1:]
    bins, names, numbers, rates = [line[1:] for line in table]
    assert bins == ["low", "low", "high", "high"]
    assert names == ["sig", "bkg"] * 2
    assert all((int(n) <= 0) == (name == "sig") for n, name in zip(numbers, names, strict=True))
    nuisances = {line[0]: line[1:] for line in lines if len(line) > 1 and line[1] in ("shape", "lnN")}
    assert nuisances["lumi"] == ["lnN", *["1.02"] * 4]
    assert nuisances["tilt"] == ["shape", *["1"] * 4]
    observed = next(line[1:] for line in lines if line[:1] == ["observation"])
    with uproot.open(folder / "shapes.root") as shapes:
        for channel, counted in zip(("low", "high"), observed, strict=True):
            assert shapes[f"{channel}/data_obs"].values().sum() == pytest.approx(float(counted))
        for channel, name, rate in zip(bins, names, rates, strict=True):
            assert shapes[f"{channel}/{name}"].values().sum() == pytest.approx(float(rate))
            for word in ("normUp", "normDown", "tiltUp", "tiltDown"):
                assert shapes[f"{channel}/{name}_{word}"].values().shape == (4,)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the validator leaves files open
def test_a_submission_to_hepdata_is_valid_and_has_the_numbers(done, tmp_path):
    import yaml

    folder = done.export(tmp_path / "hepdata", to="hepdata", observables="met")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from hepdata_validator.submission_file_validator import SubmissionFileValidator

        assert SubmissionFileValidator().validate(file_path=str(folder / "submission.yaml"))
    assert (folder / "submission.tar.gz").exists()
    tables = list(yaml.safe_load_all((folder / "submission.yaml").read_text()))
    table = yaml.safe_load((folder / next(t for t in tables if t.get("name") == "met high")["data_file"]).read_text())
    assert table["independent_variables"][0]["header"] == {"name": "$E_T$", "units": "GeV"}
    columns = {c["header"]["name"]: c["values"] for c in table["dependent_variables"]}
    assert list(columns) == ["Data", "sig", "bkg", "Total prediction"]
    h = done.processes["sig"]["met"][{"side": "high"}][{"variation": "nominal"}]
    np.testing.assert_allclose([v["value"] for v in columns["sig"]], h.values(), rtol=1e-4)
    assert {e["label"] for e in columns["sig"][3]["errors"]} == {"stat", "syst"}


def test_tables_of_yields_have_sums_and_uncertainties(done, tmp_path):
    with done.export(tmp_path / "y.csv", observables="met").open() as file:
        rows = {(r["region"], r["process"]): r for r in csv.DictReader(file)}
    assert {p for _, p in rows} == {"sig", "bkg", "total", "data"}
    for side in ("low", "high"):
        whole = {p: v["met"][{"side": side}] for p, v in done.processes.items()}
        plain = {p: h[{"variation": "nominal"}] if h.ndim == 2 else h for p, h in whole.items()}
        total = plain["sig"] + plain["bkg"]
        row = {k: float(v) for k, v in rows[side, "total"].items() if k not in ("observable", "region", "process")}
        assert row["yield"] == pytest.approx(total.sum(flow=True).value)
        assert row["stat"] == pytest.approx(total.sum(flow=True).variance ** 0.5)
        tilt = sum(h[{"variation": "tiltUp"}].sum(flow=True).value for p, h in whole.items() if p != "data") - row["yield"]
        assert row["syst_up"] == pytest.approx(np.hypot(0.1 * row["yield"], tilt))
        assert row["syst_down"] == pytest.approx(0.1 * row["yield"])
        assert float(rows[side, "data"]["yield"]) == plain["data"].sum(flow=True).value
    text = done.export(tmp_path / "y.tex", observables="met").read_text()
    assert text.count(r"\\") == 5
    assert r"\begin{tabular}{lrr}" in text
    assert r"\pm" in text


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"to": "pyhf", "observables": "met"}, "none is named"),
        ({"to": "pyhf", "observables": "met", "signal": "sgi"}, "no process 'sgi'"),
        ({"to": "pyhf", "observables": "two", "signal": "sig"}, "several axes of numbers"),
        ({"to": "pyhf", "observables": "two", "select": {"side": sum}, "signal": "sig"}, "statistical uncertainty of sig"),
        ({"to": "pyfh"}, "no form 'pyfh'"),
        ({}, "does not say in which form"),
        ({"to": "root", "pattern": "{process}/{observable}"}, "would be called"),
        ({"to": "root", "pattern": "{proces}", "observables": "met"}, "has no 'proces'"),
        ({"to": "root", "observables": "mett"}, "no result 'mett'"),
    ],
)
def test_what_would_be_wrong_is_refused(done, tmp_path, how, told):
    with pytest.raises(AnalysisError, match=told):
        done.export(tmp_path / "x", **how)


def test_simulation_that_is_not_normalised_is_not_fitted(done, tmp_path):
    from dataclasses import replace

    bare = replace(done, samples={n: replace(s, weights={}) for n, s in done.samples.items()}, lumi=None)
    with pytest.raises(AnalysisError, match="not normalised"):
        bare.export(tmp_path / "fit.json", to="pyhf", observables="met", signal="sig")

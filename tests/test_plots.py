"""Pictures of histograms: what is drawn is compared with plain arithmetic, read off the objects of matplotlib."""

import hist
import numpy as np
import pytest
from scipy import stats

from hep_flows import plots
from hep_flows.errors import AnalysisError
from hep_flows.execute.joint import Cutflow, CutRow, stacked

RNG = np.random.default_rng(5)
WEIGHT = hist.Hist.new.Reg(8, 0, 40, name="x", label="$p_T$ [GeV]").Weight()


def _filled(n, weight=1.0, at=0.0):
    return WEIGHT.copy().fill(RNG.exponential(12, n) + at, weight=weight)


@pytest.fixture(scope="module")
def model():
    nominal = _filled(400, 0.5)
    varied = stacked(
        {"nominal": nominal, "jesUp": nominal * 1.1, "jesDown": nominal * 0.8, "puUp": nominal * 0.95, "pdf": nominal * 1.02}
    )
    return {"top": varied, "wjets": _filled(300, 0.25)}


@pytest.fixture(scope="module")
def data():
    return hist.Hist(WEIGHT.axes[0], storage=hist.storage.Double()).fill([2, 3, 3, 8, 8, 8, 12, 38])


def _bands(figure, which=0):
    return [p for p in figure.axes[which].patches if getattr(p, "get_hatch", lambda: None)()]


def test_the_band_is_the_statistical_and_all_systematic_uncertainties_in_quadrature(model, data):
    top, other = model["top"][{"variation": "nominal"}], model["wjets"]
    total = top.values() + other.values()
    variance = top.variances() + other.variances()
    up = np.sqrt((0.1 * top.values()) ** 2 + (0.02 * top.values()) ** 2)
    down = np.sqrt((0.2 * top.values()) ** 2 + (0.05 * top.values()) ** 2)
    for systematics in (True, False):
        (band,) = _bands(plots.stack(model, data, systematics=systematics))
        np.testing.assert_allclose(band.get_data().values, total + np.sqrt(variance + systematics * up**2))
        np.testing.assert_allclose(band.get_data().baseline, total - np.sqrt(variance + systematics * down**2))
    (below,) = _bands(plots.stack(model, data), 1)
    np.testing.assert_allclose(below.get_data().values, (total + np.sqrt(variance + up**2)) / total)


def test_data_has_poisson_intervals_and_no_points_where_there_is_none(model, data):
    figure = plots.stack(model, data)
    (bars,) = [c for c in figure.axes[0].containers if type(c).__name__ == "ErrorbarContainer"]
    n = data.values()[data.values() > 0]
    x, y = bars.lines[0].get_data()
    np.testing.assert_array_equal(y, n)
    assert set(x) == {2.5, 7.5, 12.5, 37.5}
    ends = np.array([s[:, 1] for s in bars.lines[2][0].get_segments()])
    level = stats.norm.cdf(-1)
    np.testing.assert_allclose(ends[:, 0], stats.chi2.ppf(level, 2 * n) / 2)
    np.testing.assert_allclose(ends[:, 1], stats.chi2.ppf(1 - level, 2 * n + 2) / 2)


def test_labels_say_what_is_counted_the_width_and_the_unit(model, data):
    assert plots.plot(data).axes[0].get_ylabel() == "Entries / 5 GeV"
    assert plots.plot(model["wjets"]).axes[0].get_ylabel() == "Sum of weights / 5 GeV"
    assert plots.stack(model, data).axes[0].get_ylabel() == "Sum of weights / 5 GeV"
    assert plots.stack({"a": data}, data).axes[0].get_ylabel() == "Entries / 5 GeV"
    assert plots.stack(model, data, counts="Events").axes[0].get_ylabel() == "Events / 5 GeV"
    uneven = hist.Hist.new.Var([0, 1, 5], name="x").Int64().fill([0.5, 3])
    assert plots.plot(uneven).axes[0].get_ylabel() == "Entries / bin"
    assert plots.plot(hist.Hist.new.Int(0, 3, name="n").Int64().fill([1])).axes[0].get_ylabel() == "Entries"
    assert plots.stack(model, data).axes[-1].get_xlabel() == "$p_T$ [GeV]"


def test_empty_weighted_bins_have_no_uncertainty():
    one = WEIGHT.copy().fill([2.0], weight=3.0)
    (band,) = _bands(plots.stack({"a": one}))
    assert np.isfinite(band.get_data().values).tolist() == [True] + [False] * 7


def test_the_legend_names_data_first_and_the_largest_process_before_the_smaller_ones(model, data):
    figure = plots.stack(model, data, signal={"Z_prime": _filled(10)}, signal_scale=5, yields=True)
    found = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert found[0] == "Data (8)"
    assert found[-1] == "Stat. + syst. unc."
    assert [f.split(" (")[0] for f in found[1:-1]] == ["Z prime", "top", "wjets"]
    assert found[1].endswith("$\\times$ 5")
    figure = plots.stack({n: plots.nominal(h) for n, h in model.items()})
    assert figure.axes[0].get_legend().get_texts()[-1].get_text() == "Stat. unc."
    assert len(figure.axes) == 1


@pytest.mark.parametrize("style", ["", "CMS", "ATLAS", "LHCb2", "ROOT"])
def test_styles_label_the_experiment_the_luminosity_and_the_energy(model, data, style):
    figure = plots.stack(model, data, style=style, lumi=59.7, com=13, label="Preliminary", log=True)
    texts = {t.get_text() for t in figure.findobj(lambda o: hasattr(o, "get_text"))}
    assert any("59.7 fb" in t and "13 TeV" in t for t in texts)
    assert any("Preliminary" in t for t in texts)
    assert any(style[:4].rstrip("0123456789") in t for t in texts) or style == "ROOT"
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert ax.yaxis.label.get_window_extent().height <= ax.bbox.height


def test_an_unknown_style_is_an_error(data):
    with pytest.raises(AnalysisError, match="no style 'CSM'"):
        plots.plot(data, style="CSM")


def test_a_picture_leaves_the_settings_of_matplotlib_alone(data):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plots.plot(data, style="CMS")
    assert dict(mpl.rcParams) == before


def test_an_efficiency_has_clopper_pearson_intervals():
    edges = hist.axis.Regular(3, 0, 3, name="x")
    total = hist.Hist(edges, storage=hist.storage.Int64()).fill([0.5] * 10 + [1.5] * 4)
    passed = hist.Hist(edges, storage=hist.storage.Int64()).fill([0.5] * 7 + [1.5] * 4)
    (bars,) = plots.efficiency(passed, total).axes[0].containers
    np.testing.assert_allclose(bars.lines[0].get_ydata(), [0.7, 1.0])
    ends = np.array([s[:, 1] for s in bars.lines[2][1].get_segments()])
    level = stats.norm.cdf(-1)
    np.testing.assert_allclose(ends[0], [stats.beta.ppf(level, 7, 4), stats.beta.ppf(1 - level, 8, 3)])
    np.testing.assert_allclose(ends[1], [stats.beta.ppf(level, 4, 1), 1.0])
    with pytest.raises(AnalysisError, match="a part of entries"):
        plots.efficiency(total, passed)
    with pytest.raises(AnalysisError, match="a part of entries"):
        plots.efficiency(_filled(3, 0.5), _filled(9, 0.5))


def test_variations_stand_beside_the_nominal_histogram_with_their_ratio(model):
    figure = plots.variations(model["top"])
    ratios = {tuple(np.round(p.get_data().values, 10)) for p in figure.axes[1].patches if not p.get_hatch()}
    assert {r[0] for r in ratios} == {1.1, 0.8, 0.95, 1.02}
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["nominal", "jesUp", "jesDown", "puUp", "pdf"]
    with pytest.raises(AnalysisError, match="no variation of 'jer'"):
        plots.variations(model["top"], "jer")
    with pytest.raises(AnalysisError, match="has no variations"):
        plots.variations(model["wjets"])


def test_two_axes_a_profile_and_cutflows_are_drawn():
    two = (
        hist.Hist.new.Reg(2, 0, 2, name="x", label="x [mm]")
        .Reg(3, 0, 3, name="y")
        .Weight()
        .fill([0.5, 1.5], [0.5, 2.5], weight=[2, 3])
    )
    (mesh,) = plots.plot(two).axes[0].collections
    assert mesh.get_array().filled(0).T.tolist() == two.values().tolist()
    profile = hist.Hist.new.Reg(2, 0, 2, name="x").Mean().fill([0.5, 0.5, 0.5], sample=[1, 2, 6])
    (bars,) = plots.plot(profile).axes[0].containers
    assert bars.lines[0].get_ydata().tolist() == [3.0]
    flow = Cutflow((CutRow("all events", 10, 5.0), CutRow("x" * 60, 4, 2.0)), weighted=True)
    ax = plots.plot({"top": flow, "w": flow}).axes[0]
    assert [[b.get_width() for b in c] for c in ax.containers] == [[5.0, 2.0]] * 2
    assert ax.get_xlabel() == "Sum of weights"
    assert max(len(t.get_text()) for t in ax.get_yticklabels()) < 30


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_ending_decides_the_format(tmp_path, data, ending, start):
    plots.save(plots.plot(data, title="Title"), tmp_path / "new" / f"plot.{ending}")
    assert (tmp_path / "new" / f"plot.{ending}").read_bytes().startswith(start)


def test_an_empty_histogram_is_drawn(tmp_path):
    for log in (False, True):
        plots.save(plots.plot(WEIGHT, log=log), tmp_path / "empty.png")
        plots.save(plots.stack({"a": WEIGHT}, WEIGHT, log=log), tmp_path / "empty.png")


def test_an_axis_that_nothing_is_chosen_from_is_an_error():
    h = hist.Hist.new.Reg(2, 0, 2, name="x").StrCat(["SR", "CR"], name="region").Weight()
    with pytest.raises(AnalysisError, match="'met' is drawn on 1 of its axes"):
        plots.on_axes(h, "met")
    assert plots.on_axes(h, "met", region="SR").axes.name == ("x",)
    assert plots.on_axes(h, "met", region=sum).axes.name == ("x",)
    with pytest.raises(AnalysisError, match="nothing of 'met' is chosen"):
        plots.on_axes(h, "met", region="VR")
    with pytest.raises(AnalysisError, match="no axis 'channel'"):
        plots.on_axes(h, "met", channel="SR")


def test_what_a_variation_does_not_touch_is_summed_with_its_nominal_contents(model):
    both = plots.summed(list(model.values()))
    assert list(both.axes["variation"]) == list(model["top"].axes["variation"])
    for word in both.axes["variation"]:
        expected = model["top"][{"variation": word}].values(flow=True) + model["wjets"].values(flow=True)
        np.testing.assert_allclose(both[{"variation": word}].values(flow=True), expected)

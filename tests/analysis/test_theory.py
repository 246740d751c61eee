"""Uncertainties from the variations of a result against the formulae written out."""

import math

import hist
import numpy as np
import pytest

from hep_flows import Histogram, envelope, make_local, nanoaod_table, pdf_hessian, pdf_replicas, quadratic_sum, vary
from hep_flows.errors import AnalysisError

SM = "Run2012B_SingleMu_1000.root"


def numbers(n, central=True, seed=1):
    """Give a nominal number and members around it."""
    rng = np.random.default_rng(seed)
    return {"nominal": 100.0} | {f"pdf{i}": float(v) for i, v in enumerate(rng.normal(101, 5, n), 0 if central else 1)}


def replicas(values):
    mean = sum(values) / len(values)
    return math.sqrt(sum([(v - mean) ** 2 for v in values]) / (len(values) - 1))


def hessian(values, center):
    return math.sqrt(sum([(v - center) ** 2 for v in values]))


def pairs(values, center):
    up = math.sqrt(sum([max(a - center, b - center, 0) ** 2 for a, b in zip(values[::2], values[1::2], strict=True)]))
    return up, math.sqrt(sum([max(center - a, center - b, 0) ** 2 for a, b in zip(values[::2], values[1::2], strict=True)]))


@pytest.mark.parametrize("central", [True, False])
@pytest.mark.parametrize("n", [3, 7, 101])
def test_numbers_are_those_of_the_formulae(n, central):
    given = numbers(n, central=central)
    members = [v for k, v in given.items() if k not in ("nominal", "pdf0")]
    center = given.get("pdf0", 100.0)
    d = replicas(members)
    assert pdf_replicas(given) == pytest.approx({"nominal": 100.0, "pdfUp": 100 + d, "pdfDown": 100 - d})
    d = hessian(members, center)
    assert pdf_hessian(given) == pytest.approx({"nominal": 100.0, "pdfUp": 100 + d, "pdfDown": 100 - d})
    assert pdf_hessian(given, scale=1 / 1.645)["pdfUp"] == pytest.approx(100 + d / 1.645)
    if len(members) % 2 == 0:
        up, down = pairs(members, center)
        assert pdf_hessian(given, symmetric=False) == pytest.approx({"nominal": 100.0, "pdfUp": 100 + up, "pdfDown": 100 - down})
    top, bottom = max(given.values()), min(given.values())
    assert envelope(given, "pdf") == {"nominal": 100.0, "pdfUp": top, "pdfDown": bottom}


def test_a_quadratic_sum_takes_the_larger_deviation_of_each_side():
    given = {"nominal": 10.0, "aUp": 13.0, "aDown": 11.0, "bUp": 14.0, "bDown": 8.0, "cUp": 9.0, "aXUp": 99.0}
    assert quadratic_sum(given, "a", "b", "c") == {"nominal": 10.0, "aXUp": 99.0, "totalUp": 15.0, "totalDown": 10 - math.sqrt(5)}
    assert quadratic_sum({"nominal": 1.0, "aUp": 2.0}, name="all") == {"nominal": 1.0, "allUp": 2.0, "allDown": 1.0}


def test_other_sources_of_the_same_beginning_are_none_of_its_members():
    given = numbers(5) | {"pdfAlphaSUp": 200.0, "pdfAlphaSDown": 50.0}
    found = pdf_replicas(given)
    assert list(found) == ["nominal", "pdfUp", "pdfDown", "pdfAlphaSUp", "pdfAlphaSDown"]
    assert found["pdfUp"] == pdf_replicas(numbers(5))["pdfUp"]
    scales = {"nominal": 1.0, "scaleUp": 2.0, "scaleDown": 0.5, "scaleOtherUp": 9.0}
    assert envelope(scales, members=["up", "down"]) == scales


@pytest.mark.data
@pytest.mark.parametrize("storage", ["Weight", "Double"])
def test_a_histogram_stays_one_of_the_same_form(storage, data):
    df = nanoaod_table(data(SM))
    rng = np.random.default_rng(2)
    shifts = rng.normal(1, 0.1, (9, 2))
    w = df.MET.pt * 0 + 1.0
    pdf = vary(w, "pdf", {str(i): a + b * df.MET.pt / 50 for i, (a, b) in enumerate(shifts.tolist())})
    scale = vary(w, "scale", {"lo": w * 0.8, "hi": w * 1.3})
    h = make_local(getattr(Histogram.new.Reg(5, 0, 100, name="met"), storage)().fill(met=df.MET.pt, weight=pdf * scale))
    found = quadratic_sum(envelope(pdf_hessian(h)))
    assert list(found.axes[0]) == ["nominal", "totalUp", "totalDown"]
    assert found.axes[1:] == h.axes[1:]
    by_name = {n: h[n, ...].values(flow=True) for n in h.axes[0]}
    nominal = by_name["nominal"]
    d = np.sqrt(sum([(by_name[f"pdf{i}"] - by_name["pdf0"]) ** 2 for i in range(1, 9)]))
    np.testing.assert_allclose(
        found["totalUp", ...].values(flow=True), nominal + np.sqrt(d**2 + (by_name["scaleHi"] - nominal) ** 2), rtol=1e-12
    )
    np.testing.assert_allclose(
        found["totalDown", ...].values(flow=True), nominal - np.sqrt(d**2 + (nominal - by_name["scaleLo"]) ** 2), rtol=1e-12
    )
    assert found["nominal", ...] == h["nominal", ...]
    if storage == "Weight":
        assert np.array_equal(found["totalUp", ...].variances(flow=True), h["nominal", ...].variances(flow=True))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: pdf_replicas({"nominal": 1.0, "pdf0": 1.0, "pdf1": 2.0}), "pdf has 1 member"),
        (lambda: pdf_replicas({"nominal": 1.0, "jesUp": 1.0}), "no variations of 'pdf'"),
        (lambda: pdf_hessian(numbers(4), symmetric=False), "3 members, which are no pairs"),
        (lambda: envelope({"nominal": 1.0, "scaleUp": 2.0}, members=["up", "down"]), "no variations of 'scale'"),
        (lambda: quadratic_sum(numbers(4)), "pdf0 has no variations Up and Down"),
        (lambda: quadratic_sum({"nominal": 1.0}), "no variations to add"),
        (lambda: quadratic_sum({"nominal": 1.0, "jesUp": 1.0}, "jer"), "jer has no variations"),
        (lambda: envelope(3.0), "no result that varies"),
        (lambda: envelope({"a": 3.0}), "no result that varies"),
        (lambda: envelope(hist.Hist.new.Reg(3, 0, 1).Double()), "no result that varies"),
        (
            lambda: envelope(hist.Hist.new.StrCat(["nominal", "scaleUp"], name="variation").Reg(3, 0, 1).Mean()),
            "no result that varies",
        ),
    ],
)
def test_what_cannot_be_reduced(wrong, says):
    with pytest.raises(AnalysisError, match=says) as caught:
        wrong()
    assert caught.value.where.file == __file__

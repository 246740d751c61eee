"""The paper's listings give what plain numpy and awkward give on the same files, event by event."""

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import alias_scope, make_local
from hep_flows.demo.listings import listing_1, listing_1_nanoaod, listing_2, listing_2_nanoaod
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.record.aliases import any_aliases


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("sample"), Recipe(events=1500))


@pytest.fixture(scope="module")
def atlas(files):
    """Electrons and true electrons in GeV, from the branches of the PHYSLITE file."""
    with uproot.open(files.physlite) as file:
        events = file["CollectionTree"].arrays()
    e = {n: events[f"AnalysisElectronsAuxDyn.{n}"] for n in ("pt", "eta", "phi")}
    x, y, z = (ak.values_astype(events[f"TruthElectronsAuxDyn.p{c}"], np.float64) for c in "xyz")
    pt = np.hypot(x, y)
    truth = {"pt": pt / 1000, "eta": np.arcsinh(z / pt), "phi": np.arctan2(y, x)}
    return ak.zip({**e, "pt": e["pt"] / 1000}), ak.zip(truth)


@pytest.fixture(scope="module")
def cms(files):
    """The same from the branches of the NanoAOD file."""
    with uproot.open(files.nanoaod) as file:
        events = file["Events"].arrays()
    electrons, particles = (ak.zip({n: events[f"{c}_{n}"] for n in ("pt", "eta", "phi")}) for c in ("Electron", "GenPart"))
    return electrons, particles[(abs(events.GenPart_pdgId) == 11) & (events.GenPart_status == 1)]


def _good(particles):
    return particles[(particles.pt > 20) & (abs(particles.eta) < 1.4)]


def _first_match(electrons, truth):
    """Give each good electron's first true one within 0.1, missing where there is none."""
    e, t = ak.unzip(ak.cartesian([_good(electrons), _good(truth)], nested=True))
    phi = (e.phi - t.phi + np.pi) % (2 * np.pi) - np.pi
    return ak.firsts(t[np.hypot(e.eta - t.eta, phi) < 0.1], axis=2)


@pytest.mark.parametrize(("listing", "layout"), [(listing_1, "physlite"), (listing_1_nanoaod, "nanoaod")])
def test_listing_1_gives_the_good_electrons(files, atlas, cms, listing, layout):
    electrons, _ = atlas if layout == "physlite" else cms
    want = electrons.pt[(electrons.pt > 50) & (abs(electrons.eta) < 1.5)]
    recorded = listing(getattr(files, layout))
    values, histogram, yields = make_local((recorded.values, recorded.histogram, recorded.yields))
    assert ak.num(values).tolist() == ak.num(want).tolist()
    np.testing.assert_allclose(ak.flatten(values), ak.flatten(want), rtol=1e-6)
    assert histogram.values().tolist() == np.histogram(ak.flatten(want), bins=60, range=(0, 150))[0].tolist()
    assert yields == {"events": 1500, "electrons": ak.count(electrons.pt), "good electrons": ak.count(want)}


@pytest.mark.parametrize(("listing", "layout"), [(listing_2, "physlite"), (listing_2_nanoaod, "nanoaod")])
def test_listing_2_gives_the_resolution_of_matched_electrons(files, atlas, cms, listing, layout):
    electrons, truth = atlas if layout == "physlite" else cms
    partner = _first_match(electrons, truth)
    want = ak.drop_none(_good(electrons).pt - partner.pt)
    recorded = listing(getattr(files, layout))
    values, histogram, yields = make_local((recorded.values, recorded.histogram, recorded.yields))
    assert ak.num(values).tolist() == ak.num(want).tolist()
    np.testing.assert_allclose(ak.to_numpy(ak.flatten(values)), ak.flatten(want), atol=2e-5)
    assert histogram.sum(flow=True) == ak.count(want) == yields["matched electrons"]
    assert yields["good electrons"] == ak.sum(ak.num(partner))
    # Some good electrons are fakes, nearly all others have a partner.
    assert 0.95 < yields["matched electrons"] / yields["good electrons"] < 1


def test_both_layouts_give_one_resolution(files):
    atlas, cms = make_local([listing_2(files.physlite).values, listing_2_nanoaod(files.nanoaod).values])
    np.testing.assert_allclose(ak.to_numpy(ak.flatten(atlas)), ak.to_numpy(ak.flatten(cms)), atol=2e-5)


def test_listings_leave_no_alias_behind(files):
    with alias_scope():
        before = any_aliases()
        listing_2(files.physlite)
        assert any_aliases() == before

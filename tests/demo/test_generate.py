"""The sample has the physics that it says it has, and one recipe gives one sample."""

import hashlib

import awkward as ak
import numpy as np
import pytest

from hep_flows.demo.sample import ELECTRON_ETA, Recipe, generate

RECIPE = Recipe(events=10_000)


@pytest.fixture(scope="module")
def sample():
    return generate(RECIPE)


def _digest(sample):
    state = hashlib.sha256()
    for collection in (sample.boson, sample.truth, sample.electrons, sample.muons, sample.jets, sample.met):
        for name in collection.fields:
            column = collection[name]
            if column.ndim > 1:
                state.update(ak.to_numpy(ak.num(column)).tobytes())
            state.update(ak.to_numpy(ak.flatten(column, axis=None)).tobytes())
    return state.hexdigest()


def _mass_of_pair(a, b):
    pt = [x.pt for x in (a, b)]
    return np.sqrt(2 * pt[0] * pt[1] * (np.cosh(a.eta - b.eta) - np.cos(a.phi - b.phi)))


def test_one_recipe_gives_one_sample(sample):
    assert _digest(sample) == _digest(generate(RECIPE))


def test_another_seed_gives_another_sample(sample):
    assert _digest(sample) != _digest(generate(Recipe(events=10_000, seed=1)))


def test_the_pair_has_the_mass_of_the_boson(sample):
    mass = _mass_of_pair(sample.truth[:, 0], sample.truth[:, 1])
    np.testing.assert_allclose(mass, sample.boson.mass, rtol=1e-4)


def test_the_pair_has_the_transverse_momentum_of_the_boson(sample):
    px = ak.sum(sample.truth.pt * np.cos(sample.truth.phi), axis=1)
    py = ak.sum(sample.truth.pt * np.sin(sample.truth.phi), axis=1)
    np.testing.assert_allclose(np.hypot(px, py), sample.boson.pt, atol=1e-6)


def test_the_true_mass_peaks_at_the_z_with_its_width(sample):
    mass = ak.to_numpy(sample.boson.mass)
    counts, edges = np.histogram(mass, bins=80, range=(71.2, 111.2))
    peak = edges[counts.argmax()] + 0.25
    assert abs(peak - 91.2) < 0.6
    # Half of a Breit-Wigner lies within half a width of the peak.
    inside = np.mean(abs(mass - 91.19) < 2.4952 / 2)
    assert 0.45 < inside < 0.53


def test_the_measured_mass_peaks_at_the_z(sample):
    real = sample.electrons[sample.electrons.truth_index >= 0]
    pairs = real[ak.num(real) == 2]
    mass = ak.to_numpy(_mass_of_pair(pairs[:, 0], pairs[:, 1]))
    assert abs(np.median(mass) - 91.2) < 0.3


def test_particles_are_inside_the_detector_and_ordered(sample):
    for particles in (sample.electrons, sample.muons, sample.jets):
        assert ak.all(particles.pt > 0)
        assert ak.all(abs(particles.phi) <= np.pi)
        assert ak.all(particles.pt[:, :-1] >= particles.pt[:, 1:])
    assert ak.all(abs(sample.electrons.eta) < ELECTRON_ETA + 0.01)


def test_the_resolution_is_that_of_the_calorimeter(sample):
    measured = sample.electrons[sample.electrons.truth_index >= 0]
    true = sample.truth[measured.truth_index]
    energy = true.pt * np.cosh(true.eta)
    pull = ak.flatten((measured.pt / true.pt - 1) / np.hypot(0.1 / np.sqrt(energy), 0.01))
    assert abs(np.mean(pull)) < 0.03
    assert abs(np.std(pull) - 1) < 0.03


def test_efficiency_rises_with_transverse_momentum(sample):
    number = ak.Array(np.tile([0, 1], (RECIPE.events, 1)))
    seen = ak.any(sample.electrons.truth_index[:, np.newaxis, :] == number[:, :, np.newaxis], axis=2)
    central = abs(sample.truth.eta) < 2.3
    soft, hard = (ak.mean(seen[central & (sample.truth.pt > a) & (sample.truth.pt < b)]) for a, b in ((5, 15), (30, 60)))
    assert soft < 0.6
    assert 0.85 < hard < 0.93


def test_some_electrons_are_fakes(sample):
    fakes = ak.mean(sample.electrons.truth_index < 0)
    assert 0.04 < fakes < 0.12

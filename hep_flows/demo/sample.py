"""A small sample of pp -> Z/gamma* -> e+ e-, made here: true electrons, and what a detector would have seen of them.

Nothing is more than a sketch of the physics, but every number has the right size: the mass peak, the transverse momentum of the
boson, the acceptance and efficiency for electrons, a calorimeter's resolution, and fakes without a true partner. One seed gives one
sample. Units are GeV; the writers convert.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from hep_flows.errors import SourceError
from hep_flows.store.commit import told_of_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Floats = NDArray[np.float64]

Z_MASS, Z_WIDTH = 91.1876, 2.4952
ELECTRON_MASS, MUON_MASS = 0.000511, 0.10566
MASS_RANGE = (40.0, 200.0)
ELECTRON_ETA = 2.47  # where the tracker ends
PHOTON_FRACTION = 0.03  # the part of the mass spectrum that is the photon's


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the sample: it stands in the files, so that a sample is recognised."""

    events: int = 10_000
    seed: int = 20_260
    version: int = 1

    def text(self) -> str:
        """Give the one line that is written into the files."""
        return f"hep_flows demo sample, version {self.version}, {self.events} events, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample, as awkward arrays of events x particles (``boson`` and ``met``: one for each event), in GeV.

    ``truth`` is the electron and the positron of each event, in this order; ``electrons.truth_index`` is the position in it, or -1.
    """

    boson: ak.Array
    truth: ak.Array
    electrons: ak.Array
    muons: ak.Array
    jets: ak.Array
    met: ak.Array


def generate(recipe: Recipe) -> Sample:
    """Give the sample of a recipe; equal recipes give equal samples."""
    random = np.random.default_rng(recipe.seed)
    boson = _bosons(random, recipe.events)
    truth = _decays(random, boson)
    electrons = _seen_electrons(random, truth, recipe.events)
    jets = _jets(random, boson)
    return Sample(
        boson=ak.zip(boson),
        truth=ak.zip({name: ak.Array(values) for name, values in truth.items()}),
        electrons=electrons,
        muons=_muons_in_jets(random, jets),
        jets=ak.zip({name: jets[name] for name in ("pt", "eta", "phi", "mass")}),
        met=_missing_momentum(random, boson),
    )


def _bosons(random: np.random.Generator, n: int) -> dict[str, Floats]:
    """Mass: a Breit-Wigner and the photon's falling spectrum; pt: falls like a power; rapidity: a broad central plateau."""
    low, high = MASS_RANGE
    first, last = (float(np.arctan((m**2 - Z_MASS**2) / (Z_MASS * Z_WIDTH))) for m in MASS_RANGE)
    peak = np.sqrt(Z_MASS**2 + Z_MASS * Z_WIDTH * np.tan(random.uniform(first, last, n)))
    photon = random.uniform(high**-2, low**-2, n) ** -0.5
    mass = np.where(random.random(n) < PHOTON_FRACTION, photon, peak)
    pt = 12.0 * np.sqrt(random.random(n) ** (-1 / 1.5) - 1)
    rapidity = np.clip(random.normal(0.0, 1.4, n), -4.0, 4.0)
    phi = random.uniform(-np.pi, np.pi, n)
    pz = np.sqrt(mass**2 + pt**2) * np.sinh(rapidity)
    return {"pt": pt, "eta": np.arcsinh(pz / np.maximum(pt, 1e-9)), "phi": phi, "mass": mass}


def _decays(random: np.random.Generator, boson: dict[str, Floats]) -> dict[str, NDArray[Any]]:
    """Decay each boson evenly over all directions of its rest frame, and boost; arrays have one row for each event."""
    mass, px, py, pz = boson["mass"], *_cartesian(boson["pt"], boson["eta"], boson["phi"])
    energy = np.sqrt(mass**2 + px**2 + py**2 + pz**2)
    cos, phi = random.uniform(-1, 1, len(mass)), random.uniform(-np.pi, np.pi, len(mass))
    sin, half = np.sqrt(1 - cos**2), np.sqrt(mass**2 / 4 - ELECTRON_MASS**2)
    direction = half * np.array([sin * np.cos(phi), sin * np.sin(phi), cos])
    momentum = np.array([px, py, pz])
    out = []
    for sign in (1, -1):
        rest = sign * direction
        along = (momentum * rest).sum(axis=0)
        x, y, z = rest + momentum * (along / (mass * (energy + mass)) + 0.5)
        pt = np.hypot(x, y)
        out.append((pt, np.arcsinh(z / pt), np.arctan2(y, x)))
    pt, eta, phi = (np.stack(pair, axis=1) for pair in zip(*out, strict=True))
    pdg_id = np.tile(np.array([11, -11], np.int64), (len(mass), 1))
    return {"pt": pt, "eta": eta, "phi": phi, "mass": np.full_like(pt, ELECTRON_MASS), "pdg_id": pdg_id}


def _seen_electrons(random: np.random.Generator, truth: dict[str, NDArray[Any]], n: int) -> ak.Array:
    """Give the measured electrons, hardest first: true ones inside the acceptance, smeared, and fakes."""
    pt, eta, phi = (truth[name].ravel() for name in ("pt", "eta", "phi"))
    efficiency = 0.92 * (1 - np.exp(-np.maximum(pt - 4.0, 0.0) / 9.0))
    seen = (abs(eta) < ELECTRON_ETA) & (random.random(pt.size) < efficiency)
    energy = pt * np.cosh(eta)
    relative = np.hypot(0.10 / np.sqrt(energy), 0.01)
    smeared = pt * (1 + relative * random.normal(size=pt.size))
    charge = -np.sign(truth["pdg_id"].ravel()) * np.where(random.random(pt.size) < 0.005, -1, 1)
    real = {
        "event": np.repeat(np.arange(n), 2)[seen],
        "pt": smeared[seen],
        "eta": (eta + random.normal(0, 0.001, pt.size))[seen],
        "phi": _wrapped(phi + random.normal(0, 0.001, pt.size))[seen],
        "charge": charge[seen],
        "truth_index": np.tile([0, 1], n)[seen],
    }
    fakes = _fake_electrons(random, n)
    both = {name: np.concatenate([real[name], fakes[name]]) for name in real}
    both["mass"] = np.full(both["pt"].size, ELECTRON_MASS)
    return _by_event(both, n)


def _fake_electrons(random: np.random.Generator, n: int) -> dict[str, NDArray[Any]]:
    """Give jets that look like an electron: soft, anywhere in the acceptance, of either charge."""
    event = np.repeat(np.arange(n), random.poisson(0.12, n))
    return {
        "event": event,
        "pt": 6.0 + random.exponential(10.0, event.size),
        "eta": random.uniform(-ELECTRON_ETA, ELECTRON_ETA, event.size),
        "phi": random.uniform(-np.pi, np.pi, event.size),
        "charge": random.choice([-1, 1], event.size),
        "truth_index": np.full(event.size, -1),
    }


def _jets(random: np.random.Generator, boson: dict[str, Floats]) -> ak.Array:
    """Give the jets, hardest first: one that balances a hard boson, and others that fall like a power."""
    n = len(boson["pt"])
    hard = np.flatnonzero(boson["pt"] > 25.0)
    others = np.repeat(np.arange(n), random.poisson(0.7, n))
    pt = np.concatenate([boson["pt"][hard] * random.normal(1, 0.12, hard.size), 20.0 * random.random(others.size) ** (-1 / 3.5)])
    phi = np.concatenate(
        [_wrapped(boson["phi"][hard] + np.pi + random.normal(0, 0.2, hard.size)), random.uniform(-np.pi, np.pi, others.size)]
    )
    jets = {
        "event": np.concatenate([hard, others]),
        "pt": np.clip(pt, 15.0, 2000.0),
        "eta": np.clip(random.normal(0, 1.8, pt.size), -4.5, 4.5),
        "phi": phi,
        "mass": np.clip(pt, 15.0, 2000.0) * random.uniform(0.08, 0.2, pt.size),
    }
    return _by_event(jets, n)


def _muons_in_jets(random: np.random.Generator, jets: ak.Array) -> ak.Array:
    """Give a soft muon near every twentieth jet, as decays of heavy quarks make them."""
    n, jet = len(jets), ak.flatten(jets)
    chosen = random.random(len(jet)) < 0.05
    event = np.repeat(np.arange(n), ak.to_numpy(ak.num(jets)))[chosen]
    pt, eta, phi = (ak.to_numpy(jet[name])[chosen] for name in ("pt", "eta", "phi"))
    muons = {
        "event": event,
        "pt": 3.0 + pt * random.beta(1.5, 6.0, pt.size),
        "eta": np.clip(eta + random.normal(0, 0.1, pt.size), -2.7, 2.7),
        "phi": _wrapped(phi + random.normal(0, 0.1, pt.size)),
        "mass": np.full(pt.size, MUON_MASS),
        "charge": random.choice([-1, 1], pt.size),
    }
    return _by_event(muons, n)


def _missing_momentum(random: np.random.Generator, boson: dict[str, Floats]) -> ak.Array:
    """Give the missing transverse momentum: no neutrino here, so it is resolution, worse for a hard recoil."""
    width = 9.0 + 0.08 * boson["pt"]
    x, y = random.normal(0, width), random.normal(0, width)
    return ak.zip({"pt": np.hypot(x, y), "phi": np.arctan2(y, x)})


def _by_event(flat: dict[str, NDArray[Any]], n: int) -> ak.Array:
    """Give events x particles, hardest first, from particles that know their event."""
    order = np.lexsort((-flat["pt"], flat["event"]))
    counts = np.bincount(flat["event"], minlength=n)
    return ak.zip({name: ak.unflatten(values[order], counts) for name, values in flat.items() if name != "event"})


def _cartesian(pt: Floats, eta: Floats, phi: Floats) -> tuple[Floats, Floats, Floats]:
    return pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)


def _wrapped(phi: Floats) -> Floats:
    return (phi + np.pi) % (2 * np.pi) - np.pi


# Write one tree into one ROOT file, whole or not at all, with a line of text by which the file is recognised ---------------------

RECIPE = "recipe"


def recipe_of(path: Path) -> str | None:
    """Give the recipe that a file was written by; none when there is no such file, or it is not one of these."""
    if not path.is_file():
        return None
    try:
        with uproot.open(path) as file:
            return str(file[RECIPE]) if RECIPE in file else None
    except (OSError, ValueError, uproot.exceptions.KeyInFileError, uproot.deserialization.DeserializationError):
        return None


def write_tree(
    path: Path,
    tree: str,
    columns: Mapping[str, Any],
    *,
    recipe: str,
    counter_name: Callable[[str], str] = "n{}".format,
    field_name: Callable[[str, str], str] = "{}_{}".format,
) -> None:
    """Write the columns as a tree; the file appears under its name when it is complete.

    Parameters
    ----------
    path : Path
        Where the file is to stand; its folder is made.
    tree : str
        The name of the tree.
    columns : mapping
        By name: one value for each event, or records of lists, which become one branch for each field and a counter.
    recipe : str
        The line by which the file is recognised.
    counter_name, field_name : callable
        How the branches of lists are named.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.root")
    try:
        with uproot.recreate(temporary, compression=uproot.ZLIB(1)) as file:
            types = {name: _branch_type(values) for name, values in columns.items()}
            written = file.mktree(tree, types, title=recipe, counter_name=counter_name, field_name=field_name)
            written.extend(dict(columns))
            file[RECIPE] = recipe
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _branch_type(values: Any) -> Any:
    """Give numpy's type of flat values, and awkward's of lists."""
    return values.dtype if hasattr(values, "dtype") else values.type.content


# The sample in CMS NanoAOD's layout: tree ``Events``, GeV, branches ``Electron_pt`` with the counter ``nElectron`` ---------------

_KINEMATICS = {"pt": np.float32, "eta": np.float32, "phi": np.float32, "mass": np.float32}


def write_nanoaod(sample: Sample, recipe: Recipe, path: Path) -> None:
    """Write the sample as one NanoAOD file."""
    write_tree(path, "Events", nanoaod_columns(sample), recipe=recipe.text())


def nanoaod_columns(sample: Sample) -> dict[str, Any]:
    """Give the columns in the types of NanoAOD."""
    n = len(sample.met)
    number = np.arange(n)
    electron = ak.with_field(
        sample.electrons, ak.where(sample.electrons.truth_index >= 0, sample.electrons.truth_index + 1, -1), "gen"
    )
    return {
        "run": np.ones(n, np.uint32),
        "luminosityBlock": (number // 1000 + 1).astype(np.uint32),
        "event": (number + 1).astype(np.uint64),
        "genWeight": np.ones(n, np.float32),
        "HLT_Ele27": _fires(sample),
        "MET_pt": ak.to_numpy(sample.met.pt).astype(np.float32),
        "MET_phi": ak.to_numpy(sample.met.phi).astype(np.float32),
        "Electron": _typed(electron, {**_KINEMATICS, "charge": np.int32, "gen": np.int16}, {"gen": "genPartIdx"}),
        "Muon": _typed(sample.muons, {**_KINEMATICS, "charge": np.int32}),
        "Jet": _typed(sample.jets, _KINEMATICS),
        "GenPart": _generated(sample),
    }


def _fires(sample: Sample) -> Any:
    """Say which events a single-electron trigger at 27 GeV would keep."""
    hardest = ak.fill_none(ak.max(sample.electrons.pt, axis=1), 0.0)
    return ak.to_numpy(hardest > 27.0)


def _generated(sample: Sample) -> ak.Array:
    """Give the boson, then the electron and the positron that it decayed into."""
    n = len(sample.met)
    parts = {name: ak.concatenate([sample.boson[name][:, np.newaxis], sample.truth[name]], axis=1) for name in _KINEMATICS}
    parts["pdgId"] = ak.from_regular(np.tile([23, 11, -11], (n, 1)))
    parts["status"] = ak.from_regular(np.tile([62, 1, 1], (n, 1)))
    parts["genPartIdxMother"] = ak.from_regular(np.tile([-1, 0, 0], (n, 1)))
    types = {**_KINEMATICS, "pdgId": np.int32, "status": np.int32, "genPartIdxMother": np.int16}
    return _typed({name: ak.from_regular(values) for name, values in parts.items()}, types)


def _typed(particles: Any, types: dict[str, Any], names: dict[str, str] | None = None) -> ak.Array:
    names = names or {}
    return ak.zip({names.get(name, name): ak.values_astype(particles[name], kind) for name, kind in types.items()})


# The sample in ATLAS PHYSLITE's layout: tree ``CollectionTree``, MeV, branches ``AnalysisElectronsAuxDyn.pt`` --------------------
#
# Truth particles have Cartesian components only, as in the real format. The lists stand in plain branches with a counter, where ATLAS
# software writes ``std::vector``; readers see the same values.

MEV = 1000.0  # one GeV


def write_physlite(sample: Sample, recipe: Recipe, path: Path) -> None:
    """Write the sample as one PHYSLITE file."""
    write_tree(
        path,
        "CollectionTree",
        physlite_columns(sample),
        recipe=recipe.text(),
        counter_name=_counter_name,
        field_name="{}.{}".format,
    )


def physlite_columns(sample: Sample) -> dict[str, Any]:
    """Give the columns in the types and units of PHYSLITE."""
    n = len(sample.met)
    number = np.arange(n)
    return {
        "EventInfoAuxDyn.runNumber": np.full(n, 284_500, np.uint32),
        "EventInfoAuxDyn.lumiBlock": (number // 1000 + 1).astype(np.uint32),
        "EventInfoAuxDyn.eventNumber": (number + 1).astype(np.uint64),
        "EventInfoAuxDyn.mcChannelNumber": np.full(n, 361_106, np.uint32),
        "AnalysisElectronsAuxDyn": _measured(sample.electrons, charge=np.float32),
        "AnalysisMuonsAuxDyn": _measured(sample.muons, charge=np.float32, mass=False),
        "AnalysisJetsAuxDyn": _measured(sample.jets),
        "TruthElectronsAuxDyn": _truth(sample.truth),
    }


def _counter_name(container: str) -> str:
    return f"n{container.removesuffix('AuxDyn')}"


def _measured(particles: ak.Array, charge: Any = None, *, mass: bool = True) -> ak.Array:
    """Give pt, eta, phi, and what more the container has: ``m`` and ``charge``."""
    columns = {"pt": particles.pt * MEV, "eta": particles.eta, "phi": particles.phi}
    if mass:
        columns["m"] = particles.mass * MEV
    columns = {name: ak.values_astype(values, np.float32) for name, values in columns.items()}
    if charge is not None:
        columns["charge"] = ak.values_astype(particles.charge, charge)
    return ak.zip(columns)


def _truth(truth: ak.Array) -> ak.Array:
    truth = ak.zip({name: ak.from_regular(truth[name]) for name in truth.fields})
    momentum = truth.pt * np.cosh(truth.eta)
    columns = {
        "px": truth.pt * np.cos(truth.phi),
        "py": truth.pt * np.sin(truth.phi),
        "pz": truth.pt * np.sinh(truth.eta),
        "e": np.sqrt(momentum**2 + truth.mass**2),
        "m": truth.mass,
    }
    columns = {name: ak.values_astype(values * MEV, np.float32) for name, values in columns.items()}
    columns["pdgId"] = ak.values_astype(truth.pdg_id, np.int32)
    columns["status"] = ak.values_astype(ak.ones_like(truth.pdg_id), np.int32)
    return ak.zip(columns)


# The two files that the demo runs over: the project's own sample, or real ones found in a folder by what is in them --------------

PHYSLITE_NAME, NANOAOD_NAME = "demo_physlite.root", "demo_nanoaod.root"
WANTED = {
    "CollectionTree": ("AnalysisElectronsAuxDyn.pt", "TruthElectronsAuxDyn.px", "TruthElectronsAuxDyn.pdgId"),
    "Events": ("Electron_pt", "GenPart_pt", "GenPart_pdgId", "GenPart_status"),
}


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """One file of each layout; ``origin`` is how they came to be: ``generated``, ``found`` or ``real``."""

    physlite: Path
    nanoaod: Path
    origin: str


def sample_files(folder: Path, recipe: Recipe) -> SampleFiles:
    """Give the files of a folder: real ones of both layouts, else the sample, which is written unless it is there already.

    Raises
    ------
    SourceError
        When the folder has ROOT files of others, but not one of each layout with true particles.
    """
    physlite, nanoaod = folder / PHYSLITE_NAME, folder / NANOAOD_NAME
    others = [
        f for f in sorted(folder.glob("*.root")) if f.name not in {PHYSLITE_NAME, NANOAOD_NAME} and not f.name.startswith(".")
    ]
    if others:
        return _real_files(folder, others)
    if recipe_of(physlite) == recipe_of(nanoaod) == recipe.text():
        return SampleFiles(physlite, nanoaod, "found")
    sample = generate(recipe)
    with told_of_disk(folder, "the sample"):
        write_physlite(sample, recipe, physlite)
        write_nanoaod(sample, recipe, nanoaod)
    return SampleFiles(physlite, nanoaod, "generated")


def _real_files(folder: Path, files: list[Path]) -> SampleFiles:
    found = {tree: next((f for f in files if _has(f, tree, branches)), None) for tree, branches in WANTED.items()}
    physlite, nanoaod = found["CollectionTree"], found["Events"]
    if physlite is None or nanoaod is None:
        missing = "PHYSLITE" if physlite is None else "NanoAOD"
        raise SourceError(
            f"{folder} has ROOT files, but none in {missing} layout with electrons and their true particles",
            why=f"looked into {', '.join(f.name for f in files)}",
            do="name a folder that has one of each layout, or an empty one for the sample",
        )
    return SampleFiles(physlite, nanoaod, "real")


def _has(file: Path, tree: str, branches: tuple[str, ...]) -> bool:
    try:
        with uproot.open(file) as opened:
            return tree in opened and all(b in opened[tree] for b in branches)
    except (OSError, ValueError):
        return False

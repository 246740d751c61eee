"""The sample in CMS NanoAOD's layout: tree ``Events``, GeV, branches ``Electron_pt`` with the counter ``nElectron``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.demo.root_file import write_tree

if TYPE_CHECKING:
    from pathlib import Path

    from hep_flows.demo.generate import Recipe, Sample

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

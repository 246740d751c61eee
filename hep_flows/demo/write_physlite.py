"""The sample in ATLAS PHYSLITE's layout: tree ``CollectionTree``, MeV, branches ``AnalysisElectronsAuxDyn.pt``.

Truth particles have Cartesian components only, as in the real format. The lists stand in plain branches with a counter, where ATLAS
software writes ``std::vector``; readers see the same values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.demo.root_file import write_tree

if TYPE_CHECKING:
    from pathlib import Path

    from hep_flows.demo.generate import Recipe, Sample

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

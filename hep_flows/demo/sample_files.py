"""The two files that the demo runs over: the project's own sample, or real ones found in a folder by what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import uproot

from hep_flows.demo.generate import Recipe, generate
from hep_flows.demo.root_file import recipe_of
from hep_flows.demo.write_nanoaod import write_nanoaod
from hep_flows.demo.write_physlite import write_physlite
from hep_flows.errors import SourceError
from hep_flows.store.commit import told_of_disk

if TYPE_CHECKING:
    from pathlib import Path

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

"""A server whose code generator is the one of ATLAS: it makes C++ of a query, which is compiled against a stand-in of the data model."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import awkward as ak

from grid.servers import Grid
from grid.store_files import StoreFiles
from hep_flows.demo.sample import Recipe, generate, write_physlite
from plugins.servicex.edm.columns import read_columns, write_columns
from servicex_sim.work import Datasets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plugins.servicex.edm.compiled import Compiler

MC = "rucio://mc23_13p6TeV:mc23.sample.DAOD_PHYSLITE"
REAL = "rucio://mc20_13TeV:mc20.real.DAOD_PHYSLITE"
# As the grid calls files: what stands after the last dot is the number of the attempt.
NAME = "root://store.example:1094//pnfs/mc/DAOD_PHYSLITE.41._00000{}.pool.root.1"
REAL_FILE = "root://store.example:1094//pnfs/mc/DAOD_PHYSLITE.real.root"
CONTAINERS = frozenset(
    "AnalysisJets AnalysisElectrons AnalysisMuons TruthElectrons TruthMuons MET_Core_AnalysisMET EventInfo".split()
)


@dataclass
class AtlasScience:
    """What the code generator and the transformers do: generate once for a request, compile and run for each file."""

    compiler: Compiler
    folder: Path
    n_run: int = 0
    _values: dict[str, Path] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, selection: str) -> Callable[[str], Any]:
        self.compiler.generate(selection)

        def transform(path: str) -> Any:
            columns = self.compiler.run(selection, self._written(path))
            self.n_run += 1
            # A tree lists its branches in an order of its own.
            return ak.zip({name: columns[name] for name in sorted(columns, reverse=True)}, depth_limit=1)

        return transform

    def _written(self, path: str) -> Path:
        with self._lock:
            if path not in self._values:
                values = self.folder / f"{len(self._values)}.txt"
                write_columns(read_columns(path, CONTAINERS), values)
                self._values[path] = values
            return self._values[path]


def write_samples(folder: Path, real: str) -> StoreFiles:
    """Write four files of different lengths, one without events, and put a real one beside them."""
    paths = {}
    for i, n_events in enumerate((40, 0, 70, 20)):
        path = folder / f"part{i}.root"
        recipe = Recipe(events=n_events, seed=i + 1)
        write_physlite(generate(recipe), recipe, path)
        paths[NAME.format(i)] = str(path)
    paths[REAL_FILE] = str(folder / "real.root")
    shutil.copy(real, paths[REAL_FILE])
    return StoreFiles(paths, {})


def datasets_of(files: StoreFiles) -> Datasets:
    return Datasets(files.paths, {MC: tuple(files.names[:4]), REAL: (REAL_FILE,)})


@dataclass
class AtlasGrid(Grid):
    """A running server with the files of `write_samples`."""

    @property
    def names(self) -> list[str]:
        return self.store.names[:4]

    @property
    def paths(self) -> list[str]:
        return [self.store.paths[n] for n in self.names]

    def table(self, source: Any = None, **options) -> Any:
        """Give the table of a source, whose queries are about methods and whose leaves are those of the files."""
        told = {"kind": "xaod", "like": self.paths[0], "dialect": "xaod"}
        return super().table(self.names if source is None else source, **{**told, **options})

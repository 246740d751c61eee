"""A small project on which mutations are tried: files, an analysis, a helper module and a cache, all of which can be changed."""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
import time
import warnings
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from unittest import mock

import awkward as ak
import numpy as np
import uproot

from functions.sample_corrections import dense_model, network, write_corrections, write_model
from hep_flows import contract, run
from hep_flows.execute import results as open_store

N_EVENTS = 60
ANALYSIS = (Path(__file__).parent / "analysis.txt").read_text()
TOOLS = (Path(__file__).parent / "tools.txt").read_text()


def write_file(path: Path, seed: int, n: int = N_EVENTS) -> None:
    """Write events, not compressed: files with as many jets have the same size."""
    rng = np.random.default_rng(seed)
    counts = np.arange(n) % 4
    total = int(counts.sum())

    def jagged(values):
        return ak.unflatten(ak.Array(values.astype(np.float32)), counts)

    jet = ak.zip({"pt": jagged(rng.exponential(50, total)), "eta": jagged(rng.normal(0, 2, total))})
    part = path.with_suffix(".part")
    with uproot.recreate(part, compression=None) as file:
        file.mktree("Events", {"Jet": "var * {pt: float32, eta: float32}", "MET_pt": "float32"})
        file["Events"].extend({"Jet": jet, "MET_pt": rng.exponential(30, n).astype(np.float32)})
    part.replace(path)


@dataclass
class Project:
    """A folder with an analysis, its helper module, its files and its cache."""

    root: Path
    cache: Path
    files: list[Path] = field(default_factory=list)
    source: str = ANALYSIS
    tools: str = TOOLS
    runs: int = 0
    how: dict[str, object] = field(default_factory=lambda: {"workers": 2, "chunk_events": 25})
    environment: dict[str, str] = field(default_factory=dict)
    more_plugins: list[EntryPoint] = field(default_factory=list)

    @classmethod
    def new(cls, folder: Path) -> Project:
        """Give a project with three files."""
        root = folder / "project"
        root.mkdir(parents=True)
        made = cls(root, folder / "cache")
        for i in range(3):
            made.files.append(root / f"part_{i}.root")
            write_file(made.files[-1], i)
        write_corrections(root / "sf.json")
        write_model(root / "score.onnx", dense_model(network(2, 5, 1)))
        return made

    def edit(self, old: str, new: str) -> None:
        """Change the analysis."""
        assert self.source.count(old) == 1, old
        self.source = self.source.replace(old, new)

    def edit_tools(self, old: str, new: str) -> None:
        """Change the helper module."""
        assert self.tools.count(old) == 1, old
        self.tools = self.tools.replace(old, new)

    def add_plugin(self, name: str, value: str) -> None:
        """Install one more plug-in, or another release of one."""
        self.more_plugins.append(EntryPoint(name, value, contract.GROUP))

    def loaded(self):
        """Give the analysis as a fresh process would see it."""
        self.runs += 1
        (self.root / "tools.py").write_text(self.tools)
        path = self.root / "analysis.py"
        path.write_text(self.source)
        linecache.clearcache()
        sys.modules["tools"] = _module("tools", self.root / "tools.py")
        return _module(f"analysis_{self.runs}", path)

    def results(self, *, store: bool = True):
        """Run everything, one result at a time; gives the values, and what was computed for each."""
        open_store.store_of.cache_clear()
        os.environ["HEP_FLOWS_CACHE"] = str(self.cache) if store else "off"
        found = [*{p.name: p for p in [*entry_points(group=contract.GROUP), *self.more_plugins]}.values()]
        installed = mock.patch.object(contract, "entry_points", return_value=found)
        with warnings.catch_warnings(), installed, mock.patch.dict(os.environ, self.environment):
            warnings.simplefilter("ignore")
            asked = self.loaded().analysis([str(f) for f in self.files])
            values, computed = {}, {}
            for name, expr in asked.items():
                how = self.how if store else self.how | {"engine": "inline"}
                done = run(expr, **how, on_error="raise")
                values[name] = done.values
                rows = [(r.plugin, r.batches_computed) for r in done.report.tasks if r.state == "computed"]
                if rows:
                    computed[name] = sorted(rows)
        return values, computed


def _module(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    module.__loader__.path_stats = lambda p: {"mtime": time.time(), "size": -1}  # never from a cached bytecode
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def plain(value):
    """Give a value as something that compares bit by bit."""
    if isinstance(value, ak.Array):
        return str(value.type), [str(x) for x in ak.to_list(value)], ak.to_buffers(ak.to_packed(value))[1]
    if hasattr(value, "axes"):
        return [list(a) for a in value.axes], value.view(flow=True).tobytes()
    return type(value).__name__, repr(value)


def same(a, b) -> bool:
    """Say whether two values have the same bits."""
    one, other = plain(a), plain(b)
    if not isinstance(a, ak.Array):
        return one == other
    return one[:2] == other[:2]

"""A simulator that is set up as a user sets a server up, an analysis over it, and the same numbers without it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import awkward as ak

from grid.store_files import DATASET, EMPTY, OPEN_DATA, StoreFiles
from hep_flows import run, servicex_table
from hep_flows.plugins.servicex.xaod.schema import RELEASES
from hep_flows.store.index import sidecars
from hep_flows.store.store import Store
from servicex_sim.work import Datasets

if TYPE_CHECKING:
    from pathlib import Path

    from servicex_sim.server import Simulator

TOKEN = "refresh-token-that-nobody-may-see"
CUT = 30
# Short where waiting is all that happens; where the verdict could depend on it, so long that only what hangs gets there.
HURRY: dict[str, Any] = {
    "poll_s": 0.1,
    "backoff_s": 0.05,
    "answer_s": 60,
    "stall_s": 120,
    "settle_s": 0.4,
    "cancel_s": 60,
    "deadline_s": 300,
}
LONGEST_S = 400


def datasets_of(store: StoreFiles) -> Datasets:
    return Datasets(store.paths, {DATASET: tuple(store.names), OPEN_DATA: tuple(store.names[:2]), EMPTY: ()})


@dataclass
class Grid:
    """A running server, and the files behind it."""

    sim: Simulator
    store: StoreFiles
    folder: Path
    others: dict[str, Simulator] = field(default_factory=dict)

    def set_up(self, **settings) -> Grid:
        """Write ``servicex.yaml``; the settings make the client hasty."""
        import yaml

        told = yaml.safe_load(self.sim.config(self.folder / "client-cache"))
        for name, sim in self.others.items():
            told["api_endpoints"] += yaml.safe_load(sim.config("", name))["api_endpoints"]
        told["hep_flows"] = HURRY | settings
        (self.folder / "servicex.yaml").write_text(yaml.safe_dump(told))
        return self

    def table(self, source: Any = None, **options) -> Any:
        """Give the table of all files as a list, or of another source."""
        source = self.store.names if source is None else source
        return servicex_table(source, **{"kind": "nanoaod", "like": self.store.like, **options})

    def asked_for(self, since: int = 0) -> list[list[str]]:
        """Give the files or the dataset of each submission that was accepted."""
        bodies = [json.loads(c.body) for c in self.sim.submits()[since:]]
        return [b.get("file-list") or [b["did"]] for b in bodies]

    def files_asked_for(self, since: int = 0) -> list[str]:
        return sorted([f for files in self.asked_for(since) for f in files])


def analysis(table: Any) -> dict[str, Any]:
    """Give columns, one number of each event, and a number that this process makes of what was delivered."""
    good = table.Jet[table.Jet.pt > CUT]
    return {"eta": good.eta, "met": table.MET.pt, "n": good.Count().Sum()}


def check(values: dict[str, Any], store: StoreFiles, names: list[str] | None = None) -> None:
    """Compare with the files themselves."""
    pt = store.column("Jet_pt", names)
    assert ak.array_equal(values["eta"], store.column("Jet_eta", names)[pt > CUT], dtype_exact=True)
    assert ak.array_equal(values["met"], store.column("MET_pt", names), dtype_exact=True)
    assert values["n"] == ak.sum(pt > CUT)


def run_in_time(exprs: Any, seconds: float = LONGEST_S, **options) -> Any:
    """Run; it may not hang."""
    got: list[Any] = []

    def work() -> None:
        try:
            got.append(run(exprs, **{"engine": "inline", **options}))
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            got.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    if isinstance(got[0], Exception):
        raise got[0]
    return got[0]


def n_delivered(cache: Path) -> float:
    """Give the number of files of which everything is stored that the server has to deliver: three results for each."""
    here = Store(cache)
    stored = [here.sidecar(name) for name, _ in sidecars(here.folder)] if cache.exists() else []
    return sum([s is not None and s.about["plugin"] == "servicex" for s in stored]) / 3


NO_TYPED_PACKAGES = {f"func_adl_servicex_xaodr{release}": None for release in RELEASES}

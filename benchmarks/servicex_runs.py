"""What ServiceX costs and saves in whole runs, against the simulator in a process of its own. Prints JSON.

First the seconds of a request of one file beside the bare client's, in turns, with empty caches; the client looks as often as hep_flows does at first.
Then the bytes that the server delivers for the paper's listings, where the query is computed there, and where the columns alone are fetched.
"""

from __future__ import annotations

import json
import os
import statistics
from typing import TYPE_CHECKING, Any

from memory import in_folder, sample
from servicex_endpoint import Bare, seconds, server

from hep_flows import alias_scope, define_alias, run, servicex_table
from hep_flows.demo.listings import associate_particles, good_e

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hep_flows import DataFrame

CUT_GEV = 30


def good_electrons(events: DataFrame) -> Any:
    """Give what Listing 1 makes."""
    good = events.Electron[(events.Electron.pt > 50) & (abs(events.Electron.eta) < 1.5)]
    return good.pt


def resolution(events: DataFrame) -> Any:
    """Give what Listing 2 makes; the first near true electron is found here."""
    with alias_scope():
        define_alias("", "ptgev", lambda o: o.pt)
        true = events.GenPart[((events.GenPart.pdgId == 11) | (events.GenPart.pdgId == -11)) & (events.GenPart.status == 1)]
        matched = associate_particles(events.Electron[good_e], true[good_e])
        return matched.ptgev - matched.mc.ptgev


def two_hard_jets(events: DataFrame) -> Any:
    """Give missing energy where there are two hard jets, as the fourth query of the ADL benchmarks."""
    hard = events.Jet[(events.Jet.pt > CUT_GEV) & (abs(events.Jet.eta) < 1)]
    return events[hard.Count() >= 2].MET.pt


def columns_of(*leaves: str) -> Callable[[DataFrame], Any]:
    """Give the columns alone, as they would be fetched for the same."""
    return lambda events: [getattr(getattr(events, c), n) for c, n in (leaf.split(".") for leaf in leaves)]


QUERIES = {
    "good electrons (Listing 1)": (good_electrons, columns_of("Electron.pt", "Electron.eta")),
    "resolution of electrons (Listing 2)": (
        resolution,
        columns_of(
            *[f"Electron.{n}" for n in ("pt", "eta", "phi")], *[f"GenPart.{n}" for n in ("pt", "eta", "phi", "pdgId", "status")]
        ),
    ),
    "MET with two hard jets": (two_hard_jets, columns_of("Jet.pt", "Jet.eta", "MET.pt")),
}


def fresh(folder: Path, number: list[int]) -> None:
    """Take an empty cache."""
    number[0] += 1
    os.environ["HEP_FLOWS_CACHE"] = str(folder / f"cache{number[0]}")


def overhead(folder: Path, config: Path, file: str, rounds: int) -> dict[str, float]:
    """Time a whole run of one request, and the bare client."""
    bare, number = Bare(config), [0]

    def ours() -> None:
        run(servicex_table(file, kind="nanoaod", endpoint="simulator").Jet.pt, engine="inline", on_error="raise")

    pairs = []
    for _ in range(rounds + 1):
        fresh(folder, number)
        pairs.append((seconds(ours), seconds(lambda: bare.fetch([file]))))
    ours_s, bare_s = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    difference = statistics.median([a - b for a, b in pairs[1:]])
    return {"run, s": round(ours_s, 3), "bare client, s": round(bare_s, 3), "overhead, s": round(difference, 3)}


def bytes_of(folder: Path, file: str, ask: Callable[[DataFrame], Any]) -> int:
    """Give the bytes of what is delivered for a question, as it is stored."""
    fresh(folder, [1000 + len(list(folder.glob("cache*")))])
    done = run(ask(servicex_table(file, kind="nanoaod", endpoint="simulator")), engine="inline", on_error="raise")
    return sum([row.bytes for row in done.report.tasks if row.plugin == "servicex"])


def main(folder: Path, rounds: int = 10) -> None:
    """Measure and print."""
    (folder / "files").mkdir(exist_ok=True)
    link = folder / "files" / "part.root"
    if not link.exists():
        link.hardlink_to(sample(folder, 100_000))
    config = folder / "servicex.yaml"
    config.unlink(missing_ok=True)
    os.chdir(folder)
    process = server(folder, config)
    figures: dict[str, Any] = {}
    try:
        figures["one request"] = overhead(folder, config, str(link.resolve()), rounds)
        for name, (pushed, columns) in QUERIES.items():
            sizes = [bytes_of(folder, str(link.resolve()), ask) for ask in (pushed, columns)]
            figures[name] = {
                "computed there, bytes": sizes[0],
                "columns only, bytes": sizes[1],
                "ratio": round(sizes[1] / sizes[0], 1),
            }
    finally:
        process.terminate()
        process.wait()
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    in_folder(main)

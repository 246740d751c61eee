"""A cold run over several files, made to be killed: says when its first result is stored, and prints the values at the end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hep_flows import Histogram, nanoaod_table, run
from hep_flows.store.store import Store


def say(*words):
    """Print a line at once."""
    sys.stdout.write(" ".join([str(w) for w in words]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if "HEP_FLOWS_HOLD_S" in os.environ:  # how long a result waits for others to be stored with
        Store.__init__.__kwdefaults__["hold_s"] = float(os.environ["HEP_FLOWS_HOLD_S"])
    events = nanoaod_table(sorted(str(f) for f in Path(sys.argv[1]).glob("part_*.root")))
    good = events.Jet[events.Jet.pt > 30.0]
    axes = Histogram.new.Reg(20, 0, 200, name="pt").Weight()
    asked = [
        axes.fill(pt=good.pt, weight=good.pt * 0.1),
        good.pt.Sum().Sum(),
        good.Count().Sum(),
        events.MET.pt / events.MET.pt.Max(),
        events.Jet.eta,
    ]
    say("begins")
    done = run(asked, workers=2, chunk_events=20, on_error="raise")
    h, total, count, met, eta = done.values
    rows = [(r.key, r.batches_computed) for r in done.report.tasks]
    say("values", h.view(flow=True).tobytes().hex(), total.hex(), count, met.to_list(), eta.to_list())
    say("computed", sum([n for _, n in rows]), "cached", sum([r.batches_cached for r in done.report.tasks]))

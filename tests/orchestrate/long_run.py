"""A cold run with a server of its own, made to be disturbed: says where it stands, and what it found in the end."""

from __future__ import annotations

import sys
from pathlib import Path

from hep_flows import Histogram, nanoaod_table, run, user_func


@user_func
def slow(x: float) -> float:
    """Give x, after a while."""
    y = x
    for _ in range(30_000):
        y = y + 0.0
    return y


def asked(folder):
    """Ask for two things of each file."""
    tables = [nanoaod_table(str(f)) for f in sorted(Path(folder).glob("part_*.root"))]
    axes = Histogram.new.Reg(20, 0, 200, name="met").Double()
    return [[axes.fill(met=slow(t.MET.pt)), (t.MET.pt * 2).Sum()] for t in tables]


def shown(values):
    """Give values as text."""
    return " ".join([f"{h.values().sum()!r} {n!r}" for h, n in values])


def say(*words):
    """Print a line at once."""
    sys.stdout.write(" ".join([str(w) for w in words]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say("begins")
    done = run(asked(sys.argv[1]), engine="embedded", workers=2, on_error="raise")
    say("engine", done.report.engine)
    say("values", shown(done.values))
    say("computed", sum([r.batches_computed for r in done.report.tasks]))

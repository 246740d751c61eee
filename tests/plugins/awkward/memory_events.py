"""A table in memory for tests of the evaluator: its schema, random events, and a reader."""

from __future__ import annotations

from itertools import pairwise

import awkward as ak
import numpy as np

from hep_flows.contract import Numerics, Partition, RunContext, Scalar, Task
from hep_flows.expr import build
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String
from hep_flows.plugins.awkward.evaluate import merge_parts, run_tasks

JET = Record(
    "Jet",
    {
        "pt": Member(Float(32), column="Jet_pt"),
        "eta": Member(Float(32), column="Jet_eta"),
        "phi": Member(Float(32), column="Jet_phi"),
        "n": Member(Int(32), column="Jet_n"),
        "small": Member(Int(8), column="Jet_small"),
        "good": Member(Bool(), column="Jet_good"),
        "label": Member(String(), column="Jet_label"),
        "maybe": Member(Float(64), column="Jet_maybe", optional=True),
        "hits": Member(Int(32), ("hits",), column="Jet_hits"),
        "broken": Member(Int(32), unreadable="no type"),
    },
)
MUON = Record(
    "Muon",
    {
        "pt": Member(Float(32), column="Muon_pt"),
        "eta": Member(Float(32), column="Muon_eta"),
        "phi": Member(Float(32), column="Muon_phi"),
        "jetIdx": Member(Int(32, refers_to="Jet"), column="Muon_jetIdx"),
        "any": Member(Int(64), column="Muon_any"),
    },
)
MET = Record("MET", {"pt": Member(Float(32), column="MET_pt"), "phi": Member(Float(32), column="MET_phi")})
EVENT = Record(
    "event",
    {
        "run": Member(Int(32), column="run"),
        "weight": Member(Float(64), column="weight"),
        "kind": Member(String(), column="kind"),
        "perhaps": Member(Int(32), column="perhaps", optional=True),
        "MET": Member(MET),
        "Jet": Member(JET, ("Jet",), column="nJet"),
        "Muon": Member(MUON, ("Muon",), column="nMuon"),
    },
)
DS = build.dataset("tree", ("content",), "events", EVENT, files=("memory",))

DTYPES = {
    ("Jet", "pt"): "f4", ("Jet", "eta"): "f4", ("Jet", "phi"): "f4", ("Jet", "n"): "i4", ("Jet", "small"): "i1", ("Jet", "good"): "?",
    ("Muon", "pt"): "f4", ("Muon", "eta"): "f4", ("Muon", "phi"): "f4", ("Muon", "jetIdx"): "i4", ("Muon", "any"): "i8",
}  # fmt: skip


def leaf(*path):
    expr = DS
    for name in path:
        expr = build.field(expr, name)
    return expr


def literal(value, dtype=""):
    return build.literal(value, dtype)


def call(name, *args, **options):
    exprs = [a if hasattr(a, "type") else build.literal(a) for a in args]
    return build.call(name, exprs, tuple(options.items()))


class Events:
    """Random events: ``Jet`` and ``Muon`` with up to a few objects each, in the order of a file."""

    def __init__(self, n_events, mean=2.0, seed=1):
        rng = np.random.default_rng(seed)
        self.n_events = n_events
        self.arrays = {
            ("run",): ak.Array(rng.integers(1, 9, n_events).astype("i4")),
            ("weight",): ak.Array(rng.normal(1, 1, n_events)),
            ("kind",): ak.Array([*rng.choice(["GT", "sim", ""], n_events).tolist(), "x"])[:-1],
            ("perhaps",): ak.Array([*[None if x < 0 else int(x) for x in rng.integers(-3, 9, n_events)], 1, None])[:-2],
            ("MET", "pt"): ak.Array(rng.exponential(30, n_events).astype("f4")),
            ("MET", "phi"): ak.Array(rng.uniform(-np.pi, np.pi, n_events).astype("f4")),
        }
        self.arrays["perhaps",] = ak.values_astype(self.arrays["perhaps",], np.int32)
        for name in ("Jet", "Muon"):
            counts = rng.poisson(mean, n_events)
            self._collection(name, counts, rng)

    def _collection(self, name, counts, rng):
        size = int(counts.sum())
        kinds = {
            "pt": rng.exponential(30, size), "eta": rng.normal(0, 2, size), "phi": rng.uniform(-np.pi, np.pi, size),
            "n": rng.integers(-4, 9, size), "small": rng.integers(-128, 128, size), "good": rng.random(size) < 0.5,
            "jetIdx": rng.integers(-1, 4, size), "any": rng.integers(-4, 5, size),
        }  # fmt: skip
        for leaf_name, flat in kinds.items():
            if (name, leaf_name) in DTYPES:
                self.arrays[name, leaf_name] = ak.unflatten(flat.astype(DTYPES[name, leaf_name]), counts)
        if name == "Jet":
            labels = ak.Array([*rng.choice(["b", "c", "light"], size).tolist(), "x"])[:-1]
            maybe = ak.Array([*[None if x < -0.5 else float(x) for x in rng.normal(0, 1, size)], 1.0, None])[:-2]
            inner = rng.poisson(1.5, size)
            hits = ak.unflatten(rng.integers(0, 99, int(inner.sum())).astype("i4"), inner)
            self.arrays["Jet", "label"] = ak.unflatten(labels, counts)
            self.arrays["Jet", "maybe"] = ak.unflatten(maybe, counts)
            self.arrays["Jet", "hits"] = ak.unflatten(hits, counts)
        self.arrays[name,] = ak.Array(counts.astype("i8"))
        self.asked = []

    def read(self, dataset, partition, paths):
        assert dataset == DS
        self.asked.append(tuple(paths))
        return {p: self.arrays[p][partition.start : partition.stop] for p in paths}

    def __getitem__(self, path):
        return self.arrays[path if isinstance(path, tuple) else (path,)].to_list()

    def value(self, *exprs, cuts=(), inputs=None):
        """Give results as users get them: one partition, or several with ``cuts`` between them."""
        edges = [0, *cuts, self.n_events]
        tasks = [task_of(e) for e in exprs]
        parts = []
        for start, stop in pairwise(edges):
            context = RunContext(Partition("memory", 0, start, stop, start))
            parts.append(run_tasks(tasks, inputs or {}, context, self.read))
        results = [merge_parts(t, [p[t.key] for p in parts]) for t in tasks]
        found = [r.value if isinstance(r, Scalar) else r.array for r in results]
        return found[0] if len(exprs) == 1 else found

    def list(self, expr, **more):
        """Give the result as Python lists."""
        found = self.value(expr, **more)
        return found.to_list() if isinstance(found, ak.Array) else found


def task_of(expr, spread="partitions", dataset=DS):
    output = "columns" if expr.type.axes else "scalar"
    return Task(
        b"task" + expr.key,
        "awkward",
        expr,
        expr,
        Numerics("local", "1"),
        (),
        output,
        spread,
        dataset if spread == "partitions" else None,
    )


def whole(expr, **inputs):
    """Give the result of a task on merged results."""
    task = task_of(expr, "whole")
    return run_tasks([task], {k.encode(): v for k, v in inputs.items()}, RunContext(), None)[task.key]

"""A table and expressions for the tests; imports nothing but the standard library and the language."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from hep_flows.expr import build
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.loops import close, provisional_level
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String

SPEC = '{"axes":[{"bins":50,"kind":"Regular","name":"pt","start":0.0,"stop":100.0}],"storage":{"kind":"Double"}}'


@lru_cache
def schema():
    """An event with jets (with a list-valued leaf), muons, missing energy and a few values of its own."""
    jet = Record(
        "Jet",
        {
            "pt": Member(Float(32), column="Jet_pt", unit="GeV"),
            "eta": Member(Float(32), column="Jet_eta"),
            "phi": Member(Float(32), column="Jet_phi"),
            "id": Member(Int(32), column="Jet_id"),
            "tight": Member(Bool(), column="Jet_tight"),
            "muonIdx": Member(Int(16, refers_to="Muon"), column="Jet_muonIdx"),
            "tracks": Member(Float(32), axes=("tracks",), column="Jet_tracks"),
        },
        model="nanoaod",
    )
    muon = Record(
        "Muon",
        {
            "pt": Member(Float(32), column="Muon_pt", unit="GeV"),
            "eta": Member(Float(32), column="Muon_eta"),
            "charge": Member(Int(32), column="Muon_charge"),
        },
        model="nanoaod",
    )
    met = Record("MET", {"pt": Member(Float(32), column="MET_pt", unit="GeV")}, model="nanoaod")
    return Record(
        "event",
        {
            "Jet": Member(jet, axes=("Jet",), column="nJet"),
            "Muon": Member(muon, axes=("Muon",), column="nMuon"),
            "MET": Member(met),
            "run": Member(Int(32, signed=False), column="run"),
            "weight": Member(Float(64), column="weight", optional=True),
            "trigger": Member(Bool(), column="trigger"),
            "kind": Member(String(), column="kind"),
            "broken": Member(Int(8), column="broken", unreadable="a class without a dictionary"),
        },
        model="nanoaod",
    )


def table(content=("aa11",), name="events", kind="nanoaod"):
    return build.dataset(kind, content, "Events", schema(), files=tuple(f"/data/{c}.root" for c in content), name=name)


def leaf(path, of=None):
    node = table() if of is None else of
    for name in path.split("."):
        node = build.field(node, name)
    return node


def lit(value, dtype=""):
    return build.literal(value, dtype)


def call(name, *args, **options):
    return build.call(name, [a if hasattr(a, "key") else lit(a) for a in args], tuple(options.items()))


def mapped(over, body, depth=0):
    """What recording ``over.map(body)`` gives; ``body`` gets a function from an array to its current element."""
    level = provisional_level(depth)
    return close(over, body(lambda of: build.bound(of, level)), level)


def pairs_of_jets(depth=0):
    """Differences of pt of all pairs of jets."""
    jets, pt = leaf("Jet"), leaf("Jet.pt")
    return mapped(jets, lambda a: mapped(jets, lambda b: call("subtract", a(pt), b(pt)), 1), 0)


def triples_of_jets():
    jets, pt = leaf("Jet"), leaf("Jet.pt")

    def body(a, b, c):
        return call("add", call("multiply", a(pt), b(pt)), c(pt))

    return mapped(jets, lambda a: mapped(jets, lambda b: mapped(jets, lambda c: body(a, b, c), 2), 1), 0)


def near_jets():
    """For each jet, how many muons have a pt above that of the jet."""
    jets = leaf("Jet")
    return mapped(
        jets, lambda j: call("count", build.filtered(leaf("Muon.pt"), call("greater", leaf("Muon.pt"), j(leaf("Jet.pt"))), 1))
    )


def delta(returns=Float(64), name="DeltaR", code=b"", accepts=(None, Float(64))):
    return UserFunction(name, ("a", "b"), accepts, returns, code)


def task_with_result():
    """A task as cut makes them: a filter of which a part of the mask is the result of another task."""
    pt = leaf("Jet.pt")
    mask = call("greater", pt, 30.5)
    whole = call("multiply", build.filtered(pt, mask, 1), build.filtered(leaf("Jet.eta"), mask, 1))
    first, second = whole.args
    here = build.task_input(b"m" * 32, mask.type)
    there = build.task_input(b"e" * 32, second.type)
    return replace(whole, args=(replace(first, mask=here), there))


def expressions():
    """Expressions of every kind, by name."""
    events, jets, pt, eta = table(), leaf("Jet"), leaf("Jet.pt"), leaf("Jet.eta")
    hard = call("greater", pt, 30.5)
    central = call("less", call("absolute", eta), 1.5)
    both = call("bitwise_and", hard, central)
    hard_pt = build.filtered(pt, hard, 1)
    two = call("greater_equal", call("count", build.filtered(jets, hard, 1)), 2)
    in_two = build.filtered(leaf("MET.pt"), two, 0)
    empty = build.histogram("histogram", (), (("spec", SPEC),), SPEC)
    weights = (("members", ("pt",)), ("axes", (("member", "pt"),)), ("weight", ("number", 0)), ("sample", None))
    double = hard_pt
    for _ in range(8):
        double = call("add", double, double)
    return {
        "table": events,
        "jets": jets,
        "leaf": pt,
        "number": lit(30.5),
        "float32": lit(0.5, "float32"),
        "minus": lit(-1),
        "nan": lit(float("nan")),
        "text": call("equal", leaf("kind"), "GT"),
        "tuple": lit((1, 2.0, "a", (True, None))),
        "compare": hard,
        "and": both,
        "filter": hard_pt,
        "filter both": build.filtered(pt, both, 1),
        "filtered jets": build.filtered(jets, both, 1),
        "event filter": in_two,
        "object in event filter": build.filtered(hard_pt, two, 0),
        "event mask on collection": build.filtered(pt, leaf("trigger"), 1),
        "nested leaf": leaf("Jet.tracks"),
        "filtered nested leaf": build.filtered(leaf("Jet.tracks"), hard, 1),
        "arithmetic": call("multiply", call("add", pt, 1), call("subtract", pt, call("subtract", eta, 2.0))),
        "power": call("power", call("negative", pt), 2),
        "negated power": call("negative", call("power", pt, 2)),
        "power of power": call("power", pt, call("power", pt, 2)),
        "invert": call("invert", hard),
        "sqrt": call("sqrt", call("true_divide", pt, 1000.0)),
        "where": call("where", hard, pt, call("negative", pt)),
        "isin": call("isin", leaf("Jet.id"), values=(1, 2)),
        "round": call("round", pt, decimals=2),
        "count": call("count", jets),
        "one number": call("sum", call("count", jets)),
        "max": call("max", hard_pt),
        "first": build.pick(hard_pt, 0, 1),
        "first of nested": build.pick(leaf("Jet.tracks"), 0, 1),
        "last": build.pick(pt, -1, 1),
        "slice": build.sliced(pt, (None, 2, None), 1),
        "slice with step": build.sliced(leaf("Jet.tracks"), (1, None, 2), 1),
        "gather": build.gathered(leaf("Muon.pt"), leaf("Jet.muonIdx"), 1),
        "combinations": build.gathered(pt, call("argcombinations", jets, n=2, which=1), 1, inside=True),
        "padded": build.gathered(pt, call("argpad", jets, clip=True, n=4), 1),
        "in order": build.gathered(pt, call("argsort", eta, descending=True), 1, inside=True),
        "concatenated": build.concatenated((jets, leaf("Muon")), 1),
        "concatenated leaves": build.concatenated((pt, leaf("Muon.pt")), 1),
        "record": build.record(("pt", "eta"), (pt, eta)),
        "block": build.record(("pt", "eta"), (pt, eta), block=4),
        "pair": build.record(("0", "1"), (pt, eta)),
        "flatten": build.flattened(leaf("Jet.tracks")),
        "replace": build.replaced(jets, ("pt", "new"), (call("multiply", pt, 2.0), hard), ("eta",)),
        "with of a view": build.filtered(build.replaced(jets, ("pt",), (eta,)), hard, 1),
        "referring": build.referring(leaf("Jet.id")),
        "histogram": empty,
        "fill": build.histogram("fill", (empty, build.record(("pt",), (hard_pt,)), lit(2.0)), weights, SPEC),
        "np histogram": build.histogram("np_histogram", (pt,), (("bins", 50), ("range", (0, 203))), "numpy"),
        "user function": call(delta(), pt, 2.0),
        "map": near_jets(),
        "map of constant": mapped(jets, lambda j: call("count", leaf("Muon.pt"))),
        "works along": mapped(jets, lambda j: call("true_divide", j(pt), 1000)),
        "pairs": pairs_of_jets(),
        "triples": triples_of_jets(),
        "map of nested": mapped(jets, lambda j: call("greater", j(leaf("Jet.tracks")), call("max", leaf("Muon.pt")))),
        "filtered by map": build.filtered(pt, call("equal", near_jets(), 0), 1),
        "input": build.task_input(bytes(range(32)), hard_pt.type),
        "input of records": call("count", build.task_input(bytes(32), build.filtered(jets, hard, 1).type)),
        "shared": double,
        "task": task_with_result(),
    }

"""Keys computed a second time, from ``docs/key_format.md`` alone: nothing of `hep_flows.expr.key` is used."""

from __future__ import annotations

import json
import math
import struct
from hashlib import sha256

import numpy as np
import pyarrow.parquet as pq
import pytest

from expr.sample import expressions
from hep_flows import Histogram, nanoaod_table, run
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.transport import decode
from hep_flows.expr.types import Histogram as HistogramItem
from hep_flows.expr.types import Record

SORTED = set("add multiply equal not_equal bitwise_and bitwise_or bitwise_xor logical_and logical_or logical_xor".split())
TURNED = {"greater": "less", "greater_equal": "less_equal"}


def frame(value):
    if value is None:
        return b"n0:"
    if value is True or value is False:
        return b"b1:" + (b"1" if value else b"0")
    if isinstance(value, int):
        return f"i{len(str(value))}:{value}".encode()
    if isinstance(value, float):
        return b"f8:" + (bytes.fromhex("7ff8000000000000") if math.isnan(value) else struct.pack(">d", value))
    if isinstance(value, str):
        return f"s{len(value.encode())}:{value}".encode()
    if isinstance(value, bytes):
        return f"k{len(value)}:".encode() + value
    return f"t{len(value)}:".encode() + b"".join(map(frame, value))


def digest(tag, *fields):
    return sha256(b"hf-expr/2" + b"".join(map(frame, (tag, *fields)))).digest()


def key(node):
    match node.tag:
        case "dataset":
            return digest("dataset", model(node), node.content, node.tree, *named(node))
        case "field":
            return digest("field", key(node.of), node.name, *stand_in(node))
        case "filter":
            return digest("filter", key(node.of), key(node.mask), node.at)
        case "literal":
            return digest("literal", node.value, node.dtype)
        case "call":
            return call_key(node)
        case "bound":
            return digest("bound", key(node.of), node.level)
        case "map":
            over = axes(node.over)
            return digest("map", tuple(a for a, *_ in over[:2]), loops(node.over), key(node.body), node.level)
        case "input":
            return digest("input", node.task)


def model(table):
    return table.kind.split(":")[-1]


def named(table):
    return (table.collections,) if table.collections else ()


def stand_in(leaf):
    return ("get", leaf.default.value, leaf.default.as_) if leaf.default else ()


def call_key(node, of=None):
    arguments = [(of or key)(a) for a in node.args]
    if isinstance(node.function, UserFunction):
        f = node.function
        how = (f.mode, f.lists, f.members, f.member, f.pure)
        more = () if how == ("arrays", (), (), "", True) else (how,)
        code = digest("user function", f.name, f.parameters, tuple(map(str, f.accepts)), str(f.returns), f.code, *more)
        return digest("call", "user", code, tuple(arguments), node.options)
    name = node.function
    if name in TURNED:
        name, arguments = TURNED[name], arguments[::-1]
    if name in SORTED:
        arguments.sort()
    return digest("call", name, 1, tuple(arguments), node.options)


def path(node):
    return "" if node.tag != "field" else f"{path(node.of)}{node.name}."


def axes(node):
    """The axes as key, root, and the axis outside of the loop for one inside a loop's element."""
    match node.tag:
        case "dataset":
            events = digest("axis of events", model(node), node.content, node.tree, *named(node))
            return [(events, events, None)]
        case "field":
            found = axes(node.of)
            for name in node.of.type.item.members[node.name].axes:
                below = digest("axis", found[0][1], f"{path(node.of)}{name}")
                found = [*found, (below, below, None)]
            return found
        case "filter":
            return viewed(axes(node.of), node.at, "view", key(node.mask))
        case "literal":
            return []
        case "bound":
            first, loop, *rest = axes(node.of)
            return [first, *[element(a, loop, node.level) for a in rest]]
        case "map":
            events, loop = axes(node.over)[:2]
            return [events, loop, *[outside(a, loop, node.level) for a in axes(node.body)[1:]]]
        case "input":
            return [(a.key, a.root, None) for a in node.type.axes]
        case "call":
            return call_axes(node)


def viewed(before, at, kind, *what):
    return [*before[:at], chosen(before[at], kind, *what), *before[at + 1 :]]


def chosen(axis, kind, *what):
    return (digest(kind, axis[0], *what), axis[1], None)


def element(axis, loop, level):
    return (digest("element", axis[0], loop[0], level), axis[1], axis)


def outside(axis, loop, level):
    whole = axis[2]
    return whole if whole is not None and element(whole, loop, level)[0] == axis[0] else axis


def call_axes(node):  # noqa: C901, PLR0911, PLR0912 - one for each function
    of = [axes(a) for a in node.args]
    options = dict(node.options)
    match node.function:
        case (
            "count"
            | "sum"
            | "prod"
            | "any"
            | "all"
            | "max"
            | "min"
            | "mean"
            | "std"
            | "var"
            | "median"
            | "quantile"
            | "argmax"
            | "argmin"
        ):
            return of[0][:-1]
        case UserFunction(parameters=names, lists=lists):
            return max([a[:-1] if n in lists else a for n, a in zip(names, of, strict=True)], key=len)
        case "unique":
            return viewed(of[0], len(of[0]) - 1, "unique", key(node.args[0]))
        case "pick":
            at = options["at"]
            return [*of[0][:at], *[chosen(a, "pick", of[0][at][0], options["index"]) for a in of[0][at + 1 :]]]
        case "slice":
            return viewed(of[0], options["at"], "slice", (options["start"], options["stop"], options["step"]))
        case "gather":
            at = options["at"]
            first = of[1] if len(of[1]) >= at else of[0][:at]
            return [*first, *[chosen(a, "gather", of[0][at][0], key(node.args[1])) for a in of[0][at + 1 :]]]
        case "argsort":
            return viewed(of[0], len(of[0]) - 1, "argsort", key(node.args[0]), options["descending"])
        case "argpad":
            return viewed(of[0], len(of[0]) - 1, "argpad", options["clip"], options["n"])
        case "argcombinations":
            groups = digest("argcombinations", of[0][-1][0], options["n"])
            return [*of[0][:-1], (groups, groups, None)]
        case "concatenate":
            at = options["at"]
            joined = [digest("concatenate", *[a[i][0] for a in of]) for i in range(at, len(of[0]))]
            return [*of[0][:at], *[(j, j, None) for j in joined]]
        case "replace":
            return of[0]
        case "referring":
            below = digest("referring", key(node.args[0]))
            return [*of[0], (below, below, None)]
        case "flatten":
            joined = digest("flat", of[0][-2][0], of[0][-1][0])
            return [*of[0][:-2], (joined, joined, None)]
        case "histogram" | "fill" | "np_histogram":
            return []
        case _:
            return max(of, key=len)[: options.get("axes")]


def loops(node):
    """The loops that a node stands in, as pairs of axis and level."""
    found = set()
    for part in node.inputs():
        found |= set(loops(part))
    if node.tag == "bound":
        found.add((axes(node.of)[1][0], node.level))
    if node.tag == "map":
        found.discard((axes(node.over)[1][0], node.level))
    return tuple(sorted(found, key=lambda o: (-o[1], o[0])))


def output(node):
    if isinstance(node.type.item, HistogramItem):
        return "histogram"
    return "columns" if node.type.axes else "scalar"


def result_key(node, family, version):
    return digest("result", 1, family, version, key(node), output(node))


def batch_key(node, family, version, content, start, stop):
    members = members_of(node.type.item) if isinstance(node.type.item, Record) else b""
    form = digest("form", 1, family, version, form_of(node, family, version), output(node), members)
    return digest("batch", form, tuple(content), start, stop)


def members_of(record):
    rows = []
    for name, m in record.members.items():
        inside = members_of(m.item) if isinstance(m.item, Record) else str(m.item)
        rows.append((name, inside, tuple(m.axes), m.optional, bool(m.unreadable)))
    return digest("members", record.name, record.model, tuple(rows))


def word(node):
    """Say whether something is known for each range of events, for all events only, or without any."""
    if node.tag == "dataset":
        return "partitions"
    if node.tag == "call" and dict(node.options).get("at") == 0 and node.args:
        return "whole"
    over = {word(i) for i in node.inputs() if i.type.axes}
    for found in ("whole", "partitions"):
        if found in over:
            return found
    is_fill = node.tag == "call" and node.function == "fill"
    return "whole" if is_fill or any(word(i) != "anywhere" for i in node.inputs()) else "anywhere"


def merged(node, user):
    if node.tag == "literal" or node.type.loops or word(node) == "anywhere":
        return False
    chain = isinstance(node.type.item, HistogramItem) and isinstance(user.type.item, HistogramItem)
    return word(node) != word(user) or (not node.type.axes and not chain)


def form_of(node, family, version):
    def of(i):
        return digest("merged", result_key(i, family, version)) if merged(i, node) else form_of(i, family, version)

    match node.tag:
        case "dataset":
            return digest("dataset", model(node), node.tree, *named(node))
        case "literal":
            return key(node)
        case "field":
            item = "" if isinstance(node.type.item, Record) else str(node.type.item)
            return digest("field", of(node.of), node.name, item, node.type.optional, *stand_in(node))
        case "filter":
            return digest("filter", of(node.of), of(node.mask), node.at)
        case "bound":
            return digest("bound", of(node.of), node.level)
        case "map":
            return digest("map", b"" if node.level else of(node.over), of(node.body), node.level)
        case "call":
            return call_key(node, of)


def asked(df):
    """Results with every sort of key: arrays, objects, loops, numbers that enter again, histograms, picks of events."""
    hard = df.Jet[(df.Jet.pt > 30) & (abs(df.Jet.eta) < 2.4)]
    return {
        "leaf": hard.pt,
        "object": df.MET,
        "loop": df.Jet.map(lambda j: hard.pt.Max() - j.pt),
        "repeated": df.Jet.map(lambda j: df.MET.pt),
        "normalised": df.MET.pt / df.MET.pt.Max() + hard.pt.Sum().Sum() / df.Count(),
        "first": df.MET.pt[:7],
        "lacking": df.get("nothing", 2.0).Sum() + df.Jet.get("none", 1, as_="int32").Sum().Sum(),
        "counts": np.histogram(df.MET.pt, bins=[0, 10, 20, 50]),
        "histogram": Histogram.new.Reg(20, 0, 200, name="pt").Double().fill(pt=hard.pt).fill(pt=df.MET.pt / df.MET.pt.Mean()),
    }


def whole(value, shared):
    """Put what results have in common back."""
    if not isinstance(value, dict):
        return value
    return shared[value["$shared"]] if "$shared" in value else {k: whole(v, shared) for k, v in value.items()}


def test_every_stored_result_has_the_key_that_it_says_of_itself(tmp_path, cache_folder):
    df = nanoaod_table([str(sample_files(tmp_path / n, Recipe(events=80, seed=i)).nanoaod) for i, n in enumerate("ab")])
    assert run(asked(df)).is_complete
    sorts = set()
    footers = [json.loads(pq.read_metadata(p).metadata[b"hep_flows"]) for p in cache_folder.glob("objects-*/**/*.parquet")]
    for result in [whole(r, f["shared"]) for f in footers for r in f["results"]]:
        about = result["provenance"]
        node, numerics = decode(about["expression"].encode()), (about["family"], about["result_version"])
        if "batch" in about["tags"]:
            data = about["dataset"]
            expected = batch_key(node, *numerics, data["content"], data["start"], data["stop"])
        else:
            expected = result_key(node, *numerics)
        assert result["key"] == expected.hex(), about["text"]
        sorts.add((about["tags"][0], output(node)))
    assert sorts == {("batch", "columns"), ("batch", "scalar"), ("batch", "histogram")} | {
        ("merged", "columns"), ("merged", "scalar"), ("merged", "histogram"),
    }  # fmt: skip


@pytest.mark.parametrize("name", expressions())
def test_keys_follow_the_written_format(name):
    node = expressions()[name]
    assert key(node) == node.key


@pytest.mark.parametrize("name", [n for n in expressions() if n != "task"])
def test_axes_follow_the_written_format(name):
    node = expressions()[name]
    assert [a[:2] for a in axes(node)] == [(a.key, a.root) for a in node.type.axes]

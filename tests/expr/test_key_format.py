"""Keys computed a second time, from ``docs/key_format.md`` alone: nothing of `hep_flows.expr.key` is used."""

from __future__ import annotations

import math
import struct
from hashlib import sha256

import pytest

from expr.sample import expressions
from hep_flows.expr.functions import UserFunction

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
    return sha256(b"hf-expr/1" + b"".join(map(frame, (tag, *fields)))).digest()


def key(node):
    match node.tag:
        case "dataset":
            return digest("dataset", node.kind, node.content, node.tree)
        case "field":
            return digest("field", key(node.of), node.name)
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


def call_key(node):
    arguments = [key(a) for a in node.args]
    if isinstance(node.function, UserFunction):
        f = node.function
        code = digest("user function", f.name, f.parameters, tuple(map(str, f.accepts)), str(f.returns), f.code)
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
            events = digest("axis of events", node.kind, node.content, node.tree)
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


def viewed(before, at, kind, what):
    return [*before[:at], chosen(before[at], kind, what), *before[at + 1 :]]


def chosen(axis, kind, *what):
    return (digest(kind, axis[0], *what), axis[1], None)


def element(axis, loop, level):
    return (digest("element", axis[0], loop[0], level), axis[1], axis)


def outside(axis, loop, level):
    whole = axis[2]
    return whole if whole is not None and element(whole, loop, level)[0] == axis[0] else axis


def call_axes(node):
    of = [axes(a) for a in node.args]
    options = dict(node.options)
    match node.function:
        case "count" | "sum" | "prod" | "any" | "all" | "max" | "min" | "mean":
            return of[0][:-1]
        case "pick":
            at = options["at"]
            return [*of[0][:at], *[chosen(a, "pick", of[0][at][0], options["index"]) for a in of[0][at + 1 :]]]
        case "slice":
            return viewed(of[0], options["at"], "slice", (options["start"], options["stop"], options["step"]))
        case "gather":
            at = options["at"]
            first = of[1] if len(of[1]) >= at else of[0][:at]
            return [*first, *[chosen(a, "gather", of[0][at][0], key(node.args[1])) for a in of[0][at + 1 :]]]
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


@pytest.mark.parametrize("name", expressions())
def test_keys_follow_the_written_format(name):
    node = expressions()[name]
    assert key(node) == node.key


@pytest.mark.parametrize("name", [n for n in expressions() if n != "task"])
def test_axes_follow_the_written_format(name):
    node = expressions()[name]
    assert [a[:2] for a in axes(node)] == [(a.key, a.root) for a in node.type.axes]

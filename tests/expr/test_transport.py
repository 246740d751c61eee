"""Expressions as bytes and back, and what happens to bytes that are no expression."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from calls import in_proportion
from expr.python_view import check
from expr.sample import call, delta, expressions, leaf, lit, mapped, table
from hep_flows.errors import RecordError
from hep_flows.expr import build
from hep_flows.expr.nodes import Call, Dataset
from hep_flows.expr.text import tree_text
from hep_flows.expr.transport import MOST_BYTES, decode, encode
from hep_flows.expr.types import Float, Record
from hep_flows.expr.walk import postorder

ROOT = Path(__file__).parents[2]


def dataset_of(expr):
    return next(n for n in postorder(expr) if isinstance(n, Dataset))


@pytest.mark.parametrize("name", expressions())
def test_decoding_gives_the_same_expression(name):
    expr = expressions()[name]
    again = decode(encode(expr))
    check(again)
    assert again == expr
    assert str(again.type) == str(expr.type)
    assert again.type.axes == expr.type.axes
    assert tree_text(again) == tree_text(expr)


@pytest.mark.parametrize("name", expressions())
def test_bytes_are_canonical(name):
    data = encode(expressions()[name])
    assert encode(expressions()[name]) == data
    assert encode(decode(data)) == data
    assert json.dumps(json.loads(data), separators=(",", ":"), sort_keys=True).encode() == data


def test_another_process_reads_them():
    script = """
import sys
sys.path[:0] = sys.argv[1:2]
from hep_flows.expr.transport import decode
print(decode(bytes.fromhex(sys.argv[2])).key.hex())
"""
    expr = expressions()["filtered by map"]
    arguments = [sys.executable, "-c", script, str(ROOT), encode(expr).hex()]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert done.stdout.strip() == expr.key.hex()


@pytest.mark.parametrize(
    "value",
    [None, True, 1, -(2**80), 0.1, -0.0, float("inf"), float("nan"), "é\n\"'", "", (), (1, (2.0, ("a", None, False)), b"\x00\xff")],
)
def test_constants_are_exact(value):
    made = Call("isin", (leaf("Jet.id"),), (("values", (value,)),), type=call("isin", leaf("Jet.id"), values=(1,)).type)
    assert decode(encode(made)) == made


def test_paths_and_names_go_along():
    one = build.dataset("nanoaod", ("a", "b"), "Events", table().type.item, files=("/x/a.root", "root://y//b.root"), name="ttbar")
    again = dataset_of(decode(encode(build.field(one, "run"))))
    assert again.files == one.files
    assert again.name == "ttbar"
    assert again.kind == "nanoaod"


def test_only_the_used_leaves_go_along():
    record = dataset_of(decode(encode(expressions()["filter both"]))).type.item
    assert list(record.members) == ["Jet"]
    assert list(record.members["Jet"].item.members) == ["pt", "eta"]
    assert record.members["Jet"].column == "nJet"
    assert record.members["Jet"].item.members["pt"] == table().type.item.members["Jet"].item.members["pt"]


@pytest.mark.parametrize("name", ["jets", "filtered jets"])
def test_a_result_of_objects_takes_all_their_members_along(name):
    record = dataset_of(decode(encode(expressions()[name]))).type.item
    assert set(record.members["Jet"].item.members) == set(table().type.item.members["Jet"].item.members)
    assert "Muon" not in record.members


def test_a_table_as_result_goes_along_whole():
    record = decode(encode(table())).type.item
    assert list(record.members) == list(table().type.item.members)
    assert record.members["broken"].unreadable


def test_a_counted_collection_keeps_leaves_to_count_by():
    record = dataset_of(decode(encode(call("count", leaf("Jet"))))).type.item
    assert record.members["Jet"].item.members


def test_counting_events_needs_no_leaf():
    assert dataset_of(decode(encode(call("count", table())))).type.item.members == {}


def test_members_of_selected_objects_in_loops_go_along():
    near = mapped(leaf("Jet"), lambda j: build.filtered(leaf("Muon"), call("greater", leaf("Muon.pt"), j(leaf("Jet.pt"))), 1))
    record = dataset_of(decode(encode(near))).type.item
    assert set(record.members["Muon"].item.members) == {"pt", "eta", "charge"}


def test_a_function_goes_along_without_its_body():
    function = replace(delta(code=b"\x01"), body=max, note="assumed", portable=False)
    again = decode(encode(call(function, leaf("Jet.pt"), 1.0))).function
    assert again == function
    assert again.body is None
    assert (again.note, again.portable) == ("assumed", False)


def test_a_task_keeps_the_types_that_it_was_cut_with():
    task = expressions()["task"]
    again = decode(encode(task))
    assert [a.type.axes for a in again.args] == [a.type.axes for a in task.args]


def test_equal_parts_are_one_row():
    rows = json.loads(encode(expressions()["shared"]))["nodes"]
    assert len(rows) == len(list(postorder(expressions()["shared"])))


@pytest.mark.parametrize("step", [lambda x: call("add", x, x), lambda x: call("sqrt", x)])
def test_deep_and_shared_expressions(step):
    def chain(n):
        x = leaf("Jet.pt")
        for _ in range(n):
            x = step(x)
        return x

    assert in_proportion(lambda x: decode(encode(x)), chain, 400)
    x = chain(10_000)
    assert decode(encode(x)) == x


def test_wide_schemas_of_records_in_records():
    record = Record("r0", {"x": replace(table().type.item.members["run"], item=Float(32))})
    for i in range(1, 400):
        record = Record(f"r{i}", {"in": replace(table().type.item.members["MET"], item=record)})
    expr = build.dataset("tree", ("a",), "t", record)
    assert decode(encode(expr)) == expr


# -------------------------------------------------------------------------------------------------- damaged


def damaged(change):
    text = json.loads(encode(expressions()["filtered by map"]))
    change(text)
    return json.dumps(text).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(format="hf-transport/0"),
        lambda t: t.update(key="00" * 32),
        lambda t: t.pop("records"),
        lambda t: t.update(more=1),
        lambda t: t.update(nodes=[]),
        lambda t: t.update(nodes={}),
        lambda t: t["nodes"].pop(),
        lambda t: t["nodes"].pop(0),
        lambda t: t["nodes"].append(7),
        lambda t: t["nodes"].append(["field", 99, "pt"]),
        lambda t: t["nodes"].append(["field", -1, "pt"]),
        lambda t: t["nodes"].append(["field", True, "pt"]),
        lambda t: t["nodes"].append(["field", 0, "nothing"]),
        lambda t: t["nodes"].append(["call", "sqrt", [0], [], ""]),
        lambda t: t["nodes"].append(["call", "no such function", [0], [], ""]),
        lambda t: t["nodes"].append(["call", 0, [0], [], ""]),
        lambda t: t["nodes"].append(["call", "pick", [0], [], ""]),
        lambda t: t["nodes"].append(["call", "pick", [0], [["index", "a"], ["at", 0]], ""]),
        lambda t: t["nodes"].append(["literal", {"f": "x"}, ""]),
        lambda t: t["nodes"].append(["literal", {"g": "1"}, ""]),
        lambda t: t["nodes"].append(["literal", 1, "complex"]),
        lambda t: t["nodes"].append(["bound", 0, 1]),
        lambda t: t["nodes"].append(["map", 0, 0, 1]),
        lambda t: t["nodes"].append(["filter", 0, 0, 0]),
        lambda t: t["nodes"].append(["filter", 1, 1, 5]),
        lambda t: t["nodes"].append(["input", "zz", []]),
        lambda t: t["nodes"].append(["eval", "1"]),
        lambda t: t["nodes"].append(["typed", 1, 2]),
        lambda t: t["records"].append(["r", "m", "", [["x", ["record", 99], [], "", "", "", False, ""]]]),
        lambda t: t["records"].append(["r", "m", "", [["x", ["float", 13], [], "", "", "", False, ""]]]),
        lambda t: t["records"].append("r"),
        lambda t: t["functions"].append(["f"]),
    ],
)
def test_damaged_bytes_are_refused(change):
    with pytest.raises(RecordError, match="these bytes are not an expression") as caught:
        decode(damaged(change))
    assert caught.value.why


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"{", b"1e999", b"[" * 100_000, b'{"a":' * 100_000])
def test_bytes_of_something_else_are_refused(data):
    with pytest.raises(RecordError, match="these bytes are not an expression"):
        decode(data)


def test_every_truncation_is_refused():
    data = encode(expressions()["sqrt"])
    for n in range(0, len(data), 7):
        with pytest.raises(RecordError):
            decode(data[:n])


def test_too_many_bytes_are_refused_before_they_are_read():
    with pytest.raises(RecordError, match="are more than"):
        decode(b" " * (MOST_BYTES + 1))


def test_a_changed_constant_is_noticed():
    data = encode(call("greater", leaf("Jet.pt"), lit(30.5)))
    assert b"30.5" in data
    with pytest.raises(RecordError, match="does not have the key"):
        decode(data.replace(b"30.5", b"31.5"))

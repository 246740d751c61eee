"""What content keys depend on, and that they are the same everywhere."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from expr.sample import SPEC, call, delta, expressions, leaf, lit, mapped, near_jets, pairs_of_jets, schema, table
from golden_files import assert_golden
from hep_flows.errors import LiteralError, SourceLine
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.key import FORMAT, digest, frame
from hep_flows.expr.types import Float, Int, Member, Record

ROOT = Path(__file__).parents[2]
PRINT_KEYS = """
import json, sys
sys.path[:0] = sys.argv[1:]
from expr.sample import expressions
print(json.dumps({name: e.key.hex() for name, e in expressions().items()}))
"""


def keys():
    return {name: e.key.hex() for name, e in expressions().items()}


def pythons():
    """Every Python >= 3.11 on this machine that starts."""
    names = [sys.executable, *[f"python3.{minor}" for minor in range(11, 20)]]
    places = [Path(p) for p in (shutil.which(n) for n in names) if p]
    places += sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    found = {}
    for place in places:
        asked = subprocess.run(
            [place, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0 and (version := tuple(map(int, asked.stdout.split()))) >= (3, 11):
            found.setdefault(version, str(place))
    return [pytest.param(p, id=".".join(map(str, v))) for v, p in found.items()]


def test_keys_are_those_that_were_written_down():
    text = json.dumps({"format": FORMAT.decode(), **keys()}, indent=1) + "\n"
    assert_golden("keys.json", text)


@pytest.mark.parametrize("python", pythons())
def test_keys_are_equal_in_every_python_and_with_every_hash_seed(python):
    for seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [python, "-c", PRINT_KEYS, str(ROOT), str(ROOT / "tests")], capture_output=True, text=True, check=True, env=environment
        )
        assert json.loads(done.stdout) == keys()


def test_different_expressions_have_different_keys():
    found = keys()
    assert len(set(found.values())) == len(found)


def test_equality_and_hash_follow_the_key():
    a, b = expressions()["filter both"], expressions()["filter both"]
    assert a is not b
    assert a == b
    assert hash(a) == hash(b)
    assert a != expressions()["filter"]
    assert a != a.key


# ------------------------------------------------------------------------------------------------------ values


def test_values_of_different_kinds_differ():
    values = [None, False, True, 0, 1, 0.0, 1.0, "", "1", b"", b"1", (), (1,), ((1,),), ("1",), (1, 1), -1, -1.0]
    assert len({frame(v) for v in values}) == len(values)


def test_no_two_sequences_of_values_share_their_bytes():
    assert frame(("ab", "c")) != frame(("a", "bc"))
    assert frame((("a",), "b")) != frame(("a", ("b",)))
    assert digest("t", "a", "b") != digest("t", ("a", "b"))
    assert digest("t", "a") != digest("ta")


def test_text_counts_in_bytes():
    assert frame("é") == b"s2:\xc3\xa9"
    assert frame("e\u0301") != frame("\u00e9")


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, object(), 1j])
def test_other_kinds_of_values_are_refused(value):
    with pytest.raises(TypeError, match="cannot be part of a content key"):
        frame(value)


def test_key_depends_on_the_kind_of_a_literal():
    values = [lit(1), lit(1.0), lit(True), lit("1"), lit(1, "int64"), lit(1, "int32"), lit(1.0, "float32")]
    assert len({v.key for v in values}) == len(values)


def test_key_depends_on_the_sign_of_zero():
    assert lit(0.0).key != lit(-0.0).key


def test_key_does_not_depend_on_which_nan():
    other = -math.nan
    assert lit(math.nan).key == lit(other).key == lit(float("nan")).key


def test_key_depends_on_the_last_bit_of_a_float():
    assert lit(30.5).key != lit(math.nextafter(30.5, 31)).key


def test_large_integers_have_keys_of_their_own():
    assert lit(2**62).key != lit(2**62 + 1).key


def test_an_integer_that_no_array_holds_is_refused():
    with pytest.raises(LiteralError, match="64 bits"):
        lit(2**70)


# ---------------------------------------------------------------------------------------------------- operators


COMMUTATIVE = [n for n, row in FUNCTIONS.items() if row.commutative and n not in {"bitwise_and", "bitwise_or", "bitwise_xor"}]


@pytest.mark.parametrize("name", COMMUTATIVE)
def test_key_does_not_depend_on_argument_order_where_it_changes_no_bit(name):
    a, b = leaf("Jet.pt"), leaf("Jet.eta")
    assert call(name, a, b) == call(name, b, a)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_key_does_not_depend_on_argument_order_of_masks(name):
    a, b = call("greater", leaf("Jet.pt"), 30), leaf("Jet.tight")
    assert call(name, a, b) == call(name, b, a)


@pytest.mark.parametrize(
    "name", ["subtract", "true_divide", "floor_divide", "remainder", "power", "fmod", "arctan2", "copysign", "maximum", "hypot"]
)
def test_key_depends_on_argument_order_elsewhere(name):
    a, b = leaf("Jet.pt"), leaf("Jet.eta")
    assert call(name, a, b) != call(name, b, a)


def test_key_depends_on_the_order_of_sums_of_three():
    a, b, c = leaf("Jet.pt"), leaf("Jet.eta"), leaf("Jet.phi")
    assert call("add", call("add", a, b), c) != call("add", a, call("add", b, c))


def test_key_does_not_depend_on_the_side_of_a_comparison():
    a, b = leaf("Jet.pt"), leaf("Jet.eta")
    assert call("greater", a, b) == call("less", b, a)
    assert call("greater_equal", a, b) == call("less_equal", b, a)
    assert call("greater", a, b) != call("less", a, b)
    assert call("greater", a, b) != call("greater_equal", a, b)
    assert call("equal", a, b) != call("not_equal", a, b)


def test_key_depends_on_the_function():
    a, b = leaf("Jet.pt"), leaf("Jet.eta")
    two = [n for n, row in FUNCTIONS.items() if row.kind == "elementwise" and row.arity == (2, 2) and not row.mirror]
    made = {}
    for name in two:
        if name in {"bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm"}:
            continue
        made[name] = call(name, a, b).key
    assert len(set(made.values())) == len(made)


def test_key_depends_on_options():
    pt = leaf("Jet.pt")
    assert call("round", pt, decimals=1) != call("round", pt, decimals=2)
    assert build.pick(pt, 0, 1) != build.pick(pt, 1, 1)
    assert build.sliced(pt, (None, 2, None), 1) != build.sliced(pt, (0, 2, None), 1)


def test_key_depends_on_the_meaning_of_a_function(monkeypatch):
    before = call("sqrt", leaf("Jet.pt")).key
    monkeypatch.setitem(FUNCTIONS, "sqrt", replace(FUNCTIONS["sqrt"], meaning=2))
    assert call("sqrt", leaf("Jet.pt")).key != before


def test_key_depends_on_the_axis_of_a_filter_or_pick():
    tracks = leaf("Jet.tracks")
    assert build.pick(tracks, 0, 1) != build.pick(tracks, 0, 2)
    mask = leaf("trigger")
    assert build.filtered(leaf("Jet.pt"), mask, 0) != build.filtered(leaf("Jet.pt"), mask, 1)


# --------------------------------------------------------------------------------------------------------- data


def test_key_does_not_depend_on_source_line():
    here = SourceLine("analysis.py", 3, 4, 9)
    assert build.field(table(), "Jet", here) == build.field(table(), "Jet")
    assert build.literal(1, where=here) == lit(1)


def test_key_depends_on_content_and_kind_and_tree():
    tables = [table(("a",)), table(("b",)), table(("a", "b")), table(("b", "a")), table(("ab",)), table(("a",), kind="tree")]
    tables.append(build.dataset("nanoaod", ("a",), "Other", schema()))
    assert len({t.key for t in tables}) == len(tables)


def test_key_does_not_depend_on_paths_and_display_names():
    one = build.dataset("nanoaod", ("a",), "Events", schema(), files=("/here/a.root",), name="ttbar")
    assert one == build.dataset("nanoaod", ("a",), "Events", schema(), files=("/there/b.root",), name="events")


def test_key_does_not_depend_on_the_schema_beside_what_is_used():
    small = Record("event", {"run": Member(Int(32, signed=False))})
    large = Record("event", {"run": Member(Int(32, signed=False)), "more": Member(Float(32))})
    one, other = [build.field(build.dataset("tree", ("a",), "t", r), "run") for r in (small, large)]
    assert one == other


# -------------------------------------------------------------------------------------------------------- loops


def test_key_does_not_depend_on_lambda_variable_or_recording():
    """Every recording has its own provisional level, which stands for the variable."""
    assert near_jets() == near_jets()
    assert pairs_of_jets(depth=0) == pairs_of_jets(depth=3)


def test_key_does_not_depend_on_nesting_place():
    """The count of near muons is one expression, inside another loop or outside."""
    inside = {}

    def body(m):
        inside["near"] = near_jets()
        return call("sum", call("multiply", near_jets(), m(leaf("Muon.pt"))))

    whole = mapped(leaf("Muon"), body)
    assert inside["near"] == near_jets()
    assert any(n.key == near_jets().key for n in descendants(whole))


def descendants(root):
    ahead = [root]
    while ahead:
        node = ahead.pop()
        yield node
        ahead.extend(node.inputs())


def test_key_depends_on_which_loop_an_element_belongs_to():
    jets, pt, eta = leaf("Jet"), leaf("Jet.pt"), leaf("Jet.eta")

    def pairs(first, second):
        return mapped(jets, lambda a: mapped(jets, lambda b: call("max", call("subtract", a(first), call("add", b(second), eta)))))

    assert pairs(pt, eta) != pairs(eta, pt)


def test_key_of_a_loop_does_not_depend_on_the_values_looped_over():
    by_pt = mapped(leaf("Jet.pt"), lambda j: call("count", leaf("Muon.pt")))
    by_eta = mapped(leaf("Jet.eta"), lambda j: call("count", leaf("Muon.pt")))
    assert by_pt == by_eta


def test_key_of_a_loop_depends_on_the_collection():
    assert mapped(leaf("Jet"), lambda j: call("count", table())) != mapped(leaf("Muon"), lambda j: call("count", table()))


# ---------------------------------------------------------------------------------------------------- functions


def test_key_depends_on_name_signature_and_code_of_a_user_function():
    pt = leaf("Jet.pt")
    functions = [
        delta(),
        delta(name="Delta"),
        delta(returns=Float(32)),
        delta(code=b"body"),
        delta(accepts=(None, None)),
        delta(accepts=(Float(64), None)),
        replace(delta(), parameters=("x", "y")),
    ]
    assert len({call(f, pt, 2.0).key for f in functions}) == len(functions)


def test_key_does_not_depend_on_body_object_or_note_of_a_user_function():
    pt = leaf("Jet.pt")
    assert call(replace(delta(), body=max, note="assumed"), pt, 2.0) == call(delta(), pt, 2.0)


def test_user_function_and_table_function_of_one_name_differ():
    pt = leaf("Jet.pt")
    assert call(delta(name="add"), pt, 2.0) != call("add", pt, 2.0)


def test_key_depends_on_histogram_spec_and_fills():
    pt = leaf("Jet.pt")
    one = build.histogram("histogram", (), (("spec", SPEC),), SPEC)
    other = build.histogram("histogram", (), (("spec", SPEC + " "),), SPEC + " ")
    assert one != other
    options = (("members", ("pt",)), ("axes", (("member", "pt"),)), ("weight", None), ("sample", None))
    filled = build.histogram("fill", (one, build.record(("pt",), (pt,))), options, SPEC)
    twice = build.histogram("fill", (filled, build.record(("pt",), (pt,))), options, SPEC)
    assert len({one.key, filled.key, twice.key}) == 3

"""What a user writes gives what it says: the same source text on recorded frames and on naive ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import awkward as ak
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from expr.python_view import check
from hep_flows import make_local, parquet_table
from hep_flows.expr.types import Bool, Float, Int, Member, Record
from hep_flows.planning.normalise import normalise
from oracle.compare import differences
from oracle.interpreter import interpret
from oracle.memory import evaluated
from oracle.naive import Naive
from oracle.prelude import record, recorded, run_naive
from oracle.programs import programs
from oracle.tables import Table, tables


@given(program=programs(), table=tables(), chunk_events=st.sampled_from([1, 1000]))
def test_recorded_analysis_gives_what_it_says(program, table, chunk_events):
    # The sum of an empty list has no kind for the naive frames, so kinds of numbers are not compared here.
    expected = run_naive(program, table)["result"].result()
    expr = recorded(record(program, table)["result"])
    check(expr)
    assert differences(interpret(expr, table.events), expected, exact=False, kinds=False) == [], "recorded as something else"
    (normal,) = normalise([expr])
    got, _ = evaluated(normal, table, chunk_events=chunk_events)
    assert differences(got, expected, exact=False, kinds=False) == []


@given(program=programs(), table=tables(special=True), chunk_events=st.sampled_from([1, 1000]))
def test_recorded_analysis_gives_what_it_says_of_values_that_are_not_finite(program, table, chunk_events):
    expected = run_naive(program, table)["result"].result()
    got, _ = evaluated(*normalise([recorded(record(program, table)["result"])]), table, chunk_events=chunk_events)
    assert differences(got, expected, exact=False, kinds=False) == []


@given(program=programs(), table=tables(max_events=0))
def test_recording_twice_gives_the_same_key(program, table):
    assert recorded(record(program, table)["result"]) == recorded(record(program, table)["result"])


# Files of one dataset that are not alike: other widths, and leaves that only some of them have

KINDS = {"n": ["int32", "uint8", "int16", "int8"], "x": ["float32", "float64"], "q": ["float32", "float64"], "flag": ["bool"]}
KINDS |= {"Jet_pt": ["float32"], "Jet_n": ["uint8", "int32"], "Jet_q": ["float32"]}
MAY_LACK = ("q", "flag", "Jet_q")
MADE_OF_THEM = [
    "df.n * 2 - 1", "df.n + df.x", "df.get('q', {d}) + df.x", "df[df.get('q', {d}) > 0].n", "df[df.get('flag', {b})].n", "df.n.Sum()",
    "df.Jet.get('q', {d})", "df.Jet.get('q', {d}).Max()", "df.Jet[df.Jet.get('q', {d}) > df.Jet.pt].n", "(df.Jet.n * df.n).Sum()",
    "df.Jet.pt * df.get('q', {d})", "df.Jet[df.get('flag', {b})].pt.Count()", "df.Jet.MaxBy(df.Jet.get('q', {d})).pt",
    "df.Jet.map(lambda j: j.get('q', {d}) - df.Jet.pt).Min()", "df.Jet.OrderBy(lambda j: j.get('q', {d})).n", "df.Jet.get('q', {d})[:1]",
    "df.Jet.Combinations(2, fields=('one', 'two')).one.get('q', {d})", "df.get('flag', {b}) & (df.n > 1)", "np.where(df.get('flag', {b}), df.n, 2)",
]  # fmt: skip


@st.composite
def files(draw):
    """Give for some files: the kind of each leaf that it has, and its events."""
    found = []
    for _ in range(draw(st.integers(2, 3))):
        kinds = {n: draw(st.sampled_from(k)) for n, k in KINDS.items() if n not in MAY_LACK or draw(st.booleans())}
        events = []
        for _ in range(draw(st.integers(0, 3))):
            n_jets = draw(st.integers(0, 3))
            events.append(
                {n: [value(draw, k) for _ in range(n_jets)] if n.startswith("Jet_") else value(draw, k) for n, k in kinds.items()}
            )
        found.append((kinds, events))
    return found


def value(draw, kind):
    if kind == "bool":
        return draw(st.booleans())
    return draw(st.integers(-20, 20)) / 4 if kind.startswith("float") else draw(st.integers(0 if kind.startswith("u") else -9, 100))


def written(folder, of):
    paths = []
    for i, (kinds, events) in enumerate(of):
        columns = {}
        for name, kind in kinds.items():
            values = [e[name] for e in events]
            if name.startswith("Jet_"):
                counts = np.array([len(v) for v in values], dtype=np.int64)
                columns[name] = ak.unflatten(np.array([x for v in values for x in v], dtype=kind), counts)
            else:
                columns[name] = np.array(values, dtype=kind)
        paths.append(str(Path(folder) / f"{i}.parquet"))
        ak.to_parquet(ak.zip(columns, depth_limit=1), paths[-1], list_to32=True)
    return paths


def completed(of, default, flag):
    """Give the same events as one table, with the widest kinds and the defaults."""
    item = {"b": lambda _: Bool(), "f": Float, "i": Int, "u": lambda b: Int(b, signed=False)}
    absent = {"q": default, "flag": flag, "Jet_q": default}
    members = {}
    for name, kinds in KINDS.items():
        has = [np.dtype(k[name]) for k, _ in of if name in k] or [np.dtype("float64" if name != "flag" else kinds[0])]
        widest = np.result_type(*has)
        members[name] = Member(item[widest.kind](8 * widest.itemsize), optional=name in absent and absent[name] is None)
    jet = Record("Jet", {n.removeprefix("Jet_"): m for n, m in members.items() if n.startswith("Jet_")})
    whole = Record("event", {n: m for n, m in members.items() if not n.startswith("Jet_")} | {"Jet": Member(jet, ("Jet",))})
    events = []
    for _, several in of:
        for e in several:
            full = absent | {"Jet_q": [default] * len(e["Jet_pt"])} | e
            jets = [dict(zip(jet.members, j, strict=True)) for j in zip(*[full[f"Jet_{n}"] for n in jet.members], strict=True)]
            events.append({n: v for n, v in full.items() if not n.startswith("Jet_")} | {"Jet": jets})
    return Table(whole, tuple(events))


@given(of=files(), one=st.sampled_from(MADE_OF_THEM), default=st.sampled_from([-1, 2.5, 0.0, None]), flag=st.booleans())
def test_files_that_are_not_alike_are_one_table(of, one, default, flag):
    known = {n for kinds, _ in of for n in kinds}
    assume(default is not None or {"q", "Jet_q"} <= known)  # nothing says what kind is missing everywhere
    text = one.format(d=default, b=flag)
    expected = eval(text, {"df": Naive.of(completed(of, default, flag)), "np": np}).result()
    with tempfile.TemporaryDirectory() as folder:
        jet = [n for n in KINDS if n.startswith("Jet_") and n in known]
        df = parquet_table(written(folder, of), collections={"Jet": jet})
        got = make_local(eval(text, {"df": df, "np": np}))
    assert differences(ak.to_list(got), expected, exact=False, kinds=False) == []

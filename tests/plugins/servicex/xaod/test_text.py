"""The texts themselves: looked at once, kept, and the same however a query is made."""

from __future__ import annotations

import subprocess
import sys

import pytest
from qastle import python_ast_to_text_ast, text_ast_to_python_ast

from golden_files import assert_golden
from hep_flows import xaod_table
from hep_flows.plugins.servicex.translate import Refused
from hep_flows.plugins.servicex.xaod.query import XaodDialect
from plugins.servicex.xaod import expressions
from plugins.servicex.xaod.proof import normal


def _of_stream(text: str) -> str:
    """Give what is said of the events, without the declarations."""
    starts = [text.find(f"'{m}') (lambda (list e) ") for m in ("Where", "Select")]
    return text[min(s for s in starts if s >= 0) :]


def test_golden_queries(df):
    dialect = XaodDialect()
    lines = []
    for name, frame in expressions.expressions(df).items():
        text = dialect.asked([normal(frame)])[0].text
        lines.append(f"{name}\n    {_of_stream(text)}\n")
    assert len(lines) > 100
    assert_golden("xaod_queries.txt", "".join(lines))


def test_golden_query_with_its_declarations(df):
    jets = df.Jets("Jets")
    text = XaodDialect().asked([normal(jets[jets.pt > 30000].EMFrac / 2)])[0].text
    assert_golden("xaod_query.txt", text.replace("(call MetaData", "\n(call MetaData") + "\n")


def test_queries_survive_qastle(df):
    dialect = XaodDialect()
    for name, frame in list(expressions.expressions(df).items())[::3]:
        text = dialect.asked([normal(frame)])[0].text
        assert python_ast_to_text_ast(text_ast_to_python_ast(text).body[0].value) == text, name


def test_a_query_does_not_depend_on_what_was_asked_before(df):
    frames = list(expressions.expressions(df).values())
    used = XaodDialect()
    for frame in frames:
        used.asked([normal(frame)])
    for frame in frames[::7]:
        assert used.asked([normal(frame)])[0].text == XaodDialect().asked([normal(frame)])[0].text


def test_a_sum_is_written_as_the_user_wrote_it(df):
    jets, used = df.Jets("Jets"), XaodDialect()
    for frame, text in ((jets.pt + jets.eta, "(+ (call (attr x1 'pt'))"), (jets.eta + jets.pt, "(+ (call (attr x1 'eta'))")):
        assert used.refusal(normal(frame)) == ""
        assert text in used.asked([normal(frame)])[0].text


def test_queries_are_the_same_in_another_process(data):
    code = (
        "import sys; from hep_flows import xaod_table; from hep_flows.planning.normalise import normalise;"
        "from hep_flows.plugins.servicex.xaod.query import XaodDialect;"
        "j = xaod_table(sys.argv[1]).Jets('Jets');"
        "print(XaodDialect().asked(normalise([j[(j.pt > 1) & (j.EMFrac > 0.5)].NumTrkPt500.Sum()._expr]))[0].text)"
    )
    path = data("PHYSLITE_example.root")
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""}
        ).stdout
        for seed in ("1", "2")
    ]
    jets = xaod_table(path).Jets("Jets")
    here = XaodDialect().asked([normal(jets[(jets.pt > 1) & (jets.EMFrac > 0.5)].NumTrkPt500.Sum())])[0].text
    assert {r.strip() for r in runs} == {here}


def test_variables_are_distinct(df):
    jets, electrons = df.Jets("Jets"), df.Electrons("Electrons")
    frame = jets.map(lambda j: electrons[electrons.pt > jets.pt.Max()].Count() + j.pt)
    text = XaodDialect().asked([normal(frame)])[0].text
    bound = [part.split(")", 1)[0] for part in text.split("(lambda (list ")[1:]]
    names = [n for b in bound for n in b.split() if n != "e"]
    assert len(names) == len(set(names)) > 3


def test_one_query_has_one_selection_of_events(df):
    two = df[df.Electrons("Electrons").Count() >= 2]
    with pytest.raises(Refused, match="one selection of events"):
        XaodDialect().asked([normal(df.Jets("Jets").pt), normal(two.Jets("Jets").pt)])

"""What a plan says before a run is what the run then does, whatever was edited; and it names what was edited."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hep_flows.errors import SourceLine
from hep_flows.execute import batches
from hep_flows.execute.history import WIDTH, plan_status
from hep_flows.execute.run import run_and_report
from hep_flows.expr.nodes import Call
from hep_flows.expr.text import one_line
from hep_flows.expr.walk import postorder
from hep_flows.planning.plan import make_plan
from hep_flows.store.store import Store
from oracle.compare import differences
from oracle.edits import edited
from oracle.expressions import cases
from oracle.interpreter import interpret
from oracle.memory import MemoryPlugin

EDITS = 5
LINE = SourceLine("analysis.py", 12)
CUTS = st.sets(st.sampled_from(["sum", "count", "max", "add", "multiply", "where", "pick", "less", "absolute"]), max_size=4)


def stops_early(expr):
    """Say whether a run may stop reading when it has as many events as are looked at; a plan does not know where."""
    return any(isinstance(n, Call) and n.function in ("pick", "slice") and n.option("at") == 0 for n in postorder(expr))


class Bench:
    """One table, one cache, and a rule by which expressions are cut into tasks."""

    def __init__(self, table, folder, cut_at):
        self.plugins, self.store, self.cut_at = [MemoryPlugin(table)], Store(folder), cut_at

    def planned(self, expr):
        """Give the plan, and what it says of each task."""
        cuts = {n.key for n in postorder(expr) if isinstance(n, Call) and n.function in self.cut_at and not n.type.loops}
        plan = make_plan([replace(expr, where=LINE)], self.plugins, extra_cuts=cuts)
        return plan, plan_status(plan, self.plugins, self.store)

    def agrees(self, expr, case):
        """Run; what is computed must be what was planned, and the values must be right. Gives what was said of the tasks."""
        plan, said = self.planned(expr)
        results, report = run_and_report(plan, self.plugins, store=self.store, chunk_events=2, workers=1)
        computed = {bytes.fromhex(r.key): r.batches_computed for r in report.tasks}
        assert all(n <= said[k].missing for k, n in computed.items())
        if not stops_early(expr):
            assert computed == {k: s.missing for k, s in said.items()}
            assert {k for k, n in computed.items() if n} == {k for k, s in said.items() if s.state == "miss"}
        value = getattr(results[plan.targets[0]], "array", None)
        found = results[plan.targets[0]].value if value is None else value.to_list()
        assert differences(found, interpret(expr, case.table.events), exact=case.steady) == []
        return list(said.values())


@given(case=cases(max_events=7), cut_at=CUTS, data=st.data())
def test_a_plan_tells_what_a_run_does_and_names_the_edit(case, cut_at, data):
    assume(case.table.events)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BATCH_EVENTS", 3)
        bench = Bench(case.table, folder, cut_at)
        assert {s.state for s in bench.agrees(case.expr, case)} == {"miss"}
        assert {s.state for s in bench.agrees(case.expr, case)} == {"hit"}
        for number in range(EDITS):
            edit = edited(data.draw, case.expr)
            said = bench.agrees(edit.expr, replace(case, steady=False))
            if number == 0 and edit.node is not None:
                whys = [s.why for s in said if s.state == "miss"]
                around = [n for n in postorder(edit.expr) if edit.node.key in {n.key, *[i.key for i in n.inputs()]}]
                assert any(f"`{one_line(n, WIDTH)}`" in why for n in around for why in whys), whys
        assert {s.state for s in bench.agrees(case.expr, case)} == {"hit"}

"""Random expressions: what the dialect says that it can do is accepted, compiles, runs, and equals the awkward plug-in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hep_flows import render
from hep_flows.contract import Columns, Scalar
from hep_flows.execute.run import run_plan
from hep_flows.expr import build
from hep_flows.expr.text import one_line
from hep_flows.expr.walk import postorder
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.servicex.translate import about_events, event_filters
from hep_flows.testing.suite import reference
from oracle.expressions import grown
from oracle.pool import Made
from plugins.servicex.edm.compiled import DoesNotCompileError, FailsError
from plugins.servicex.xaod.proof import assert_same, digits

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr

EXAMPLES = 300 if os.environ.get("HEP_FLOWS_XAOD_ALL") else 8
LEAVES = (
    "AnalysisJets.pt AnalysisJets.eta AnalysisJets.phi AnalysisJets.EMFrac AnalysisJets.PartonTruthLabelID AnalysisJets.NumTrkPt500 "
    "AnalysisJets.SumPtTrkPt500 AnalysisElectrons.pt AnalysisElectrons.eta AnalysisElectrons.charge AnalysisElectrons.author "
    "AnalysisElectrons.OQ AnalysisElectrons.DFCommonElectronsLHLoose TruthElectrons.px TruthElectrons.pdgId AnalysisMuons.eta "
    "EventInfo.averageInteractionsPerCrossing EventInfo.runNumber EventInfo.mcEventWeights MET_Truth.mpx"
).split()


def _pool(dataset) -> list[Made]:
    found = []
    for path in LEAVES:
        container, leaf = path.split(".")
        found.append(Made(build.field(build.field(dataset, container), leaf)))
    return found


@dataclass(frozen=True)
class Drawn:
    """Expressions, and what a failing example shows of them: the shortest text each, since shared parts are written again."""

    exprs: list[Expr]

    def __repr__(self) -> str:
        return f"{len(self.exprs)} expressions of {[len(list(postorder(e))) for e in self.exprs]} nodes"


def drawn(dataset) -> st.SearchStrategy[Drawn]:
    """Give the expressions of a pool that grows, without open loops, the largest last."""
    start = _pool(dataset)

    @st.composite
    def expressions(draw) -> Drawn:
        made = grown(draw, start, draw(st.integers(2, 8)))[len(start) :]
        closed = [m.expr for m in made if not m.type.loops]
        return Drawn(sorted(normalise(closed), key=lambda e: len(list(postorder(e)))))

    return expressions()


def _about_the_same_events(exprs: list[Expr], dialect) -> list[Expr]:
    """Give those that can be sent together with the largest."""
    able = [e for e in exprs if not dialect.refusal(e)]
    if not able:
        return []

    def masks(expr: Expr) -> list[bytes]:
        return [f.mask.key for f in event_filters(about_events(expr))]

    return [e for e in able if masks(e) == masks(able[-1])]


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::hypothesis.errors.HypothesisWarning")
def test_what_is_labelled_compiles_and_is_equal(df, proof):
    dataset = render(df)
    n_sent = 0

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES < 100)
    @given(drawn(dataset))
    def check(found):
        nonlocal n_sent
        sent = _about_the_same_events(found.exprs, proof.dialect)
        if not sent:
            return
        query, _ = proof.dialect.asked(sent)
        try:
            got = proof.results(sent)
        except (DoesNotCompileError, FailsError) as error:
            raise AssertionError(f"{[one_line(e)[:500] for e in sent]}\n{query.text[-3000:]}\n{error}") from None
        plan = make_plan(sent, reference())
        wanted = run_plan(plan, reference(), workers=1)
        for expr, target, result in zip(sent, plan.targets, got, strict=True):
            _check_one(proof, expr, result, wanted[target])
            n_sent += 1

    check()
    assert n_sent >= EXAMPLES


def _check_one(proof, expr: Expr, got, wanted) -> None:
    assert isinstance(wanted, Columns | Scalar)
    bits = digits(proof.dialect.asked([expr])[0].text)
    try:
        assert_same(got, wanted.array if isinstance(wanted, Columns) else wanted.value, bits=bits)
    except AssertionError as error:
        raise AssertionError(
            f"{one_line(expr)[:500]}: {expr.type}\n{error}\n{proof.dialect.asked([expr])[0].text[-3000:]}"
        ) from None

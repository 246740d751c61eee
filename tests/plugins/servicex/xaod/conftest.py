"""The compiler for generated queries, and the file whose values they run on."""

from __future__ import annotations

import pytest

from described import described
from hep_flows import alias_scope
from hep_flows.execute.run import run_plan
from hep_flows.expr import build
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from hep_flows.record.dataframe import frame_of
from plugins.servicex.edm.columns import read_columns, write_columns
from plugins.servicex.edm.compiled import Compiler, need_compiler
from plugins.servicex.xaod.compiled_endpoint import CompiledEndpoint
from plugins.servicex.xaod.proof import Proof, normal

KIND = "servicex:xaod-cpp"
CONTAINERS = frozenset(
    "AnalysisJets AnalysisElectrons AnalysisMuons AnalysisPhotons AnalysisTauJets TruthElectrons TruthMuons TruthBoson TruthTaus "
    "MET_Core_AnalysisMET MET_Truth EventInfo PrimaryVertices InDetTrackParticles TruthEvents TruthPrimaryVertices".split()
)


@pytest.fixture(scope="session")
def compiler(tmp_path_factory) -> Compiler:
    """Give what compiles generated C++; without a compiler there is nothing to prove."""
    need_compiler()
    return Compiler(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def values(data, tmp_path_factory):
    """Give the values of the PHYSLITE file in the form that compiled queries read."""
    path = tmp_path_factory.mktemp("values") / "events.txt"
    write_columns(read_columns(data("PHYSLITE_example.root"), CONTAINERS), path)
    return path


@pytest.fixture(scope="session")
def proof(compiler, values) -> Proof:
    """Give what runs expressions in C++."""
    return Proof(compiler, values)


@pytest.fixture(scope="session")
def physlite(data):
    return described("xaod", data("PHYSLITE_example.root"))


@pytest.fixture
def df(physlite):
    """Give the table of the same file, with columns and aliases of its own."""
    with alias_scope():
        yield frame_of(physlite)


@pytest.fixture
def remote(physlite):
    """Give the same file as a table whose queries are about methods."""
    record = physlite.type.item
    same = build.dataset(KIND, physlite.content, physlite.tree, record, files=physlite.files, name=physlite.name)
    return frame_of(same)


@pytest.fixture
def endpoint(compiler, values):
    return CompiledEndpoint(compiler, values)


@pytest.fixture
def deliver(endpoint):
    plugins = (ServiceXPlugin(endpoint), AwkwardPlugin())

    def deliver(*frames):
        plan = make_plan([normal(f) for f in frames], plugins)
        results = run_plan(plan, plugins, workers=1)
        return plan, [results[t] for t in plan.targets]

    return deliver

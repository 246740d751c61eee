"""What the generator does with texts that the dialect writes, and with those that it must not write: compiled and run."""

from __future__ import annotations

import ast

import awkward as ak
import numpy as np
import pytest
from qastle import python_ast_to_text_ast

from hep_flows import make_local
from plugins.servicex.edm.compiled import DoesNotCompileError, FailsError

JETS = "e.Jets('AnalysisJets')"
FEW = f"{JETS}.Where(lambda j: j.pt() > 100000.0)"


def text_of(columns: str, source: str = "EventDataset()") -> str:
    return python_ast_to_text_ast(ast.parse(f"{source}.Select(lambda e: {columns})", mode="eval").body)


@pytest.fixture
def run(compiler, values):
    def run(columns: str, source: str = "EventDataset()") -> dict[str, ak.Array]:
        return compiler.run(text_of(columns, source), values)

    return run


@pytest.fixture
def pt(df):
    return make_local(df.Jets("Jets").pt)


def test_what_the_query_language_says_in_operators(run, pt):
    got = run(
        "{"
        f"'or': {JETS}.Where(lambda j: j.pt() > 50000.0 or j.pt() < 20000.0).Select(lambda j: j.pt()),"
        f"'not': {JETS}.Where(lambda j: not (j.pt() > 50000.0)).Select(lambda j: j.pt()),"
        f"'choice': {JETS}.Select(lambda j: j.pt() if j.pt() > 50000.0 else -1.0),"
        f"'truth': {JETS}.Select(lambda j: j.pt() > 50000.0),"
        f"'real': {JETS}.Select(lambda j: 1.0 / 2),"
        "}"
    )
    hard, soft = pt > 50000, pt < 20000
    assert got["or"].tolist() == pt[hard | soft].tolist()
    assert got["not"].tolist() == pt[~hard].tolist()
    assert got["choice"].tolist() == ak.where(hard, pt, -1.0).tolist()
    assert str(got["truth"].type) == "100 * var * bool"
    assert got["truth"].tolist() == hard.tolist()
    assert set(ak.flatten(got["real"])) == {0.5}


def test_first_is_reached_only_where_it_is_guarded(run, pt):
    few = pt[pt > 100000]
    assert ak.any(ak.num(few) == 0)
    got = run(f"{{'first': {FEW}.First().pt() if {FEW}.Count() > 0 else -1.0}}")["first"]
    assert got.tolist() == ak.fill_none(ak.firsts(few), -1.0).tolist()
    with pytest.raises(FailsError, match=r"First\(\) called on an empty sequence"):
        run(f"{{'first': {FEW}.First().pt()}}")


def test_largest_and_smallest_begin_at_the_infinities(run, pt):
    declared = (
        "MetaData(EventDataset(), {'metadata_type': 'add_cpp_function', 'name': 'larger', 'include_files': [], "
        "'arguments': ['argument_0', 'argument_1'], 'return_type': 'double', "
        "'code': ['auto result = argument_0 > argument_1 ? argument_0 : argument_1;']})"
    )
    got = run(f"{{'max': {FEW}.Select(lambda j: j.pt()).Aggregate(-(1.0 / 0.0), lambda a, v: larger(a, v))}}", declared)["max"]
    assert got.tolist() == ak.max(pt[pt > 100000], axis=1, mask_identity=False).tolist()


def test_its_own_smallest_is_wrong_and_so_the_dialect_does_not_use_it(run, pt):
    assert ak.all(ak.min(pt, axis=1) > 0)
    assert set(run(f"{{'min': {JETS}.Select(lambda j: j.pt()).Min()}}")["min"]) == {0}


def test_its_division_of_integers_is_wrong_and_so_the_dialect_writes_a_real_number(run):
    assert set(ak.flatten(run(f"{{'half': {JETS}.Select(lambda j: 1 / 2)}}")["half"])) == {0}


def test_its_mathematics_is_no_operand_and_so_the_dialect_brings_its_own(compiler):
    with pytest.raises(TypeError):
        compiler.generate(text_of(f"{{'s': {JETS}.Select(lambda j: sin(j.phi()) + 1.0)}}"))


@pytest.mark.parametrize(
    "text", ["(j.pt() > 1.0) & (j.eta() > 1.0)", "e.Muons('AnalysisMuons').Any(lambda m: m.pt() > j.pt())", "j.pt() // 2.0 > 1.0"]
)
def test_what_it_refuses(compiler, text):
    with pytest.raises((RuntimeError, ValueError, AssertionError)):
        compiler.generate(text_of(f"{{'x': {JETS}.Where(lambda j: {text}).Select(lambda j: j.pt())}}"))


def test_a_method_that_is_not_there_does_not_compile(run):
    with pytest.raises(DoesNotCompileError, match="no member named"):
        run(f"{{'x': {JETS}.Select(lambda j: j.ptt())}}")


def test_a_leaf_has_one_type_in_the_store(run):
    code = "'code': ['auto result = argument_0->auxdataConst<double>(argument_1);']"
    source = (
        "MetaData(EventDataset(), {'metadata_type': 'add_cpp_function', 'name': 'leaf', 'include_files': [], "
        f"'arguments': ['argument_0', 'argument_1'], 'return_type': 'double', {code}}})"
    )
    with pytest.raises(FailsError, match=r"AnalysisJets.EMFrac is float32, not float64"):
        run(f"{{'x': {JETS}.Select(lambda j: leaf(j, 'EMFrac'))}}", source)


def test_the_names_of_typed_packages_compile_too(run, pt):
    pytest.importorskip("func_adl_servicex_xaodr25")
    from func_adl_servicex_xaodr25.event_collection import _collection_map

    declared = {**_collection_map["Jets"], "name": "Jets"}
    assert declared["container_type"] == "DataVector<xAOD::Jet_v1>"
    got = run(f"{{'pt': {JETS}.Select(lambda j: j.pt())}}", f"MetaData(EventDataset(), {declared!r})")
    np.testing.assert_array_equal(ak.flatten(got["pt"]), ak.flatten(pt))

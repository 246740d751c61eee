"""Corrections in expressions give what correctionlib gives, and are known by what is in them."""

from __future__ import annotations

import builtins
import gzip
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import awkward as ak
import correctionlib
import numpy as np
import pytest
from sample_corrections import corrections, named, write_corrections

from hep_flows import correction, make_local, plan, render, run, user_func
from hep_flows.errors import LiteralError, RecordError, SourceError, TaskError
from hep_flows.expr.transport import decode, encode


@pytest.fixture(params=["sf.json", "sf.json.gz"])
def file(tmp_path, request):
    return write_corrections(tmp_path / request.param)


@pytest.fixture
def plain(tmp_path):
    return write_corrections(tmp_path / "plain.json")


def direct(path, name):
    found = correctionlib.CorrectionSet.from_file(str(path))
    return found.compound[name] if name == "both" else found[name]


def bits(array):
    return ak.to_numpy(ak.flatten(array, axis=None)).tobytes()


@pytest.mark.parametrize("variation", ["nominal", "up"])
def test_a_correction_gives_what_correctionlib_gives(events, raw, file, variation):
    sf = correction(file, "electron-sf 1")
    want = direct(file, "electron-sf 1").evaluate(raw["eta"], raw["pt"], variation)
    e = events.Electron
    for asked in (sf(e.eta, e.pt, variation), sf(variation=variation, pt=e.pt, eta=e.eta)):
        assert bits(make_local(asked)) == bits(want)
    assert bits(make_local(e.map(lambda x: sf(x.eta, x.pt, variation)))) == bits(want)


def test_so_does_a_compound_correction(events, raw, file):
    got = make_local(correction(file, "both")(events.Electron.pt))
    assert bits(got) == bits(direct(file, "both").evaluate(raw["pt"]))


def test_whole_numbers_and_constants_become_what_the_input_is(events, raw, plain):
    pileup, resolution = correction(plain, "pileup"), correction(plain, "resolution")
    want = direct(plain, "pileup").evaluate(raw["npv"].astype(np.int64))
    assert make_local(pileup(events.PV.npvs)).to_list() == want.tolist()
    assert set(make_local(events.PV.npvs * 0 + resolution(3 + 0 * events.PV.npvs)).to_list()) == {
        direct(plain, "resolution").evaluate(3.0)
    }


def test_an_input_may_be_text_of_the_events(events, raw, plain):
    sf = correction(plain, "electron-sf 1")

    @user_func
    def which(pt: float) -> str:
        return "up" if pt > 20 else "nominal"

    e = events.Electron
    up, nominal = (direct(plain, "electron-sf 1").evaluate(raw["eta"], raw["pt"], v) for v in ("up", "nominal"))
    assert bits(make_local(sf(e.eta, e.pt, which(e.pt)))) == bits(ak.where(raw["pt"] > 20, up, nominal))


def test_what_is_missing_stays_missing(events, raw, plain):
    got = make_local(correction(plain, "resolution")(events.Electron.pt.First()))
    first = ak.firsts(raw["pt"])
    assert ak.is_none(got).to_list() == ak.is_none(first).to_list()
    assert bits(ak.drop_none(got)) == bits(direct(plain, "resolution").evaluate(ak.drop_none(first)))


def test_called_with_numbers_it_computes(plain):
    sf, same = correction(plain, "electron-sf 1"), direct(plain, "electron-sf 1")
    assert sf(0.5, 25.0, "up") == same.evaluate(0.5, 25.0, "up")
    pts = np.array([[1, 2], [30, 50]])
    assert sf(0.5, pts, "up").tolist() == same.evaluate(0.5, pts.astype(float), "up").tolist()
    with pytest.raises(TypeError, match="whole number"):
        correction(plain, "pileup")(1.5)
    with pytest.raises(TypeError, match="whole number"):
        correction(plain, "pileup")(np.array([2**63], dtype=np.uint64))


def test_only_the_correction_in_use_is_in_the_key(events, plain):
    def key():
        return plan(correction(plain, "electron-sf 1")(events.Electron.eta, events.Electron.pt, "up")).raw.targets[0]

    first = key()
    content = corrections()
    named(content, "other")["data"] = 3.5
    content["description"] = named(content, "electron-sf 1")["description"] = "other words"
    content["corrections"].reverse()
    write_corrections(plain, content)
    assert key() == first
    moved = plain.rename(plain.with_name("moved.json"))
    assert plan(correction(moved, "electron-sf 1")(events.Electron.eta, events.Electron.pt, "up")).raw.targets[0] == first
    named(content, "electron-sf 1")["data"]["content"][1]["value"]["content"][0] += 0.125
    write_corrections(plain, content)
    assert key() != first


def test_an_expression_with_a_correction_can_be_written_and_read(events, plain):
    asked = render(correction(plain, "electron-sf 1")(events.Electron.eta, events.Electron.pt, "up"))
    again = decode(encode(asked))
    assert again.key == asked.key
    assert again.function.body is None
    assert again.function.from_file
    with pytest.raises(RecordError, match="not an expression"):
        decode(encode(asked).replace(b'plain.json",true]', b'plain.json"]'))


def test_what_a_compound_correction_refers_to_is_in_its_key(events, plain):
    def key():
        return plan(correction(plain, "both")(events.Electron.pt)).raw.targets[0]

    first = key()
    content = corrections()
    named(content, "strict")["data"]["content"] = [3.0]
    write_corrections(plain, content)
    assert key() == first
    named(content, "strict_not_at_all")["data"]["content"] = [3.0, 4.0]
    write_corrections(plain, content)
    assert key() != first


def test_a_file_that_changes_after_it_was_read_changes_nothing(events, raw, plain):
    asked = correction(plain, "other")(events.Electron.pt)
    content = corrections()
    named(content, "other")["data"] = 99.5
    write_corrections(plain, content)
    assert set(ak.flatten(make_local(asked)).to_list()) == {2.5}
    plain.unlink()
    assert set(ak.flatten(run(asked, refresh=True).values).to_list()) == {2.5}


def test_another_process_gets_the_correction_itself(plain):
    resolution = correction(plain, "both")
    plain.unlink()
    x = np.linspace(1, 100, 50)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(resolution.declared.body, x).result().tobytes() == resolution(x).tobytes()


def test_the_digits_of_a_number_are_kept(events, tmp_path):
    """Readers of JSON differ in the last bit of a float; what is computed comes from the digits that are in the file."""
    text = '{"schema_version": 2, "corrections": [{"name": "a", "version": 1, "inputs": [{"name": "x", "type": "real"}],'
    digits = ["0.1234567890123456789012", "1.7976931348623157e308", "5e-324", "9007199254740993.0", "-0.0", "1E2"]
    edges = ", ".join(f"{float(i)}" for i in range(len(digits) + 1))
    data = f'{{"nodetype": "binning", "input": "x", "flow": "clamp", "edges": [{edges}], "content": [{", ".join(digits)}]}}'
    path = tmp_path / "digits.json"
    path.write_text(f'{text} "output": {{"name": "y", "type": "real"}}, "data": {data}}}]}}')
    points = np.arange(len(digits)) + 0.5
    assert correction(path)(points).tobytes() == direct(path, "a").evaluate(points).tobytes()


def test_a_value_out_of_range_is_an_error_at_the_users_line(events, plain):
    with pytest.raises(TaskError, match="'strict' failed: RuntimeError: Index above bounds") as caught:
        make_local(correction(plain, "strict")(events.Electron.pt))
    assert caught.value.where.file == __file__
    assert caught.value.why.startswith("it was called with pt = ")
    assert "flow" in caught.value.do
    with pytest.raises(TaskError, match="Index not available in Category"):
        make_local(correction(plain, "electron-sf 1")(events.Electron.eta, events.Electron.pt, "sideways"))
    inside = events.Electron[events.Electron.pt < 40]
    assert set(ak.flatten(make_local(correction(plain, "strict")(inside.pt))).to_list()) == {1.25}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda sf, e: sf(e.eta, e.pt), "is called without variation"),
        (lambda sf, e: sf(e.eta, e.pt, "up", 1), "takes 3 arguments, not 4"),
        (lambda sf, e: sf(e.eta, e.pt, variaton="up"), "did you mean 'variation'"),
        (lambda sf, e: sf(e.eta, e.pt, "up", eta=e.eta), "is given eta twice"),
        (lambda sf, e: sf("up", e.eta, e.pt), "takes eta as float64, not string"),
        (lambda sf, e: sf(e.eta, e.pt, 1), "takes variation as string, not int64"),
        (lambda sf, e: sf(e.eta, e, "up"), "takes a number for pt"),
    ],
)
def test_a_wrong_call_is_an_error_when_it_is_recorded(events, plain, call, words):
    with pytest.raises(LiteralError) as caught:
        call(correction(plain, "electron-sf 1"), events.Electron)
    assert words in str(caught.value)
    assert caught.value.where.file == __file__


def test_a_fraction_is_no_whole_number(events, plain):
    with pytest.raises(LiteralError, match="pileup takes n as int64, not float32") as caught:
        correction(plain, "pileup")(events.Electron.pt)
    assert "user_func" in caught.value.do


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("electron-fs 1", "did you mean 'electron-sf 1'"),
        ("", "7 corrections, and none was named"),
        ("zzz", "it has electron-sf 1, reso"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_those_that_are(plain, name, words):
    with pytest.raises(SourceError) as caught:
        correction(plain, name)
    assert words in str(caught.value)
    assert caught.value.where.file == __file__


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no set of corrections"),
        ("[]", "is no set of corrections"),
        ('{"schema_version": 1, "corrections": []}', "version 1, not 2"),
        ('{"schema_version": 2, "corrections": [], "corrections": []}', "a member twice"),
        ('{"schema_version": 2, "corrections": [{"name": "a"}]}', "is missing: 'inputs'"),
        ("[" * 100_000, "is no set of corrections"),
        ("\udcff", "is no set of corrections"),
    ],
)
def test_a_file_that_is_no_set_of_corrections_is_an_error(tmp_path, text, words):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SourceError) as caught:
        correction(path)
    assert words in str(caught.value)


def test_a_damaged_or_missing_file_is_an_error(tmp_path):
    path = write_corrections(tmp_path / "sf.json.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match="is no set of corrections"):
        correction(path, "other")
    with pytest.raises(SourceError, match="cannot be read"):
        correction(tmp_path / "nothing.json")


def one_correction(data, **more):
    made = {"name": "c", "version": 1, "inputs": [{"name": "x", "type": "real"}], "output": {"name": "w", "type": "real"}}
    return {"schema_version": 2, "corrections": [{**made, "data": data, **more}]}


def formula(text):
    return {"nodetype": "formula", "expression": text, "parser": "TFormula", "variables": ["x"]}


def binned(edges):
    return {"nodetype": "binning", "input": "x", "edges": edges, "content": [1.0], "flow": 1.0}


def taking(index, parameters):
    data = {"nodetype": "formularef", "index": index, "parameters": parameters}
    return one_correction(data, generic_formulas=[formula("[0]*x+[2]")])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (one_correction(formula("(" * 20_000 + "x" + ")" * 20_000)), "brackets in each other"),
        (one_correction(formula("(" * 200 + "x" + ")" * 200)), "200 brackets"),
        (one_correction({"nodetype": "binning", "input": "x", "edges": [0.0, 1.0], "flow": 1.0, "content": [formula("+".join("x" * 20_000))]}), "letters"),
        (one_correction(binned([0, 1.5])), "an edge is written 0, and correctionlib takes 0.0"),
        (one_correction(binned([0.0, 15])), "an edge is written 15,"),
        (one_correction(binned({"n": 2, "low": -2, "high": 2.0})), "an edge is written -2,"),
        (one_correction({"nodetype": "multibinning", "inputs": ["x"], "edges": [[0.0, 1]], "content": [1.0], "flow": 1.0}), "written 1,"),
        (taking(0, []), "takes 3 parameters, and 0"),
        (taking(0, [1.0, 2.0]), "takes 3 parameters, and 2"),
        (taking(1, [1.0, 2.0, 3.0]), "no generic formula 1"),
        (taking(-1, [1.0, 2.0, 3.0]), "no generic formula -1"),
        (taking("x", [1.0, 2.0, 3.0]), "is no set of corrections"),
        (one_correction(1.0, name="\ud800"), "a letter that is none"),
    ],
)  # fmt: skip
def test_what_correctionlib_does_not_survive_is_refused_when_the_file_is_read(tmp_path, content, words):
    path = tmp_path / "sf.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=words) as caught:
        correction(path)
    assert caught.value.where.file == __file__


def test_generic_formulas_with_all_their_parameters_are_computed(tmp_path):
    path = tmp_path / "sf.json"
    path.write_text(json.dumps(taking(0, [3.0, 0.0, 5.0])))
    assert correction(path)(2.0) == 11.0


@pytest.mark.parametrize(
    "text", ["__import__('os').system('touch pwned')", 'gSystem->Exec("touch pwned")', "", "hello", "x+y", "[0]*x", "[-1]*x", "-" * 4000 + "x"]
)  # fmt: skip
def test_a_formula_that_is_no_arithmetic_is_an_error_at_the_users_line(events, tmp_path, work_in, text):
    work_in(tmp_path)
    (tmp_path / "sf.json").write_text(json.dumps(one_correction(formula(text))))
    with pytest.raises(TaskError, match="'c' failed") as caught:
        make_local(correction("sf.json")(events.Electron.pt))
    assert caught.value.where.file == __file__
    assert not (tmp_path / "pwned").exists()


def test_a_file_that_is_much_larger_when_it_is_unpacked_is_refused(tmp_path):
    path = tmp_path / "sf.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(1001):
            file.write(b" " * 1_000_000)
    with pytest.raises(SourceError, match="unpacked"):
        correction(path)


@pytest.mark.parametrize("planted", ["pipe", "device", "folder"])
def test_what_is_no_file_is_never_waited_for(tmp_path, planted):
    path = tmp_path / "sf.json"
    {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": os.mkdir}[planted](path)
    with pytest.raises(SourceError, match="cannot be read"):
        correction(path)


def test_what_correctionlib_refuses_is_an_error_at_the_users_line(events, tmp_path):
    content = corrections()
    named(content, "strict")["data"]["edges"] = "none"
    path = write_corrections(tmp_path / "sf.json", content)
    with pytest.raises(TaskError, match="'strict' failed") as caught:
        make_local(correction(path, "strict")(events.Electron.pt))
    assert caught.value.where.file == __file__


def test_without_correctionlib_the_error_says_what_to_install(plain, modules):
    modules(correctionlib=None)
    with pytest.raises(LiteralError, match="needs correctionlib") as caught:
        correction(plain, "other")
    assert caught.value.do == "pip install hep-flows[corrections]"


def test_a_user_func_may_use_a_correction_and_is_stored_by_its_content(events, raw, plain):
    def asked():
        other = correction(plain, "other")

        @user_func
        def doubled(pt: float) -> float:
            return 2 * other(pt) * pt

        return doubled(events.Electron.pt)

    assert bits(run(asked()).values) == bits(ak.values_astype(raw["pt"], "float64") * 5.0)
    assert [r.state for r in run(asked()).report.tasks] == ["cached"]
    content = corrections()
    named(content, "other")["data"] = 3.5
    write_corrections(plain, content)
    done = run(asked())
    assert [r.state for r in done.report.tasks] == ["computed"]
    assert bits(done.values) == bits(ak.values_astype(raw["pt"], "float64") * 7.0)


@pytest.mark.parametrize("how", ["an evaluator", "its method", "read inside"])
def test_a_user_func_that_uses_correctionlib_itself_is_never_stored(events, raw, plain, how):
    def asked():
        evaluator, path = direct(plain, "other"), str(plain)
        method = evaluator.evaluate

        @user_func
        def by_evaluator(pt: float) -> float:
            return evaluator.evaluate(pt)

        @user_func
        def by_method(pt: float) -> float:
            return method(pt)

        @user_func
        def by_path(pt: float) -> float:
            return correctionlib.CorrectionSet.from_file(path)["other"].evaluate(pt)

        chosen = {"an evaluator": by_evaluator, "its method": by_method, "read inside": by_path}[how]
        return chosen(events.Electron.pt)

    for factor in (2.5, 3.5):
        content = corrections()
        named(content, "other")["data"] = factor
        write_corrections(plain, content)
        assert "never stored" in str(plan(asked()))
        done = run(asked())
        assert [r.state for r in done.report.tasks] == ["computed"]
        assert set(ak.flatten(done.values).to_list()) == {factor}


def test_a_stored_result_needs_no_correctionlib(events, plain, monkeypatch):
    asked = correction(plain, "other")(events.Electron.pt)
    run(asked)
    real = builtins.__import__

    def without(name, *args, **kwargs):
        assert not name.startswith("correctionlib")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    done = run(correction(plain, "other")(events.Electron.pt))
    assert [r.state for r in done.report.tasks] == ["cached"]


def test_the_plan_and_the_text_name_the_correction_and_its_file(events, plain):
    asked = correction(plain, "electron-sf 1")(events.Electron.eta, events.Electron.pt, "up")
    shown = str(plan(asked))
    assert "electron_sf_1(events.Electron.eta, events.Electron.pt, 'up')" in shown
    assert "the correction electron-sf 1 of plain.json" in shown
    assert repr(correction(plain, "pileup")) == "<pileup(n: int64) -> float64>"

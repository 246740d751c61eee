"""Models in ONNX format in expressions give what onnxruntime gives, and are known by what is in them."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import awkward as ak
import numpy as np
import onnx
import onnxruntime
import pytest
import uproot
from onnx import TensorProto, helper, numpy_helper
from sample_corrections import by_numpy, dense_model, model, network, write_model

from hep_flows import make_local, nanoaod_table, onnx_model, plan, run, user_func
from hep_flows.errors import LiteralError, SourceError
from hep_flows.functions.onnx import BATCH_ROWS

LAYERS = network(3, 17, 1)


@pytest.fixture
def file(tmp_path):
    return write_model(tmp_path / "score-1.onnx", dense_model(LAYERS))


def direct(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {n: np.asarray(v, np.float32) for n, v in inputs.items()})


def features(raw):
    counts = ak.num(raw["pt"])
    npv = np.repeat(raw["npv"], counts)
    return np.stack(
        [ak.to_numpy(ak.flatten(raw["eta"])), ak.to_numpy(ak.flatten(raw["pt"])) / np.float32(100), npv], axis=1
    ), counts


def asked(score, events):
    e = events.Electron
    return score(e.eta, e.pt / 100, events.PV.npvs)


def test_a_model_gives_what_onnxruntime_gives(events, raw, file):
    x, counts = features(raw)
    got = make_local(asked(onnx_model(file), events))
    assert got.type.content.content.primitive == "float32"
    assert ak.num(got).to_list() == counts.to_list()
    flat = ak.to_numpy(ak.flatten(got))
    assert flat.tobytes() == direct(file, x=x)[0][:, 0].tobytes()
    assert flat.std() > 0.01
    assert np.allclose(flat, by_numpy(LAYERS, x)[:, 0], atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_bits_do_not_depend_on_how_many_elements_are_computed_at_once(events, file, chunk, environment):
    want = make_local(asked(onnx_model(file), events), workers=1)
    environment(HEP_FLOWS_CACHE="off")
    got = make_local(asked(onnx_model(file), events), chunk_events=chunk, workers=2)
    assert ak.flatten(got).to_numpy().tobytes() == ak.flatten(want).to_numpy().tobytes()


def test_many_elements_are_computed_some_at_a_time(raw, file, tmp_path):
    """Electrons of 6000 events at once: the same events twenty times give the same twenty times."""
    with uproot.recreate(tmp_path / "many.root") as out:
        electrons = ak.concatenate([ak.zip({n: raw[n] for n in ("pt", "eta")})] * 20)
        out["Events"] = {"Electron": electrons, "PV_npvs": np.tile(raw["npv"], 20)}
    got = make_local(asked(onnx_model(file), nanoaod_table(str(tmp_path / "many.root"))))
    want = direct(file, x=features(raw)[0])[0][:, 0]
    assert len(ak.flatten(got)) > 2 * BATCH_ROWS
    assert ak.flatten(got).to_numpy().tobytes() == np.tile(want, 20).tobytes()


def test_a_model_for_a_fixed_number_of_elements_is_called_for_as_many(events, raw, tmp_path):
    x, _ = features(raw)
    want = direct(write_model(tmp_path / "any.onnx", dense_model(LAYERS)), x=x)[0][:, 0]
    for rows in (1, 4, 1000):
        path = write_model(tmp_path / f"rows_{rows}.onnx", dense_model(LAYERS, rows=rows))
        got = make_local(asked(onnx_model(path), events))
        assert ak.flatten(got).to_numpy().tolist() == want.tolist()


def test_several_inputs_are_taken_one_after_the_other(events, raw, tmp_path):
    nodes = [
        helper.make_node("MatMul", ["kinematics", "w"], ["a"]),
        helper.make_node("Reshape", ["vertices", "shape"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["sum"]),
    ]
    weights = [
        numpy_helper.from_array(np.array([[2.0], [0.5]], np.float32), "w"),
        numpy_helper.from_array(np.array([-1, 1], np.int64), "shape"),
    ]
    made = model(nodes, [("kinematics", ["N", 2]), ("vertices", ["N"])], [("sum", ["N", 1])], weights)
    score = onnx_model(write_model(tmp_path / "two.onnx", made))
    assert repr(score) == "<two(kinematics_0: float32, kinematics_1: float32, vertices: float32) -> float32>"
    e = events.Electron
    got = make_local(score(e.eta, vertices=events.PV.npvs, kinematics_1=e.pt))
    want = raw["eta"] * np.float32(2) + raw["pt"] * np.float32(0.5) + raw["npv"]
    assert ak.flatten(got).to_list() == pytest.approx(ak.flatten(want).to_list(), rel=1e-6)


def test_an_output_and_a_column_are_chosen(events, raw, tmp_path):
    layers = network(3, 5, 2, seed=4, scale=1.0)
    made = dense_model(layers, outputs=2)
    made.graph.node.append(helper.make_node("ArgMax", ["score"], ["label"], axis=1, keepdims=0))
    made.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]))
    path = write_model(tmp_path / "two_outputs.onnx", made)
    x, _ = features(raw)
    scores, labels = direct(path, x=x)
    for column in (0, 1):
        got = make_local(asked(onnx_model(path, "score", column=column), events))
        assert ak.flatten(got).to_numpy().tobytes() == scores[:, column].tobytes()
    got = make_local(asked(onnx_model(path, output="label"), events))
    assert ak.flatten(got).to_list() == labels.tolist()
    assert set(labels) == {0, 1}
    keys = {plan(asked(onnx_model(path, "score", column=c), events)).raw.targets[0] for c in (0, 1)}
    assert len(keys) == 2
    for given, words in (
        ({}, "it has the outputs score, label"),
        ({"output": "scores"}, "did you mean 'score'"),
        ({"output": "score"}, "choose one: column=0"),
        ({"output": "score", "column": 2}, "not column 2"),
    ):
        with pytest.raises(SourceError) as caught:
            onnx_model(path, **given)
        assert words in str(caught.value)


def test_features_can_be_named_and_have_to_be_where_the_model_does_not_count_them(events, tmp_path):
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["total"], keepdims=0)]
    axes = numpy_helper.from_array(np.array([1], np.int64), "axes")
    path = write_model(tmp_path / "sum.onnx", model(nodes, [("x", ["N", "F"])], [("total", ["N"])], [axes]))
    with pytest.raises(SourceError, match="cannot stand in an expression") as caught:
        onnx_model(path)
    assert "features=(" in caught.value.do
    total = onnx_model(path, features=("eta", "pt"))
    assert total(1.0, 2.0) == 3.0
    assert total(pt=1.0, eta=np.array([2.0, 3.0])).tolist() == [3.0, 4.0]
    with pytest.raises(LiteralError, match="is called without pt"):
        total(events.Electron.eta)
    with pytest.raises(SourceError, match="cannot stand") as caught:
        onnx_model(path, features=("eta", "eta"))
    assert "two of its arguments have one name" in caught.value.why


def test_the_key_is_that_of_the_content(events, file):
    def key(path):
        return plan(asked(onnx_model(path), events)).raw.targets[0]

    first = key(file)
    moved = file.rename(file.with_name("another name.onnx"))
    assert key(moved) == first
    assert plan(asked(onnx_model(moved, features=("a", "b", "c")), events)).raw.targets[0] == first
    write_model(moved, dense_model(network(3, 17, 1, seed=2)))
    assert key(moved) != first


def test_a_file_that_changes_after_it_was_read_changes_nothing(events, file):
    want = make_local(asked(onnx_model(file), events))
    score = asked(onnx_model(file), events)
    write_model(file, dense_model(network(3, 17, 1, seed=2)))
    assert run(score, refresh=True).values.to_list() == want.to_list()
    assert run(asked(onnx_model(file), events)).values.to_list() != want.to_list()


def test_another_process_gets_the_model_itself(file):
    score = onnx_model(file)
    file.unlink()
    x = np.linspace(-1, 1, 50)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(score.declared.body, x, x, x).result().tobytes() == score(x, x, x).tobytes()


def test_what_is_missing_stays_missing(events, raw, file):
    e = events.Electron.First()
    got = make_local(onnx_model(file)(e.eta, e.pt / 100, events.PV.npvs))
    assert ak.is_none(got).to_list() == ak.is_none(ak.firsts(raw["pt"])).to_list()


def test_a_user_func_may_use_a_model_and_is_stored(events, file):
    score = onnx_model(file)

    @user_func
    def odds(eta: float, pt: float) -> float:
        return score(eta, pt, 1.0) * 2.0

    done = run(odds(events.Electron.eta, events.Electron.pt))
    assert not any("not stored" in r.reason for r in done.report.tasks)
    assert [r.state for r in run(odds(events.Electron.eta, events.Electron.pt)).report.tasks] == ["cached"]


def test_weights_in_another_file_are_refused(tmp_path, work_in):
    path = tmp_path / "outside.onnx"
    onnx.save(dense_model(LAYERS), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists()
    work_in(tmp_path)
    with pytest.raises(SourceError, match="cannot be loaded as a model") as caught:
        onnx_model(path)
    assert "in the same file" in caught.value.do


@pytest.mark.parametrize(
    "location", ["../../etc/passwd", "/etc/passwd", "weights.bin", "link.bin", "/dev/null/../../etc/passwd", ""]
)
def test_weights_that_are_planted_elsewhere_are_refused(tmp_path, work_in, location):
    path = tmp_path / "outside.onnx"
    onnx.save(dense_model(LAYERS), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    work_in(tmp_path)
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SourceError, match="cannot be loaded as a model") as caught:
        onnx_model(path)
    assert caught.value.where.file == __file__


def test_what_is_no_model_or_gives_no_number_for_each_element_is_an_error(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    with pytest.raises(SourceError, match="cannot be loaded as a model"):
        onnx_model(bad)
    picture = model([helper.make_node("Relu", ["x"], ["y"])], [("x", ["N", 3, 8, 8])], [("y", ["N", 3, 8, 8])])
    with pytest.raises(SourceError, match="cannot stand in an expression") as caught:
        onnx_model(write_model(tmp_path / "picture.onnx", picture))
    assert "not a row of numbers for each element" in caught.value.why


def test_a_wrong_call_is_an_error_when_it_is_recorded(events, file):
    score = onnx_model(file, features=("eta", "pt", "npv"))
    with pytest.raises(LiteralError, match="score_1 is called without npv"):
        score(events.Electron.eta, events.Electron.pt)
    with pytest.raises(LiteralError, match="takes eta as float32, not string"):
        score("a", events.Electron.pt, 1.0)


def test_without_onnxruntime_the_error_says_what_to_install(file, modules):
    modules(onnxruntime=None)
    with pytest.raises(LiteralError, match="needs onnxruntime") as caught:
        onnx_model(file)
    assert caught.value.do == "pip install hep-flows[onnx]"

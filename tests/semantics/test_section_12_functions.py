"""12.12 and 11.3: functions of lists and of tables of constants, against numpy and awkward on a real file."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot
from onnx import TensorProto, helper, numpy_helper

from hep_flows import dumps, make_local, ml_features, onnx_model, run
from hep_flows.errors import AxisError, LiteralError, TaskError
from semantics.files import FILES


@pytest.fixture
def events(t, data):
    file, tree = FILES["tt"]
    return t.tt, uproot.open(data(file))[tree].arrays(["Jet_pt", "Jet_eta", "MET_pt"])


def lists(values):
    return ak.to_list(values)


def close(got, want):
    assert ak.all(ak.num(got) == ak.num(want)) if got.ndim > 1 else len(got) == len(want)
    assert lists(ak.is_none(got)) == lists(ak.is_none(want))
    np.testing.assert_allclose(*[ak.to_numpy(ak.flatten(ak.drop_none(x), axis=None)) for x in (got, want)], rtol=1e-12)


def each(values, f):
    return ak.Array([f(np.asarray(v, dtype=np.float64)) if len(v) else None for v in values])


TABLE = ([0.0, 20.0, 40.0, 100.0], [1.0, 0.5, 0.25, 2.0])

OF_LISTS = {
    "ArgMax": (lambda x: x.ArgMax(), lambda x: ak.argmax(x, axis=1)),
    "argmin": (lambda x: x.argmin(), lambda x: ak.argmin(x, axis=1)),
    "np.argmax": (lambda x: np.argmax(x, axis=-1), lambda x: ak.argmax(x, axis=1)),
    "Std": (lambda x: x.Std(), lambda x: each(x, np.std)),
    "ak.var": (lambda x: ak.var(x, axis=-1), lambda x: each(x, np.var)),
    "Median": (lambda x: x.Median(), lambda x: each(x, np.median)),
    "np.median": (lambda x: np.median(x, axis=1), lambda x: each(x, np.median)),
    "Quantile": (lambda x: x.Quantile(0.3), lambda x: each(x, lambda v: np.quantile(v, 0.3))),
    "np.quantile": (lambda x: np.quantile(x, 0.9, axis=-1), lambda x: each(x, lambda v: np.quantile(v, 0.9))),
    "CumSum": (lambda x: x.CumSum(), lambda x: ak.Array([np.cumsum(np.asarray(v, dtype=np.float64)) for v in x])),
    "np.cumsum": (lambda x: np.cumsum(x, axis=1), lambda x: ak.Array([np.cumsum(np.asarray(v, dtype=np.float64)) for v in x])),
    "Index": (lambda x: x.Index(), ak.local_index),
    "ak.local_index": (ak.local_index, ak.local_index),
    "Rank": (lambda x: x.Rank(), lambda x: ak.argsort(ak.argsort(x, stable=True), stable=True)),
    "ArgSort": (lambda x: x.ArgSort(descending=True), lambda x: ak.argsort(x, ascending=False, stable=True)),
    "ak.sort": (ak.sort, ak.sort),
    "Unique": (lambda x: np.floor(x / 20).Unique(), lambda x: ak.Array([np.unique(np.floor(np.asarray(v) / 20)) for v in x])),
    "np.interp": (lambda x: np.interp(x, *TABLE), lambda x: ak.unflatten(np.interp(ak.to_numpy(ak.flatten(x)), *TABLE), ak.num(x))),
    "np.searchsorted": (
        lambda x: np.searchsorted([20, 30, 50], x, side="right"),
        lambda x: ak.unflatten(np.searchsorted([20, 30, 50], ak.to_numpy(ak.flatten(x)), side="right"), ak.num(x)),
    ),
    "np.digitize": (
        lambda x: np.digitize(x, np.array([20.0, 30.0, 50.0])),
        lambda x: ak.unflatten(np.digitize(ak.to_numpy(ak.flatten(x)), [20, 30, 50]), ak.num(x)),
    ),
    "np.digitize down": (
        lambda x: np.digitize(x, [50, 30, 20], right=True),
        lambda x: ak.unflatten(np.digitize(ak.to_numpy(ak.flatten(x)), [50, 30, 20], right=True), ak.num(x)),
    ),
    "np.select": (
        lambda x: np.select([x > 50, x > 30], [x, 2 * x], default=-1.0),
        lambda x: ak.where(x > 50, x, ak.where(x > 30, 2 * x, np.float32(-1))),
    ),
    "np.nan_to_num": (
        lambda x: np.nan_to_num(np.log(x - 30), nan=-5.0),
        lambda x: ak.nan_to_num(np.log(x - np.float32(30)), nan=-5.0),
    ),
    "astype": (lambda x: x.astype("float64") / 3, lambda x: ak.values_astype(x, "float64") / 3),
    "ak.values_astype": (lambda x: ak.values_astype(x, np.int32), lambda x: ak.values_astype(x, "int32")),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", OF_LISTS)
def test_function_is_numpys_for_each_list(events, name):
    df, arrays = events
    ours, theirs = OF_LISTS[name]
    got, want = make_local(ours(df.Jet.pt)), theirs(arrays["Jet_pt"])
    close(got, want)


def test_statistics_over_all_events(events):
    df, arrays = events
    met, pt = [ak.to_numpy(ak.flatten(arrays[n], axis=None)).astype(np.float64) for n in ("MET_pt", "Jet_pt")]
    got = make_local(
        [df.MET.pt.Std(), df.MET.pt.Var(), df.MET.pt.ArgMax(), np.std(df.Jet.pt), ak.var(df.Jet.pt), np.std(df.MET.pt)]
    )
    np.testing.assert_allclose(got, [met.std(), met.var(), met.argmax(), pt.std(), pt.var(), met.std()], rtol=1e-12)


def test_parts_are_merged_whatever_the_ranges(events, environment):
    df, arrays = events
    met = ak.to_numpy(arrays["MET_pt"]).astype(np.float64)
    environment(HEP_FLOWS_CHUNK_EVENTS="7")
    got = make_local([df.MET.pt.Std(), df.MET.pt.ArgMin(), np.var(df.Jet.pt), df[df.MET.pt < 0].MET.pt.Std()])
    pt = ak.to_numpy(ak.flatten(arrays["Jet_pt"])).astype(np.float64)
    np.testing.assert_allclose(got[:3], [met.std(), met.argmin(), pt.var()], rtol=1e-12)
    assert got[3] is None


def test_the_position_leads_to_the_object(events):
    df, arrays = events
    jets = df.Jet
    got = make_local(jets[jets.pt.ArgMax()].eta)
    best = ak.argmax(arrays["Jet_pt"], axis=1, keepdims=True)
    assert lists(got) == lists(ak.firsts(arrays["Jet_eta"][best]))
    order = ak.argsort(arrays["Jet_eta"], ascending=False, stable=True)
    assert lists(make_local(jets[ak.argsort(jets.eta, ascending=False)].pt)) == lists(arrays["Jet_pt"][order])


REFUSED = [
    (lambda df: ak.argmax(df.Jet.pt), LiteralError, "without an axis, this would be the argmax of all entries"),
    (lambda df: np.median(df.Jet.pt), LiteralError, "without an axis"),
    (lambda df: df.MET.pt.Median(), AxisError, "Median over all events cannot be recorded"),
    (lambda df: np.quantile(df.MET.pt, 0.5), AxisError, "Quantile over all events cannot be recorded"),
    (lambda df: df.Jet.pt.Quantile(1.5), LiteralError, "q is one number from 0 to 1"),
    (lambda df: df.Jet.pt.Quantile([0.1, 0.2]), LiteralError, "q is one number from 0 to 1"),
    (lambda df: np.cumsum(df.Jet.pt), LiteralError, "cumsum along axis None would be over the entries of all events"),
    (lambda df: df.MET.pt.CumSum(), AxisError, "CumSum requires a list in each event"),
    (lambda df: df.Index(), AxisError, "Index requires a list in each event"),
    (lambda df: df.Jet.Rank(), LiteralError, "Rank of Jet objects has no meaning"),
    (lambda df: np.interp(df.Jet.pt, [1, 0], [0, 1]), LiteralError, "ascending order"),
    (lambda df: np.interp(df.Jet.pt, df.Jet.pt, [0, 1]), LiteralError, "the table must be constant"),
    (lambda df: np.searchsorted([1, 2], df.Jet.pt, side="middle"), LiteralError, "side is 'left' or 'right'"),
    (lambda df: df.Jet.pt.astype("complex64"), LiteralError, "names no kind of number"),
    (lambda df: df.Jet.pt.Unique() + df.Jet.pt, AxisError, "Jet"),
    (lambda df: df.Jet.pt[ak.argsort(df.Jet.pt)] + df.Jet.pt, AxisError, "Jet"),
    (lambda df: ml_features(df.Jet, ["pt"], pad=2)[df.MET.pt > 20], AxisError, "the same number of objects in each event"),
    (lambda df: ml_features(df.Jet.map(lambda j: df.Muon), ["pt"], pad=2), AxisError, "one list of objects for each event"),
]


@pytest.mark.parametrize(("wrong", "error", "text"), REFUSED, ids=[text or str(i) for i, (_, _, text) in enumerate(REFUSED)])
def test_what_has_no_meaning_is_refused_when_it_is_recorded(events, wrong, error, text):
    with pytest.raises(error, match=text):
        wrong(events[0])


def test_a_number_that_does_not_fit_is_an_error(events):
    df = events[0]
    with pytest.raises(TaskError, match="astype cannot be computed") as caught:
        make_local((df.Jet.pt * 1e6).astype("int16"))
    assert "does not fit into int16" in str(caught.value)


def test_texts_have_the_methods(events):
    jets = events[0].Jet
    assert "events.Jet.pt.Quantile(0.9)" in dumps(np.quantile(jets.pt, 0.9, axis=-1))
    assert "events.Jet.Index()" in dumps(jets.Index())
    assert "events.Jet.pt.astype('float64')" in dumps(jets.pt.astype(float))


# 12.11: blocks of features, and models that take them


def block(arrays, names, pad, fill):
    filled = [ak.fill_none(ak.pad_none(arrays[n], pad, clip=True), fill) for n in names]
    return np.stack([ak.to_numpy(ak.values_astype(x, np.float32)) for x in filled], axis=-1)


@pytest.mark.parametrize(("pad", "fill"), [(4, -9.0), (1, 0), (40, float("nan"))])
@pytest.mark.parametrize("chunk", [None, 7])
def test_features_are_a_rectangular_block(events, pad, fill, chunk):
    df, arrays = events
    got = make_local({"x": ml_features(df.Jet, ["pt", "eta"], pad=pad, fill=fill)}, chunk_events=chunk)["x"]
    assert isinstance(got, np.ndarray)
    assert (got.dtype, got.shape) == (np.float32, (len(arrays), pad, 2))
    np.testing.assert_array_equal(got, block(arrays, ["Jet_pt", "Jet_eta"], pad, fill))


def test_features_of_selections_columns_pairs_and_single_objects(events):
    df, arrays = events
    wide = arrays["MET_pt"] > 40
    df.Jet["sum"] = df.Jet.pt + df.Jet.eta
    pairs = df[df.MET.pt > 40].Jet.Combinations(2, fields=("a", "b"))
    a, b = ak.unzip(ak.combinations(arrays["Jet_pt"][wide], 2))
    got = make_local(
        [
            ml_features(df[df.MET.pt > 40].Jet[:2], ("sum",), pad=3),
            ml_features(pairs, ["a.pt", "b.pt"], pad=2, fill=-1),
            ml_features(df.MET, "pt"),
            ml_features(df.Jet.MaxBy(lambda j: j.pt), ["pt", "px"], fill=-1),
            ml_features(df[df.MET.pt < 0].Jet, ["pt"], pad=3),
        ]
    )
    with_sum = {"sum": (arrays["Jet_pt"] + arrays["Jet_eta"])[wide][:, :2]}
    np.testing.assert_array_equal(got[0], block(with_sum, ["sum"], 3, 0.0))
    np.testing.assert_array_equal(got[1], block({"a": a, "b": b}, ["a", "b"], 2, -1))
    np.testing.assert_array_equal(got[2], ak.to_numpy(arrays["MET_pt"])[:, None])
    np.testing.assert_array_equal(got[3][:, 0], ak.to_numpy(ak.fill_none(ak.max(arrays["Jet_pt"], axis=1), -1)))
    assert got[3].shape == (len(arrays), 2)
    assert got[4].shape == (0, 3, 1)


def test_a_block_comes_from_the_store_as_it_was(events):
    made = run(ml_features(events[0].Jet, ["pt", "eta"], pad=3))
    again = run(ml_features(events[0].Jet, ["pt", "eta"], pad=3))
    assert {r.state for r in again.report.tasks} <= {"cached", "not run"}
    assert made.values.tobytes() == again.values.tobytes()
    assert again.values.shape == made.values.shape


@pytest.fixture
def linear(tmp_path):
    """Give the function that writes a model: all numbers of an event times a weight of their own."""

    def written(shape, name):
        weights = np.linspace(-0.01, 0.02, int(np.prod(shape)), dtype=np.float32)[:, None]
        graph = helper.make_graph(
            [helper.make_node("Flatten", ["x"], ["flat"], axis=1), helper.make_node("MatMul", ["flat", "w"], ["score"])],
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
            [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])],
            [numpy_helper.from_array(weights, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (tmp_path / name).write_bytes(model.SerializeToString())
        return str(tmp_path / name), weights[:, 0]

    return written


@pytest.mark.parametrize("shape", [(4, 2), (8,)], ids=["objects x features", "flat"])
def test_a_model_takes_a_block_as_one_argument(events, linear, shape):
    df, arrays = events
    path, weights = linear(shape, "linear.onnx")
    x = ml_features(df.Jet, ["pt", "eta"], pad=4, fill=-1)
    score = onnx_model(path)(x)
    got = make_local([score, score[df.MET.pt > 40].Max(), df[score > 0].Count()], chunk_events=100)
    want = block(arrays, ["Jet_pt", "Jet_eta"], 4, -1).reshape(len(arrays), 8) @ weights
    assert str(score._expr.type) == "float32, events"
    np.testing.assert_allclose(ak.to_numpy(got[0]), want, rtol=1e-5, atol=1e-5)
    assert got[1] == pytest.approx(want[ak.to_numpy(arrays["MET_pt"]) > 40].max(), rel=1e-5)
    assert got[2] == (ak.to_numpy(got[0]) > 0).sum()


def test_names_of_features_go_by_name(events, linear):
    df, _ = events
    path, _ = linear((3, 2), "named.onnx")
    by_name = onnx_model(path, features=("eta", "pt"))
    one, other = (make_local(by_name(ml_features(df.Jet, names, pad=3))) for names in (["pt", "eta"], ["eta", "pt"]))
    assert lists(one) == lists(other)
    assert lists(make_local(onnx_model(path)(ml_features(df.Jet, ["pt", "eta"], pad=3)))) != lists(one)
    with pytest.raises(LiteralError, match="takes eta, pt, and the block has eta, phi"):
        by_name(ml_features(df.Jet, ["eta", "phi"], pad=3))
    with pytest.raises(LiteralError, match="the block has pt, eta, mass"):
        onnx_model(path)(ml_features(df.Jet, ["pt", "eta", "mass"], pad=3))
    with pytest.raises(TaskError, match="the model takes 3 objects, and lists of 4 were given"):
        make_local(by_name(ml_features(df.Jet, ["pt", "eta"], pad=4)))
    with pytest.raises(TaskError, match="are no block: ml_features"):
        make_local(by_name(df.Jet.pt, df.Jet.eta))

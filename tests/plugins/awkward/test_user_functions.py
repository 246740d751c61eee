"""Users' functions are elementwise, however their bodies are written."""

from __future__ import annotations

import math
from dataclasses import replace

import awkward as ak
import numba
import numpy as np
import pytest

from hep_flows.errors import TaskError
from hep_flows.expr import build
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.types import Bool, Float, Int, String
from plugins.awkward.memory_events import Events, call, leaf, literal

EVENTS = Events(30, mean=3.0, seed=4)
PT, N, MAYBE, LABEL = (leaf("Jet", n) for n in ("pt", "n", "maybe", "label"))


def declared(body, *parameters, returns=Float(64), name="f"):
    return UserFunction(name, parameters or ("x",), (None,) * max(len(parameters), 1), returns, b"code", body=body)


def flat(expr):
    return [x for e in EVENTS.list(expr) for x in e]


def test_body_of_arithmetic_is_called_on_arrays():
    calls = []

    def body(x, k):
        calls.append(np.shape(x))
        return x * k

    got = flat(build.call(declared(body, "x", "k"), [PT, literal(2.0)]))
    assert got == [float(np.float32(x) * np.float32(2)) for x in flat(PT)]
    third = len(got) // 3
    assert calls == [(len(got),), (third,), (len(got) - third,)]


@pytest.mark.parametrize(
    "body",
    [
        lambda x: 1.0 if x > 20 else -1.0,
        math.sqrt,
        lambda x: max(x, 20.0),
        lambda x: float(str(float(x))),
        lambda x: [3.0, 4.0][int(x > 20)],
        lambda x: x.is_integer(),
        lambda x: np.where(x > 20, x, -x),
        np.vectorize(lambda x: 1.0 if x > 20 else 2.0),
    ],
)
def test_any_body_means_one_element(body):
    returns = Float(64) if not isinstance(body(np.float64(1)), bool) else Bool()
    got = flat(build.call(declared(body, returns=returns), [PT]))
    assert got == pytest.approx([float(np.asarray(body(np.float32(x)))) for x in flat(PT)])


@pytest.mark.parametrize(
    "body",
    [
        lambda x: np.asarray([v * 2 for v in x]),
        lambda x: list(x + 1),
        lambda x: ak.Array(x) + 1,
        lambda x: (x[:, None] > np.array([10.0, 20.0])).sum(axis=1),
        lambda x: np.digitize(x, [0.0, 20.0]),
        numba.njit(lambda x: x * 2),
        numba.vectorize(["float64(float64)", "float32(float32)"])(lambda x: x + 1),
    ],
)
def test_a_body_may_be_made_for_arrays_only(body):
    got = flat(build.call(declared(body), [PT]))
    assert got == pytest.approx([float(body(np.asarray([x, x], "f4"))[0]) for x in flat(PT)])


def drawn_with_seed(x):
    return x * np.random.default_rng(42).normal(size=np.shape(x))


def written_down():
    seen = []

    def body(x):
        seen.append(1)
        return x * len(seen)

    return body


# Bodies that are no functions of single elements, by the part of the message that says why.
NO_FUNCTIONS = {
    "a constant": (lambda x: 7.0, "gave 7.0 for arrays of"),
    "the mean of all": (lambda x: x - np.mean(x), "called again on two parts"),
    "running sums": (np.cumsum, "called again on two parts"),
    "the largest": (lambda x: x.max(), "return one value for each"),
    "whether any": (lambda x: (x > 0).any(), "return one value for each"),
    "their number": (lambda x: np.full_like(x, np.size(x)), "called again on two parts"),
    "ranks": (lambda x: np.argsort(np.argsort(x)) * 1.0, "called again on two parts"),
    "sorted": (np.sort, "called again on two parts"),
    "neighbours": (lambda x: np.roll(x, 1), "called again on two parts"),
    "shifted to 0": (lambda x: x - x.min(), "called again on two parts"),
    "a seeded generator": (drawn_with_seed, "called again on two parts"),
    "random numbers": (lambda x: x + np.random.default_rng().normal(size=len(x)), "called again on two parts"),
    "a count of calls": (written_down(), "called again on two parts"),
    "only some": (lambda x: x[x > 20], "gave values of shape"),
    "pairs": (lambda x: np.stack([x, x], axis=1), "gave values of shape"),
    "masked values": (lambda x: np.ma.masked_less(x, 20), "masked"),
    "one by one, and counted": (lambda x, seen=[]: seen.append(float(x)) or float(len(seen)), "called again for one entry"),
}


@pytest.mark.parametrize(("body", "why"), NO_FUNCTIONS.values(), ids=NO_FUNCTIONS)
def test_a_body_that_is_no_function_of_one_element_is_refused(body, why):
    with pytest.raises(TaskError, match="the function 'f'") as caught:
        EVENTS.value(build.call(declared(body), [PT]))
    assert why in str(caught.value)


def test_rounding_that_depends_on_the_place_in_an_array_is_no_difference():
    def body(x):
        return np.where(np.arange(len(x)) % 2 == 0, x, x * (1 + 4e-15)) if len(x) > 40 else x

    double = call("multiply", PT, build.literal(1.0, "float64"))
    got = flat(build.call(declared(body), [double]))
    assert got == pytest.approx(flat(PT), rel=1e-14)


def test_body_cannot_change_what_others_use():
    def body(x):
        x *= 2
        return x

    got, after = EVENTS.value(build.call(declared(body, returns=Float(32)), [PT]), call("multiply", PT, 1))
    assert after.to_list() == EVENTS["Jet", "pt"]
    assert got.to_list() == [[2 * x for x in e] for e in EVENTS["Jet", "pt"]]


def test_missing_arguments_give_missing_results_and_never_reach_the_body():
    def body(x):
        assert not math.isnan(x)
        return x + 1.0

    got = EVENTS.list(build.call(declared(body), [MAYBE]))
    assert got == [[None if m is None else m + 1 for m in e] for e in EVENTS["Jet", "maybe"]]


def test_text_arguments_and_results():
    got = EVENTS.list(build.call(declared(lambda t, n: t * abs(n), "t", "n", returns=String()), [LABEL, N]))
    want = [[t * abs(n) for t, n in zip(*e, strict=True)] for e in zip(EVENTS["Jet", "label"], EVENTS["Jet", "n"], strict=True)]
    assert got == want
    first = build.pick(LABEL, 0, 1)
    got = EVENTS.list(build.call(declared(str.upper, returns=String()), [first]))
    assert got == [e[0].upper() if e else None for e in EVENTS["Jet", "label"]]
    assert EVENTS.list(build.call(declared(len, returns=Int()), [first])) == [
        len(e[0]) if e else None for e in EVENTS["Jet", "label"]
    ]


def test_result_has_the_declared_type():
    got = EVENTS.value(build.call(declared(lambda x: x > 3, returns=Bool()), [PT]))
    assert str(got.type.content.content) == "bool"
    got = EVENTS.value(build.call(declared(lambda x: x * 2, returns=Int(16)), [N]))
    assert str(got.type.content.content) == "int16"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda x: x * 0.3, "'f' is declared to return int32, and gave"),
        (lambda x: None, "'f' returned nothing"),
        (lambda x: "text", "'f' gave text"),
        (lambda x: (x, x), "'f' gave values of shape"),
        (lambda x: "text" if x > 0 else "other", "'f' is declared to return int32, and gave"),
        (lambda x: 1 if x > 0 else None, "'f' returned nothing"),
        (lambda x: np.full(len(x), None), "'f' is declared to return int32, and gave None"),
        (lambda x: x * 1j, "'f' is declared to return int32, and gave"),
    ],
)
def test_undeclared_result_is_an_error_that_names_the_function(body, said):
    with pytest.raises(TaskError, match=said):
        EVENTS.value(build.call(declared(body, returns=Int(32)), [N]))


def test_error_of_the_body_names_the_function_and_chains_the_original():
    def body(x):
        raise RuntimeError("no luck")

    with pytest.raises(TaskError, match="'lucky' failed: RuntimeError: no luck") as error:
        EVENTS.value(build.call(declared(body, name="lucky"), [PT]))
    assert isinstance(error.value.__cause__, RuntimeError)
    assert "x = " in error.value.why


def test_the_error_that_is_shown_is_that_of_the_call_that_the_body_is_made_for():
    def of_arrays(x):
        return x[:, None].sum(axis=1) / {}["nominal"]

    def of_numbers(x):
        return 1.0 if x > 0 else float("none")

    for body, said in ((of_arrays, "KeyError: 'nominal'"), (of_numbers, "ValueError: could not convert")):
        with pytest.raises(TaskError, match=said):
            EVENTS.value(build.call(declared(body), [N]))


def test_a_body_that_draws_and_takes_no_arrays_is_told_what_to_write():
    def body(x):
        return x * np.random.default_rng(1).normal() if x > 0 else 0.0

    function = replace(declared(body), portable=False, why_not_portable="draws random numbers that are in no key")
    with pytest.raises(TaskError, match="draws random numbers") as caught:
        EVENTS.value(build.call(function, [PT]))
    assert "random_normal" in caught.value.do


def test_how_a_body_is_called_is_one_thing_for_all_ranges():
    function = declared(lambda x: 1.0 if x > 20 else 2.0)
    for seed in (4, 5):
        Events(30, mean=3.0, seed=seed).value(build.call(function, [PT]))
    assert function.called_with == "single values"
    arrays = declared(lambda x: x + 1 if len(x) > 1 else float("none"))
    EVENTS.value(build.call(arrays, [PT]))
    assert arrays.called_with == "arrays"


def test_a_range_of_one_element_is_called_like_any_other():
    calls = []

    def body(x):
        calls.append(np.shape(x))
        return x + 1.0

    one = Events(1, mean=0.0, seed=1)
    got = one.value(build.call(declared(body), [leaf("MET", "phi")]))
    assert got.to_list() == [one["MET", "phi"][0] + 1.0]
    assert calls == [(2,)]


def test_error_for_one_element_only_is_an_error():
    bad = flat(PT)[len(flat(PT)) // 2]

    def body(x):
        if x == np.float32(bad):
            raise ZeroDivisionError("there")
        return 1.0

    with pytest.raises(TaskError, match="ZeroDivisionError"):
        EVENTS.value(build.call(declared(body), [PT]))


def test_no_elements_need_no_call():
    def body(x):
        raise AssertionError

    assert Events(3, mean=0.0).list(build.call(declared(body), [PT])) == [[], [], []]


def test_constants_alone_give_one_value():
    assert EVENTS.value(build.call(declared(lambda a, b: a + b, "a", "b"), [literal(1.0), literal(2.5)])) == 3.5
    nothing = UserFunction("f", (), (), Float(64), b"code", body=lambda: 4.0)
    assert EVENTS.value(build.call(nothing, [])) == 4.0


def test_delta_r_needs_no_body():
    names = ("eta1", "phi1", "eta2", "phi2")
    eta, phi = leaf("Jet", "eta"), leaf("Jet", "phi")
    args = [eta, phi, literal(0.0), leaf("MET", "phi")]
    want = EVENTS.list(call("delta_r", *args))
    assert EVENTS.list(build.call(declared(None, *names, name="DeltaR", returns=Float(64)), args)) == want
    narrow = EVENTS.list(build.call(declared(None, *names, name="DeltaR", returns=Float(32)), args))
    assert narrow == [[float(np.float32(d)) for d in e] for e in want]  # computed in double precision, given as declared


def test_other_function_without_a_body_is_an_error_that_names_it():
    with pytest.raises(TaskError, match="'calibrated' has no body"):
        EVENTS.value(build.call(declared(None, name="calibrated"), [PT]))

"""Users' functions are elementwise, however their bodies are written."""

from __future__ import annotations

import math

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
    assert calls[0] == (len(got),)
    assert len(calls) <= 9


@pytest.mark.parametrize(
    "body",
    [
        lambda x: 1.0 if x > 20 else -1.0,
        math.sqrt,
        lambda x: max(x, 20.0),
        lambda x: float(str(float(x))),
        lambda x: [3.0, 4.0][int(x > 20)],
        lambda x: 7.0,
        lambda x: x - np.mean(x) + 1.0,
        lambda x: np.cumsum(x) if np.ndim(x) else x,
        lambda x: x.max(),
        lambda x: np.full_like(x, np.size(x)),
        lambda x: x.is_integer(),
        lambda x: np.where(x > 20, x, -x),
    ],
)
def test_any_body_means_one_element(body):
    returns = Float(64) if not isinstance(body(np.float64(1)), bool) else Bool()
    got = flat(build.call(declared(body, returns=returns), [PT]))
    assert got == pytest.approx([float(np.asarray(body(np.float32(x)))) for x in flat(PT)])


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


@pytest.mark.parametrize("body", [lambda x: x * 0.3, lambda x: None, lambda x: "text", lambda x: (x, x)])
def test_undeclared_result_is_an_error_that_names_the_function(body):
    with pytest.raises(TaskError, match="'f' is declared to return int32"):
        EVENTS.value(build.call(declared(body, returns=Int(32)), [N]))


def test_error_of_the_body_names_the_function_and_chains_the_original():
    def body(x):
        raise RuntimeError("no luck")

    with pytest.raises(TaskError, match="'lucky' failed: RuntimeError: no luck") as error:
        EVENTS.value(build.call(declared(body, name="lucky"), [PT]))
    assert isinstance(error.value.__cause__, RuntimeError)
    assert "x = " in error.value.why


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
    got = EVENTS.list(build.call(declared(None, *names, name="DeltaR", returns=Float(32)), args))
    assert got == EVENTS.list(call("delta_r", *args))


def test_other_function_without_a_body_is_an_error_that_names_it():
    with pytest.raises(TaskError, match="'calibrated' has no body"):
        EVENTS.value(build.call(declared(None, name="calibrated"), [PT]))

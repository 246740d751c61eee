"""What a function uses counts as it is when the function is written into an expression, not as it was when it was declared."""

import functools
import importlib.util

import awkward as ak
import pytest

from hep_flows import make_local, nanoaod_table, run, user_func
from hep_flows.errors import TaskError
from hep_flows.functions.identity import code_identity

BY = {"factor": 2.0}
FACTOR = 2.0


class Scale:
    factor = 2.0


class Called:
    def __init__(self, function):
        self.function = function

    def __call__(self, x: float) -> float:
        return self.function(x)


def times(x):
    return x * FACTOR


@user_func
def by_global(x: float) -> float:
    return x * FACTOR


@user_func
def by_helper(x: float) -> float:
    return times(x)


@user_func
def by_mapping(x: float) -> float:
    return x * BY["factor"]


@user_func
def by_class(x: float) -> float:
    return x * Scale.factor


@user_func
def by_attribute(x: float) -> float:
    return x * times.factor


def set_factors(factor):
    """Give all that the functions multiply by another value, as a cell of a notebook does."""
    globals()["FACTOR"] = BY["factor"] = Scale.factor = times.factor = factor


@pytest.fixture(autouse=True)
def _factors():
    set_factors(2.0)
    yield
    set_factors(2.0)


@pytest.fixture
def met(data):
    return nanoaod_table(data("nano_dy.root")).MET.pt


@pytest.mark.parametrize("function", [by_global, by_helper, by_mapping, by_class, by_attribute], ids=lambda f: f.__name__)
def test_a_value_that_changes_between_two_expressions_is_not_taken_from_the_cache(met, function):
    plain = make_local(met)
    assert ak.all(abs(make_local(function(met)) - 2 * plain) < 1e-3)
    set_factors(3.0)
    assert ak.all(abs(make_local(function(met)) - 3 * plain) < 1e-3)


def test_what_was_written_before_the_change_is_not_computed_with_what_is_there_now(met):
    scaled = by_global(met)
    set_factors(3.0)
    with pytest.raises(TaskError, match="'by_global' does something else than when this was written") as caught:
        make_local(scaled)
    assert "scaled = by_global(met)" in str(caught.value)


def test_what_was_stored_before_the_change_is_still_found(met):
    scaled = by_global(met)
    before = make_local(scaled)
    set_factors(3.0)
    assert ak.all(make_local(scaled) == before)


def test_a_function_that_is_defined_after_its_use_counts(met):
    @user_func
    def late(x: float) -> float:
        return helper(x)

    def helper(x):
        return 2 * x

    assert run(late(met)).report.tasks[-1].state == "computed"
    assert run(late(met)).report.tasks[-1].state == "cached"


def test_closures_of_one_factory_are_stored_apart(met):
    def scaled(by):
        return user_func(lambda x: x * by)

    plain = make_local(met)
    for by in (2.0, 3.0):
        assert ak.all(abs(make_local(scaled(by)(met)) - by * plain) < 1e-3)
    assert run(scaled(2.0)(met)).report.tasks[-1].state == "cached"


def test_a_function_that_no_key_can_stand_for_is_one_selection_when_it_is_written_twice(met):
    thing = Scale()

    @user_func
    def above(x: float) -> bool:
        return x > thing.factor

    assert ak.all(make_local(met[above(met)] - met[above(met)]) == 0)


def test_a_module_that_was_edited_after_its_import_has_no_key(tmp_path, modules):
    file = tmp_path / "edited_module.py"
    spec = importlib.util.spec_from_file_location("edited_module", file)
    file.write_text("def scaled(x):\n    return 2 * x\n")
    module = importlib.util.module_from_spec(spec)
    modules(edited_module=module)
    spec.loader.exec_module(module)
    first, why = code_identity(module.scaled)
    assert not why
    file.write_text("def scaled(x):\n    return 20 * x\n")
    edited, why = code_identity(module.scaled)
    assert "another one than it was made from" in why
    file.write_text("def scaled(x):\n    return 2 * x\n\n\ndef more(x):\n    return x\n")
    assert code_identity(module.scaled) == (first, "")
    assert edited != first


@pytest.mark.parametrize("make", [lambda f: functools.partial(f, by=3.0), Called], ids=["partial", "object"])
def test_other_callables_are_functions_too(met, make):
    def scaled(x: float, by: float = 3.0) -> float:
        return x * by

    assert ak.all(abs(make_local(user_func(make(scaled))(met)) - 3 * make_local(met)) < 1e-3)

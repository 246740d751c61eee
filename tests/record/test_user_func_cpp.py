"""A function with a body in C++: what is accepted, and what it is known by."""

from __future__ import annotations

import pytest

from hep_flows import make_local, render, user_func
from hep_flows.errors import LiteralError
from hep_flows.expr.functions import CppFunction
from hep_flows.expr.transport import decode, encode
from tables_without_files import nano_record, table


@pytest.fixture
def df():
    return table(nano_record(), "nanoaod")


def _declared(df, cpp):
    def f(x: float) -> float: ...

    return render(user_func(cpp=cpp)(f)(df.Jet.pt))


def test_the_body_is_kept_and_its_layout_is_not(df):
    function = _declared(df, "  double y = x;\n\n   return y * y;\n").function
    assert function.cpp == CppFunction("double y = x; return y * y;")
    assert function.body is None


def test_headers_come_with_it(df):
    cpp = CppFunction("return TMath::Abs(x);", ("TMath.h",))
    assert _declared(df, cpp).function.cpp == cpp


def test_the_key_follows_body_and_headers(df):
    keys = {
        _declared(df, cpp).key
        for cpp in ("return x;", "return x + 1;", CppFunction("return x;", ("TMath.h",)), CppFunction("return x;"))
    }
    assert len(keys) == 3


def test_a_function_without_one_has_the_key_that_it_always_had(df):
    @user_func
    def f(x: float) -> float: ...

    assert render(f(df.Jet.pt)).function.cpp is None
    assert render(f(df.Jet.pt)).key != _declared(df, "return x;").key


def test_it_travels(df):
    expr = _declared(df, CppFunction("return x;", ("TMath.h",)))
    again = decode(encode(expr))
    assert again == expr
    assert again.function.cpp == expr.function.cpp


def test_a_body_in_python_stays_for_what_runs_here(df):
    @user_func(cpp="return 2 * x;")
    def double(x: float) -> float:
        return 2 * x

    assert double(2.5) == 5.0
    assert render(double(df.Jet.pt)).function.body is not None


@pytest.mark.parametrize(
    ("cpp", "why"),
    [
        ("x * x;", "it returns nothing"),
        ("return x; // the square", "a // comment"),
        ("#define y x\nreturn y;", "a // comment or a #"),
        ("return argument_0;", "names that begin with argument_"),
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_declared(df, cpp, why):
    with pytest.raises(LiteralError, match=why):
        _declared(df, cpp)


def test_texts_are_refused():
    with pytest.raises(LiteralError, match="about numbers"):

        @user_func(cpp="return 1;")
        def f(x: str) -> float: ...


def test_something_else_than_a_body_is_refused():
    with pytest.raises(LiteralError, match="a text or a CppFunction, not an int"):
        user_func(cpp=3)


def test_without_a_body_here_it_needs_a_plug_in_that_knows_it(df):
    @user_func(cpp="return x;")
    def elsewhere(x: float) -> float: ...

    with pytest.raises(Exception, match="has no body here"):
        make_local(elsewhere(df.Jet.pt))

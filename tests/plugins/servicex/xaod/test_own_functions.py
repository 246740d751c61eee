"""The functions in C++ that go along with queries, each on numbers that are chosen to be difficult: what numpy gives, to the bit."""

from __future__ import annotations

import re
import subprocess
from itertools import product

import numpy as np
import pytest

from hep_flows.plugins.servicex.xaod.own_functions import own_functions
from plugins.servicex.edm.compiled import need_compiler

REALS = [
    0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 0.3, 0.5, -0.5, 0.7, 1.5, 2.5, -2.5, 3.0, 1e-3, 7.25, -7.25, 1e10, -1e10, 123456.789, 2.0**31, 2.0**53,
    3.14159274, -3.14159274, 6.2831855, 9.5, 1e-40, 1e-300, -1e300, 5e-324, float("inf"), float("-inf"), float("nan"),
]  # fmt: skip
OF_ONE = "sqrt square reciprocal floor ceil trunc rint sign isnan isfinite isinf signbit absolute".split()
OF_TWO = "copysign fmod maximum minimum fmax fmin".split()
KINDS = ("int8", "int16", "int32", "uint8", "uint16", "uint32")


def _pairs() -> tuple[np.ndarray, np.ndarray]:
    few = np.random.default_rng(1).normal(0, 10, 25).round(3)
    x, y = np.array(list(product([*REALS, *few], repeat=2))).T
    return x, y


def _wholes(kind: str) -> tuple[np.ndarray, np.ndarray]:
    info = np.iinfo(kind)
    values = {
        0,
        1,
        2,
        3,
        7,
        10,
        100,
        info.max,
        info.max - 1,
        info.max // 2,
        info.min,
        info.min // 2,
        *(-i for i in (1, 2, 3, 7, 100)),
    }
    return tuple(np.array(list(product([v for v in sorted(values) if info.min <= v <= info.max], repeat=2)), dtype=kind).T)


@pytest.fixture(scope="session")
def calculate(tmp_path_factory):
    """Give a function from the name of a function in C++ and pairs of numbers to what it gives."""
    need_compiler()
    folder = tmp_path_factory.mktemp("functions")
    found = [s for s in own_functions().values() if "object" not in s.metadata()["code"][0] and len(s.parameters) <= 2]
    lines = ["#include <cmath>", "#include <cstdio>", "#include <cstring>", "int main(int, char** a) {", "double x, y;"]
    lines.append("while (fread(&x, 8, 1, stdin) == 1 && fread(&y, 8, 1, stdin) == 1) { double r = 0;")
    for spec in found:
        words = [f"static_cast<{kind}>({v})" for (kind, _), v in zip(spec.parameters, "xy", strict=False)]
        code = re.sub(r"argument_(\d)", lambda m: words[int(m[1])], spec.metadata()["code"][0])  # noqa: B023 - used at once
        lines.append(f'if (!strcmp(a[1], "{spec.name}")) {{ {code} r = result; }}')
    lines.append("fwrite(&r, 8, 1, stdout); } }")
    (folder / "all.cxx").write_text("\n".join(lines))
    flags = ("-std=c++17", "-O0", "-w", "-ffp-contract=off", "-o", "all")
    subprocess.run(["g++", "all.cxx", *flags], cwd=folder, check=True, capture_output=True)
    names = {s.name for s in found}

    def calculated(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        assert name in names
        told = np.stack([x.astype(np.float64), y.astype(np.float64)], axis=1).tobytes()
        return np.frombuffer(subprocess.run([folder / "all", name], input=told, check=True, capture_output=True).stdout)

    return calculated


def assert_equal(got: np.ndarray, wanted: np.ndarray, *, signs: bool = True) -> None:
    np.testing.assert_array_equal(got, wanted.astype(np.float64))
    there = ~np.isnan(got) & signs
    np.testing.assert_array_equal(np.signbit(got[there]), np.signbit(wanted.astype(np.float64)[there]))


pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("name", [*OF_ONE, *OF_TWO])
def test_exact_functions_give_what_numpy_gives(calculate, name):
    x, y = _pairs()
    function = getattr(np, name)
    # Which of two zeros is the larger depends on the processor, in numpy too.
    signs = name not in {"maximum", "minimum", "fmax", "fmin"}
    assert_equal(calculate(f"hf_{name}", x, y), function(x) if name in OF_ONE else function(x, y), signs=signs)


@pytest.mark.parametrize("name", ["remainder", "floor_divide"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_division_of_reals_that_rounds_down_gives_what_numpy_gives(calculate, name, dtype):
    x, y = (v.astype(dtype) for v in _pairs())
    kind = "float" if dtype is np.float32 else "double"
    assert_equal(calculate(f"hf_{name}_{kind}", x, y), getattr(np, name)(x, y))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["remainder", "floor_divide", "multiply", "add", "subtract", "negative", "absolute"])
def test_whole_numbers_start_anew_where_numpys_do(calculate, name, kind):
    x, y = _wholes(kind)
    wide = x.astype(np.float64), y.astype(np.float64)
    if name == "multiply":
        got = calculate(f"hf_multiply_{kind}", x, y)
    elif name in {"remainder", "floor_divide"}:
        got = calculate(f"hf_wrap_{kind}", calculate(f"hf_{name}_whole", x, y), y)
    else:
        exact = getattr(np, name)(*wide[: 1 + (name in {"add", "subtract"})])
        got = calculate(f"hf_wrap_{kind}", exact, y)
    wanted = getattr(np, name)(*((x,) if name in {"negative", "absolute"} else (x, y)))
    assert wanted.dtype == kind
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("kind", ["uint64", "int64"])
def test_remainders_of_long_numbers_give_what_numpy_gives(calculate, kind):
    x = np.array([0, 1, 7, 10**15 + 3, 2**52 + 1], dtype=kind)
    x = np.concatenate([x, -x]) if kind == "int64" else x
    for by in (1, 2, 10, 1000):
        np.testing.assert_array_equal(calculate(f"hf_remainder_{kind}", x, np.full(len(x), by)), x % np.array(by, dtype=kind))

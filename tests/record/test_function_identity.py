"""The identity of a user's function changes with everything that it does, and with nothing else."""

import importlib.util
import linecache
import sys
import textwrap

import pytest

from hep_flows.record.function_code import code_identity

BASE = """
import functools
import math

import numpy as np
import project_part
from project_part import shifted

FACTOR = 2.0
TABLE = {"a": [1, 2.5], "b": (3, None)}
GRID = np.arange(4.0)


def twice(x):
    return 2 * x


def louder(f):
    @functools.wraps(f)
    def inner(x):
        return 3 * f(x)

    return inner


@louder
def wrapped(x):
    return x + 1


@functools.lru_cache
def remembered(x):
    return x - 1


def through_comprehension(x):
    return sum([twice(v) for v in (x, x)])


def through_lambda(x):
    return (lambda v: FACTOR * v)(x)


def through_inner(x):
    def inner(v):
        return project_part.helper(v)

    return inner(x)


def through_decorator(x):
    return wrapped(x)


def through_cache(x):
    return remembered(x)


def through_data(x):
    return x * TABLE["a"][1] + GRID[2]


def through_name(x):
    return shifted(x)


def with_default(x, by=1.5):
    return x * by


def with_library(x):
    return math.sqrt(x) + np.hypot(x, 1)


def recursive(n):
    return 1 if n < 2 else n * recursive(n - 1)
"""
PART = """
OFFSET = 7


def helper(x):
    return x + OFFSET


def shifted(x):
    return helper(x) + 1
"""
NAMES = [line.split()[1].split("(")[0] for line in BASE.splitlines() if line.startswith("def ") and "louder" not in line]


def loaded(folder, source, part):
    for name, text in (("project_part", part), ("project_main", source)):
        path = folder / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_loader(name, None, origin=str(path))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        module.__file__ = str(path)
        linecache.clearcache()
        exec(compile(text, str(path), "exec"), module.__dict__)
    return module


@pytest.fixture
def identities(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "project_part", None)
    monkeypatch.setitem(sys.modules, "project_main", None)

    def give(source=BASE, part=PART):
        module = loaded(tmp_path, source, part)
        found = {n: code_identity(getattr(module, n)) for n in NAMES if hasattr(module, n)}
        assert all(portable for _, portable in found.values()), [n for n, (_, p) in found.items() if not p]
        return {n: code for n, (code, _) in found.items()}

    return give


def changed(before, after):
    return {n for n in before if before[n] != after[n]}


def test_the_identity_is_the_same_each_time(identities):
    assert changed(identities(), identities()) == set()


@pytest.mark.parametrize(
    ("old", "new", "affected"),
    [
        ("return 2 * x", "return 4 * x", {"twice", "through_comprehension"}),
        ("FACTOR = 2.0", "FACTOR = 2.5", {"through_lambda"}),
        ("return 3 * f(x)", "return 5 * f(x)", {"wrapped", "through_decorator"}),
        ("return x + 1", "return x + 2", {"wrapped", "through_decorator"}),
        ("return x - 1", "return x - 2", {"remembered", "through_cache"}),
        ("[1, 2.5]", "[1, 2.75]", {"through_data"}),
        ("arange(4.0)", "arange(5.0)", {"through_data"}),
        ("by=1.5", "by=1.6", {"with_default"}),
        ("np.hypot(x, 1)", "np.hypot(x, 2)", {"with_library"}),
        ("n * recursive", "2 * n * recursive", {"recursive"}),
        ("math.sqrt(x)", "math.cbrt(x)", {"with_library"}),
    ],
)
def test_what_a_function_does_is_in_its_identity(identities, old, new, affected):
    assert BASE.count(old) == 1
    assert changed(identities(), identities(BASE.replace(old, new))) == affected


@pytest.mark.parametrize(
    ("old", "new", "affected"),
    [
        ("OFFSET = 7", "OFFSET = 8", {"through_inner", "through_name"}),
        ("return x + OFFSET", "return x - OFFSET", {"through_inner", "through_name"}),
        ("return helper(x) + 1", "return helper(x) + 2", {"through_name"}),
    ],
)
def test_so_is_what_other_modules_of_the_project_do(identities, old, new, affected):
    assert changed(identities(), identities(BASE, PART.replace(old, new))) == affected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2.0", "# a remark\n\nFACTOR = 2.0"),
        ("def twice(x):\n", 'def twice(x):\n    """Say twice."""\n'),
        ("return 2 * x", "return (2  *  x)  # doubled"),
        ("def twice(x):", "def twice(x: float) -> float:"),
    ],
)
def test_layout_comments_and_annotations_are_not(identities, old, new):
    assert changed(identities(), identities(BASE.replace(old, new))) == set()


@pytest.mark.parametrize(
    "body",
    [
        "def f(x):\n    import project_part\n    return project_part.helper(x)",
        "def f(x):\n    return getattr(project_part, 'helper')(x)",
        "def f(x):\n    return x + THING.value",
        "def f(x):\n    return VECTORISED(x)",
        "def f(x):\n    return x if OBJECTS[0] else 0",
        "def f(x):\n    return unknown_name(x)",
    ],
)
def test_what_cannot_be_followed_makes_a_function_good_here_only(tmp_path, monkeypatch, body):
    monkeypatch.setitem(sys.modules, "project_part", None)
    monkeypatch.setitem(sys.modules, "project_main", None)
    head = """
    import numpy as np
    import project_part


    class Thing:
        value = 3


    THING = Thing()
    OBJECTS = np.array([THING], dtype=object)
    VECTORISED = np.vectorize(lambda v: v + 1)
    """
    module = loaded(tmp_path, textwrap.dedent(head) + "\n\n" + body + "\n", PART)
    first, portable = code_identity(module.f)
    assert not portable
    assert code_identity(module.f)[0] != first

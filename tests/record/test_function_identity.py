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
        assert not any(why for _, why in found.values()), found
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
    first, why = code_identity(module.f)
    assert why
    assert code_identity(module.f)[0] != first


READS = {
    "open(x)": "def f(x):\n    with open(PATH) as file:\n        return x * float(file.read())",
    "np.load": "def f(x):\n    return x * np.load(PATH)[0]",
    "np.loadtxt by name": "def f(x):\n    return x * loadtxt(PATH)",
    "np.fromfile": "def f(x):\n    return x * np.fromfile(PATH)[0]",
    "path.read_text": "def f(x):\n    return x * float(PATH.read_text())",
    "pathlib": "def f(x):\n    return x * Path('a.txt').stat().st_size",
    "json and open": "def f(x):\n    return x * json.load(open('a.json'))['scale']",
    "correctionlib": "def f(x):\n    return correctionlib.CorrectionSet.from_file('sf.json')['sf'].evaluate(x)",
    "correctionlib imported inside": "def f(x):\n    import correctionlib as c\n    return c.CorrectionSet('sf.json')['sf'].evaluate(x)",
    "correction inside": "def f(x):\n    return hep_flows.correction('sf.json')(x)",
    "onnxruntime": "def f(x):\n    return x * onnxruntime.InferenceSession('m.onnx').run(None, {'x': [x]})[0][0]",
    "environment": "def f(x):\n    return x * float(os.environ['SCALE'])",
    "clock": "def f(x):\n    return x * time.time()",
    "random numbers": "def f(x):\n    return x * np.random.normal()",
    "through a helper": "def f(x):\n    return x * factor()",
    "through a lambda": "def f(x):\n    return (lambda: x * open(PATH).read())()",
    "eval": "def f(x):\n    return eval('x * ' + TEXT)",
}


@pytest.mark.parametrize("body", READS.values(), ids=READS)
def test_what_may_read_something_from_outside_is_never_stored(tmp_path, monkeypatch, body):
    head = """
    import json
    import os
    import time
    from pathlib import Path

    import correctionlib
    import numpy as np
    import onnxruntime
    from numpy import loadtxt

    import hep_flows

    PATH = "a.txt"
    TEXT = "2"


    def factor():
        return np.genfromtxt(PATH)[0]
    """
    for name in ("project_part", "project_main"):
        monkeypatch.setitem(sys.modules, name, None)
    module = loaded(tmp_path, textwrap.dedent(head) + "\n\n" + body + "\n", PART)
    _, why = code_identity(module.f)
    assert "may read something that is in no key" in why


CLASSES = """
class Tool:
    SCALE = 1.5

    @staticmethod
    def scaled(x):
        return x * Tool.SCALE

    @staticmethod
    def unused(x):
        return x


class Better(Tool):
    pass


def through_class(x):
    return Tool.scaled(x)


def through_subclass(x):
    return Better.scaled(x)


def constant_only(x):
    return x + Tool.SCALE
"""


@pytest.mark.parametrize(
    ("old", "new", "affected"),
    [
        ("SCALE = 1.5", "SCALE = 2.5", {"through_class", "through_subclass", "constant_only"}),
        ("return x * Tool.SCALE", "return x / Tool.SCALE", {"through_class", "through_subclass"}),
        ("        return x\n", "        return x + 1\n", set()),
        ("    pass", "    @staticmethod\n    def scaled(x):\n        return x", {"through_subclass"}),
    ],
)
def test_parts_of_a_class_count_where_they_are_used(tmp_path, monkeypatch, old, new, affected):
    for name in ("project_part", "project_main"):
        monkeypatch.setitem(sys.modules, name, None)
    assert CLASSES.count(old) == 1

    def identities(source):
        module = loaded(tmp_path, source, PART)
        return {n: code_identity(getattr(module, n)) for n in ("through_class", "through_subclass", "constant_only")}

    before = identities(CLASSES)
    assert not any(why for _, why in before.values())
    assert changed(before, identities(CLASSES.replace(old, new))) == affected

"""The identity of a user's function changes with everything that it does, and with nothing else."""

import importlib
import importlib.util
import json
import linecache
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from hep_flows.functions.identity import code_identity

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


@pytest.fixture(autouse=True)
def _the_project_ends_with_its_test(modules):
    modules(project_part=None, project_main=None)


@pytest.fixture
def identities(tmp_path):
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
        "def f(x):\n    return x if OBJECTS[0] else 0",
        "def f(x):\n    return unknown_name(x)",
    ],
)
def test_what_cannot_be_followed_makes_a_function_good_here_only(tmp_path, body):
    head = """
    import numpy as np
    import project_part


    class Thing:
        value = 3


    THING = Thing()
    OBJECTS = np.array([THING], dtype=object)
    """
    module = loaded(tmp_path, textwrap.dedent(head) + "\n\n" + body + "\n", PART)
    first, why = code_identity(module.f)
    assert why
    assert code_identity(module.f)[0] != first


HEAD = """
import collections
import datetime
import decimal
import functools
import gettext
import inspect
import itertools
import json
import linecache
import locale
import math
import operator
import os
import pkgutil
import re
import string
import sys
import threading
import time
import typing
import warnings
import xml.etree.ElementTree as ET
import zoneinfo
from pathlib import Path

import awkward as ak
import correctionlib
import numba
import numpy as np
import onnxruntime
import scipy.special
import scipy.stats
import vector
from numpy import loadtxt
from numpy.random import default_rng
from scipy.special import erf
from scipy.stats import norm

import hep_flows

PATH = "a.txt"
TEXT = "2"
SCALE = 2.0
NAMES = {"a", "b"}
SEEN = []
MEMO = {}
RNG = np.random.default_rng(1)
COUNTER = itertools.count()
LOCK = threading.Lock()
WHEN = "now"
EDGES = (0.0, 1.5, 3.0)
KINDS = frozenset({1, 2})
GRID = np.linspace(0, 1, 5)


class Point(typing.NamedTuple):
    x: float
    y: float = 1.0


ORIGIN = Point(1.0)


def factor():
    return np.genfromtxt(PATH)[0]


def times(x, by):
    return x * by


def by_global(x):
    return x * SCALE


def decorated(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args) + os.getpid()

    return inner


@decorated
def with_process(x):
    return x


@numba.njit
def compiled(x):
    return x * 2


@numba.njit
def compiled_global(x):
    return x * SCALE


@np.vectorize
def vectorised(x):
    return 2.0 if x > 1 else 1.0


@hep_flows.user_func(pure=False)
def noisy(x: float) -> float:
    return x


@hep_flows.user_func(version="1")
def of_version(x: float) -> float:
    return x * len(open(PATH).read())


cached = functools.lru_cache(by_global)
hidden = functools.update_wrapper(functools.partial(times, by=TEXT and open), by_global)
borrowed = functools.update_wrapper(functools.lru_cache(by_global), factor)
"""


def one(source, part=PART, head=HEAD):
    def make(folder):
        body = source if source.startswith("def ") else f"def f(x):\n    return {source}"
        return loaded(folder, f"{head}\n\n{body}\n", part).f

    return make


# What gives something else tomorrow, elsewhere or at the next call; the text is what has to be named.
IMPURE = [
    ("def f(x):\n    with open(PATH) as file:\n        return x * float(file.read())", "open"),
    ("x * np.load(PATH)[0]", "np.load"),
    ("x * loadtxt(PATH)", "loadtxt"),
    ("x * np.fromfile(PATH)[0]", "np.fromfile"),
    ("x * float(PATH.read_text())", "PATH.read_text"),
    ("x * Path('a.txt').stat().st_size", "Path"),
    ("x * json.load(open('a.json'))['scale']", "json.load"),
    ("correctionlib.CorrectionSet.from_file('sf.json')['sf'].evaluate(x)", "correctionlib.CorrectionSet"),
    ("def f(x):\n    import correctionlib as c\n    return c.CorrectionSet('sf.json')['sf'].evaluate(x)", "c.CorrectionSet"),
    ("hep_flows.correction('sf.json')(x)", "hep_flows.correction"),
    ("x * onnxruntime.InferenceSession('m.onnx').run(None, {'x': [x]})[0][0]", "onnxruntime.InferenceSession"),
    ("x * float(os.environ['SCALE'])", "os.environ"),
    ("x * time.time()", "time.time"),
    ("x * np.random.normal()", "draws random numbers that are in no key, by np.random.normal; random_normal"),
    ("x * default_rng(1).normal()", "draws random numbers"),
    ("x * RNG.normal()", "draws random numbers"),
    ("x * scipy.stats.norm.rvs()", "scipy.stats.norm.rvs"),
    ("x * norm(0, 1).rvs()", ".rvs"),
    ("x * factor()", "np.genfromtxt"),
    ("(lambda: x * open(PATH).read())()", ".read"),
    ("eval('x * ' + TEXT)", "eval"),
    ("x * np.fromregex(PATH, 'a', [('k', 'f8')])['k'][0]", "np.fromregex"),
    ("x * float(linecache.getline(PATH, 1))", "linecache.getline"),
    ("x * float(ET.parse(PATH).getroot().text)", "ET.parse"),
    ("x + len(pkgutil.get_data('email', '__init__.py'))", "pkgutil.get_data"),
    ("x * float(np.datetime64('now', 'us').astype('i8'))", "np.datetime64"),
    ("x * np.array('now', 'M8[s]').astype('i8')", "clock"),
    ("x * np.array([WHEN]).astype('M8[s]').astype('i8')", "clock"),
    ("x + datetime.datetime.fromtimestamp(0).hour", "datetime.datetime"),
    ("x + zoneinfo.ZoneInfo('Europe/Zurich').utcoffset(None)", "zoneinfo.ZoneInfo"),
    ("x * float(decimal.Decimal(1) / 3)", "decimal.Decimal"),
    ("x * sys.modules['decimal'].HAVE_THREADS", "sys.modules"),
    ("x * hash('a')", "hash"),
    ("x * id(x)", "id"),
    ("x * sum(float(ord(c)) / 3 for c in {'a', 'b'})", "order of a set"),
    ("x * list(NAMES).index('a')", "order of a set"),
    ("x * list(set('ab')).index('a')", "order of a set"),
    ("x * next(iter(frozenset('ab'))).count('a')", "order of a set"),
    ("cached(x)", "SCALE"),
    ("compiled_global(x)", "SCALE"),
    ("hidden(x)", "open"),
    ("borrowed(x)", ""),
    ("with_process(x)", "os.getpid"),
    ("def f(x):\n    SEEN.append(x)\n    return x * len(SEEN)", "changes SEEN"),
    ("def f(x):\n    MEMO[1] = MEMO.get(1, 0) + 1\n    return x * MEMO[1]", "changes MEMO"),
    ("def f(x):\n    global SCALE\n    SCALE += 1\n    return x * SCALE", "SCALE"),
    ("x * next(COUNTER)", ""),
    ("def f(x):\n    with LOCK:\n        return x", ""),
    ("def f(x):\n    n = np\n    return x * n.load(PATH)", "module n"),
    ("x * [np][0].load(PATH)", "module n"),
    ("x * getattr(np, 'load')(PATH)", "n"),
    ("x * (1).__class__.__base__.__subclasses__()[0]", "__subclasses__"),
    ("x * np.empty(1)[0]", "np.empty"),
    ("x * np.ndarray(1)[0]", "memory"),
    ("np.divide(1.0, x, where=x > 0)", "memory"),
    ("x * len('{0.real:n}'.format(x))", ".format"),
    ("x * len(f'{x:n}')", "language"),
    ("x * len(locale.str(1.5))", "locale.str"),
    ("x * len(gettext.gettext('a'))", "gettext.gettext"),
    ("x * len(inspect.stack())", "inspect.stack"),
    ("x * operator.methodcaller('tofile', PATH)(x)", "operator.methodcaller"),
    ("x * operator.attrgetter('ctypes.data')(x)", "operator.attrgetter"),
    ("x + x.ctypes.data", ".data"),
    ("x * sys.getrecursionlimit()", "sys.getrecursionlimit"),
    ("x * len(warnings.filters)", "warnings.filters"),
    ("ak.from_parquet(PATH).x", "ak.from_parquet"),
    ("x * len(ak.behavior)", "ak.behavior"),
    ("x * statistics_of_mine.mean([x])", ""),
    ("x * len(sorted(NAMES, key=len)[0])", "order of a set"),
    ("x * len(list({'a': 1, 'b': 2}.keys() & {'a': 1}.keys()))", "order of a set"),
    ("def f(x):\n    match x:\n        case object(__class__=c):\n            return c", "__class__"),
    ("def f(x, seen=[]):\n    seen.append(1)\n    return x * len(seen)", "changes the default of seen"),
    ("def f(x, seen={}):\n    seen['n'] = seen.get('n', 0) + 1\n    return x * seen['n']", "changes the default of seen"),
    ("def f(x, *, seen=[]):\n    seen += [1]\n    return x * len(seen)", "changes the default of seen"),
    ("def f(x):\n    Point.count = 1\n    return x", "Point"),
    ("x * np.frompyfunc(float, 1, 1)(x)", "np.frompyfunc"),
    ("x + np.array(ak).size", "module ak"),
    ("hep_flows.make_local(x)", "hep_flows.make_local"),
    ("noisy(x)", "pure=False"),
]


@pytest.mark.parametrize(("source", "named"), IMPURE, ids=[s.replace("\n", " ")[:60] for s, _ in IMPURE])
def test_what_is_not_known_to_be_pure_is_never_stored(tmp_path, source, named):
    _, why = code_identity(one(source)(tmp_path))
    assert why
    assert named in why


PURE = [
    "np.where(x > 0, np.sqrt(x), -1.0)",
    "x * math.pi + scipy.special.erf(x) + erf(x) + scipy.constants.c if x else 1",
    "norm.cdf(x) + scipy.stats.norm(0, 1).pdf(x)",
    "ak.sum(ak.Array([[x]]), axis=-1)[0]",
    "vector.obj(pt=x, eta=1.0, phi=2.0, mass=0.1).deltaR(vector.obj(pt=x, eta=1.0, phi=1.0, mass=0.1))",
    "np.digitize(x, EDGES) + np.interp(x, GRID, GRID)",
    "np.linalg.norm(x) + np.add.reduce(x) + np.float32(x).astype('f8')",
    "x if 'a' in NAMES and 1 in KINDS and x in {1, 2} else len(NAMES) + len(set('ab'))",
    "vectorised(x) + compiled(x)",
    "Point(x, 2.0).y + ORIGIN.y",
    "functools.partial(times, by=2.0)(x) + functools.reduce(operator.add, [1, 2])",
    "x * int(string.digits[1]) * len(re.findall('a', 'banana'))",
    "x * sys.maxsize",
    "sorted(collections.Counter('abca').items())[0][1] * x",
    "def f(x):\n    import numpy as np\n    from math import sqrt\n    return np.hypot(x, sqrt(2))",
    "def f(x):\n    out = np.zeros_like(x)\n    out[x > 1] = 2\n    with np.errstate(all='ignore'):\n        return out",
    "def f(x):\n    out = []\n    for i in range(3):\n        out.append(i * x)\n    if not out:\n        raise ValueError(f'{x:.2f}')\n    return max(out)",
    "np.divide(1.0, x, out=np.zeros_like(x), where=x > 0)",
    "of_version(x)",
    "def f(x, edges=[0.0, 1.0]):\n    return np.digitize(x, edges)",
]


@pytest.mark.parametrize("source", PURE)
def test_what_is_known_to_be_pure_has_one_identity(tmp_path, source):
    first, why = code_identity(one(source, head=f"import scipy.constants\n{HEAD}")(tmp_path))
    assert not why
    again, _ = code_identity(one(source, head=f"import scipy.constants\n{HEAD}")(tmp_path))
    assert again == first


def test_the_reason_names_the_line(tmp_path):
    _, why = code_identity(one("def f(x):\n    y = 2 * x\n    return y * np.fromregex(PATH)")(tmp_path))
    n_lines = len(HEAD.splitlines())
    assert f"(project_main.py:{n_lines + 5})" in why


def installed(folder, name, text, direct_url=""):
    """Give a module that lies in a folder as pip puts it there, metadata beside it."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if direct_url:
        (info / "direct_url.json").write_text(json.dumps({"url": direct_url, "dir_info": {}}))
    return imported(folder, name)


def imported(folder, name):
    before = sys.modules.pop(name, None)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        if before is not None:
            sys.modules[name] = before


@pytest.fixture
def identity_with(tmp_path, modules):
    """Give a function that gives the identity of a function which uses a module as ``mine``."""

    def give(module, source="mine.scaled(x)"):
        modules(**{module.__name__: module})
        return code_identity(one(source, head=f"import {module.__name__} as mine")(tmp_path))

    return give


@pytest.fixture
def other(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_a_module_of_the_project_with_the_name_of_one_of_pythons_counts_by_its_content(other, identity_with):
    python_own, why = identity_with(importlib.import_module("statistics"), "mine.mean([x, x])")
    assert not why
    found = {python_own}
    for text in ("def mean(x):\n    return x[0]\n", "def mean(x):\n    return x[0] + 1\n"):
        (other / "statistics.py").write_text(text)
        linecache.clearcache()
        code, why = identity_with(imported(other, "statistics"), "mine.mean([x, x])")
        assert not why
        found.add(code)
    assert len(found) == 3


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages", "view/lib", "stack"])
def test_a_library_is_one_wherever_it_lies(other, monkeypatch, folder, identity_with):
    """As in LCG views, with --user, in distribution packages, on PYTHONPATH: numpy itself, and one that nobody knows."""
    place = other / folder
    place.mkdir(parents=True)
    for part in Path(np.__file__).parents[1].glob("numpy*"):
        (place / part.name).symlink_to(part)
    _, why = identity_with(np, "mine.sqrt(x)")
    assert not why
    monkeypatch.setattr(np, "__file__", str(place / "numpy" / "__init__.py"))
    _, why = identity_with(np, "mine.sqrt(x) + mine.hypot(x, x)")
    assert not why
    unknown = installed(place, "somebodys", "def scaled(x):\n    return x\n")
    _, why = identity_with(unknown)
    assert "mine.scaled, which is not known to be pure" in why


def test_a_package_that_was_built_in_the_folder_of_its_sources_is_the_projects(other, identity_with):
    (other / "mine.egg-info").mkdir()
    (other / "mine.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (other / "mine.egg-info" / "top_level.txt").write_text("mine\n")
    (other / "mine.py").write_text("def scaled(x):\n    return 2 * x\n")
    _, why = identity_with(imported(other, "mine"))
    assert not why


def test_an_installed_package_of_ones_own_counts_by_its_content(other, identity_with):
    found = []
    for i, by in enumerate((2, 3)):
        module = installed(other / str(i), "own", f"def scaled(x):\n    return {by} * x\n", "file:///somewhere/own")
        code, why = identity_with(module)
        assert not why
        found.append(code)
    assert found[0] != found[1]


def test_a_module_that_the_user_declares_pure_counts_by_its_version(other, environment, identity_with):
    text = "class Thing:\n    @classmethod\n    def made(cls, x):\n        return cls()\n\n\ndef scaled(x):\n    return x\n"
    module = installed(other, "particles", text)
    both = "mine.scaled(x) + mine.Thing.made(x).width"
    assert "mine.scaled" in identity_with(module, both)[1]
    environment(HEP_FLOWS_PURE_MODULES="other,particles")
    first, why = identity_with(module, both)
    assert not why
    info = other / "particles-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: particles\nVersion: 1.1\n")
    assert identity_with(module, both)[0] != first


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
def test_parts_of_a_class_count_where_they_are_used(tmp_path, old, new, affected):
    assert CLASSES.count(old) == 1

    def identities(source):
        module = loaded(tmp_path, source, PART)
        return {n: code_identity(getattr(module, n)) for n in ("through_class", "through_subclass", "constant_only")}

    before = identities(CLASSES)
    assert not any(why for _, why in before.values())
    assert changed(before, identities(CLASSES.replace(old, new))) == affected

"""The identity of a user's function: what it does, not where it stands or what it is called.

The digest covers the canonical form of its source (comments, layout, annotations and docstring gone), its defaults, the values that
it captured, and, through every name that it uses, the project functions and constants behind it. Library functions count by their
module and name, if they are known to be pure. Whatever else it may reach makes the function good in this
process only; what depends on it is then never stored, and the plan names the line.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import dis
import functools
import gc
import importlib
import importlib.util
import linecache
import os
import re
import sys
import sysconfig
import types
import typing
import uuid
from functools import lru_cache
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError
from hep_flows.expr.key import digest
from hep_flows.functions.declared import DeclaredFunction
from hep_flows.record.parameters import plain_number
from hep_flows.record.where import user_site
from hep_flows.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from importlib.metadata import Distribution

    Tree = ast.FunctionDef | ast.Lambda

# The source of a function, where the function is what that source says -----------------------------------------------------------
#
# A file may be edited while a process goes on with what it had loaded from it. The source that is there then is that of another function,
# so it is compiled and compared: at the place of the function it has to give the code that runs.

_FUTURE = 0x1FF0000  # the bits of a code's flags that ``from __future__ import ...`` sets
_CHANGED = "has no source, or another one than it was made from: was its file changed after it was imported?"


def source_tree(function: Callable[..., Any]) -> Tree:
    """Give the syntax tree of a function or a lambda.

    Raises
    ------
    OSError
        When there is no source, or it is not what the function was made from.
    SyntaxError
        When the source is none of Python any more.
    TypeError
        When it is not a function written in Python.
    """
    # From the code, not the function: of one that was wrapped, the source would be that of what is inside.
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        raise TypeError("not a function written in Python")
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, getattr(function, "__globals__", None)))
    found: Sequence[Tree] = _functions(text).get((code.co_name, code.co_firstlineno), [])
    if code.co_name == "<lambda>":
        found = _innermost(found, code)
    if len(found) != 1:
        raise OSError(_CHANGED)
    if code not in _codes(text, code.co_flags & _FUTURE) and code not in _code_alone(text, code):
        raise OSError(_CHANGED)
    return found[0]


@lru_cache(maxsize=32)
def _functions(text: str) -> dict[tuple[str, int], list[Tree]]:
    """Give the functions of a file by their name and the line that they begin at, decorators included."""
    found: dict[tuple[str, int], list[Tree]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            found.setdefault((node.name, first), []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
    return found


def _innermost(lambdas: Sequence[Tree], code: CodeType) -> Sequence[Tree]:
    """Give the lambda that a code is at: there may be several on a line, one in the other."""
    places = [(line, column) for line, _, column, end in code.co_positions() if line and column is not None and end]
    around = [
        n for n in lambdas if isinstance(n, ast.Lambda) and places and _start(n.body) <= min(places) <= max(places) < _end(n.body)
    ]
    return sorted(around, key=_start)[-1:]


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


@lru_cache(maxsize=32)
def _codes(text: str, flags: int) -> frozenset[CodeType]:
    return frozenset(_inside(compile(text, "<source>", "exec", flags, dont_inherit=True)))


def _code_alone(text: str, code: CodeType) -> frozenset[CodeType]:
    """Give the code of the statement that a function stands in, compiled by itself as notebooks do it.

    How a call is compiled depends on the imports that are compiled with it.
    """
    statements = [
        s
        for s in ast.parse(text).body
        if min([n.lineno for n in (s, *getattr(s, "decorator_list", ()))]) <= code.co_firstlineno <= (s.end_lineno or 0)
    ]
    alone = ast.Module(statements, [])
    return frozenset(_inside(compile(alone, "<source>", "exec", code.co_flags & _FUTURE, dont_inherit=True)))


def _inside(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inside(constant)


# What of Python and of libraries is known to be pure: it gives the same for the same arguments, today, tomorrow and elsewhere ----
#
# This is a list of what may be, not of what may not be: a function that nobody thought of (that reads a file, the clock, a setting, random
# numbers) is not on it, so a result that depends on it is computed each time. ``*`` stands for all public names of a module.
# Attributes count by their name alone, since what they are taken of is known only when a body runs; the names here are those of numbers,
# texts, containers, arrays and vectors that compute and do nothing else.

# To raise or catch an exception is to compute, but what the limits of a machine raise tells of the machine.
_RAISED = {n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, Exception)} - {
    "MemoryError",
    "RecursionError",
}

BUILTINS = frozenset(
    "abs all any bin bool bytes chr complex dict divmod enumerate filter float hex int isinstance issubclass iter len list map max min "
    "next oct ord pow print range reversed round slice sorted str sum tuple type zip NotImplemented Ellipsis "
    "set frozenset __debug__".split()
).union(_RAISED)

# The order of a set of texts is another one in each process: only what does not look at the order may have one.
ORDER_FREE = frozenset("all any len max min sorted".split())

RANDOM = ("numpy.random", "random", "secrets", "uuid")

_TABLE = {
    "math": "*",
    "cmath": "*",
    "operator": (
        "abs add and_ concat contains countOf eq floordiv ge getitem gt iadd index indexOf inv invert is_ is_not itemgetter le lshift lt "
        "matmul mod mul ne neg not_ or_ pos pow rshift sub truediv truth xor"
    ),
    "itertools": "*",
    "functools": "partial reduce cmp_to_key",
    "statistics": (
        "correlation covariance fmean geometric_mean harmonic_mean linear_regression mean median median_grouped median_high median_low "
        "mode multimode pstdev pvariance quantiles stdev variance NormalDist"
    ),
    "fractions": "Fraction",
    "numbers": "Complex Integral Number Rational Real",
    "collections": "ChainMap Counter OrderedDict defaultdict deque",
    "bisect": "bisect bisect_left bisect_right",
    "heapq": "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest",
    "copy": "copy deepcopy",
    "re": "compile escape findall finditer fullmatch match search split sub subn",
    "struct": "calcsize pack unpack",
    "hashlib": "blake2b blake2s md5 sha1 sha256 sha512",
    "zlib": "adler32 crc32",
    "numpy": (
        "abs absolute acos acosh add all allclose amax amin angle any append apply_along_axis arange arccos arccosh arcsin arcsinh arctan "
        "arctan2 arctanh argmax argmin argpartition argsort argwhere around array array_equal array_equiv array_split asanyarray asarray "
        "ascontiguousarray asin asinh astype atan atan2 atanh atleast_1d atleast_2d atleast_3d average bincount bitwise_and bitwise_count "
        "bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor block bool bool_ broadcast_arrays "
        "broadcast_shapes broadcast_to cbrt ceil choose clip column_stack common_type complex128 complex64 compress concat concatenate "
        "conj conjugate convolve copy copysign copyto corrcoef correlate cos cosh count_nonzero cov cross cumprod cumsum cumulative_prod "
        "cumulative_sum deg2rad degrees delete diag diagflat diagonal diff digitize divide divmod dot double dstack dtype einsum equal "
        "errstate exp exp2 expand_dims expm1 extract eye fabs fill_diagonal finfo fix flatnonzero flip fliplr flipud float16 float32 "
        "float64 float_power floor floor_divide fmax fmin fmod frexp frombuffer fromfunction fromiter full full_like gcd geomspace "
        "gradient greater greater_equal heaviside histogram histogram2d histogram_bin_edges histogramdd hsplit hstack hypot i0 identity "
        "iinfo imag indices inner insert int16 int32 int64 int8 int_ integer floating number interp intersect1d intp invert isclose "
        "iscomplex iscomplexobj isfinite isin isinf isnan isneginf isposinf isreal isscalar issubdtype ix_ kron lcm ldexp left_shift less "
        "less_equal lexsort linspace log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logspace "
        "matmul max maximum mean median meshgrid min minimum mod modf moveaxis multiply nan_to_num nanargmax nanargmin nancumprod "
        "nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndarray ndenumerate ndim ndindex "
        "negative nextafter nonzero not_equal ones ones_like outer pad partition percentile piecewise place polyadd polyder polyfit "
        "polyint polymul polysub polyval positive pow power prod promote_types ptp put put_along_axis putmask quantile rad2deg radians "
        "ravel real reciprocal remainder repeat reshape result_type right_shift rint roll roots rot90 round searchsorted select setdiff1d "
        "setxor1d shape sign signbit sin sinc sinh size sort spacing split sqrt square squeeze stack std subtract sum swapaxes take "
        "take_along_axis tan tanh tensordot tile trace transpose trapezoid tri tril triu true_divide trunc uint16 uint32 uint64 "
        "uint8 union1d unique unpackbits packbits unwrap vander var vdot vectorize vstack where zeros zeros_like"
    ),
    "numpy.linalg": "cholesky cond cross det eig eigh eigvals eigvalsh inv lstsq matrix_power matrix_rank norm pinv qr slogdet solve svd",
    "numpy.fft": "fft fft2 fftfreq fftshift ifft ifft2 ifftshift irfft rfft rfftfreq",
    "numpy.polynomial.polynomial": "polyadd polyder polyfit polyint polymul polyroots polysub polyval polyval2d",
    "numpy.polynomial.chebyshev": "chebfit chebval chebval2d",
    "numpy.polynomial.legendre": "legfit legval legval2d",
    "scipy.special": "*",
    "scipy.constants": "*",
    "scipy.linalg": "cholesky det eig eigh eigvals eigvalsh expm inv lstsq norm pinv solve svd",
    "scipy.integrate": "cumulative_trapezoid dblquad fixed_quad quad quad_vec romb simpson solve_ivp trapezoid",
    "scipy.interpolate": (
        "Akima1DInterpolator BSpline CubicSpline PchipInterpolator RectBivariateSpline RegularGridInterpolator UnivariateSpline bisplev "
        "griddata interp1d interpn splev splrep"
    ),
    "scipy.optimize": "bisect brenth brentq fsolve least_squares minimize minimize_scalar newton nnls ridder root root_scalar toms748",
    "scipy.spatial.distance": "cdist cosine euclidean pdist squareform",
    "scipy.stats": (
        "beta binom cauchy chi2 crystalball expon exponnorm f gamma gennorm gumbel_l gumbel_r invgamma landau laplace levy logistic "
        "lognorm moyal multivariate_normal nbinom norm pareto poisson powerlaw rayleigh rel_breitwigner skellam skewnorm t truncexpon "
        "truncnorm uniform vonmises weibull_min"
    ),
    "awkward": (
        "Array all almost_equal any argcartesian argcombinations argmax argmin argsort array_equal broadcast_arrays cartesian combinations "
        "concatenate corr count count_nonzero covar drop_none enforce_type fields fill_none firsts flatten from_iter from_numpy from_regular "
        "full_like is_categorical is_none is_tuple is_valid isclose local_index mask max mean min moment nan_to_num nan_to_none nanargmax "
        "nanargmin nanmax nanmean nanmin nanprod nanstd nansum nanvar num ones_like pad_none prod ptp ravel run_lengths singletons "
        "softmax sort std sum to_list to_numpy to_regular unflatten unzip values_astype var where without_field with_field zeros_like zip"
    ),
    "vector": "arr array awk obj zip Array VectorNumpy2D VectorNumpy3D VectorNumpy4D VectorObject2D VectorObject3D VectorObject4D",
}
KNOWN: Mapping[str, frozenset[str]] = MappingProxyType({module: frozenset(names.split()) for module, names in _TABLE.items()})
LIBRARIES = frozenset([module.partition(".")[0] for module in KNOWN])

ATTRIBUTES = frozenset(
    # numbers, texts, bytes
    "as_integer_ratio bit_count bit_length conjugate denominator from_bytes fromhex hex imag is_integer numerator real to_bytes "
    "capitalize casefold center count decode encode endswith expandtabs find index isalnum isalpha isdecimal isdigit islower isspace "
    "istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip "
    "split splitlines startswith strip swapcase title translate upper zfill "
    # containers
    "add append appendleft clear copy difference discard elements extend fromkeys get insert intersection isdisjoint issubset issuperset "
    "items keys most_common pop popitem popleft remove reverse rotate setdefault sort subtract symmetric_difference union update values "
    # arrays, and functions on them
    "T accumulate all any argmax argmin argpartition argsort astype at base bits byteswap choose clip compress conj cumprod cumsum "
    "diagonal dot dtype eps fill flat flatten item itemsize kind max mean min name nbytes ndim newbyteorder nonzero outer prod ptp put "
    "ravel reduce reduceat repeat reshape resize round searchsorted shape size squeeze std sum swapaxes take tiny tolist trace transpose "
    "var view fields to_list to_numpy type layout "
    # fits, roots, distributions, integrals, matches, digests
    "cdf converged derivative digest entropy ev fun groups group groupdict hexdigest integral integrate interval inv_cdf isf logcdf "
    "logpdf logpmf logsf match median message moment nfev pdf pmf ppf quantiles root roots sf span start end stats stdev success variance x y "
    # vectors
    "beta boost boostCM_of boostX boostY boostZ charge costheta cottheta cross deltaR deltaR2 deltaRapidityPhi deltaangle deltaeta deltaphi "
    "e energy eta et gamma is_antiparallel is_lightlike is_parallel is_spacelike is_timelike m M m2 mass mass2 mt Mt mt2 p P p2 phi pt Pt "
    "pt2 px py pz rapidity rho rho2 rotateX rotateY rotateZ rotate_axis scale t tau theta to_Vector2D to_Vector3D to_Vector4D to_beta3 to_xy to_xyz "
    "to_xyzt to_ptphietamass transform2D transform3D transform4D unit z".split()
)

# Methods that change what they are called on: what a body captured has to stay as it was.
CHANGES = frozenset(
    "add append appendleft clear discard extend fill insert pop popitem popleft put remove resize reverse rotate setdefault sort subtract "
    "update".split()
)


def known_pure(full: str) -> bool:
    """Say whether something of a library is known to be pure, by its full name."""
    module, _, name = full.rpartition(".")
    names = KNOWN.get(module, frozenset())
    return name in names or ("*" in names and not name.startswith("_"))


def draws(full: str) -> bool:
    """Say whether something of a library draws random numbers, by its full name."""
    return any([full == r or full.startswith(f"{r}.") for r in RANDOM]) or full.endswith(".rvs")


# What a function uses from outside of itself, and to whom that belongs: to Python, to a library, or to the project ---------------
#
# What belongs to the project is followed. What belongs to Python or to a library counts by its name, and only where it is known to be
# pure. A library is recognised wherever it lies (site-packages of the interpreter, of the user or of the system, a view of a software stack,
# ``PYTHONPATH``): by its metadata, not by a folder. A file of the project that has the name of a library is the project's.

PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_CACHE = type(functools.lru_cache(len))


class UnknownError(Exception):
    """A value that no digest can stand for; the text is what to say of the function that uses it."""


def runs(function: Any) -> tuple[types.FunctionType, bool]:
    """Give the function of Python that runs when something is called, and whether what it gave is kept for later calls.

    `user_func` adds nothing to a function, ``functools.lru_cache`` and numba keep what they made at the first call. Any other decorator is a
    function of its own that is followed.

    Raises
    ------
    UnknownError
        When it is no Python function.
    """
    keeps = False
    for _ in range(100):
        if isinstance(function, types.FunctionType):
            if not function.__code__.co_filename.startswith(PACKAGE):
                return function, keeps
            # Not __wrapped__, which anybody may set.
            inside = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)).get("function")
            function = None if inside is None else inside.cell_contents
        elif isinstance(function, _CACHE) and any(function.__wrapped__ is r for r in gc.get_referents(function)):
            function, keeps = function.__wrapped__, True
        elif type(function).__module__.partition(".")[0] == "numba" and hasattr(function, "py_func"):
            function, keeps = function.py_func, True
        else:
            break
    raise UnknownError


def used_values(function: types.FunctionType) -> dict[str, Any]:
    """Give what the names stand for that a function takes from outside; built-in functions are left out.

    They are in `unbound_names`.

    Raises
    ------
    UnknownError
        When a name stands for nothing yet.
    """
    found: dict[str, Any] = {}
    for name in _globals_in(function.__code__):
        if name in function.__globals__:
            found[name] = function.__globals__[name]
        elif not hasattr(builtins, name):
            raise UnknownError(f"uses {name}, which stands for nothing yet")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            raise UnknownError(f"uses {name}, which stands for nothing yet") from None
    return found


def unbound_names(function: types.FunctionType) -> set[str]:
    """Give the names that a function uses and that only Python itself gives a meaning."""
    return {n for n in _globals_in(function.__code__) if n not in function.__globals__}


def _globals_in(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            yield str(instruction.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _globals_in(inner)


def library_name(value: Any) -> str:
    """Give the full name of what belongs to Python or to an installed library, and is found there by that name; else nothing.

    Of the names that it is found by, one that is known to be pure is given.
    """
    if isinstance(value, types.ModuleType):
        return value.__name__ if is_library(value.__name__) else ""
    for module, names in KNOWN.items():
        loaded = sys.modules.get(module)
        for name in _names(loaded, names, value) if loaded is not None else ():
            if getattr(loaded, name, None) is value and known_pure(f"{module}.{name}") and is_library(module):
                return f"{module}.{name}"
    owner = getattr(value, "__module__", None) or type(value).__module__
    path = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(path, str) or not isinstance(owner, str) or not is_library(owner):
        return ""
    found: Any = sys.modules.get(owner)
    for part in path.split("."):
        found = getattr(found, part, None)
    return f"{owner}.{path}" if found is value else ""


def _names(module: types.ModuleType, names: frozenset[str], value: Any) -> Iterator[str]:
    called = getattr(value, "__name__", "")
    if called in names:
        yield called
    yield from vars(module) if "*" in names else names


def is_library(module: str) -> bool:
    """Say whether a module belongs to Python or to an installed library, wherever that lies."""
    top = module.partition(".")[0]
    if top in {"hep_flows", "builtins"}:
        return True
    loaded = sys.modules.get(top)
    spec = getattr(loaded, "__spec__", None) or (_spec(top) if loaded is None else None)
    origin = getattr(loaded, "__file__", None) or getattr(spec, "origin", None)
    if top in sys.stdlib_module_names:
        return top != "__main__" and (origin in {None, "built-in", "frozen"} or _is_of_python(str(origin)))
    if not isinstance(origin, str) or top == "__main__":
        return False
    is_package = Path(origin).name.startswith("__init__.")
    has_version = loaded is None or isinstance(getattr(loaded, "__version__", None), str)
    return _is_installed(top, origin, may_lack_metadata=top in LIBRARIES and is_package and has_version)


def _spec(top: str) -> Any:
    try:
        return importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        return None


@lru_cache(maxsize=256)
def _is_of_python(origin: str) -> bool:
    folders = {Path(os.__file__).parent, *[Path(sysconfig.get_path(n)) for n in ("stdlib", "platstdlib")]}
    file = Path(origin)
    for found in (file, Path(os.path.realpath(origin))):
        for folder in (*folders, *[Path(os.path.realpath(f)) for f in folders]):
            if found.is_relative_to(folder) and not {"site-packages", "dist-packages"} & set(found.relative_to(folder).parts):
                return True
    return False


@lru_cache(maxsize=256)
def _is_installed(top: str, origin: str, *, may_lack_metadata: bool) -> bool:
    """Say whether a module has been installed: its distribution is recorded beside it, and was not made of a folder of the user's."""
    found = distribution_of(top, origin)
    if found is not None:
        return top in LIBRARIES or '"file:' not in re.sub(r"\s", "", found.read_text("direct_url.json") or "")
    here = _folder_of(origin)
    if here.name in {"site-packages", "dist-packages"} or str(here) in {sysconfig.get_path(n) for n in ("purelib", "platlib")}:
        return True
    # A view or a copy of a library may lack what records it; a folder of the project that has its name is not meant.
    return may_lack_metadata and not here.is_relative_to(Path.cwd())


def distribution_of(top: str, origin: str) -> Distribution | None:
    """Give the distribution that a module was installed with, where its metadata lie beside it."""
    from importlib.metadata import distributions

    folders = list(dict.fromkeys([str(_folder_of(origin)), str(_folder_of(os.path.realpath(origin)))]))
    for found in distributions(name=top, path=folders):
        if _is_record(found, folders):
            return found
    for found in distributions(path=folders):
        if not _is_record(found, folders):
            continue
        listed = (found.read_text("top_level.txt") or "").split()
        if top in listed or (not listed and any(f.parts[0] in {top, f"{top}.py"} for f in found.files or ())):
            return found
    return None


def _is_record(found: Distribution, folders: list[str]) -> bool:
    """Say whether it records an installation: building a package leaves metadata beside its sources, too."""
    if any(Path(f).name in {"site-packages", "dist-packages"} for f in folders):
        return True
    return (
        found.read_text("WHEEL") is not None
        or found.read_text("METADATA") is not None
        or found.read_text("installed-files.txt") is not None
    )


def _folder_of(origin: str) -> Path:
    file = Path(origin)
    return file.parents[1] if file.name.startswith("__init__.") else file.parent


def library_version(top: str) -> str:
    """Give the version of an installed library, empty where it has none."""
    module = importlib.import_module(top)
    found = distribution_of(top, getattr(module, "__file__", None) or "")
    return found.version if found is not None else str(getattr(module, "__version__", ""))


# Fields of syntax trees that change nothing: annotations, and how a text constant was written.
_RANDOM_DO = "random_normal(X, seed=...) and its like draw so that a result can be stored"
_NOT_MEANING = frozenset({"annotation", "returns", "type_comment", "type_params", "kind"})


def code_identity(function: Callable[..., Any]) -> tuple[bytes, str]:
    """Give the digest of what a function does, and why it means nothing to another process; empty where it does."""
    try:
        return _value(function, {}), ""
    except (UnknownError, OSError, SyntaxError, TypeError) as error:
        why = f"{error}" if isinstance(error, UnknownError | OSError) else ""
        return uuid.uuid4().bytes, why or "holds values that have no content key"


def has_body(function: Callable[..., Any]) -> bool:
    """Say whether a function does anything: a docstring, ``...``, ``pass``, ``assert False`` or ``raise`` alone does not."""
    try:
        tree = source_tree(function)
    except (OSError, SyntaxError, TypeError):
        return True
    if isinstance(tree, ast.Lambda):
        return True
    return any(not _does_nothing(s) for s in tree.body)


_VERBS = frozenset({"make_local", "make_local_async", "run", "run_analysis", "plan", "cutflow"})


def check_body(function: Callable[..., Any], name: str) -> None:
    """Refuse a body that gives nothing, or that asks for results itself.

    Raises
    ------
    LiteralError
        With what to write instead.
    """
    try:
        runs_here, _ = runs(function)
        tree, used = source_tree(runs_here), used_values(runs_here)
    except (OSError, SyntaxError, TypeError, UnknownError):
        return
    if isinstance(tree, ast.FunctionDef) and not any(_gives(s) for s in tree.body):
        raise LiteralError(
            f"the function {name!r} returns nothing",
            where=user_site(),
            why="its body has no `return` with a value",
            do="end it with `return ...`",
        )
    for node in ast.walk(tree):
        chain = _chain(node) if isinstance(node, ast.Attribute | ast.Name) else []
        value: Any = used.get(chain[0]) if chain else None
        for part in chain[1:]:
            value = getattr(value, part, None)
        if getattr(value, "__name__", "") in _VERBS and f"{getattr(value, '__module__', '')}.".startswith("hep_flows."):
            raise LiteralError(
                f"the function {name!r} calls {value.__name__} in its body",
                where=user_site(),
                why="a body computes with numbers that are there; it is called many times while results are computed",
                do=f"call {value.__name__} before, and give its value as an argument",
            )


def _gives(statement: ast.AST) -> bool:
    """Say whether a statement may return a value, functions inside of it left out."""
    if isinstance(statement, ast.Return):
        return statement.value is not None
    inner = () if isinstance(statement, ast.FunctionDef | ast.Lambda | ast.ClassDef) else ast.iter_child_nodes(statement)
    return isinstance(statement, ast.Yield | ast.YieldFrom) or any(_gives(i) for i in inner)


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Raise() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assert(test=ast.Constant(value=value)):
            return not value
        case _:
            return False


def inferred_return(function: Callable[..., Any]) -> type:
    """Give ``bool`` for a function that only returns comparisons, ``int`` or ``str`` for such constants, else ``float``."""
    try:
        tree = source_tree(function)
    except (OSError, SyntaxError, TypeError):
        return float
    values = [tree.body] if isinstance(tree, ast.Lambda) else [n.value for n in ast.walk(tree) if isinstance(n, ast.Return)]
    kinds = {_kind(v) for v in values}
    return kinds.pop() if len(kinds) == 1 else float


def _kind(value: ast.expr | None) -> type:
    match value:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return bool
        case ast.BoolOp(values=parts) if all(_kind(p) is bool for p in parts):
            return bool
        case ast.Constant(value=bool() | int() | str() as constant):
            return type(constant)
        case _:
            return float


def _canonical(function: types.FunctionType) -> tuple[object, ...]:
    """Give the parameters and the body as nested tuples; constants that do nothing, such as docstrings, are left out."""
    tree = source_tree(function)
    body = [tree.body] if isinstance(tree, ast.Lambda) else [s for s in tree.body if not _is_comment(s)]
    return (_shape(tree.args), tuple([_shape(s) for s in body]))


def _is_comment(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _shape(node: object) -> object:
    """Give a syntax tree as nested tuples of what is there: the same on every Python, whose texts of a tree differ."""
    if isinstance(node, ast.AST):
        fields = [(n, getattr(node, n, None)) for n in node._fields if n not in _NOT_MEANING]
        return (type(node).__name__, tuple([(n, _shape(v)) for n, v in fields if v is not None and v != []]))
    if isinstance(node, list):
        return tuple([_shape(n) for n in node])
    if node is Ellipsis or isinstance(node, complex):
        return ("constant", str(node))
    return node


def _function(function: types.FunctionType, seen: dict[int, int], *, keeps: bool) -> bytes:
    address = _address(function)
    if address in seen:
        return digest("recursion", seen[address])
    seen[address] = len(seen)
    tree = source_tree(function)
    used = _Body(function, tree).used()
    kept = [name for name, (value, _) in used.items() if value is not function and not library_name(value)]
    if keeps and kept:
        raise UnknownError(f"keeps what it gave (lru_cache, numba) while {kept[0]}, which it uses, may change")
    values = tuple([(name, used[name][1] or _value(used[name][0], seen)) for name in sorted(used)])
    defaults = _value(function.__defaults__ or (), seen), _value(tuple(sorted((function.__kwdefaults__ or {}).items())), seen)
    return digest("code", _canonical(function), values, defaults)


class _Body:
    """What one function reaches, name by name; anything that may differ from one run to the next is an `UnknownError` with its line."""

    def __init__(self, function: types.FunctionType, tree: ast.FunctionDef | ast.Lambda) -> None:
        self._file = function.__code__.co_filename.rpartition("/")[2]
        self._function, self._tree = function, tree
        body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
        self._nodes = [n for statement in body for n in _meant(statement)]
        self._parents = {child: n for n in self._nodes for child in ast.iter_child_nodes(n)}
        self._unbound = unbound_names(function)
        self._values = used_values(function)
        self._allowed = ATTRIBUTES | _fields(function)
        self._all_attributes = False

    def used(self) -> dict[str, tuple[Any, bytes]]:
        """Give what the function uses by dotted name: the value, and its digest where that is no business of the value's alone."""
        self._import_names()
        self._check_names()
        found: dict[str, tuple[Any, bytes]] = {}
        inside: set[ast.AST] = set()
        for node in self._nodes:  # parents before children: the longest chain of names comes first
            if isinstance(node, ast.Attribute) and node not in inside and (chain := _chain(node)) and chain[0] in self._values:
                inside.update(ast.walk(node))
                name, more = self._resolved(chain, node, found)
                self._check_use(name, node, found[name][0], more)
            elif isinstance(node, ast.Name) and node not in inside and node.id in self._values:
                name, more = self._resolved([node.id], node, found)
                self._check_use(name, node, found[name][0], more)
        for node in self._nodes:
            self._check(node, inside)
        self._check_defaults()
        return found

    def _check_defaults(self) -> None:
        """Refuse a default that the body changes: the next call finds it changed."""
        kinds = (list, dict, set)
        names = list(self._tree.args.posonlyargs + self._tree.args.args)
        given = self._function.__defaults__ or ()
        late = self._function.__kwdefaults__ or {}
        values = {**dict(zip([a.arg for a in names[len(names) - len(given) :]], given, strict=True)), **late}
        mutable = {n for n, v in values.items() if isinstance(v, kinds) or type(v).__name__ == "ndarray"}
        for node in self._nodes:
            if not isinstance(node, ast.Name) or node.id not in mutable:
                continue
            user = self._parents.get(node)
            is_method = isinstance(user, ast.Attribute) and user.attr in CHANGES
            if is_method or _is_changed(node, self._parents) or (isinstance(user, ast.AugAssign) and user.target is node):
                raise self._no(f"changes the default of {node.id}, which all calls share", node)

    def _no(self, why: str, node: ast.AST) -> UnknownError:
        line = getattr(node, "lineno", 0)
        return UnknownError(f"{why} ({self._file}:{line})" if line else why)

    def _import_names(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Import):
                bound = [
                    (a.asname or a.name.partition(".")[0], a.name if a.asname else a.name.partition(".")[0], "") for a in node.names
                ]
            elif isinstance(node, ast.ImportFrom):
                bound = [(a.asname or a.name, "" if node.level else node.module or "", a.name) for a in node.names]
            else:
                continue
            for name, module, part in bound:
                if not is_library(module):
                    raise self._no(f"imports {module or 'a module of the project'} inside", node)
                if name in self._values:
                    raise self._no(f"uses {name} for two things", node)
                self._values[name] = _imported(module, part)

    def _check_names(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Global | ast.Nonlocal):
                raise self._no(f"changes {node.names[0]} outside of itself", node)
        own = {n.arg for n in (*ast.walk(self._tree.args), *self._nodes) if isinstance(n, ast.arg)}
        own |= {n.id for n in self._nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        twice = sorted(own & self._values.keys())
        if twice:
            raise self._no(f"uses {twice[0]} for two things", self._tree)

    def _resolved(self, chain: list[str], node: ast.AST, found: dict[str, tuple[Any, bytes]]) -> tuple[str, list[str]]:
        """Go through modules and classes of the project to what is used; give its dotted name, and the attributes after it."""
        value, at = self._values[chain[0]], 1
        owner = None
        while isinstance(value, types.ModuleType) or (isinstance(value, type) and not library_name(value) and at < len(chain)):
            if at == len(chain):
                raise self._no(f"hands on the module {chain[-1]}", node)
            owner, value = value, getattr(value, chain[at], UnknownError)
            at += 1
        name = ".".join(chain[:at])
        if value is UnknownError:
            raise self._no(f"uses {name}, which is not there", node)
        if isinstance(owner, types.ModuleType) and is_library(owner.__name__):
            found[name] = value, self._of_library(f"{owner.__name__}.{chain[at - 1]}", name, value, node)
        elif library_name(value):
            found[name] = value, self._of_library(library_name(value), name, value, node)
        else:
            found[name] = value, b""
        return name, chain[at:]

    def _of_library(self, full: str, name: str, value: Any, node: ast.AST) -> bytes:
        value = plain_number(value)
        if value is None or type(value) in (bool, int, float, complex, str, bytes):
            return _value(value, {})
        if known_pure(full):
            return digest("library", full)
        if known := library_name(value):
            if known_pure(known):
                return digest("library", known)
            full = known
        if isinstance(value, DeclaredFunction) and value.declared.portable:
            return _value(value, {})
        top = full.partition(".")[0]
        if top in read_settings().pure_modules:
            self._all_attributes = True
            version = library_version(top)
            if version:
                return digest("pure module", full, version)
        if draws(full) or draws(name):
            raise self._no(f"draws random numbers that are in no key, by {name}; {_RANDOM_DO}", node)
        raise self._no(f"may read something that is in no key, by {name}, which is not known to be pure", node)

    def _check_use(self, name: str, node: ast.AST, value: Any, more: list[str]) -> None:
        """Look at what is done with a value from outside."""
        user = self._parents.get(node)
        if draws(type(value).__module__):
            raise self._no(f"draws random numbers that are in no key, by {name}; {_RANDOM_DO}", node)
        if more:
            if isinstance(value, types.FunctionType) and not library_name(value):
                raise self._no(f"uses {name}.{more[0]}, which is kept on a function", node)
            if not self._all_attributes and not self._allowed.issuperset(more):
                raise self._no(f"may read something that is in no key, by {name}.{'.'.join(more)}", node)
            if more[-1] in CHANGES and isinstance(user, ast.Call) and user.func is node and not library_name(value):
                raise self._no(f"changes {name}, which it shares with others", node)
        if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del) or _is_changed(node, self._parents):
            raise self._no(f"changes {name}, which it shares with others", node)
        if isinstance(value, set | frozenset):
            self._check_order(node)
        if isinstance(user, ast.Call) and user.func is node:
            full = library_name(value)
            given = {k.arg for k in user.keywords}
            if full == "numpy.ndarray" or (type(value).__name__ == "ufunc" and "where" in given and "out" not in given):
                raise self._no(f"takes memory as it is, by {name} without out=", node)

    def _check(self, node: ast.AST, inside: set[ast.AST]) -> None:  # noqa: C901 - one case beside the other
        match node:
            case ast.Name(id=name) if name in self._unbound and name not in self._values:
                if name not in BUILTINS:
                    raise self._no(f"may read something that is in no key, by {name}", node)
                user = self._parents.get(node)
                if name in {"set", "frozenset"}:
                    self._check_order(user if isinstance(user, ast.Call) and user.func is node else node)
            case ast.Attribute(attr=name) if node not in inside:
                if isinstance(node.ctx, ast.Store | ast.Del):
                    raise self._no(f"sets the attribute {name}", node)
                if not (name in self._allowed or (self._all_attributes and not name.startswith("_"))):
                    said = (
                        "draws random numbers that are in no key" if draws(f".{name}") else "may read something that is in no key"
                    )
                    raise self._no(f"{said}, by .{name}, which is not known to be pure", node)
            case ast.Set() | ast.SetComp():
                self._check_order(node)
            case ast.BinOp(left=left, right=right) if _is_view(left) or _is_view(right):
                self._check_order(node)
            case ast.MatchClass(kwd_attrs=names) if not self._allowed.issuperset(names):
                raise self._no(f"may read something that is in no key, by .{', .'.join(names)}", node)
            case ast.Constant(value=str(text)) if text.lower() in {"now", "today"} or "M8" in text or "datetime64" in text:
                raise self._no(f"may read the clock, by {text!r}", node)
            case ast.FormattedValue(format_spec=ast.JoinedStr(values=[*_, ast.Constant(value=str(spec))])) if spec.endswith("n"):
                raise self._no("writes numbers as the user's language does", node)

    def _check_order(self, node: ast.AST) -> None:
        """Let a set stand only where its order, another one in each process, cannot be seen."""
        user = self._parents.get(node)
        if isinstance(user, ast.Compare) and node in user.comparators and all(isinstance(o, ast.In | ast.NotIn) for o in user.ops):
            return
        # Not with keywords: sorted(names, key=len) leaves those of one length as they came.
        is_call = isinstance(user, ast.Call) and isinstance(user.func, ast.Name) and not user.keywords
        if is_call and user.func.id in ORDER_FREE & self._unbound:  # type: ignore[union-attr]
            return
        raise self._no("may depend on the order of a set", node)


def _meant(node: ast.AST) -> Iterator[ast.AST]:
    """Give a node and all in it, annotations left out, from the outside in."""
    yield node
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in _NOT_MEANING:
                yield from _meant(child)


def _imported(module: str, part: str) -> Any:
    from importlib import import_module

    try:
        found = import_module(module)
        return getattr(found, part) if part and hasattr(found, part) else import_module(f"{module}.{part}") if part else found
    except ImportError:
        raise UnknownError(f"imports {module}, which is not there") from None


def _chain(node: ast.expr) -> list[str]:
    """Give the names of ``a.b.c``, from the left; nothing for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _is_view(node: ast.AST) -> bool:
    """Say whether it is ``x.keys()`` or ``x.items()``, of which operators make sets."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"keys", "items"}


def _is_changed(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Say whether an item of a value is set: ``a[i] = x``, ``a[i] += x``, ``del a[i]``."""
    user = parents.get(node)
    while isinstance(user, ast.Subscript) and user.value is node:
        if isinstance(user.ctx, ast.Store | ast.Del):
            return True
        node, user = user, parents.get(user)
    return False


def _fields(function: types.FunctionType) -> frozenset[str]:
    """Give the names of the members of the records that a function takes or gives."""
    try:
        hints: Iterable[Any] = typing.get_type_hints(function).values()
    except (NameError, TypeError, AttributeError):
        hints = ()
    made = [v for v in used_values(function).values() if isinstance(v, type)]
    return frozenset([n for h in (*hints, *made) for n in record_fields(h)])


def record_fields(kind: Any) -> dict[str, Any]:
    """Give the members of a NamedTuple, dataclass or TypedDict with their annotations; nothing for anything else."""
    if not isinstance(kind, type):
        return {}
    if not (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))):
        return {}
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, TypeError):
        hints = {}
    names = [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else getattr(kind, "_fields", tuple(hints))
    return {n: hints.get(n) for n in names}


_OF_RECORDS = frozenset(
    "__annotations__ __annotate_func__ __annotations_cache__ __dataclass_fields__ __dataclass_params__ __dict__ __doc__ __eq__ "
    "__firstlineno__ __getnewargs__ __hash__ __init__ __match_args__ __module__ __new__ __optional_keys__ __orig_bases__ __readonly_keys__ "
    "__mutable_keys__ __replace__ __repr__ __required_keys__ __slots__ __static_attributes__ __total__ __weakref__ __closed__ "
    "__extra_items__ __lt__ __le__ __gt__ __ge__ _asdict _field_defaults _fields _make _replace __setattr__ __delattr__ __getstate__ "
    "__setstate__".split()
)


def _record_kind(kind: type, seen: dict[int, int]) -> bytes:
    """Give the digest of a NamedTuple, dataclass or TypedDict that has members and nothing else."""
    fields = record_fields(kind)
    if not fields or [n for n in vars(kind) if n not in _OF_RECORDS and n not in fields]:
        raise UnknownError(f"uses the class {kind.__name__}, of which only members that are used by name count")
    if dataclasses.is_dataclass(kind):
        made = [f for f in dataclasses.fields(kind) if f.default_factory is not dataclasses.MISSING]
        if made:
            raise UnknownError(f"uses {kind.__name__}, whose {made[0].name} is made anew each time")
        defaults = tuple(
            [(f.name, _value(f.default, seen)) for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING]
        )
    else:
        defaults = tuple([(n, _value(v, seen)) for n, v in sorted(getattr(kind, "_field_defaults", {}).items())])
    sort = "dataclass" if dataclasses.is_dataclass(kind) else "mapping" if typing.is_typeddict(kind) else "tuple"
    return digest("record", sort, tuple(fields), defaults)


def _address(value: object) -> int:
    """Tell objects of this process apart while one function is followed; never part of a digest."""
    return id(value)


def _value(value: Any, seen: dict[int, int]) -> bytes:
    """Give the digest of a captured value."""
    value = plain_number(value)
    found = _of_constant(value, seen)
    if found:
        return found
    if isinstance(value, DeclaredFunction) and value.declared.portable:
        return digest("declared", value.declared.identity())
    if getattr(value, "declared_pure", True) is False:
        raise UnknownError(f"calls {value.__name__}, which is declared pure=False")
    if isinstance(version := getattr(value, "declared_version", None), str) and isinstance(value, types.FunctionType):
        return digest("version", value.__name__, version)
    if type(value).__module__ == "numpy":
        return _of_numpy(value, seen)
    name = library_name(value)
    if name:
        if not known_pure(name):
            raise UnknownError(f"may read something that is in no key, by {name}, which is not known to be pure")
        return digest("library", name)
    if isinstance(value, type):
        return _record_kind(value, seen)
    if fields := record_fields(type(value)):
        return digest("record of", _record_kind(type(value), seen), tuple([_value(getattr(value, n), seen) for n in fields]))
    function, keeps = runs(value)
    options = getattr(value, "targetoptions", None)
    return digest("function", _function(function, seen, keeps=keeps), *([] if options is None else [_value(dict(options), seen)]))


def _of_constant(value: Any, seen: dict[int, int]) -> bytes:
    """Give the digest of data that have a canonical form, and of a ``partial``; nothing for anything else."""

    def all_of(values: Iterable[Any]) -> tuple[bytes, ...]:
        return tuple([_value(v, seen) for v in values])

    kind = type(value).__name__
    match value:
        case str() if value.lower() in {"now", "today"}:
            raise UnknownError(f"may read the clock, by {value!r}")
        case None | bool() | int() | float() | str() | bytes() if value is None or type(value) in (bool, int, float, str, bytes):
            return digest("value", kind, value)
        case complex() if type(value) is complex:
            return digest("complex", value.real, value.imag)
        case tuple() | list() if type(value) in (tuple, list):
            return digest("values", kind, all_of(value))
        case set() | frozenset() if type(value) in (set, frozenset):
            return digest("set", kind, tuple(sorted(all_of(value))))
        case dict() if type(value) is dict:
            return digest("mapping", tuple([all_of(pair) for pair in value.items()]))
        case range() | slice():
            return digest(kind, all_of((value.start, value.stop, value.step)))
        case functools.partial() if type(value) is functools.partial:
            return digest("partial", all_of((value.func, value.args, dict(sorted(value.keywords.items())))))
        case _:
            return b""


def _of_numpy(value: Any, seen: dict[int, int]) -> bytes:
    if hasattr(value, "pyfunc") and type(value).__name__ == "vectorize" and not value.cache:
        parts = value.otypes, value.signature, value.excluded
        return digest("vectorize", _value(value.pyfunc, seen), tuple([_value(p, seen) for p in parts]))
    if isinstance(getattr(value, "shape", None), tuple) and not value.dtype.hasobject:
        return digest("array", type(value).__name__, str(value.dtype), tuple(value.shape), value.tobytes())
    name = library_name(value)
    if not name or not known_pure(name):
        raise UnknownError("holds values that have no content key")
    return digest("library", name)

"""What of Python and of libraries is known to be pure: it gives the same for the same arguments, today, tomorrow and elsewhere.

This is a list of what may be, not of what may not be: a function that nobody thought of (that reads a file, the clock, a setting, random
numbers) is not on it, so a result that depends on it is computed each time. ``*`` stands for all public names of a module.
Attributes count by their name alone, since what they are taken of is known only when a body runs; the names here are those of numbers,
texts, containers, arrays and vectors that compute and do nothing else.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILTINS = frozenset(
    "abs all any bin bool bytes chr complex dict divmod enumerate filter float hex int isinstance issubclass iter len list map max min "
    "next oct ord pow print range reversed round slice sorted str sum tuple type zip "
    "ArithmeticError AssertionError AttributeError Exception FloatingPointError IndexError KeyError LookupError NotImplementedError "
    "OverflowError RuntimeError StopIteration TypeError ValueError ZeroDivisionError NotImplemented Ellipsis "
    "set frozenset __debug__".split()
)

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

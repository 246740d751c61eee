"""Functions in C++ that the dialect brings along, because the generator has none, or computes something else.

Its own ``abs``, ``sqrt``, ``sin``, ... cannot be operands of arithmetic, and its Min and Max begin at zero.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.expr.types import Bool, Float, Int
from hep_flows.plugins.servicex.translate import Refused, called
from hep_flows.plugins.servicex.xaod.value import Value, as_number, valid_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hep_flows.expr.functions import CppFunction, UserFunction
    from hep_flows.expr.types import Item

# Functions in C++ that go along with a query: metadata of the kind ``add_cpp_function`` ------------------------------------------
#
# The generator puts the texts of the arguments in place of the words ``argument_0``, ``argument_1``, ... So the code is a function of its own
# that is called with these words: nothing that stands in an argument can take the place of a name in the body.


@dataclass(frozen=True, slots=True)
class CppSpec:
    """A function in C++.

    Parameters
    ----------
    name : str
        What it is called in queries.
    parameters : tuple of (str, str)
        The C++ type and the name of each parameter.
    returns : str
        The C++ type of the result, or of one item of it.
    body : str
        The text between the braces.
    includes : tuple of str
        Headers.
    collection : bool
        Whether the result is a vector.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    returns: str
    body: str
    includes: tuple[str, ...] = ()
    collection: bool = False

    def metadata(self) -> Mapping[str, object]:
        """Give the metadata that a query carries."""
        words = [f"argument_{i}" for i in range(len(self.parameters))]
        parameters = ", ".join([f"{kind} {name}" for kind, name in self.parameters])
        returns = f"std::vector<{self.returns}>" if self.collection else self.returns
        code = f"auto result = []({parameters}) -> {returns} {{ {self.body} }}({', '.join(words)});"
        found: dict[str, object] = {
            "metadata_type": "add_cpp_function",
            "name": self.name,
            "include_files": [*self.includes, *(["vector"] if self.collection else [])],
            "arguments": words,
            "code": [code],
            "return_type": self.returns,
        }
        return found | ({"return_is_collection": True} if self.collection else {})


def real(name: str, names: str, body: str, returns: str = "double") -> CppSpec:
    """Give a function of numbers, all of them double."""
    return CppSpec(name, tuple([("double", n) for n in names.split()]), returns, f"return {body};", ("cmath",))


# Leaves of the auxiliary store, by numpy's name of their type: the C++ type that is stored, and the one that the query goes on with.
STORED: Mapping[str, tuple[str, str]] = {
    "bool": ("char", "bool"),
    "int8": ("char", "int"),
    "uint8": ("unsigned char", "int"),
    "int16": ("short", "int"),
    "uint16": ("unsigned short", "int"),
    "int32": ("int", "int"),
    "uint32": ("unsigned int", "double"),
    "int64": ("long", "long"),
    "uint64": ("unsigned long", "unsigned long"),
    "float32": ("float", "float"),
    "float64": ("double", "double"),
}

# The end of the names of functions that give 32-bit numbers whose last digits are not numpy's.
NEAR = "_near"

# C++ mathematics by numpy's name; the last bits of these depend on the library.
MATHEMATICS: Mapping[str, str] = {
    "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p", "cbrt": "cbrt",
    "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip
MATHEMATICS_OF_TWO: Mapping[str, str] = {"hypot": "hypot", "arctan2": "atan2", "power": "pow", "float_power": "pow"}


def own_functions() -> Mapping[str, CppSpec]:
    """Give every function by the name that it has in queries."""
    return {
        s.name: s for s in (*_conversions(), *_exact(), *_mathematics(), *_angles(), *_stored(), *_whole(), *_divided(), _place())
    }


def _conversions() -> tuple[CppSpec, ...]:
    return (
        CppSpec("hf_float", (("double", "x"),), "float", "return static_cast<float>(x);"),
        CppSpec("hf_double", (("double", "x"),), "double", "return x;"),
        CppSpec("hf_int", (("double", "x"),), "int", "return static_cast<int>(x);"),
    )


def _exact() -> tuple[CppSpec, ...]:
    return (
        real("hf_absolute", "x", "std::abs(x)"),
        real("hf_sqrt", "x", "std::sqrt(x)"),
        real("hf_square", "x", "x * x"),
        real("hf_reciprocal", "x", "1.0 / x"),
        real("hf_floor", "x", "std::floor(x)"),
        real("hf_ceil", "x", "std::ceil(x)"),
        real("hf_trunc", "x", "std::trunc(x)"),
        real("hf_rint", "x", "std::nearbyint(x)"),
        real("hf_sign", "x", "x > 0 ? 1.0 : x < 0 ? -1.0 : x == 0 ? 0.0 : x"),
        real("hf_isnan", "x", "std::isnan(x)", "bool"),
        real("hf_isfinite", "x", "std::isfinite(x)", "bool"),
        real("hf_isinf", "x", "std::isinf(x)", "bool"),
        real("hf_signbit", "x", "std::signbit(x)", "bool"),
        real("hf_copysign", "x y", "std::copysign(x, y)"),
        real("hf_fmod", "x y", "std::fmod(x, y)"),
        real("hf_maximum", "x y", "(x >= y || std::isnan(x)) ? x : y"),
        real("hf_minimum", "x y", "(x <= y || std::isnan(x)) ? x : y"),
        real("hf_fmax", "x y", "(x >= y || std::isnan(y)) ? x : y"),
        real("hf_fmin", "x y", "(x <= y || std::isnan(y)) ? x : y"),
    )


def near_name(name: str, bits: int) -> str:
    """Give the name of a function of `MATHEMATICS` or `MATHEMATICS_OF_TWO` for results of that width."""
    return f"hf_{name}{NEAR if bits == 32 else ''}"


def _mathematics() -> tuple[CppSpec, ...]:
    bodies = {n: ("x", f"std::{cpp}(x)") for n, cpp in MATHEMATICS.items()}
    bodies |= {n: ("x y", f"std::{cpp}(x, y)") for n, cpp in MATHEMATICS_OF_TWO.items()}
    bodies |= {n: ("x", f"x * {factor}") for n, factor in PER_TURN.items()}
    wide = [real(near_name(n, 64), names, body) for n, (names, body) in bodies.items()]
    narrow = [real(near_name(n, 32), names, f"static_cast<float>({body})", "float") for n, (names, body) in bodies.items()]
    return (*wide, *narrow)


PER_TURN = {
    "degrees": "(180.0 / 3.14159265358979323846)",
    "rad2deg": "(180.0 / 3.14159265358979323846)",
    "radians": "(3.14159265358979323846 / 180.0)",
    "deg2rad": "(3.14159265358979323846 / 180.0)",
}

# The same steps, in the same width, as the angle is wrapped here: an angle in [-pi, pi) keeps every bit.
_WRAPPED = (
    "const {t} pi = static_cast<{t}>(3.14159265358979323846), turn = static_cast<{t}>(6.28318530717958647692); "
    "const {t} turns = std::floor(({t})((angle + pi) / turn)); "
    "{t} near = angle - turns * turn; "
    "{narrow}"
    "if (!(near >= -pi && near < pi)) {{ "
    "if (angle >= -pi && angle < pi) near = angle; else near = near >= pi ? near - turn : near + turn; }} "
)
_NARROW = "near -= turns * static_cast<float>(6.28318530717958647692 - static_cast<double>(turn)); "


def _angles() -> tuple[CppSpec, ...]:
    return tuple([spec for t in ("double", "float") for spec in (_delta_phi(t), _delta_r(t))])


def _wrapped(t: str) -> str:
    return _WRAPPED.format(t=t, narrow=_NARROW if t == "float" else "")


def _delta_phi(t: str) -> CppSpec:
    body = f"const {t} angle = phi1 - phi2; {_wrapped(t)}return near;"
    return CppSpec(f"hf_delta_phi_{t}", ((t, "phi1"), (t, "phi2")), t, body, ("cmath",))


def _delta_r(t: str) -> CppSpec:
    body = (
        f"const {t} angle = phi1 - phi2; {_wrapped(t)}const {t} d_eta = eta1 - eta2; const {t} square = d_eta * d_eta + near * near; "
        f"return std::isfinite(square) ? std::sqrt(square) : std::hypot(d_eta, near);"
    )
    return CppSpec(f"hf_delta_r_{t}", ((t, "eta1"), (t, "phi1"), (t, "eta2"), (t, "phi2")), t, body, ("cmath",))


def _whole() -> tuple[CppSpec, ...]:
    """Give what starts anew at the other end where a number is outside of its kind, and products that a double does not hold."""
    kinds = {"int8": "signed char", "int16": "short", "int32": "int"}
    kinds |= {f"u{name}": f"unsigned {kind.removeprefix('signed ')}" for name, kind in kinds.items()}
    numbers, product = (
        (("long long", "x"), ("long long", "y")),
        "static_cast<unsigned long long>(x) * static_cast<unsigned long long>(y)",
    )
    found: list[CppSpec] = []
    for name, kind in kinds.items():
        found.append(
            CppSpec(f"hf_wrap_{name}", (("double", "x"),), "double", f"return static_cast<{kind}>(static_cast<long long>(x));")
        )
        found.append(CppSpec(f"hf_multiply_{name}", numbers, "double", f"return static_cast<{kind}>({product});"))
    return tuple(found)


def _divided() -> tuple[CppSpec, ...]:
    """Give what rounds down: for reals the steps of numpy in the width of the numbers, for whole numbers zero where the divisor is."""
    found: list[CppSpec] = []
    for t in ("double", "float"):
        numbers = ((t, "x"), (t, "y"))
        found.append(CppSpec(f"hf_remainder_{t}", numbers, t, _REMAINDER.format(t=t), ("cmath",)))
        found.append(CppSpec(f"hf_floor_divide_{t}", numbers, t, _FLOOR_DIVIDE.format(t=t), ("cmath",)))
    numbers = (("long long", "x"), ("long long", "y"))
    below = "x % y != 0 && (x % y < 0) != (y < 0)"
    found.append(CppSpec("hf_remainder_whole", numbers, "double", f"return y == 0 ? 0 : {below} ? x % y + y : x % y;"))
    found.append(CppSpec("hf_floor_divide_whole", numbers, "double", f"return y == 0 ? 0 : {below} ? x / y - 1 : x / y;"))
    found.append(CppSpec("hf_remainder_uint64", (("unsigned long", "x"), ("unsigned long", "y")), "double", "return x % y;"))
    found.append(CppSpec("hf_remainder_int64", (("long", "x"), ("long", "y")), "double", "return x % y < 0 ? x % y + y : x % y;"))
    return tuple(found)


_REMAINDER = (
    "const {t} rest = std::fmod(x, y); "
    "return y == 0 ? rest : rest == 0 ? std::copysign({t}(0), y) : (y < 0) != (rest < 0) ? rest + y : rest;"
)
_FLOOR_DIVIDE = (
    "if (y == 0) return x / y; "
    "const {t} rest = std::fmod(x, y); "
    "{t} ratio = (x - rest) / y; "
    "if (rest != 0 && (y < 0) != (rest < 0)) ratio -= 1; "
    "if (ratio == 0) return std::copysign({t}(0), x / y); "
    "const {t} below = std::floor(ratio); "
    "return ratio - below > {t}(0.5) ? below + 1 : below;"
)


def _place() -> CppSpec:
    """Count until the object is met; from then on the number is its place, as -1 - place."""
    parameters = (("double", "count"), ("const auto*", "object"), ("const auto*", "wanted"))
    return CppSpec("hf_place", parameters, "double", "return count < 0 ? count : object == wanted ? -1 - count : count + 1;")


def _stored() -> tuple[CppSpec, ...]:
    object_and_leaf = (("const auto*", "object"), ("const char*", "leaf"))
    found: list[CppSpec] = []
    for name, (stored, used) in STORED.items():
        found.append(CppSpec(f"hf_leaf_{name}", object_and_leaf, used, f"return object->template auxdataConst<{stored}>(leaf);"))
        body = (
            f"const auto& values = object->template auxdataConst<std::vector<{stored}>>(leaf); "
            f"return std::vector<{used}>(values.begin(), values.end());"
        )
        found.append(CppSpec(f"hf_list_{name}", object_and_leaf, used, body, collection=True))
    return tuple(found)


# What a query must declare besides its text: functions in C++, collections, and the types of methods -----------------------------
#
# A part of a query that needs a declaration carries it, so a query declares what it uses, whatever was written before it.

_CARRIED = "hep_flows_declaration"
_ORDER = ("add_atlas_event_collection_info", "add_method_type_info", "add_cpp_function")


def declaring(node: ast.expr, declaration: Mapping[str, object] | None) -> ast.expr:
    """Give the same part, which now carries a declaration."""
    if declaration is not None:
        setattr(node, _CARRIED, declaration)
    return node


def carried(node: ast.expr) -> Mapping[str, object] | None:
    """Give the declaration that a part carries."""
    found: Mapping[str, object] | None = getattr(node, _CARRIED, None)
    return found


def declarations(query: ast.expr) -> list[Mapping[str, object]]:
    """Give what a query must declare, each once, in an order that depends on the query alone."""
    own = own_functions()
    found = {_place_of(d): d for d in _carried_in(query)}
    for node in ast.walk(query):
        if isinstance(node, ast.Name) and node.id in own:
            declaration = own[node.id].metadata()
            found[_place_of(declaration)] = declaration
    return [found[p] for p in sorted(found)]


def _carried_in(query: ast.expr) -> Iterator[Mapping[str, object]]:
    for node in ast.walk(query):
        declaration = carried(node) if isinstance(node, ast.expr) else None
        if declaration is not None:
            yield declaration


def _place_of(declaration: Mapping[str, object]) -> tuple[int, str, str]:
    names = [str(declaration.get(k, "")) for k in ("type_string", "method_name", "name")]
    return (_ORDER.index(str(declaration["metadata_type"])), names[0], names[1] + names[2])


# Functions that users declared with a body in C++ --------------------------------------------------------------------------------


def cpp_of(function: UserFunction) -> CppFunction:
    """Give the body in C++ of a function.

    Raises
    ------
    Refused
        When it has none.
    """
    if function.cpp is None:
        why = "its body is Python" if function.body is not None else "it has no body in C++"
        raise Refused(f"{function.name}: {why}")
    return function.cpp


def user_call(function: UserFunction, cpp: CppFunction, args: Sequence[Value]) -> Value:
    """Give a call of a function that has a body in C++."""
    name = f"hf_user_{re.sub('[^A-Za-z0-9]', '_', function.name)}_{function.identity().hex()[:8]}"
    parameters = tuple([(_cpp_type(i), p) for i, p in zip(function.accepts, function.parameters, strict=True)])
    # The generator calculates with double, float and int alone; a double holds every whole number up to 2**53.
    returns = "bool" if isinstance(function.returns, Bool) else "double"
    body = cpp.body
    if returns != "bool":
        body = f"const auto body = [&]() -> {_cpp_type(function.returns)} {{ {body} }}; return static_cast<double>(body());"
    spec = CppSpec(name, parameters, returns, body, tuple(dict.fromkeys(["cmath", *cpp.includes])))
    operands = [_operand(a, i) for a, i in zip(args, function.accepts, strict=True)]
    bits = 53 if isinstance(function.returns, Int) else 0
    node = declaring(called(name, *operands), spec.metadata())
    return Value(node, "bool" if returns == "bool" else "double", function.returns, bits, valid_of(args))


def _operand(value: Value, wanted: Item | None) -> ast.expr:
    return value.node if isinstance(wanted, Bool) and value.kind == "bool" else as_number(value, Float(64))


def _cpp_type(item: Item | None) -> str:
    if isinstance(item, Bool):
        return "bool"
    return "long long" if isinstance(item, Int) else "double"

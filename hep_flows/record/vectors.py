"""Objects as four-vectors: what is derived from their components, sums, scaling, boosts and distances.

An object is a four-vector by the names of its leaves, however it was made: (pt, eta, phi) or (px, py, pz) with a mass or an energy,
in any case of letters. Components are looked up as ``X.pt`` is, so columns and aliases count. An object with pt and phi only
(missing transverse energy) is a transverse vector. Everything is computed in double precision.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from hep_flows.errors import FieldError, LiteralError, with_article
from hep_flows.expr import build
from hep_flows.expr.axes import aligned
from hep_flows.expr.loops import member_with, select
from hep_flows.expr.nodes import Call, Dataset, Field, Literal
from hep_flows.expr.types import Float, Record, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.table import Recorded

    LookUp = Callable[[str], tuple[Expr, bool] | None]

POLAR = ("pt", "eta", "phi")
CARTESIAN = ("px", "py", "pz")
_SPELLED: Mapping[str, tuple[str, ...]] = {"mass": ("mass", "m"), "energy": ("energy", "e")}
# What every four-vector offers, and what a transverse one does.
DERIVED = (*POLAR, *CARTESIAN, "mass", "m", "energy", "e", "E", "theta", "p", "et", "mt", "rapidity", "beta", "gamma")
_TRANSVERSE = ("pt", "phi", "px", "py")
_OF_MOMENTUM = (*POLAR, *CARTESIAN, "theta", "p")
_SAME_AS = {"m": "mass", "e": "energy", "E": "energy"}
# Masses that the data model gives to objects which store none, in its own unit. NanoAOD: photons; xAOD: `ParticleConstants` of
# Athena (TruthUtils), which is what the objects' methods m() return.
_OF_NANOAOD = {"Photon": 0.0}
_OF_XAOD = ((re.compile(r"^(?!Truth)\w*Electrons$"), 0.510998910), (re.compile(r"^(?!Truth)\w*Muons$"), 105.658367))
_PHOTONS = re.compile(r"^(?!Truth)\w*Photons$")


def derived_leaf(of: Expr, name: str, look_up: LookUp, where: Where) -> Expr | None:
    """Give a quantity that follows from the components of an object, or None when there is none of that name.

    Parameters
    ----------
    of : Expr
        The object.
    name : str
        ``pt``, ``eta``, ``phi``, ``theta``, ``mass``, ``mt``, ``energy``, ``et``, ``p``, ``px``, ``py``, ``pz``, ``rapidity``,
        ``beta`` or ``gamma``; xAOD's ``m`` and ``e`` as well.
    look_up : callable
        Gives what a name means on the object, and whether the user gave it its meaning.

    Raises
    ------
    FieldError
        When the object is a vector that lacks what is needed, or has two sets of components that say different things.
    """
    record = of.type.item
    if not isinstance(record, Record) or name not in DERIVED:
        return None
    parts = _Parts(of, look_up, where)
    wanted = _SAME_AS.get(name, name)
    if wanted in _SPELLED:
        stored = parts.as_it_is(wanted)
        if stored is not None:
            return stored
    elif (spelled := parts.named(wanted)) is not None:
        return spelled
    if not parts.has(wanted):
        return None
    return parts.quantity(wanted)


def derived_names(record: Record) -> tuple[str, ...]:
    """Give the names that are derived for an object from its stored leaves, stored ones left out."""
    has = {n.lower() for n in record.members}
    is_full = bool(has & {"mass", "m", "energy", "e"}) or model_mass(record) is not None
    is_transverse = {"pt", "phi"} <= has or {"px", "py"} <= has
    is_spatial = any(set(s) <= has for s in (POLAR, CARTESIAN))
    names = (
        ()
        if not (is_spatial or is_transverse)
        else DERIVED
        if is_full and is_spatial
        else _OF_MOMENTUM
        if is_spatial
        else _TRANSVERSE
        if is_transverse
        else ()
    )
    synonyms = () if record.model == "xaod" else tuple(_SAME_AS)
    return tuple(n for n in names if n not in record.members and n not in synonyms)


def is_made_vector(record: Record) -> bool:
    """Say whether a record is the result of vector arithmetic: its components and nothing else."""
    return record.model == "tuple" and set(record.members) in ({*CARTESIAN, "e"}, {"px", "py"})


def model_mass(record: Record) -> float | None:
    """Give the mass that the data model gives to every object of a collection, in the model's unit."""
    if record.model == "nanoaod":
        return _OF_NANOAOD.get(record.name)
    if record.model == "xaod":
        if _PHOTONS.match(record.name):
            return 0.0
        return next((mass for names, mass in _OF_XAOD if names.match(record.name)), None)
    return None


def delta(name: str, a: Recorded, b: Recorded, where: Where) -> Expr:
    """Give ``delta_r``, ``delta_phi`` or ``delta_eta`` of two objects, in double precision.

    Raises
    ------
    LiteralError
        When the other is not an object.
    """
    from hep_flows.record.operands import expr_of

    title, leaves = _DISTANCES[name]
    if not hasattr(b, "_expr"):
        raise LiteralError(
            f"{title} needs another object, not {with_article(b)}",
            where=where,
            do=f"give an object with {' and '.join(leaves)}: x.{title}(y)",
        )
    parts = [expr_of(frame[leaf], a._table, where) for frame in (a, b) for leaf in leaves]  # noqa: SLF001
    if name == "delta_eta":
        return _call("subtract", *[_double(p) for p in parts])
    return build.call(name, parts, where=where)


_DISTANCES = {"delta_r": ("DeltaR", ("eta", "phi")), "delta_phi": ("DeltaPhi", ("phi",)), "delta_eta": ("DeltaEta", ("eta",))}


def combined(name: str, left: Operand, right: Operand, where: Where) -> Expr:
    """Give what an operator means on objects: sums and differences of vectors, and a vector times or divided by a number.

    Raises
    ------
    LiteralError
        For another operator, or when only one side is a vector and the other is no number.
    FieldError
        When a component of a vector is missing.
    """
    vectors = [isinstance(x.expr.type.item, Record) for x in (left, right)]
    if name in ("add", "subtract") and all(vectors):
        aligned([left.expr.type, right.expr.type], {"add": "+", "subtract": "-"}[name], where)
        own = _users_own(left, right)
        sides = own or [_checked(x, where) for x in (left, right)]
        names = own[0] if own else _shared(sides)
        return build.record(tuple(names), [build.call(name, (sides[0][n], sides[1][n]), where=where) for n in names], where)
    vector, number = (left, right) if vectors[0] else (right, left)
    scales = name == "multiply" or (name == "true_divide" and vector is left)
    if scales and not all(vectors) and is_number(number.expr.type.item):
        parts = _checked(vector, where)
        return build.record(tuple(parts), [build.call(name, (p, number.expr), where=where) for p in parts.values()], where)
    symbol = {"equal": "==", "multiply": "*", "true_divide": "/"}.get(name, name)
    items = f"{left.expr.type.item} and {right.expr.type.item}"
    raise LiteralError(
        f"{symbol} has no meaning on objects ({items})",
        where=where,
        why="an object has many leaves; vectors add and subtract, and are multiplied and divided by numbers",
        do="name the leaf: x.pt",
    )


class Operand:
    """One side of an operator: the expression, the names that it looks up, and whether the user has a class of his own for it."""

    def __init__(self, expr: Expr, look_up: LookUp, *, is_users: bool = False) -> None:
        """Look nothing up yet."""
        self.expr, self.look_up, self.is_users = expr, look_up, is_users


def nothing(name: str) -> None:
    """Look nothing up: a number has no components."""


def opposite(of: Operand, where: Where) -> Expr:
    """Give minus a vector."""
    parts = _checked(of, where)
    return build.record(tuple(parts), [_call("negative", p) for p in parts.values()], where)


def summed(of: Operand, where: Where) -> Expr:
    """Give the vector sum over the innermost axis: the zero vector where there is nothing."""
    parts = _checked(of, where)
    return build.record(tuple(parts), [build.call("sum", (p,), where=where) for p in parts.values()], where)


def boosted(of: Operand, by: Operand, where: Where, *, back: bool = False) -> Expr:
    """Give a four-vector in the frame that moves against ``by``'s velocity: into ``by``'s rest frame when ``back``.

    With the velocity b = p/E of the other and its mass, p' = p + p_b ((p.p_b) / (m^2 (g + 1)) + E / m) and E' = (E E_b + p.p_b) / m.
    """
    aligned([of.expr.type, by.expr.type], "boost", where)
    a, b = _checked(of, where), _checked(by, where)
    if len(a) + len(b) < 8:
        raise FieldError(
            "a transverse vector has no boost",
            where=where,
            why="its pz and its energy are not known",
            do="X.With(eta=..., mass=...) makes it a four-vector",
        )
    turn = [_call("negative", b[n]) for n in CARTESIAN] if back else [b[n] for n in CARTESIAN]
    mass = _Parts(by.expr, by.look_up, where).quantity("mass")
    dot = _total([_call("multiply", a[n], t) for n, t in zip(CARTESIAN, turn, strict=True)])
    gamma = _call("true_divide", b["e"], mass)
    along = _call("true_divide", dot, _call("multiply", _square(mass), _call("add", gamma, _one(1.0))))
    k = _call("add", along, _call("true_divide", a["e"], mass))
    moved = [_call("add", a[n], _call("multiply", t, k)) for n, t in zip(CARTESIAN, turn, strict=True)]
    energy = _call("true_divide", _call("add", _call("multiply", a["e"], b["e"]), dot), mass)
    return build.record((*CARTESIAN, "e"), [*moved, energy], where)


def components_of_with(of: Operand, given: Mapping[str, Expr], where: Where) -> tuple[dict[str, Expr], tuple[str, ...]]:
    """Give all that is replaced where some leaves are, and what is hidden because it follows from them.

    ``p4`` stands for the object's own components. Where one set of components is given, the other one follows from it, and so
    does the one of mass and energy that is not given.

    Raises
    ------
    FieldError
        When components of both sets are given, or a momentum whose stored energy would be the old one.
    """
    record = of.expr.type.item
    assert isinstance(record, Record)
    new = dict(given)
    parts = _Parts(of.expr, of.look_up, where)
    p4 = new.pop("p4", None)
    if p4 is not None:
        new.update(parts.spread(p4, where))
    stands_for = {n: c for n in record.members for c in (*POLAR, *CARTESIAN, *_SPELLED) if n.lower() in _SPELLED.get(c, (c,))}
    meant = {c: v for n, v in new.items() if (c := stands_for.get(n) or _canonical(n))}
    polar, cartesian = ([n for n in names if n in meant] for names in (POLAR, CARTESIAN))
    if polar and cartesian:
        raise FieldError(
            f"With replaces {', '.join(polar)} and {', '.join(cartesian)}",
            where=where,
            why="they may say different things about one vector",
            do="replace components of one kind; the others follow",
        )
    if not parts.is_vector:
        return new, ()
    # Every spelling of a component that is replaced, such as m beside mass, is replaced.
    new.update({n: meant[c] for n, c in stands_for.items() if c in meant and n not in new})
    gone: set[str] = set()
    moved = polar or cartesian
    if moved:
        known = _TRANSVERSE if parts.is_transverse else (*POLAR, *CARTESIAN)
        own = POLAR if polar else CARTESIAN
        new.update({n: parts.quantity(n) for n in own if n in known and n not in meant and parts.named(n) is None})
        gone |= {*POLAR, *CARTESIAN} - {*own}
    if "mass" in meant:
        gone.add("energy")
    elif "energy" in meant:
        gone.add("mass")
    elif moved and not parts.is_transverse and parts.named("energy") is not None:
        if parts.named("mass") is None:
            if (not polar) is parts.is_cartesian:
                raise FieldError(
                    f"With replaces {', '.join(moved)}, and the stored energy of {parts.title} stays what it was",
                    where=where,
                    why="the mass would come out wrong",
                    do="X.With(p4=X * 1.03) replaces all components, or give the energy too",
                )
            new["mass"] = parts.quantity("mass")
        gone.add("energy")
    hidden = tuple(n for n, c in stands_for.items() if c in gone and n not in new)
    return new, hidden


def _canonical(name: str) -> str:
    return next((c for c in (*POLAR, *CARTESIAN, *_SPELLED) if name.lower() in _SPELLED.get(c, (c,))), "")


def _users_own(left: Operand, right: Operand) -> list[dict[str, Expr]] | None:
    """Give the members of a user's own vectors: objects of a subclass that were made of numbers, and are no vectors of ours."""
    sides = []
    for side in (left, right):
        record = side.expr.type.item
        if not side.is_users or not isinstance(record, Record) or record.model != "tuple" or derived_names(record):
            return None
        found = {n: side.look_up(n) for n, m in record.members.items() if is_number(m.item)}
        sides.append({n: f[0] for n, f in found.items() if f is not None})
    return sides if list(sides[0]) == list(sides[1]) and sides[0] else None


def _checked(of: Operand, where: Where) -> dict[str, Expr]:
    """Give px, py, pz and e of a vector; px and py of a transverse one."""
    parts = _Parts(of.expr, of.look_up, where)
    if str(of.expr.type.item) == f"record {build.BLOCK}":
        raise LiteralError(
            "a block of features is delivered as it is",
            where=where,
            why="its leaves are numbers for a model or for numpy, and no vector",
            do="compute before: X['scaled'] = X.pt / 100, and ml_features(X, ['scaled'], pad=4)",
        )
    if not parts.is_vector:
        raise FieldError(
            f"{parts.title} is no vector: it has no {parts.lacking()}",
            where=where,
            why="a missing component is never taken as zero, and objects that are no vectors do not add",
            do="name the leaf that you mean: x.pt + y.pt, x.pt * 2, x.pt.Sum()",
        )
    if parts.is_transverse:
        return {n: parts.quantity(n) for n in ("px", "py")}
    return {**{n: parts.quantity(n) for n in CARTESIAN}, "e": parts.quantity("energy", in_sum=True)}


def _shared(sides: Sequence[Mapping[str, Expr]]) -> tuple[str, ...]:
    """Give the components of a sum: with a transverse vector it is transverse."""
    return tuple(n for n in sides[0] if n in sides[1])


class _Parts:
    """The components of one object, looked up as its names are."""

    def __init__(self, of: Expr, look_up: LookUp, where: Where) -> None:
        record = of.type.item
        assert isinstance(record, Record)
        self._record = record
        self._depth = len(of.type.axes)
        self._look_up = look_up
        self._where = where
        self._known: dict[str, tuple[Expr, bool] | None] = {}
        self._lower: dict[str, list[str]] = {}
        for n in record.members:
            self._lower.setdefault(n.lower(), []).append(n)
        given = [any(self._is_given(n) for n in names) for names in (POLAR, CARTESIAN)]
        whole = [all(self.named(n) is not None for n in names) for names in (POLAR, CARTESIAN)]
        if all(given):
            raise FieldError(
                f"{self.title} has given components of both kinds: pt, eta, phi and px, py, pz",
                where=where,
                why="they may say different things about one vector",
                do="give one kind; the other follows from it",
            )
        self.is_given = any(given)
        self.is_cartesian = (whole[1] and not whole[0] and not given[0]) or given[1]
        flat = [all(self.named(n) is not None for n in names) for names in (("pt", "phi"), ("px", "py"))]
        # A vector with no eta nor pz lies in the transverse plane.
        self.is_transverse = not any(whole) and any(flat) and self.named("eta") is None and self.named("pz") is None
        if self.is_transverse:
            self.is_cartesian = flat[1] and not flat[0]
        self._is_whole = any(whole)
        if record.name == build.BLOCK:
            self.is_transverse = self._is_whole = False

    def has(self, name: str) -> bool:
        """Say whether the object is the vector that a quantity needs; a transverse one is, so that it can say what it lacks."""
        return self.is_vector or (self._is_whole and name in _OF_MOMENTUM)

    @property
    def is_vector(self) -> bool:
        """Say whether it is a four-vector, or a transverse one."""
        return self.is_transverse or (self._is_whole and self.fourth is not None)

    def lacking(self) -> str:
        """Name what is missing for a four-vector."""
        if self._is_whole:
            return "mass or energy"
        least = min((POLAR, CARTESIAN), key=lambda names: sum(self.named(n) is None for n in names))
        return " and no ".join(n for n in least if self.named(n) is None)

    def _found(self, name: str) -> tuple[Expr, bool] | None:
        """Give a component under any of its names: one that the user gave first, then as the file spells it."""
        if name not in self._known:
            spelled = _SPELLED.get(name, (name,))
            names = dict.fromkeys([*spelled, *[n for s in spelled for n in self._lower.get(s, ())]])
            every = [f for n in names if (f := self._look_up(n)) is not None and self._fits(f[0])]
            self._known[name] = next((f for f in every if f[1]), every[0] if every else None)
        return self._known[name]

    def _fits(self, found: Expr) -> bool:
        return is_number(found.type.item) and len(found.type.axes) <= self._depth

    def named(self, name: str) -> Expr | None:
        """Give a component that has a name of its own."""
        found = self._found(name)
        return None if found is None else found[0]

    def _is_given(self, name: str) -> bool:
        found = self._found(name)
        return found is not None and found[1]

    def spread(self, p4: Expr, where: Where) -> dict[str, Expr]:
        """Give the components of another vector under the names that this one has them by."""
        if not isinstance(p4.type.item, Record):
            raise LiteralError(
                f"With(p4=...) takes a vector, not {p4.type}",
                where=where,
                why="p4 stands for all components of an object",
                do="X.With(p4=X * 1.03); a number has another name: X.With(scale=...)",
            )
        if not self.is_vector:
            raise FieldError(f"{self.title} is no vector: it has no {self.lacking()}", where=where)

        def look_up(name: str) -> tuple[Expr, bool] | None:
            found = select(p4, lambda node: _part_of_record(node, name))
            return None if found is None else (found, False)

        other = _Parts(p4, look_up, where)
        if not other.is_vector or other.is_transverse is not self.is_transverse:
            raise FieldError("With(p4=...) needs a vector of the same kind", where=where, do="X.With(p4=X * 1.03)")
        if self.is_transverse:
            names: Sequence[str] = ("px", "py") if self.is_cartesian else ("pt", "phi")
        else:
            fourth = "energy" if self.fourth == "energy" else "mass"
            names = (*(CARTESIAN if self.is_cartesian else POLAR), fourth)
        return {self._spelling(n): other.quantity(n) for n in names}

    def _spelling(self, name: str) -> str:
        """Give the name that a component is stored by."""
        spelled = _SPELLED.get(name, (name,))
        every = [n for s in spelled for n in ((s,) if s in self._record.members else self._lower.get(s, ()))]
        return every[0] if every else name

    @property
    def title(self) -> str:
        """Name the object for errors."""
        return self._record.name if self._record.model != "tuple" else "the object"

    @cached_property
    def fourth(self) -> str | None:
        """Say what the fourth component is: ``mass``, ``energy`` or ``model``, the mass of the data model."""
        is_edms = self._record.model == "xaod" and self.is_cartesian and not self.is_given
        names = ("energy", "mass") if is_edms else ("mass", "energy")
        given = next((n for n in names if self._is_given(n)), None)
        there = next((n for n in names if self.named(n) is not None), None)
        return given or there or ("model" if model_mass(self._record) is not None else None)

    def as_it_is(self, name: str) -> Expr | None:
        """Give a mass or an energy that is stored or given, where no other given component has overtaken it."""
        other = "energy" if name == "mass" else "mass"
        if self._is_given(other) and not self._is_given(name):
            return None
        if name == "energy" and self.is_given and not self._is_given(name):
            return None
        return self.named(name)

    def quantity(self, name: str, *, in_sum: bool = False) -> Expr:
        """Give a quantity of the vector."""
        if self.is_transverse and name not in _TRANSVERSE:
            raise FieldError(
                f"{self.title} is a transverse vector: it has no {name}",
                where=self._where,
                why=f"it has {'px and py' if self.is_cartesian else 'pt and phi'}, and neither eta nor pz",
                do="use pt, phi, px or py; X.With(eta=..., mass=...) makes it a four-vector",
            )
        if self.is_given and self.fourth == "energy" and not self._is_given("energy") and not self._only_cartesian:
            raise FieldError(
                f"{self.title} has another momentum than its stored energy belongs to",
                where=self._where,
                why="pt, eta or phi were given, and the energy is still the stored one",
                do="X.With(p4=X * 1.03) replaces all components, or give the energy too",
            )
        if not in_sum and name in _SPELLED and (stored := self.as_it_is(name)) is not None:
            return _double(stored)
        made: Expr = getattr(self, f"_{name}")()
        if isinstance(made, Literal):  # One for each object; of a missing one it is missing.
            return _call("absolute", _call("copysign", made, self._pt()))
        return made

    @property
    def _only_cartesian(self) -> bool:
        """Say whether pt, eta and phi were given to an object that stores px, py and pz: its mass stays."""
        return not self.is_cartesian and all(self._stored(n) is not None for n in CARTESIAN)

    def _stored(self, name: str) -> Expr | None:
        found = self._found(name)
        return None if found is None or found[1] else found[0]

    def _part(self, name: str) -> Expr:
        """Give a component of the chosen set; one that it lacks follows from the other set."""
        found = self.named(name)
        if found is not None:
            return _double(found)
        return getattr(self, f"_{name}")(other=True)  # type: ignore[no-any-return]

    def _pt(self, *, other: bool = False) -> Expr:
        if self.is_cartesian is not other:
            return _call("hypot", self._part("px"), self._part("py"))
        return self._part("pt")

    def _phi(self, *, other: bool = False) -> Expr:
        if self.is_cartesian is not other:
            return _call("arctan2", self._part("py"), self._part("px"))
        return self._part("phi")

    def _eta(self, *, other: bool = False) -> Expr:
        if self.is_cartesian is not other:
            pz = self._part("pz")
            pt = _call("hypot", self._part("px"), self._part("py"))
            # The zero vector has eta 0.
            return _call("arcsinh", _call("true_divide", pz, _call("where", _call("equal", pz, _one(0.0)), _one(1.0), pt)))
        return self._part("eta")

    def _px(self, *, other: bool = False) -> Expr:
        if self.is_cartesian is other:
            return _call("multiply", self._part("pt"), _call("cos", self._part("phi")))
        return self._part("px")

    def _py(self, *, other: bool = False) -> Expr:
        if self.is_cartesian is other:
            return _call("multiply", self._part("pt"), _call("sin", self._part("phi")))
        return self._part("py")

    def _pz(self, *, other: bool = False) -> Expr:
        if self.is_cartesian is other:
            return _call("multiply", self._part("pt"), _call("sinh", self._part("eta")))
        return self._part("pz")

    def _p2(self) -> Expr:
        if self.is_cartesian:
            return _total([_square(self._part(n)) for n in CARTESIAN])
        return _square(_call("multiply", self._part("pt"), _call("cosh", self._part("eta"))))

    def _p(self) -> Expr:
        return (
            _call("sqrt", self._p2())
            if self.is_cartesian
            else _call("multiply", self._part("pt"), _call("cosh", self._part("eta")))
        )

    def _energy(self) -> Expr:
        if self.fourth == "energy" and not (self.is_given and self._only_cartesian and not self._is_given("energy")):
            return self._part("energy")
        m = self._mass()
        square = _call("add", _call("multiply", m, _call("absolute", m)), self._p2())
        return _call("sqrt", _call("maximum", square, _one(0.0)))

    def _mass(self) -> Expr:
        """Give sqrt(e^2 - p^2); of a spacelike vector, minus the root of the opposite, as ROOT's TLorentzVector does."""
        if self.fourth == "model":
            return _one(model_mass(self._record) or 0.0)
        if self.fourth == "mass":
            return self._part("mass")
        if self.is_given and self._only_cartesian and not self._is_given("energy"):
            p2 = _total([_square(_double(self._stored(n))) for n in CARTESIAN])  # type: ignore[arg-type]
            return _root(_call("subtract", _square(self._part("energy")), p2))
        return _root(_call("subtract", _square(self._part("energy")), self._p2()))

    def _mt(self) -> Expr:
        return _root(_call("subtract", _square(self._energy()), _square(self._pz())))

    def _theta(self) -> Expr:
        if self.is_cartesian:
            return _call("arctan2", self._pt(), self._pz())
        return _call("multiply", _one(2.0), _call("arctan", _call("exp", _call("negative", self._part("eta")))))

    def _et(self) -> Expr:
        if self.is_cartesian:
            return _call("multiply", self._energy(), _call("sin", self._theta()))
        return _call("true_divide", self._energy(), _call("cosh", self._part("eta")))

    def _rapidity(self) -> Expr:
        e, pz = self._energy(), self._pz()
        return _call("multiply", _one(0.5), _call("log", _call("true_divide", _call("add", e, pz), _call("subtract", e, pz))))

    def _beta(self) -> Expr:
        p = self._p()
        return _call("true_divide", p, _call("where", _call("equal", p, _one(0.0)), _one(1.0), self._energy()))

    def _gamma(self) -> Expr:
        m = self._mass()
        return _call("true_divide", _call("where", _call("equal", m, _one(0.0)), _one(1.0), self._energy()), m)


def _part_of_record(node: Expr, name: str) -> Expr | bool | None:
    if isinstance(node, Call) and node.function == "record":
        names = node.option("names")
        assert isinstance(names, tuple)
        return node.args[names.index(name)] if name in names else None
    if isinstance(node, Field | Dataset) and isinstance(node.type.item, Record) and name in node.type.item.members:
        return build.field(node, name, node.where)
    return member_with(node, name)


def _one(value: float) -> Expr:
    return build.literal(value, "float64")


def _double(x: Expr) -> Expr:
    return x if x.type.item == Float(64) else build.call("multiply", (x, _one(1.0)), where=x.where)


def _call(name: str, *args: Expr) -> Expr:
    return build.call(name, args, where=next((a.where for a in args if not isinstance(a, Literal)), None))


def _square(x: Expr) -> Expr:
    return _call("square", x)


def _total(parts: Sequence[Expr]) -> Expr:
    found = parts[0]
    for part in parts[1:]:
        found = _call("add", found, part)
    return found


def _root(square: Expr) -> Expr:
    """Give the root of a square that may be negative, with its sign."""
    return _call("copysign", _call("sqrt", _call("absolute", square)), square)

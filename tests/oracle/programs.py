"""Hypothesis strategies of analyses as a user writes them: source text over ``df`` and ``np``, ending with ``result = ...``.

The same text runs on a `DataFrame` and on a naive frame. Only forms of the specification are written, and only such operations in
masks whose every bit is determined.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn

_LEAVES = {"Jet": ("pt", "eta", "phi", "n"), "Muon": ("pt", "eta", "phi", "charge")}


@dataclass(frozen=True)
class Thing:
    """A collection (or, inside a lambda, one element) that the text can name, and the columns that it has.

    ``links`` are columns that hold a collection of some kind for each element, ``matches`` such that hold one object or none.
    """

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    element: bool = False
    links: tuple[tuple[str, str], ...] = ()
    matches: tuple[tuple[str, str], ...] = ()


@dataclass
class Scope:
    """What may be named at a place in the text."""

    draw: DrawFn
    root: str = "df"
    things: list[Thing] = field(default_factory=lambda: [Thing("df.Jet", "Jet"), Thing("df.Muon", "Muon")])
    numbers: list[str] = field(default_factory=lambda: ["df.MET.pt", "df.run", "df.weight", "df.MET.sig"])
    lines: list[str] = field(default_factory=list)
    n_names: int = 0

    def one_of(self, *options: str | Callable[[], str]) -> str:
        """Choose: a text, or a function that writes one."""
        chosen = self.draw(st.sampled_from(options))
        return chosen if isinstance(chosen, str) else chosen()

    def small(self) -> str:
        return self.one_of("1", "0.5", "2", "3.0", "-1.25", "np.float32(0.5)", "np.int64(2)")

    def fresh(self, prefix: str) -> str:
        self.n_names += 1
        return f"{prefix}{self.n_names}"

    def collection(self) -> Thing:
        return self.draw(st.sampled_from([t for t in self.things if not t.element][::-1]))

    # --------------------------------------------------------------------------------------------------------- numbers

    def leaf(self, of: Thing) -> str:
        name = self.draw(st.sampled_from([*_LEAVES[of.kind], *of.columns, *of.columns]))
        return self.one_of(f"{of.name}.{name}", f"{of.name}.{name}", f'{of.name}["{name}"]')

    def number(self, of: Thing, budget: int = 2) -> str:
        """Give a number for each element of a collection (or of the element that a lambda holds)."""
        if budget <= 0:
            return self.leaf(of)
        a = self.number(of, budget - 1)
        match self.draw(st.integers(0, 11)):
            case 0 | 1 | 2:
                return a
            case 3 | 4:
                b = self.one_of(lambda: self.number(of, budget - 1), self.small, lambda: self.per_event(budget - 1))
                return f"({a} {self.one_of('+', '-', '*')} {b})"
            case 5:
                return f"({self.small()} {self.one_of('+', '-', '*')} {a})"
            case 6:
                return f"{self.one_of('abs', 'np.abs', 'np.negative', '-')}({a})"
            case 7:
                return f"({a} / (abs({self.number(of, budget - 1)}) + 1))"
            case 8:
                return f"np.where({self.mask(of, budget - 1)}, {a}, {self.one_of(self.small, lambda: self.number(of, budget - 1))})"
            case 9:
                return f"np.{self.one_of('maximum', 'minimum')}({a}, {self.one_of(self.small, lambda: self.leaf(of))})"
            case 10 if of.links or of.matches:
                return self.linked(of)
            case 10 if of.kind == "Jet":
                return f"{of.name}.hits.{self.one_of('Sum', 'Count', 'Max', 'First', 'count')}()"
            case _:
                return self.related(of, budget - 1) if of.element else f"np.sqrt(abs({a}))"

    def linked(self, of: Thing) -> str:
        """Give a number of the objects that an element is linked to."""
        name, kind = self.draw(st.sampled_from([*of.links, *of.matches]))
        leaf = self.one_of(*_LEAVES[kind])
        if (name, kind) in of.matches:
            return f"{of.name}.{name}.{leaf}"
        return f"{of.name}.{name}.{self.one_of('Count()', f'{leaf}.Sum()', f'{leaf}.Max()', f'First().{leaf}', f'{leaf}.First()')}"

    def per_event(self, budget: int = 1) -> str:
        """Give a number for each event."""
        c = self.collection()
        return self.one_of(
            lambda: self.draw(st.sampled_from(self.numbers)),
            lambda: f"{c.name}.Count()",
            lambda: f"{self.leaf(c)}.{self.one_of('Sum', 'Max', 'Min', 'max', 'Count')}()",
            lambda: f"{self.number(c, budget - 1)}.{self.one_of('Max', 'Min', 'Count')}()",
            lambda: f"{c.name}.First().{self.one_of(*_LEAVES[c.kind])}",
            lambda: f"{c.name}[{self.one_of('0', '1', '-1', '-2')}].{self.one_of(*_LEAVES[c.kind])}",
            lambda: f"{self.leaf(c)}[{self.one_of('0', '1', '-1')}]",
            lambda: f"{self.leaf(c)}[{self.collection().name}.Count()]",
            lambda: f"({self.mask(c, budget - 1)}).{self.one_of('Sum', 'Count')}()",
            lambda: f"{c.name}[{self.mask(c, budget - 1)}].{self.selected()}",
        )

    def selected(self) -> str:
        return self.one_of("Count()", "pt.Sum()", "eta.Max()", "First().pt", "pt.First()")

    def related(self, element: Thing, budget: int) -> str:
        """Give a number for the element of a lambda that depends on a whole collection."""
        c = self.collection()
        return self.one_of(
            lambda: f"{c.name}[{self.pair_mask(c, element)}].{self.selected()}",
            lambda: f"({self.pair_mask(c, element)}).{self.one_of('Sum', 'Count')}()",
            lambda: f"({c.name}.{self.one_of('pt', 'eta')} - {self.leaf(element)}).{self.one_of('Max', 'Min')}()",
            lambda: self.per_event(budget),
            lambda: self.closest(c, element),
            lambda: f"near({c.name}, {element.name}).{self.selected()}",
            lambda: f"affine({c.name}.pt, {self.leaf(element)}).Max()",
        )

    def closest(self, c: Thing, element: Thing) -> str:
        distance = f"abs({c.name}.pt - {element.name}.pt)"
        return f"{c.name}[{distance} == {distance}.Min()].First().{self.one_of(*_LEAVES[c.kind])}"

    # ----------------------------------------------------------------------------------------------------------- masks

    def pair_mask(self, c: Thing, element: Thing) -> str:
        """Give a mask of a collection that depends on an element."""
        return self.one_of(
            f"{c.name}.pt {self.one_of('>', '<=', '==')} {element.name}.pt",
            f"abs({c.name}.eta - {element.name}.eta) < {self.one_of('1', '2.5')}",
            f"{c.name}.DeltaR({element.name}) < {self.one_of('0.7', '1.3')}",
            f"{element.name}.DeltaR({c.name}) > 1.1",
            lambda: f"({c.name}.pt > {element.name}.pt) & ({self.mask(c, 0)})",
        )

    def mask(self, of: Thing, budget: int = 1) -> str:
        """Give a truth value for each element of a collection."""
        simple = self.one_of(
            lambda: self.compared(of, budget),
            lambda: self.compared(of, budget),
            lambda: f"{of.name}.tight" if of.kind == "Jet" else self.compared(of, 0),
        )
        if budget <= 0:
            return simple
        return self.one_of(
            simple,
            lambda: f"({simple}) {self.one_of('&', '|', '^')} ({self.mask(of, budget - 1)})",
            f"~({simple})",
            f"({simple}) & {self.root}.good",
            lambda: f"({self.pair_mask(self.collection(), of)}).{self.one_of('Any', 'All')}()" if of.element else simple,
        )

    def compared(self, of: Thing, budget: int) -> str:
        a, sign = self.number(of, budget - 1), self.one_of(">", "<", ">=", "<=", "==", "!=")
        return self.one_of(
            lambda: f"{a} {sign} {self.small()}",
            lambda: f"{a} {sign} {self.leaf(of)}",
            lambda: f"{a} {sign} {self.per_event(budget - 1)}",
            lambda: f"{self.small()} {sign} {a}",
        )

    def event_mask(self) -> str:
        return self.one_of(
            lambda: f"{self.per_event()} {self.one_of('>', '<=', '!=')} {self.small()}",
            f"{self.root}.good",
            lambda: f'{self.root}.kind {self.one_of("==", "!=")} "a"',
            lambda: f"({self.mask(self.collection())}).{self.one_of('Any', 'All')}()",
            lambda: f"({self.per_event()} > 1) | ~{self.root}.good",
        )

    # --------------------------------------------------------------------------------------------------------- lambdas

    def element_of(self, c: Thing) -> Thing:
        return replace(c, name=self.fresh("x"), element=True)

    def mapped(self, c: Thing) -> str:
        """Give a map over a collection."""
        x = self.element_of(c)
        d = self.collection()
        body = self.one_of(
            lambda: self.number(x),
            lambda: self.related(x, 1),
            lambda: f"{d.name}[{self.pair_mask(d, x)}].{self.one_of('pt', 'eta')}",
            lambda: f"{d.name}.pt {self.one_of('-', '*', '>')} {self.leaf(x)}",
            lambda: f"({self.number(x)}, {self.related(x, 1)})",
            lambda: self.mask(x),
            lambda: self.pair(d, x),
            lambda: f"{x.name}.hits[{x.name}.hits > {self.leaf(x)}]" if c.kind == "Jet" else self.number(x),
        )
        return f"{c.name}.map(lambda {x.name}: {body})"

    def mapped_number(self, c: Thing) -> str:
        """Give a number for each pair of two collections, or for each element."""
        x, d = self.element_of(c), self.collection()
        body = self.one_of(lambda: self.number(x), lambda: f"{d.name}.pt - {self.leaf(x)}")
        return f"{c.name}.map(lambda {x.name}: {body})"

    def pair(self, d: Thing, x: Thing) -> str:
        y = self.element_of(d)
        body = self.one_of(
            lambda: f"{self.leaf(x)} - {self.leaf(y)}",
            f"{x.name}.DeltaR({y.name})",
            lambda: f"{self.number(x, 1)} * {self.number(y, 1)}",
        )
        return f"{d.name}.map(lambda {y.name}: {body}){self.one_of('', '.Max()', '.Count()')}"

    # ------------------------------------------------------------------------------------------------------ statements

    def add_line(self) -> None:
        c = self.collection()
        match self.draw(st.integers(0, 10)):
            case 0 | 1 | 2:
                self.add_view(c)
            case 7 | 8:
                self.add_link(c)
            case 9:
                self.add_alias()
            case 3 | 4 | 5:
                self.add_column(c)
            case 6:
                name = self.fresh("s")
                self.lines.append(f'{self.root}["{name}"] = {self.per_event(2)}')
                self.numbers.append(f"{self.root}.{name}")
            case _:
                self.drop_events()

    def add_view(self, c: Thing) -> None:
        x = self.element_of(c)
        selection = self.one_of(
            lambda: self.mask(c),
            lambda: f"lambda {x.name}: {self.mask(replace(x, element=False))}",
            lambda: f"{c.name}.map(lambda {x.name}: {self.mask(x)})",
            lambda: self.one_of(":2", "1:", "::-1", "-1:"),
        )
        name = self.fresh("v")
        if self.draw(st.booleans()):
            self.lines.append(f"{name} = {c.name}[{selection}]")
            self.things.append(replace(c, name=name))
        else:
            self.lines.append(f'{self.root}["{name}"] = {c.name}[{selection}]')
            self.things.append(replace(c, name=f"{self.root}.{name}"))

    def add_column(self, c: Thing) -> None:
        name = self.fresh("c")
        x = self.element_of(c)
        value = self.one_of(
            lambda: self.number(c),
            lambda: f"lambda {x.name}: {self.number(x)}",
            lambda: f"lambda {x.name}: {self.related(x, 1)}",
        )
        self.lines.append(f'{c.name}["{name}"] = {value}')
        self.things = [replace(t, columns=(*t.columns, name)) if t.name == c.name else t for t in self.things]

    def add_link(self, c: Thing) -> None:
        """Match two collections, as the paper does: all candidates, whether there is one, and the first."""
        d, x = self.collection(), self.element_of(c)
        every, match, has = self.fresh("all"), self.fresh("first"), self.fresh("has")
        chosen = self.one_of(lambda: f"{d.name}[{self.pair_mask(d, x)}]", f"near({d.name}, {x.name})")
        self.lines.append(f'{c.name}["{every}"] = {self.one_of(f"lambda {x.name}: {chosen}", f"{c.name}.map(lambda {x.name}: {chosen})")}')
        self.lines.append(f'{c.name}["{has}"] = lambda {x.name}: {x.name}.{every}.Count() > 0')
        links, found = (*c.links, (every, d.kind)), c
        if self.draw(st.booleans()):
            view = self.fresh("v")
            self.lines.append(f"{view} = {c.name}[{self.one_of('', '~')}{c.name}.{has}]")
            found = replace(c, name=view)
            self.things.append(found)
        self.lines.append(f'{found.name}["{match}"] = lambda {x.name}: {x.name}.{every}.First()')
        self.things = [replace(t, links=links) if t.name in {c.name, found.name} else t for t in self.things]
        matches = (*c.matches, (match, d.kind))
        self.things = [replace(t, matches=matches) if t.name == found.name else t for t in self.things]

    def add_alias(self) -> None:
        name, o = self.fresh("a"), self.fresh("o")
        self.lines.append(f'define_alias("", "{name}", lambda {o}: {o}.{self.one_of("pt * 2", "eta - 1", "pt / 4")})')
        self.things = [replace(t, columns=(*t.columns, name)) for t in self.things]

    def drop_events(self) -> None:
        if self.root != "df":
            return
        self.lines.append(f"ev = df[{self.event_mask()}]")
        self.root = "ev"
        self.numbers = [n.replace("df.", "ev.") for n in self.numbers]
        self.things = [replace(t, name=t.name.replace("df.", "ev.")) for t in self.things if t.name.startswith("df.")]

    def result(self) -> str:
        c = self.collection()
        return self.one_of(
            lambda: self.number(c, 3),
            lambda: self.mapped(c),
            lambda: self.mapped(c),
            lambda: self.per_event(2),
            lambda: self.mask(c, 2),
            lambda: f"{self.per_event(2)}.{self.one_of('Max', 'Min', 'Count')}()",
            f"{self.root}.Count()",
            lambda: f"np.{self.one_of('sin', 'arctan', 'tanh')}({self.number(c, 2)})",
            lambda: f"{self.leaf(c)}.{self.one_of('Mean', 'Sum', 'Prod')}()",
            lambda: f"affine({self.number(c)}, {self.per_event()})",
            lambda: f"{c.name}.map(near({self.collection().name})).{self.one_of('pt', 'eta')}",
            lambda: f"{self.root}.Muon[{c.name}.muon].pt" if c.kind == "Jet" else self.number(c),
            lambda: f"{c.name}.{c.links[-1][0]}.{self.one_of('pt', 'eta')}" if c.links else self.mapped(c),
            lambda: f"{self.linked(c)}" if c.links or c.matches else self.mapped(c),
        )


@st.composite
def programs(draw: DrawFn, max_lines: int = 4) -> str:
    """Give the text of an analysis."""
    scope = Scope(draw)
    for _ in range(draw(st.integers(0, max_lines))):
        scope.add_line()
    return "\n".join([*scope.lines, f"result = {scope.result()}"])


@st.composite
def fills(draw: DrawFn, max_lines: int = 2) -> str:
    """Give the text of an analysis that ends with values ``x`` and weights ``w`` for them."""
    scope = Scope(draw)
    for _ in range(draw(st.integers(0, max_lines))):
        scope.add_line()
    c = scope.collection()
    x = scope.one_of(lambda: scope.number(c), lambda: scope.mapped_number(c), lambda: scope.per_event())
    w = scope.one_of(lambda: scope.per_event(), lambda: scope.number(c, 1) if f"{c.name}." in x and ".map" not in x else "2")
    return "\n".join([*scope.lines, f"x = {x} * 1", f"w = {scope.root}.MET.pt * 0 + {scope.one_of('1', '0.5')} * {w}"])

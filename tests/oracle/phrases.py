"""Parts of analyses as a user writes them: numbers, masks and lambdas over named collections, as text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn

_LEAVES = {
    "Jet": ("pt", "eta", "phi", "n"),
    "Muon": ("pt", "eta", "phi", "charge"),
    "Lep": ("pt", "eta", "phi", "part"),
    "Pair": ("one.pt", "two.pt", "one.eta", "two.phi"),
}


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
class Phrases:
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
        return self.one_of(
            f"{of.name}.{name}", f"{of.name}.{name}", f'{of.name}["{name}"]' if "." not in name else f"{of.name}.{name}"
        )

    def number(self, of: Thing, budget: int = 2) -> str:
        """Give a number for each element of a collection (or of the element that a lambda holds)."""
        if budget <= 0:
            return self.leaf(of)
        a = self.number(of, budget - 1)
        return self.one_of(
            a,
            a,
            lambda: f"({a} {self.sign()} {self.operand(of, budget - 1)})",
            lambda: f"({a} {self.sign()} {self.operand(of, budget - 1)})",
            lambda: f"({self.small()} {self.sign()} {a})",
            lambda: f"{self.one_of('abs', 'np.abs', 'np.negative', '-')}({a})",
            lambda: f"({a} / (abs({self.number(of, budget - 1)}) + 1))",
            lambda: f"np.where({self.mask(of, budget - 1)}, {a}, {self.operand(of, budget - 1)})",
            lambda: f"np.{self.one_of('maximum', 'minimum')}({a}, {self.operand(of, 0)})",
            lambda: self.linked(of) if of.links or of.matches else a,
            lambda: f"{of.name}.hits.{self.one_of('Sum', 'Count', 'Max', 'First', 'count')}()" if of.kind == "Jet" else a,
            lambda: self.related(of, budget - 1) if of.element else f"np.sqrt(abs({a}))",
            lambda: self.related(of, budget - 1) if of.element else a,
            lambda: f"{of.name}.Event().{self.one_of('run', 'MET.pt')}",
            lambda: a if of.element else f"{of.name}.Index()",
        )

    def sign(self) -> str:
        return self.one_of("+", "-", "*")

    def operand(self, of: Thing, budget: int) -> str:
        """Give what may stand beside a number for each element."""
        return self.one_of(self.small, lambda: self.number(of, budget), lambda: self.per_event(budget))

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
            lambda: f"{c.name}.{self.one_of('MinBy', 'MaxBy')}({self.key_of(c)}).{self.one_of(*_LEAVES[c.kind])}",
            lambda: f"{c.name}[{self.leaf(c)}.{self.one_of('ArgMax', 'ArgMin')}()].{self.one_of(*_LEAVES[c.kind])}",
        )

    def key_of(self, c: Thing) -> str:
        """Give what a choice or an order goes by: a number for each element, or a function of the collection."""
        x = replace(c, name=self.fresh("x"))
        return self.one_of(lambda: self.number(c, 1), lambda: f"lambda {x.name}: {self.number(x, 1)}")

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
            lambda: f"({self.number(x)}, {d.name}[{self.pair_mask(d, x)}].pt, {self.mask(x)})",
            lambda: f'{{"a": {d.name}.pt - {self.leaf(x)}, "b": {self.leaf(x)}}}',
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

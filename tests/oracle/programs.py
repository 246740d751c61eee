"""Hypothesis strategies of analyses as a user writes them: source text over ``df`` and ``np``, ending with ``result = ...``.

The same text runs on a `DataFrame` and on a naive frame. Only forms of the specification are written, and only such operations in
masks whose every bit is determined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from oracle.phrases import Phrases, Thing

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn


@dataclass
class Scope(Phrases):
    """An analysis that grows line by line."""

    def add_line(self) -> None:
        c = self.collection()
        match self.draw(st.integers(0, 12)):
            case 11:
                self.add_order(c)
            case 12:
                self.add_joined(c)
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

    def add_order(self, c: Thing) -> None:
        name = self.fresh("v")
        self.lines.append(f"{name} = {c.name}.OrderBy({self.key_of(c)}{self.one_of('', ', descending=True')})")
        self.things.append(replace(c, name=name))

    def add_joined(self, c: Thing) -> None:
        name = self.fresh("l")
        self.lines.append(f"{name} = Concatenate({c.name}, {self.collection().name})")
        self.things.append(Thing(name, "Lep"))

    def paired(self, c: Thing) -> str:
        """Give something of pairs of a collection, or of two."""
        p = Thing(self.fresh("p"), "Pair")
        made = self.one_of("Combinations(2, ", lambda: f"Cartesian({self.collection().name}, ")
        self.lines.append(f'{p.name} = {c.name}.{made}fields=("one", "two"))')
        if self.draw(st.booleans()):
            column = self.fresh("c")
            self.lines.append(f'{p.name}["{column}"] = {self.number(p, 1)}')
            p = replace(p, columns=(column,))
        selected = f"{p.name}[{self.mask(p)}]" if self.draw(st.booleans()) else p.name
        return self.one_of(
            lambda: f"{selected}.{self.one_of('one.pt', 'two.eta', *p.columns)}",
            f"{selected}.Count()",
            lambda: f"({selected}.one + {selected}.two).{self.one_of('px', 'py', 'pz', 'pt')}",
            f"{selected}.one.DeltaR({selected}.two)",
            lambda: f"{p.name}.{self.one_of('MinBy', 'MaxBy')}({self.key_of(p)}).{self.one_of('one.pt', 'two.phi')}",
            lambda: f"{selected}.{self.one_of('one', 'two')}[:1].pt",
        )

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
        self.lines.append(
            f'{c.name}["{every}"] = {self.one_of(f"lambda {x.name}: {chosen}", f"{c.name}.map(lambda {x.name}: {chosen})")}'
        )
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
            lambda: f"stepped({self.number(c)})",
            lambda: f"fickle({self.number(c)})[{self.mask(c)}]",
            lambda: f"fickle({c.name}[{self.mask(c)}].pt).{self.one_of('Max', 'Sum')}()",
            lambda: f"spread({c.name}.{self.one_of('pt', 'eta')})",
            lambda: self.replaced(c),
            self.replaced_everywhere,
            lambda: self.paired(c),
            lambda: self.paired(c),
            lambda: f"{c.name}.Pad({self.one_of('1', '2', '4')}).{self.one_of('pt', 'eta')}",
            lambda: (
                f"{c.name}.Nearest({self.collection().name}, key=lambda o, q: abs(o.pt - q.pt), within={self.one_of('0.5', '3')}).eta"
            ),
            lambda: f"Concatenate({c.name}, {self.collection().name}).{self.one_of('pt', 'part')}",
            lambda: f"{c.name}.map(near({self.collection().name})).{self.one_of('pt', 'eta')}",
            lambda: f"{self.root}.Muon[{c.name}.muon].pt" if c.kind == "Jet" else self.number(c),
            lambda: f"{c.name}.{c.links[-1][0]}.{self.one_of('pt', 'eta')}" if c.links else self.mapped(c),
            lambda: f"{self.linked(c)}" if c.links or c.matches else self.mapped(c),
        )

    def replaced(self, c: Thing) -> str:
        """Replace leaves, all from the collection as it was, and use what comes of it beside the collection itself."""
        new = f"{c.name}.With(pt={self.number(c, 1)}, eta=lambda o: o.pt {self.sign()} o.eta)"
        return self.one_of(
            f"{new}.{self.one_of('pt', 'eta', 'phi')}",
            lambda: f"{new}[{self.mask(c)}].{self.one_of('pt', 'eta', 'phi')}",
            f"{new}.pt - {c.name}.pt",
            f"{new}.First().{self.one_of('pt', 'eta')}",
        )

    def replaced_everywhere(self) -> str:
        """Replace a leaf of a stored collection for everything below the table, aggregates and event filters among it."""
        name = self.one_of("Jet", "Muon")
        new = f"df.With({name}=lambda o: o.With(pt=o.pt * {self.one_of('2', '0.5')} {self.sign()} 1))"
        return self.one_of(
            f"{new}.{name}.pt",
            f"{new}.{name}[df.{name}.pt > 1].{self.one_of('pt', 'eta')}",
            f"{new}.{name}.{self.one_of('pt', 'phi')}.{self.one_of('Sum', 'Max', 'Count')}()",
            lambda: f"{new}[lambda e: e.{name}.pt.Max() > {self.one_of('1', '3')}].{name}.{self.one_of('pt', 'eta')}",
        )


@st.composite
def programs(draw: DrawFn, max_lines: int = 4) -> str:
    """Give the text of an analysis."""
    scope = Scope(draw)
    for _ in range(draw(st.integers(0, max_lines))):
        scope.add_line()
    result = scope.result()
    return "\n".join([*scope.lines, f"result = {result}"])


@st.composite
def fills(draw: DrawFn, max_lines: int = 2) -> str:
    """Give the text of an analysis that ends with values ``x`` and weights ``w`` for them."""
    scope = Scope(draw)
    for _ in range(draw(st.integers(0, max_lines))):
        scope.add_line()
    c = scope.collection()
    x = scope.one_of(lambda: scope.number(c), lambda: scope.mapped_number(c), scope.per_event)
    w = scope.one_of(scope.per_event, lambda: scope.number(c, 1) if f"{c.name}." in x and ".map" not in x else "2")
    return "\n".join([*scope.lines, f"x = {x} * 1", f"w = {scope.root}.MET.pt * 0 + {scope.one_of('1', '0.5')} * {w}"])

"""From terms to the syntax tree of a func_adl query.

::

    EventDataset(...)
      .Select(lambda e: {'Jet': Zip({'pt': e['Jet_pt'], 'eta': e['Jet_eta']}), 'MET_pt': e['MET_pt']})     collections
      .Where(lambda e: e.Jet.Where(lambda j: j.pt > 30).Count() >= 2)                                       each mask of events
      .Select(lambda e: {'x': e.Jet.Where(lambda j: j.pt > 30), ...})                                       what is used twice
      .Select(lambda e: {'c0': e.x.Select(lambda j: j.pt / e.MET_pt), ...})                                 the columns
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.terms import Collection, Frame, Leaf, Term, fresh_name, labels_of, leaves_of
from hep_flows.plugins.servicex.translate import Refused, called, function, method

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.plugins.servicex.terms import Table

# Which values get a name before others use them ----------------------------------------------------------------------------------
#
# A lambda's body is written out as a tree. What is used several times, and what does not depend on the innermost element although it stands
# inside of its lambda, is computed once in a Select before, and carried along under a name.

_STEPS = frozenset({"call", "select", "where", "reduce"})
# Writing a few operations twice is cheaper than carrying all values through one more Select.
FEW_STEPS = 4


@dataclass(slots=True)
class _Uses:
    """How often each term is used in one lambda, and which are used inside of an inner one only."""

    count: dict[int, int] = field(default_factory=dict)
    inner: set[int] = field(default_factory=set)
    order: list[Term] = field(default_factory=list)


def steps_before(goals: Sequence[Term], depth: int, named: Container[int]) -> list[list[Term]]:
    """Give the terms that get names, in the order of the Selects that compute them.

    Parameters
    ----------
    goals : sequence of Term
        What the lambda gives.
    depth : int
        The number of the lambda's variable; 0 for events.
    named : collection of int
        The identities of terms that have names already.
    """
    uses = _counted(goals, depth, named)
    chosen = {id(t): t for t in uses.order if _is_worth_it(t, depth, uses)}
    levels: dict[int, int] = {}
    found: list[list[Term]] = []
    for term in uses.order:
        below = [levels.get(id(a), 0) for a in term.args]
        level = max(below, default=0)
        if id(term) in chosen:
            while len(found) <= level:
                found.append([])
            found[level].append(term)
            level += 1
        levels[id(term)] = level
    return found


def _is_worth_it(term: Term, depth: int, uses: _Uses) -> bool:
    if term.op not in _STEPS or term.depth != depth:
        return False
    if id(term) in uses.inner:
        return True
    return (uses.count[id(term)] - 1) * term.steps >= FEW_STEPS


def _counted(goals: Sequence[Term], depth: int, named: Container[int]) -> _Uses:
    """Walk from the goals to what has a name; children come before parents in ``order``."""
    uses = _Uses()
    seen: set[tuple[int, bool]] = set()
    done: set[int] = set()
    stack: list[tuple[Term, bool, bool]] = [(g, False, False) for g in reversed(goals)]
    for goal in goals:
        uses.count[id(goal)] = uses.count.get(id(goal), 0) + 1
    while stack:
        term, inner, left = stack.pop()
        if left:
            if id(term) not in done:
                done.add(id(term))
                uses.order.append(term)
            continue
        if (id(term), inner) in seen or id(term) in named or _is_foreign(term, depth):
            continue
        first = (id(term), not inner) not in seen
        seen.add((id(term), inner))
        mine = inner and term.depth <= depth
        if mine and term.op in _STEPS:
            uses.inner.add(id(term))
        stack.append((term, inner, True))
        for child, within in reversed(list(_children(term))):
            if first and id(child) not in named:
                uses.count[id(child)] = uses.count.get(id(child), 0) + 1
            stack.append((child, (inner and not mine) or within, False))
    return uses


def _children(term: Term) -> Iterator[tuple[Term, bool]]:
    """Give the parts of a term, and whether they stand inside of a lambda."""
    for number, child in enumerate(term.args):
        yield child, term.op in {"select", "where"} and number == 1


def carried(goals: Sequence[Term], depth: int, named: Container[int]) -> list[Term]:
    """Give what must be handed on for the goals: terms that have names, and what is stored in the element."""
    found: dict[int, Term] = {}
    seen: set[int] = set()
    stack = list(reversed(goals))
    while stack:
        term = stack.pop()
        if id(term) in seen or _is_foreign(term, depth):
            continue
        seen.add(id(term))
        if id(term) in named or _is_stored(term, depth):
            found[id(term)] = term
            continue
        stack.extend(reversed(term.args))
    return list(found.values())


def _is_foreign(term: Term, depth: int) -> bool:
    """Say whether a term has nothing of the lambda's element: a variable of that number inside of it is another one."""
    return depth > 0 and depth not in term.free


def _is_stored(term: Term, depth: int) -> bool:
    if depth == 0:
        return term.op in {"column", "collection"}
    return term.op in {"leaf", "element"} and term.depth == depth


Frames = tuple[Frame, ...]


def query_ast(table: Table, dataset: Dataset, masks: Sequence[Term], outputs: Mapping[str, Term]) -> ast.expr:
    """Give the syntax tree of a query.

    Parameters
    ----------
    table : Table
        How functions are written.
    dataset : Dataset
        The table.
    masks : sequence of Term
        The masks of events, in the order in which they apply.
    outputs : mapping of str to Term
        The columns, by name.

    Raises
    ------
    Refused
        When captured values would have a shape that the dialect cannot do.
    """
    return _Writer(table, [*masks, *outputs.values()]).query(dataset, masks, outputs)


class _Writer:
    def __init__(self, table: Table, goals: Sequence[Term]) -> None:
        self._table = table
        self._labels = labels_of(goals)
        self._leaves = leaves_of(goals)

    def query(self, dataset: Dataset, masks: Sequence[Term], outputs: Mapping[str, Term]) -> ast.expr:
        # The file is given to the generated code when it runs.
        stream = called("EventDataset", ast.Constant("bogus.root"), ast.Constant(dataset.tree))
        frame = Frame("e", 0, {}, raw=True)
        left = [*masks, *outputs.values()]
        stored = [t for t in carried(left, 0, ()) if t.op == "collection"]
        if self._needs_names(stored, left):
            stream, frame = self._named(stream, frame, (), stored, left)
        for number, mask in enumerate(masks):
            left = [*masks[number:], *outputs.values()]
            stream, frame = self._steps(stream, frame, (), [mask], left)
            stream = method(stream, "Where", function([frame.name], self.item(mask, (frame,))))
        stream, frame = self._steps(stream, frame, (), list(outputs.values()), list(outputs.values()))
        columns = ast.Dict([ast.Constant(n) for n in outputs], [self.item(t, (frame,)) for t in outputs.values()])
        return method(stream, "Select", function([frame.name], columns))

    def _needs_names(self, collections: Sequence[Term], goals: Sequence[Term]) -> bool:
        """Say whether collections get names first: those of several leaves do, and where the elements of two are paired."""
        if not collections:
            return False
        return any(self._labels.values()) or any([t.nesting > 1 for t in goals])

    def _steps(
        self, stream: ast.expr, frame: Frame, outer: Frames, goals: Sequence[Term], left: Sequence[Term]
    ) -> tuple[ast.expr, Frame]:
        """Give names to what the goals share; ``left`` is all that is still to come."""
        for terms in steps_before(goals, frame.depth, frame.names):
            stream, frame = self._named(stream, frame, outer, terms, left)
        return stream, frame

    def _named(
        self, stream: ast.expr, frame: Frame, outer: Frames, terms: Sequence[Term], left: Sequence[Term]
    ) -> tuple[ast.expr, Frame]:
        """Give the stream with one Select more, which computes terms and hands on what is needed later."""
        kept = carried(left, frame.depth, {*frame.names, *[id(t) for t in terms]})
        names: dict[int, str] = {}
        taken: set[str] = set()
        for term in sorted(kept, key=lambda t: not isinstance(t.value, Leaf)):
            names[id(term)] = fresh_name(self._wish(term, frame), taken)
        values = [self.item(t, (*outer, frame)) for t in kept]
        if len(kept) == 1:
            return method(stream, "Select", function([frame.name], values[0])), Frame(frame.name, frame.depth, {id(kept[0]): ""})
        made = ast.Dict([ast.Constant(names[id(t)]) for t in kept], values)
        return method(stream, "Select", function([frame.name], made)), Frame(frame.name, frame.depth, names)

    def _wish(self, term: Term, frame: Frame) -> str:
        """Give the name that a value would best have."""
        if frame.names.get(id(term)):
            return frame.names[id(term)]
        match term.value:
            case Collection() as collection:
                return collection.path[-1] if len(collection.path) < 2 else "_".join(collection.path)
            case Leaf() as leaf:
                return self._labels[leaf.collection.axis, leaf.column] or leaf.name
            case str() as name if term.op == "column":
                return name
            case _:
                return "x" if term.op != "element" else "value"

    def item(self, term: Term, frames: Frames) -> ast.expr:
        """Give the syntax tree of a term inside of the lambdas whose variables are known."""
        if term.depth < len(frames):
            found = frames[term.depth].found(term)
            if found is not None:
                return found
        match term.op:
            case "call":
                write = self._table.functions[str(term.value)].write
                assert write is not None
                return write([self.item(a, frames) for a in term.args])
            case "select":
                return self._select(term, frames)
            case "where":
                return self._where(term, frames)
            case "reduce":
                return self._reduce(term, frames)
            case _:
                return self._given(term, frames)

    def _given(self, term: Term, frames: Frames) -> ast.expr:
        """Give what is stored, or written in the expression."""
        match term.op:
            case "constant":
                assert isinstance(term.value, tuple)
                return constant(term.value[1], term.value[3])
            case "leaf":
                return self._leaf(term, frames)
            case "element":
                return frames[term.depth].variable()
            case _:
                return self._stored(term, frames)

    def _stored(self, term: Term, frames: Frames) -> ast.expr:
        event = frames[0].variable()
        if not frames[0].raw:
            raise AssertionError(f"{term.value} was not handed on")
        if isinstance(term.value, Collection):
            axis = term.value.axis
            return _collection(event, {label: column for (a, column), label in self._labels.items() if a == axis})
        return _column(event, str(term.value))

    def _leaf(self, term: Term, frames: Frames) -> ast.expr:
        leaf = term.value
        assert isinstance(leaf, Leaf)
        label = self._labels[leaf.collection.axis, leaf.column]
        element = frames[term.args[0].depth].variable()
        return element if not label else ast.Attribute(element, label, ast.Load())

    def _select(self, term: Term, frames: Frames) -> ast.expr:
        stream, frame = self._inside(term, frames)
        body = self.item(term.args[1], (*frames, frame))
        is_element = isinstance(body, ast.Name) and body.id == frame.name
        return stream if is_element else method(stream, "Select", function([frame.name], body))

    def _inside(self, term: Term, frames: Frames) -> tuple[ast.expr, Frame]:
        """Give a list, with names for what the body shares, and the variable for its element."""
        of, body = term.args
        self._check_captured(of, frames)
        name = fresh_name(_letter(of), {f.name for f in frames})
        frame = Frame(name, len(frames), {}, raw=True)
        return self._steps(self.item(of, frames), frame, frames, [body], [body])

    def _where(self, term: Term, frames: Frames) -> ast.expr:
        of, mask = term.args
        self._check_captured(of, frames)
        frame = Frame(fresh_name(_letter(of), {f.name for f in frames}), len(frames), {}, raw=True)
        stream = self.item(of, frames)
        if len(frames) > 1 and not of.free:
            raise Refused("a list of the event that is filtered by an element of another one cannot be broadcast")
        leaves = self._leaves.get((_root(of), frame.depth), [])
        if len(leaves) > 1:
            # What the mask shares is carried beside the leaves that are used later.
            stream, frame = self._steps(stream, frame, frames, [mask], [mask, *leaves])
        return method(stream, "Where", function([frame.name], self.item(mask, (*frames, frame))))

    def _reduce(self, term: Term, frames: Frames) -> ast.expr:
        of = term.args[0]
        write = self._table.reducers[str(term.value)].write
        aggregate = str(term.value).capitalize()
        if term.value in {"any", "all"}:
            if of.op == "select" and frames[min(of.depth, len(frames) - 1)].found(of) is None:
                stream, frame = self._inside(of, frames)
                return method(stream, aggregate, function([frame.name], self.item(of.args[1], (*frames, frame))))
            name = fresh_name("x", {f.name for f in frames})
            return method(self.item(of, frames), aggregate, function([name], ast.Name(name, ast.Load())))
        if write is not None:
            return write([self.item(of, frames)])
        return method(self.item(of, frames), aggregate)

    def _check_captured(self, of: Term, frames: Frames) -> None:
        """Refuse a list of the event inside of a lambda that does not run over another list of the event."""
        if len(frames) == 1 or of.depth == len(frames) - 1:
            return
        if of.depth != 0 or len(frames) > 2:
            raise Refused("the query language can pair the elements of two lists, and no more")


def _root(of: Term) -> bytes:
    """Give the axis of the collection that a list is a selection of; nothing where it is a list of plain values."""
    while of.op == "where":
        of = of.args[0]
    return of.value.axis if isinstance(of.value, Collection) else b""


def _letter(of: Term) -> str:
    while of.args and of.op != "leaf":
        of = of.args[0]
    value = of.value
    name = value.path[-1] if isinstance(value, Collection) else value.name if isinstance(value, Leaf) else str(value)
    letter = next((c for c in name if c.isalpha() and c.isascii()), "x").lower()
    return letter if letter != "e" else "x"


# How what is stored is written: a branch is an item of the event, a collection a Zip of its branches, or the only one --------------


def _column(event: ast.expr, column: str) -> ast.expr:
    """Give a branch; as an item, since names of branches hold dots, and words that arrays have of their own.

    A branch inside of another goes by its own name, and a member of a branch of records by one more item.
    """
    branch, *members = column.split("|")
    found: ast.expr = event
    for name in (branch.rsplit("/", 1)[-1], *members):
        found = ast.Subscript(found, ast.Constant(name), ast.Load())
    return found


def _collection(event: ast.expr, leaves: Mapping[str, str]) -> ast.expr:
    """Give the objects with the branches that are used, by their labels; where there is one only, the list of its values."""
    if "" in leaves:
        return _column(event, leaves[""])
    columns = [_column(event, column) for column in leaves.values()]
    return called("Zip", ast.Dict([ast.Constant(label) for label in leaves], columns))


def constant(value: object, dtype: str) -> ast.expr:
    """Give a constant, with a width where it has one.

    Raises
    ------
    Refused
        When it is no finite number.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"the query language cannot write {value}")
    written = ast.Constant(value)  # type: ignore[arg-type]  # a constant of the language is one of Python
    if not dtype or isinstance(value, bool):
        return written
    return method(ast.Name("np", ast.Load()), dtype, written)

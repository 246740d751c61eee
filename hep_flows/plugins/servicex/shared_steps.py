"""Which values get a name before others use them.

A lambda's body is written out as a tree. What is used several times, and what does not depend on the innermost element although it stands
inside of its lambda, is computed once in a Select before, and carried along under a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from hep_flows.plugins.servicex.terms import Term

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

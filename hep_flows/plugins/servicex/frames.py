"""The variables of lambdas while a query is written, and the names of what they carry."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.terms import Collection, Leaf, Term

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

# What arrays have attributes for, here or in a back end: a leaf of such a name could not be reached.
RESERVED = frozenset(
    """Mask attrs behavior clear_divisions compute cpp_type dask defined_divisions divisions eager_compute_divisions fields form head
    is_tuple keys keys_array known_divisions layout map_partitions mask name named_axis nbytes ndim npartitions numba_type partitions
    persist positional_axis repartition reset_meta show to_dask_array to_dask_bag to_delayed to_list to_numpy to_parquet tolist type
    typestr visualize Select SelectMany Where Zip Count Sum Min Max Any All First Last ElementAt Contains Concat Choose OrderBy
    OrderByDescending Aggregate MetaData ToFourMomentum ToFourMomenta axes_ data_ made_ member_ members_""".split()
)


@dataclass(frozen=True, slots=True)
class Frame:
    """The variable of one lambda.

    Parameters
    ----------
    name : str
        The variable.
    depth : int
        Its number: 0 for events, 1 for the element of a list of the event, ...
    names : mapping of int to str
        What it carries, by the identity of the term; an empty name where the variable itself is that value.
    raw : bool
        Whether it is what is stored: an event of the file, or an element of a list.
    """

    name: str
    depth: int
    names: Mapping[int, str]
    raw: bool = False

    def variable(self) -> ast.expr:
        """Give the variable."""
        return ast.Name(self.name, ast.Load())

    def found(self, term: Term) -> ast.expr | None:
        """Give a value that the variable carries, or None."""
        name = self.names.get(id(term))
        if name is None:
            return None
        return ast.Attribute(self.variable(), name, ast.Load()) if name else self.variable()


def fresh_name(wish: str, taken: Container[str]) -> str:
    """Give a name that is not taken yet, and add it where it can be added."""
    plain = re.sub(r"\W", "_", wish, flags=re.ASCII) or "x"
    if plain[0].isdigit() or plain[0] == "_" or plain in RESERVED or keyword.iskeyword(plain):
        plain = f"x{plain}" if plain[0].isdigit() or plain[0] == "_" else f"{plain}_"
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}{number}"
    if isinstance(taken, set):
        taken.add(name)
    return name


def labels_of(goals: Sequence[Term]) -> dict[tuple[bytes, str], str]:
    """Give each leaf that is used a label among those of its collection, by the axis and the branch; an only one has none."""
    labels: dict[tuple[bytes, str], str] = {}
    taken: dict[bytes, set[str]] = {}
    bare: dict[bytes, str] = {}
    for term in every(goals):
        if isinstance(term.value, Leaf):
            axis, column = term.value.collection.axis, term.value.column
            if (axis, column) not in labels:
                labels[axis, column] = fresh_name(term.value.name, taken.setdefault(axis, set()))
        elif isinstance(term.value, Collection):
            bare.setdefault(term.value.axis, term.value.cheapest)
    labels |= {(axis, cheapest): "" for axis, cheapest in bare.items() if axis not in taken}
    return {(axis, column): label if len(taken.get(axis, ())) > 1 else "" for (axis, column), label in labels.items()}


def leaves_of(goals: Sequence[Term]) -> dict[tuple[bytes, int], list[Term]]:
    """Give the leaves that are used, by the axis of the collection and the number of the variable."""
    found: dict[tuple[bytes, int], list[Term]] = {}
    for term in every(goals):
        if isinstance(term.value, Leaf):
            found.setdefault((term.value.collection.axis, term.depth), []).append(term)
    return found


def every(goals: Sequence[Term]) -> Iterator[Term]:
    """Give every term once, in order of use."""
    seen: set[int] = set()
    stack = list(reversed(goals))
    while stack:
        term = stack.pop()
        if id(term) not in seen:
            seen.add(id(term))
            yield term
            stack.extend(reversed(term.args))

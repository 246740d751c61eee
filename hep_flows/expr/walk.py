"""The only traversals of expressions: none of them recurses, so depth is limited by memory alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hep_flows.expr.types import Member


def postorder(*roots: Expr, into: Callable[[Expr], bool] | None = None) -> Iterator[Expr]:
    """Give every distinct node once, children before parents, in a fixed order.

    Parameters
    ----------
    *roots : Expr
        Where to begin.
    into : callable, optional
        Nodes for which it is false are left out, with what only they lead to.
    """
    seen: set[bytes] = set()
    for root in roots:
        stack: list[Expr | None] = [root]
        while stack:
            node = stack.pop()
            if node is None:  # below it stands a node whose inputs are done
                done = stack.pop()
                if done is not None:
                    yield done
                continue
            if node.key in seen or (into is not None and not into(node)):
                continue
            seen.add(node.key)
            inputs = node.inputs()
            if inputs:
                stack += (node, None, *reversed(inputs))
            else:
                yield node


def rewrite(
    roots: Iterable[Expr],
    change: Callable[[Expr, tuple[Expr, ...]], Expr],
    into: Callable[[Expr], bool] | None = None,
) -> tuple[Expr, ...]:
    """Rebuild expressions from the leaves up.

    Parameters
    ----------
    roots : iterable of Expr
        The expressions; parts that they share are rebuilt once.
    change : callable
        Gets a node and its already rebuilt inputs, gives the new node.
    into : callable, optional
        Nodes for which it is false are kept as they are.
    """
    roots = tuple(roots)
    done: dict[bytes, Expr] = {}
    for node in postorder(*roots, into=into):
        done[node.key] = change(node, tuple([done.get(i.key, i) for i in node.inputs()]))
    return tuple([done.get(r.key, r) for r in roots])


def depending(roots: Iterable[Expr], on: Callable[[Expr], bool]) -> set[bytes]:
    """Give the keys of the nodes for which ``on`` is true, and of all that is made of them."""
    found: set[bytes] = set()
    for node in postorder(*roots):
        if on(node) or any([i.key in found for i in node.inputs()]):
            found.add(node.key)
    return found


def uses(*roots: Expr) -> dict[bytes, int]:
    """Count, by key, how often each node is an input of another distinct node or a root."""
    count: dict[bytes, int] = {}
    for node in postorder(*roots):
        for i in node.inputs():
            count[i.key] = count.get(i.key, 0) + 1
    for root in roots:
        count[root.key] = count.get(root.key, 0) + 1
    return count


# Which members of the schema an expression needs, so that nothing else has to travel with it -------------------------------------


class Needed:
    """The needed members of each stored record.

    A record that is a result, or part of one, is needed whole. So is a collection that is used without a leaf (counted, looped
    over): a plug-in is free to choose the leaf that it takes the number of elements from. Of anything else only the leaves that
    are used.
    """

    def __init__(self, *roots: Expr) -> None:
        self._whole: set[Record] = set()
        self._some: dict[Record, set[str]] = {}
        nodes = list(postorder(*roots))
        results = {root.key for root in roots}
        for node in reversed(nodes):
            if isinstance(node, Input):
                self._keep_whole(node)
            elif node.key in results and isinstance(node.type.item, Record):
                self._keep_whole(node)
                results.update([i.key for i in _parts_of_result(node)])
            self._use(node)

    def members(self, record: Record) -> dict[str, Member]:
        """Give the needed members of a record, in the record's order."""
        used = self._some.get(record, set())
        names = [n for n in record.members if record in self._whole or n in used]
        # An open record has members that it does not list.
        more = sorted(used - set(names))
        return {n: record.members[n] for n in (*names, *more) if n in record.members}

    def _use(self, node: Expr) -> None:
        if isinstance(node, Field):
            record = node.of.type.item
            assert isinstance(record, Record)
            self._some.setdefault(record, set()).add(node.name)
            if node.default is not None and len(node.type.axes) > 1:
                # Where a file lacks the leaf, another leaf of the collection tells how many objects there are.
                self._keep_whole(node.of)
            return
        for part in node.inputs():
            if len(part.type.axes) > 1 or part.type.loops:
                self._keep_whole(part)

    def _keep_whole(self, node: Expr) -> None:
        ahead = [node.type.item]
        while ahead:
            item = ahead.pop()
            if isinstance(item, Record) and item not in self._whole:
                self._whole.add(item)
                ahead.extend([m.item for m in item.members.values()])


def _parts_of_result(node: Expr) -> Iterator[Expr]:
    """Give the inputs whose records are in the result."""
    match node:
        case Filter() | Bound():
            yield node.of
        case Map():
            yield node.body
        case Call(function="record" | "replace" | "concatenate"):
            yield from node.args
        case Call():
            yield from node.args[:1]
        case Dataset() | Field() | Literal() | Input():
            return


def over(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
    """Give the same node over other inputs that stand for the same values: its type stays, whatever their keys are."""
    if all(a is b for a, b in zip(inputs, node.inputs(), strict=True)):
        return node
    match node:
        case Dataset() | Literal() | Input():
            return node
        case Field() | Bound():
            return replace(node, of=inputs[0])
        case Filter():
            return replace(node, of=inputs[0], mask=inputs[1])
        case Map():
            return replace(node, over=inputs[0], body=inputs[1])
        case Call():
            return replace(node, args=inputs)
        case _:
            assert_never(node)

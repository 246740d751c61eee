"""The only traversals of expressions: none of them recurses, so depth is limited by memory alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hep_flows.expr.nodes import Expr


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


def uses(*roots: Expr) -> dict[bytes, int]:
    """Count, by key, how often each node is an input of another distinct node or a root."""
    count: dict[bytes, int] = {}
    for node in postorder(*roots):
        for i in node.inputs():
            count[i.key] = count.get(i.key, 0) + 1
    for root in roots:
        count[root.key] = count.get(root.key, 0) + 1
    return count

"""Aliases: names that stand for an expression on every collection they match, whatever the table.

They are expanded while an expression is recorded and read by no later step. The catalogue is a context variable: `alias_scope`
gives a scope of its own, `reset_aliases` empties the current one.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, RecordError, with_article
from hep_flows.record.arguments import checked
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hep_flows.errors import Where
    from hep_flows.record.table import Recorded


@dataclass(frozen=True, slots=True)
class Alias:
    """One alias: ``base`` is ``''`` for anywhere, ``'.'`` for the table, ``'Jet'`` by name, ``'.Jet'`` by full path."""

    base: str
    name: str
    definition: Callable[[Recorded], Recorded]
    where: Where

    def matches(self, path: tuple[str, ...], name: str) -> bool:
        """Say whether the alias holds for that name of the object at that path below the table."""
        if self.name != name:
            return False
        if self.base == "":
            return True
        wanted = tuple(p for p in self.base.split(".") if p)
        if self.base.startswith("."):
            return len(wanted) == len(path) and _same_path(wanted, path)
        return len(wanted) <= len(path) and _same_path(wanted, path[len(path) - len(wanted) :])


def _same_path(wanted: tuple[str, ...], path: tuple[str, ...]) -> bool:
    # PHYSLITE's "AnalysisElectrons" is what df.Electrons("Electrons") gives.
    return all(p in (w, f"Analysis{w}") for w, p in zip(wanted, path, strict=True))


_ALIASES: ContextVar[tuple[Alias, ...]] = ContextVar("hep_flows_aliases", default=())
_EXPANDING: ContextVar[tuple[tuple[str, tuple[str, ...]], ...]] = ContextVar("hep_flows_expanding", default=())


@checked
def define_alias(base: Any, name: Any, definition: Any) -> None:
    """Let ``name`` stand for ``definition(object)`` wherever the object matches ``base``.

    Parameters
    ----------
    base : str
        ``''`` anywhere, ``'.'`` on the table itself, ``'Jet'`` on collections of that name, ``'.Jet'`` on exactly that path.
    name : str
        The new name. It may hide a stored leaf, and the definition may use the hidden leaf.
    definition : callable
        Gets the object, gives the expression.

    Notes
    -----
    Of several aliases of one name the last wins. An alias acts when a name is recorded: earlier expressions keep their meaning.
    """
    where = user_site()
    if not isinstance(base, str) or not isinstance(name, str) or not name:
        raise LiteralError(
            "an alias has a base and a name, both text", where=where, do="define_alias('Jet', 'gev', lambda j: j.pt / 1000)"
        )
    if not callable(definition):
        raise LiteralError(
            f"an alias is defined by a function, not {with_article(definition)}", where=where, do="write lambda j: ..."
        )
    _ALIASES.set((*_ALIASES.get(), Alias(base, name, definition, where)))


@contextlib.contextmanager
def alias_scope() -> Iterator[None]:
    """Keep the aliases that are defined inside the ``with`` block inside it."""
    token = _ALIASES.set(_ALIASES.get())
    try:
        yield
    finally:
        _ALIASES.reset(token)


def reset_aliases() -> None:
    """Forget the aliases of the current scope."""
    _ALIASES.set(())


def any_aliases() -> bool:
    """Say whether any alias is defined."""
    return bool(_ALIASES.get())


def alias_for(path: tuple[str, ...], name: str) -> Alias | None:
    """Give the alias that holds for a name, the last defined first; none while that name is being expanded there."""
    if (name, path) in _EXPANDING.get():
        return None
    return next((a for a in reversed(_ALIASES.get()) if a.matches(path, name)), None)


def alias_names(path: tuple[str, ...]) -> tuple[str, ...]:
    """Give the names of all aliases that hold at a path."""
    return tuple(dict.fromkeys(a.name for a in _ALIASES.get() if a.matches(path, a.name)))


def circle_of(path: tuple[str, ...], name: str) -> str:
    """Give the chain of aliases being expanded that leads back to this name, or an empty string."""
    chain = [n for n, p in _EXPANDING.get() if p == path]
    return " -> ".join([*chain[chain.index(name) :], name]) if name in chain else ""


def expand(alias: Alias, frame: Recorded, path: tuple[str, ...]) -> Recorded:
    """Give what the alias stands for on an object; inside, the name means the leaf that it hides."""
    from hep_flows.record.table import Recorded

    token = _EXPANDING.set((*_EXPANDING.get(), (alias.name, path)))
    try:
        value = alias.definition(frame)
    finally:
        _EXPANDING.reset(token)
    if not isinstance(value, Recorded):
        raise RecordError(
            f"alias {alias.name!r} gives {with_article(value)}, not an expression",
            where=alias.where,
            do="return an expression of the argument",
        )
    return value

"""Members of a record whose schema is not closed: a rule says what any other name is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from hep_flows.expr.types import Member


class OpenMembers(Mapping[str, Member]):
    """The known members, and by a rule any others.

    Looking at all members gives the known ones; asking for one more name asks the rule, whose answer is kept: a name stands for one
    thing.

    Parameters
    ----------
    known : mapping of str to Member
        The members that are listed.
    rule : callable
        Gives the member of another name, or None when there is none.
    """

    __slots__ = ("_known", "_made", "_rule")

    def __init__(self, known: Mapping[str, Member], rule: Callable[[str], Member | None]) -> None:
        """Nothing is asked yet."""
        self._known, self._rule = known, rule
        self._made: dict[str, Member | None] = {}

    def _found(self, name: str) -> Member | None:
        if name in self._known:
            return self._known[name]
        if name not in self._made:
            self._made[name] = self._rule(name)
        return self._made[name]

    def __getitem__(self, name: str) -> Member:
        """Give a member."""
        found = self._found(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        """Say whether the name is known, or the rule knows it."""
        return isinstance(name, str) and self._found(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Give the known names."""
        return iter(self._known)

    def __len__(self) -> int:
        """Count the known names."""
        return len(self._known)

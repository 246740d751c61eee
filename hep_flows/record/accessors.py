"""The xAOD way to name things: ``df.Electrons("Electrons")`` for a container, ``p.eta()`` for a leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import FieldError, LiteralError, did_you_mean
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.types import Record
from hep_flows.record.members import member_of
from hep_flows.record.source_line import user_site
from hep_flows.record.xaod_names import ACCESSORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.errors import Where
    from hep_flows.record.dataframe import DataFrame


@dataclass(frozen=True, slots=True)
class Accessor:
    """A method of the xAOD event that waits for the name of a container."""

    frame: DataFrame
    name: str

    def __call__(self, container: Any = "", *more: Any) -> DataFrame:
        """Give the container of that name: as given, else with ``Analysis`` in front, as PHYSLITE writes it."""
        where = user_site()
        if more or not isinstance(container, str) or not container:
            raise LiteralError(f"{self.name} takes the name of a container", where=where, do=f'df.{self.name}("{self.name}")')
        frame = self.frame
        for tried in (container, f"Analysis{container}"):
            found = member_of(frame, frame._expr, tried, frame._table, where)  # noqa: SLF001
            if found is not None:
                return frame._made(found)  # noqa: SLF001
        known = [n for n, m in frame._expr.type.item.members.items() if isinstance(m.item, Record)]  # type: ignore[union-attr]  # noqa: SLF001
        raise FieldError(
            f"the file has no container {container!r}",
            where=where,
            why=f"tried {container!r} and 'Analysis{container}'; it has {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}",
            do=did_you_mean(container, [*known, *(k.removeprefix("Analysis") for k in known)]),
        )

    def __getattr__(self, name: str) -> Any:
        """Say that the container's name is missing."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise FieldError(
            f"df.{self.name} needs the name of a container", where=user_site(), do=f'df.{self.name}("{self.name}").{name}'
        )


def accessed(frame: DataFrame, name: str) -> Accessor | None:
    """Give the accessor of that name, on an xAOD event only."""
    item = frame._expr.type.item  # noqa: SLF001
    is_event = len(frame._expr.type.axes) == 1 and isinstance(item, Record) and item.model == "xaod"  # noqa: SLF001
    return Accessor(frame, name) if is_event and name in ACCESSORS else None


def called_leaf(frame: DataFrame, args: Sequence[Any], kwargs: dict[str, Any], where: Where) -> DataFrame:
    """Give an xAOD leaf that is written as a call.

    Raises
    ------
    LiteralError
        For a call with arguments, or of something that is no xAOD leaf.
    """
    expr = frame._expr  # noqa: SLF001
    item = expr.type.item
    if isinstance(expr, Dataset) or not is_xaod(frame):
        name = getattr(expr, "name", "this expression")
        raise LiteralError(
            f"{name} is not a method here",
            where=where,
            why="no plug-in or schema knows a call of that name",
            do="leave the parentheses out, or declare a function with @user_func",
        )
    if isinstance(item, Record) and len(args) == 1 and isinstance(args[0], str):
        root = frame._made(frame._table.dataset)  # noqa: SLF001
        return Accessor(root, getattr(expr, "name", "container"))(args[0])
    if args or kwargs:
        raise LiteralError("an xAOD leaf takes no arguments", where=where, do="write it as p.pt or p.pt()")
    return frame


def is_xaod(frame: DataFrame) -> bool:
    """Say whether the frame belongs to an xAOD table."""
    item = frame._table.dataset.type.item  # noqa: SLF001
    return isinstance(item, Record) and item.model == "xaod"

"""What changed between two expressions, in the words of an analysis: "``events.Jet.pt > 30`` became ``events.Jet.pt > 35``"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.errors import line_of
from hep_flows.expr.file_names import shown
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Histogram
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from hep_flows.planning.task import Key

WIDTH = 60
MOST = 4


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Parameters
    ----------
    node : bytes
        The key of the node in the new expression that shows it.
    text : str
        What changed, and where.
    """

    node: Key
    text: str


def shape(expr: Expr) -> bytes:
    """Give what two expressions share that differ in constants, bins and data only."""
    made: dict[Key, bytes] = {}
    for node in postorder(expr):
        inputs = tuple([made[i.key] for i in node.inputs()])
        made[node.key] = digest("shape", node.tag, _name(node), inputs)
    return made[expr.key]


def changes(old: Expr, new: Expr) -> tuple[Change, ...]:
    """Give the first few differences between two expressions, deepest first; none when they are the same."""
    found: dict[Key, Change] = {}
    seen: set[tuple[Key, Key]] = set()
    pairs: list[tuple[Expr, Expr, Expr, Expr]] = [(old, new, old, new)]
    while pairs:
        a, b, above_a, above_b = pairs.pop()
        if a.key == b.key or (a.key, b.key) in seen:
            continue
        seen.add((a.key, b.key))
        if isinstance(a, Literal) and isinstance(b, Literal):
            found.setdefault(above_b.key, _became(above_a, above_b))
            continue
        own = _own(a, b)
        if own is not None:
            found.setdefault(b.key, own)
            continue
        pairs.extend([(x, y, a, b) for x, y in _paired(a, b)])
    return tuple(found.values())[:MOST]


def _name(node: Expr) -> tuple[str, ...]:
    match node:
        case Dataset():
            return (node.model, node.tree)
        case Field():
            return (node.name, *[f"{part}" for part in node.default_identity()])
        case Call():
            return (node.function if isinstance(node.function, str) else node.function.name,)
        case Literal() | Filter() | Bound() | Map() | Input():
            return ()


def _own(a: Expr, b: Expr) -> Change | None:
    """Give the difference between two nodes themselves; None when it lies further down."""
    if isinstance(a, Dataset) and isinstance(b, Dataset):
        return Change(b.key, "; ".join(_files(a, b)) or "it is another table")
    if a.tag != b.tag or _name(a) != _name(b) or len(a.inputs()) != len(b.inputs()):
        return _became(a, b)
    if isinstance(a, Call) and isinstance(b, Call):
        if isinstance(a.function, UserFunction) and isinstance(b.function, UserFunction) and a.function != b.function:
            return Change(b.key, f"{_function(b.function)} changed{_place(b)}")
        if _spec(a) != _spec(b) and isinstance(a.function, str) and a.function != "fill":
            return Change(b.key, f"the axes or the storage of the histogram changed{_place(b)}")
        if a.options != b.options:
            return _became(a, b)
    if isinstance(a, Filter) and isinstance(b, Filter) and a.at != b.at:
        return _became(a, b)
    return None


def _function(function: UserFunction) -> str:
    if function.from_file:
        return function.note
    return f"the function {function.name}, what it calls or what it captures"


def _spec(node: Expr) -> str:
    return node.type.item.spec if isinstance(node.type.item, Histogram) else ""


def _paired(a: Expr, b: Expr) -> list[tuple[Expr, Expr]]:
    """Pair the inputs that correspond: those that are the same are set aside first, wherever they stand."""
    there, here = {i.key for i in b.inputs()}, {i.key for i in a.inputs()}
    left = [i for i in a.inputs() if i.key not in there]
    right = [i for i in b.inputs() if i.key not in here]
    return list(zip(left, right, strict=True)) if len(left) == len(right) else list(zip(a.inputs(), b.inputs(), strict=True))


def _became(a: Expr, b: Expr) -> Change:
    old, new = one_line(a, WIDTH), one_line(b, WIDTH)
    if old == new:
        return Change(b.key, f"`{new}` changed{_place(b)}")
    return Change(b.key, f"`{old}` became `{new}`{_place(b)}")


def _place(node: Expr) -> str:
    line = line_of(node.where)
    return "" if line is None else f" at {line.file.rsplit('/', 1)[-1]}:{line.line}"


def _files(a: Dataset, b: Dataset) -> list[str]:
    """Say which files are new, gone or replaced."""
    said: list[str] = []
    gone = [i for i, c in enumerate(a.content) if c not in b.content]
    new = [i for i, c in enumerate(b.content) if c not in a.content]
    # Of what was stored, names are as they may be shown.
    names = {shown(file): i for i, file in enumerate(a.files)}
    now = [shown(file) for file in b.files]
    replaced = [i for i in new if now[i] in names and names[now[i]] in gone]
    said += [f"file {i + 1} ({_short(b, i)}) was replaced" for i in replaced]
    said += [f"file {i + 1} ({_short(b, i)}) was added" for i in new if i not in replaced]
    over = {names[now[i]] for i in replaced}
    said += [f"file {i + 1} ({_short(a, i)}) was removed" for i in gone if i not in over]
    if not said and a.content != b.content:
        said.append("the order of the files changed")
    return said if len(said) <= MOST else [*said[:MOST], f"and {len(said) - MOST} files more"]


def _short(table: Dataset, number: int) -> str:
    return table.files[number].split("?", 1)[0].rsplit("/", 1)[-1] if number < len(table.files) else "?"

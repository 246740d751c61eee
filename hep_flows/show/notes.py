"""What a plan has to say beyond its tasks: assumptions, parts that cannot be stored, and why a plug-in was not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.functions import mixed_units
from hep_flows.expr.nodes import Call, Dataset, Field
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from hep_flows.expr.functions import UserFunction
    from hep_flows.expr.nodes import Default, Expr
    from hep_flows.planning.task import Plan

MOST = 12


def notes(plan: Plan) -> list[str]:
    """Give the notes on the expressions of a plan, each once, in order of use."""
    found: dict[str, None] = {}
    for node in postorder(*plan.exprs):
        if isinstance(node, Call):
            found.update(dict.fromkeys(_of_call(node)))
        elif isinstance(node, Dataset):
            found.update(dict.fromkeys(_of_table(node)))
        elif isinstance(node, Field) and node.default is not None:
            found.update(dict.fromkeys(_of_default(node, node.default)))
    found.update(dict.fromkeys(_assumed(plan)))
    return _first(list(found))


def _of_default(node: Field, default: Default) -> list[str]:
    """Say which leaf that was asked for with a default is in no file: it may be misspelled."""
    record = node.of.type.item
    if not isinstance(record, Record) or node.name in record.members:
        return []
    whose = "" if isinstance(node.of, Dataset) else f"{record.name}."
    return [f"{whose}{node.name} is in no file: {default.value!r} stands for it everywhere"]


def _of_table(table: Dataset) -> list[str]:
    """Say which tables stand for names, not for content: a change at the server is not noticed."""
    from hep_flows.plugins.servicex.remote_identity import RemoteIdentity

    read = [RemoteIdentity.read(c) for c in table.content]
    n_named = sum([r is not None and r.is_by_name for r in read])
    if not n_named:
        return []
    which = table.name if n_named == 1 else f"{table.name}: {n_named:,} files"
    verb = "is" if n_named == 1 else "are"
    return [f"{which} {verb} known by name only: servicex_table(..., refresh=True) asks the server anew"]


def _assumed(plan: Plan) -> list[str]:
    """Name the leaves that are in no schema."""
    from hep_flows.plugins.servicex.typed_xaod import assumed_leaves

    leaves = assumed_leaves(plan.exprs)
    return [f"taken for methods that give a double, since no schema names them: {', '.join(leaves)}"] if leaves else []


def _of_call(node: Call) -> list[str]:
    if isinstance(node.function, str):
        mixed = mixed_units(node.function, [a.type for a in node.args])
        return [f"{one_line(node, 80)} mixes {mixed[0]} and {mixed[1]}; nothing is converted"] if mixed else []
    return _of_function(node.function)


def _of_function(function: UserFunction) -> list[str]:
    found = [f"{function.name}: {function.note}"] if function.note else []
    if not function.portable:
        found.append(f"{function.name} {function.why_not_portable}: what depends on it is computed, never stored")
    return found


def refusals(plan: Plan) -> list[str]:
    """Give why plug-ins did not take steps, one line for each plug-in and reason.

    Of a plug-in that cannot read a table, what it says of the steps above that is left out.
    """
    first: dict[tuple[str, str], Expr] = {}
    count: dict[tuple[str, str], int] = {}
    unread = _unread(plan)
    for node in postorder(*plan.exprs):
        for plugin, reason in sorted(plan.refusals.get(node.key, {}).items()):
            if unread.get(plugin, reason) != reason:
                continue
            first.setdefault((plugin, reason), node)
            count[plugin, reason] = count.get((plugin, reason), 0) + 1
    lines = []
    for (plugin, reason), node in first.items():
        number = count[plugin, reason]
        which = one_line(node, 60) if number == 1 else f"{number:,} steps, the first is {one_line(node, 40)}"
        lines.append(f"not {plugin}: {reason} ({which})")
    return _first(lines)


def _unread(plan: Plan) -> dict[str, str]:
    """Give the plug-ins that run nothing because they cannot read the tables, and what they say of the first."""
    found: dict[str, str] = {}
    running = set(plan.labels.values())
    for node in postorder(*plan.exprs):
        if isinstance(node, Dataset):
            for plugin, reason in plan.refusals.get(node.key, {}).items():
                if plugin not in running:
                    found.setdefault(plugin, reason)
    return found


def _first(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST else [*lines[:MOST], f"... and {len(lines) - MOST:,} more"]

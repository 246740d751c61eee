"""Versions of libraries that differ between then and now: said, and never part of a key."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from hep_flows.execute.last_run import last_like, tables_of
from hep_flows.execute.results import Results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.planning.task import Plan
    from hep_flows.store.store import Store

PYTHON = "python"
MOST_TARGETS = 20


def library_remarks(plan: Plan, store: Store) -> tuple[str, ...]:
    """Give what there is to say of libraries that have other versions now than when the first targets of a plan were computed last."""
    results, tables = Results(store), tables_of(plan)
    found: dict[str, None] = {}
    for target, expr in list(zip(plan.targets, plan.exprs, strict=True))[:MOST_TARGETS]:
        note = last_like(expr, tables[target], results)
        if note is not None:
            found.update(dict.fromkeys(changed_libraries(note.libraries)))
    return (f"{'; '.join(found)}: not part of the key",) if found else ()


def changed_libraries(then: Mapping[str, str]) -> list[str]:
    """Give ``numpy 2.1.0 then, 2.2.0 now`` for each library that has another version now."""
    found = []
    for name, before in then.items():
        now = _installed(name)
        if now != before:
            found.append(f"{name} {before} then, {now or 'not installed'} now")
    return found


def _installed(name: str) -> str:
    if name == PYTHON:
        import platform

        return platform.python_version()
    if name == "hep_flows":
        # What runs may be a checkout, which is not what is installed.
        from hep_flows import __version__

        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return ""

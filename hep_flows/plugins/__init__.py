"""Find plug-ins through their entry points: the built-in ones use the same door as anybody's.

Nothing is imported before it is asked for, and a plug-in that cannot be imported is a reason to show, not a crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.contract import GROUP, Plugin, package_of, registered_points
from hep_flows.errors import PluginError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, slots=True)
class Found:
    """One registered plug-in: itself, or why it cannot be used.

    Parameters
    ----------
    name : str
        The name that it is registered under.
    package : str
        The distribution that registers it, with its version.
    plugin : Plugin, optional
        The plug-in; None when it cannot be used, and when it executes nothing.
    reason : str
        Why it cannot be used, or that it executes nothing; empty when it can.
    brings : tuple of str
        The kinds of tables that it brings.
    """

    name: str
    package: str
    plugin: Plugin | None
    reason: str = ""
    brings: tuple[str, ...] = ()


def registered(names: Sequence[str] | None = None) -> tuple[Found, ...]:
    """Give every registered plug-in, or those of these names, ordered by name; broken ones with the reason.

    Raises
    ------
    PluginError
        When two packages register one name, or a name is not registered.
    """
    points = registered_points()
    for name in names or ():
        if name not in points:
            raise _unknown(name, points)
    wanted = sorted(points) if not names else sorted(set(names))
    return tuple([_loaded(points[name]) for name in wanted])


def installed(names: Sequence[str] | None = None) -> tuple[Plugin, ...]:
    """Give the plug-ins that can be used, ordered by name.

    Parameters
    ----------
    names : sequence of str, optional
        Only these; each must be usable, if only to bring kinds of tables. All that are usable when left out or empty.

    Raises
    ------
    PluginError
        When a named plug-in does not exist or cannot be used, or two packages register one name.
    """
    found = registered(names)
    if names:
        return tuple([_usable(f) for f in found if f.plugin is not None or not f.brings])
    return tuple([f.plugin for f in found if f.plugin is not None])


def find(name: str) -> Plugin:
    """Give the plug-in of that name.

    Raises
    ------
    PluginError
        When there is none, or it cannot be used.
    """
    return _usable(registered((name,))[0])


def _usable(found: Found) -> Plugin:
    if found.plugin is None:
        raise PluginError(
            f"the plug-in {found.name!r} of {found.package} cannot be used",
            why=found.reason,
            do="install what is missing, or leave the plug-in out",
        )
    return found.plugin


def _loaded(point: EntryPoint) -> Found:
    package = package_of(point)
    try:
        made: object = point.load()()
        name = made.name  # type: ignore[attr-defined]
        brings = tuple([s.kind for s in getattr(made, "sources", ())])
    except Exception as error:  # noqa: BLE001  (foreign code: whatever it raises is why it cannot be used)
        return Found(point.name, package, None, f"{type(error).__name__}: {error}")
    if name != point.name:
        return Found(point.name, package, None, f"it calls itself {name!r}")
    if isinstance(made, Plugin):
        return Found(point.name, package, made, "", brings)
    if brings and not hasattr(made, "can_run"):
        return Found(point.name, package, None, f"it brings tables of kind {', '.join(brings)}, and executes nothing", brings)
    lacks = [m for m in sorted(vars(Plugin)) if not m.startswith("_") and not hasattr(made, m)]
    return Found(point.name, package, None, f"it has no {', '.join(lacks)}: hep_flows.contract.Plugin is what to derive it from")


def _unknown(name: str, known: Mapping[str, EntryPoint]) -> PluginError:
    return PluginError(
        f"there is no plug-in {name!r}",
        why=f"installed are: {', '.join(sorted(known)) or 'none'}",
        do=did_you_mean(name, known) or f"install the package that registers it as an entry point of {GROUP!r}",
    )

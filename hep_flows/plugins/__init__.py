"""Find plug-ins through their entry points: the built-in ones use the same door as anybody's.

Nothing is imported before it is asked for, and a plug-in that cannot be imported is a reason to show, not a crash.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from hep_flows.errors import PluginError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.metadata import EntryPoint

    from hep_flows.contract import Plugin

GROUP = "hep_flows.plugins"


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
        The plug-in; None when it cannot be used.
    reason : str
        Why it cannot be used; empty when it can.
    """

    name: str
    package: str
    plugin: Plugin | None
    reason: str = ""


def registered(names: Sequence[str] | None = None) -> tuple[Found, ...]:
    """Give every registered plug-in, or those of these names, ordered by name; broken ones with the reason.

    Raises
    ------
    PluginError
        When two packages register one name, or a name is not registered.
    """
    points = _points()
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
        Only these; each must be usable. All that are usable when left out or empty.

    Raises
    ------
    PluginError
        When a named plug-in does not exist or cannot be used, or two packages register one name.
    """
    found = registered(names)
    if names:
        return tuple([_usable(f) for f in found])
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


def _points() -> dict[str, EntryPoint]:
    return dict(_points_on(tuple(sys.path), entry_points))


@lru_cache(maxsize=1)
def _points_on(_path: tuple[str, ...], find: Callable[..., Iterable[EntryPoint]]) -> dict[str, EntryPoint]:
    """Give the entry points that are found on a search path; reading what every installed package says takes a while."""
    points: dict[str, EntryPoint] = {}
    for point in find(group=GROUP):
        other = points.get(point.name)
        if other is not None and other.value != point.value:
            raise PluginError(
                f"two packages register a plug-in {point.name!r}: {_package(other)} and {_package(point)}",
                why="labels and keys of results name the plug-in, so a name must mean one thing",
                do="uninstall one of them",
            )
        points[point.name] = point
    return points


def _loaded(point: EntryPoint) -> Found:
    package = _package(point)
    try:
        plugin: Plugin = point.load()()
        name = plugin.name
    except Exception as error:  # noqa: BLE001  (foreign code: whatever it raises is why it cannot be used)
        return Found(point.name, package, None, f"{type(error).__name__}: {error}")
    if name != point.name:
        return Found(point.name, package, None, f"it calls itself {name!r}")
    return Found(point.name, package, plugin)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.module


def _unknown(name: str, known: dict[str, EntryPoint]) -> PluginError:
    return PluginError(
        f"there is no plug-in {name!r}",
        why=f"installed are: {', '.join(sorted(known)) or 'none'}",
        do=did_you_mean(name, known) or f"install the package that registers it as an entry point of {GROUP!r}",
    )

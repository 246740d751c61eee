"""Who runs a plan: this process alone, a Prefect server of its own, or the one that the user has configured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.errors import OrchestrationError, with_article
from hep_flows.settings import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.errors import Where

Kind = Literal["inline", "embedded", "server", "configured"]
KINDS = ("inline", "embedded", "configured")


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine, and why it is that one.

    Parameters
    ----------
    kind : str
        ``inline``: no Prefect; ``embedded``: a server of this process; ``server``: one that was started for this cache folder;
        ``configured``: the user's own.
    why : str
        A few words for the report.
    url : str
        The address of the API, where it is known.
    """

    kind: Kind
    why: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice depends on.

    Parameters
    ----------
    asked : str, optional
        The engine that was asked for: by an argument or a setting.
    can_store : bool
        Whether results can be handed on through the store.
    is_small : bool
        Whether the work takes less time than starting a server.
    has_runner : bool
        Whether a task runner was given, which needs Prefect.
    folder : str
        Where the servers of the cache folder are noted.
    """

    asked: str | None
    can_store: bool
    is_small: bool
    has_runner: bool
    folder: str


def chosen(situation: Situation) -> Engine:
    """Give the engine.

    What was asked for is taken. Else: a Prefect that the user has configured; a server that runs for this cache folder; a server of
    this process, unless the work is done sooner than that would start.

    Raises
    ------
    OrchestrationError
        When the engine that was asked for cannot be used.
    """
    asked = situation.asked
    if asked is not None and asked not in KINDS:
        raise OrchestrationError(f"there is no engine {asked!r}", do=f"it is one of {', '.join(KINDS)}")
    if asked == "inline":
        if situation.has_runner:
            raise OrchestrationError("a task runner needs Prefect", do='leave engine="inline" out, or the task runner')
        return Engine("inline", "asked for")
    if not situation.can_store:
        return _without_store(situation)
    if asked == "configured":
        return Engine("configured", "asked for")
    if asked is None and (where := configured_at()):
        return Engine("configured", where)
    if (url := _running(situation.folder)) is not None:
        return Engine("server", "a server runs for this cache folder", url)
    if asked is None and situation.is_small and not situation.has_runner:
        return Engine("inline", "the work takes less time than starting a server")
    return Engine("embedded", "asked for" if asked else "the default")


def check_task_runner(task_runner: object, where: Where) -> None:
    """Check that a task runner is one, before anything is computed with another.

    Raises
    ------
    OrchestrationError
        When it is none.
    """
    if task_runner is not None and not all(callable(getattr(task_runner, n, None)) for n in ("submit", "map", "duplicate")):
        raise OrchestrationError(
            f"a task runner is an object of Prefect, not {with_article(task_runner)}",
            where=where,
            why="its class says where the work is done, and its arguments at which address",
            do="give one: from prefect_dask import DaskTaskRunner; task_runner=DaskTaskRunner(address='tcp://host:8786')",
        )


def asked_engine(engine: str, sources: Mapping[str, str]) -> str | None:
    """Give the engine that somebody asked for, by an argument or a setting; None where it is the default."""
    return engine if sources.get("engine") != "default" else None


def configured_at() -> str:
    """Say where the user has configured a Prefect API, without importing Prefect; empty when nowhere."""
    known = environment()
    if known.get("PREFECT_API_URL"):
        return "PREFECT_API_URL is set"
    home = Path(known.get("PREFECT_HOME") or Path.home() / ".prefect")
    file = Path(known.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    name = _profile_with_url(file, known.get("PREFECT_PROFILE", ""))
    return f"the Prefect profile {name!r}" if name else ""


def _profile_with_url(file: Path, chosen_profile: str) -> str:
    import tomllib

    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    name = chosen_profile or content.get("active")
    profiles = content.get("profiles")
    profile = profiles.get(name) if isinstance(profiles, dict) else None
    return str(name) if isinstance(profile, dict) and profile.get("PREFECT_API_URL") else ""


def _without_store(situation: Situation) -> Engine:
    if situation.asked is not None or situation.has_runner:
        raise OrchestrationError(
            "tasks of Prefect hand results on through the cache, and there is none that can be written",
            do='set HEP_FLOWS_CACHE to a folder of yours, or run with engine="inline"',
        )
    return Engine("inline", "there is no cache to hand results on through")


def _running(folder: str) -> str | None:
    from hep_flows.orchestrate.server import running

    found = running(folder)
    return None if found is None else found.url

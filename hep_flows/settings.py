"""What the user sets once, outside the analysis: read here, passed down, never global.

Every field can be set by an environment variable of its name with ``HEP_FLOWS_`` in front. This is the only module that reads
the environment. It loads pydantic, so it is imported where settings are read, not at the top of a module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hep_flows.errors import HepFlowsError


def default_cache() -> Path:
    """Give the cache folder of the operating system's convention: ``$XDG_CACHE_HOME/hep_flows``, else ``~/.cache/hep_flows``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "hep_flows"


class Settings(BaseSettings):
    """The settings of one run; they never change after they are read.

    Parameters
    ----------
    cache : Path
        The folder of stored results.
    workers : int
        Threads that run partitions at the same time.
    chunk_events : int
        About how many events one partition has.
    plugins : tuple of str
        The plug-ins that may be used, ``HEP_FLOWS_PLUGINS=awkward,hist``; empty means all that are installed.
    """

    model_config = SettingsConfigDict(env_prefix="HEP_FLOWS_", frozen=True, extra="ignore")

    cache: Path = Field(default_factory=default_cache)
    workers: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 8), ge=1, le=1024)
    chunk_events: int = Field(default=200_000, ge=1)
    plugins: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("plugins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(p.strip() for p in value.split(",") if p.strip()) if isinstance(value, str) else value

    @field_validator("cache")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()


def read_settings(**given: object) -> Settings:
    """Give the settings: what is given here, else the environment, else the defaults.

    Raises
    ------
    HepFlowsError
        When a value has the wrong form; it names the setting.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise HepFlowsError(
            f"the setting {name!r} has no usable value: {first['input']!r}",
            why=first["msg"],
            do=f"set HEP_FLOWS_{name.upper()} or leave it out",
        ) from None

"""``hep-flows config``: every setting, and where it comes from."""

from __future__ import annotations

import os
from typing import Any

import typer

from hep_flows.settings import explained_settings


def show_config() -> None:
    """Print each setting with its value and its source."""
    settings = explained_settings()
    width = max([len(s.name) for s in settings])
    shown = [(s.name, _text(s.name, s.value), s.source) for s in settings]
    wide = max([len(value) for _, value, _ in shown])
    for name, value, source in shown:
        typer.echo(f"{name:{width}s}  {value:{wide}s}  {source}")


def _text(name: str, value: Any) -> str:
    if value is None:
        return "off" if name == "cache" else "none"
    if isinstance(value, tuple):
        return (os.pathsep if name == "cache_layers" else ",").join([str(v) for v in value]) or "-"
    return f"{value:,}" if isinstance(value, int) else str(value)

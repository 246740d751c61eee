"""``hep-flows serve``: a flow from a file, by a schedule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hep_flows.cli.server import folder
from hep_flows.errors import OrchestrationError


def serve(
    file: Annotated[Path, typer.Argument(metavar="FLOW.py", help="The file of a flow, such as flows/scheduled_reprocessing.py.")],
    *,
    cron: Annotated[str, typer.Option(help='When it runs: "0 5 * * *" is every day at five [default: when asked for].')] = "",
    param: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter; may be given several times.")] = None,
    flow: Annotated[str, typer.Option(help="The name of the function, where the file has several flows.")] = "",
    name: Annotated[str, typer.Option(help="The name of the deployment.")] = "hep-flows",
) -> None:
    """Serve a flow until it is interrupted: runs by its schedule, or when asked for in the UI."""
    from hep_flows.orchestrate.serve import serve as serve_flow

    serve_flow(file, flow=flow, name=name, cron=cron, parameters=_parameters(param or []), folder=folder(), tell=typer.echo)


def _parameters(given: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE; a value that is JSON counts as that. Our flows take one model, so names are those of its fields."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise OrchestrationError(f"{one!r} is no parameter", do="write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found

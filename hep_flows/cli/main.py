"""The command ``hep-flows``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hep_flows import __version__
from hep_flows.cli.analysis import duplicates, fileset, plan, plot, replay, run, trace
from hep_flows.cli.cache import cache
from hep_flows.errors import HepFlowsError, OrchestrationError, StoreError
from hep_flows.plugins import registered
from hep_flows.settings import explained_settings, read_settings

# ``hep-flows server``: a Prefect server of the cache folder, with its UI ---------------------------------------------------------

server = typer.Typer(
    help="A Prefect server for the cache folder: later runs use it at once, and it has the UI.", no_args_is_help=True
)


@server.command()
def start(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port; a free one when left out.")] = None,
) -> None:
    """Start the server, and wait until it answers; one that runs is left alone."""
    from hep_flows.orchestrate import server

    found = server.running(folder())
    started = found or server.start(folder(), port)
    typer.echo(f"{'it runs already' if found else 'it runs'}: UI {started.ui}, API {started.url}, process {started.pid}")
    typer.echo(f"the UI asks for a password, which only you can read: the whole text of {server.token_file(folder())}")


@server.command()
def stop() -> None:
    """End the server; what is computed stays in the cache."""
    from hep_flows.orchestrate import server

    typer.echo("it is stopped" if server.stop(folder()) else "there is no server")


@server.command()
def status() -> None:
    """Say whether the server runs; the exit code is 1 when it does not."""
    from hep_flows.orchestrate import server

    found = server.running(folder())
    if found is None:
        typer.echo("no server runs; a run starts one for itself, and hep-flows server start gives one that stays")
        raise typer.Exit(1)
    typer.echo(f"it runs: UI {found.ui}, API {found.url}, process {found.pid}")


def folder() -> str:
    """Give where the servers of the cache folder are noted."""
    from hep_flows.execute.results import open_store
    from hep_flows.settings import read_settings

    store = open_store(read_settings())
    if store is None:
        raise StoreError("there is no cache, so there is no server for it", do="hep-flows config says where it is switched off")
    return f"{store.folder.root}/prefect"


# ``hep-flows serve``: a flow from a file, by a schedule --------------------------------------------------------------------------


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


app = typer.Typer(
    name="hep-flows",
    help="Array expressions on collision events, recorded first and executed as cached tasks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cache, name="cache")
app.add_typer(server, name="server")
app.add_typer(fileset, name="fileset")
app.command()(run)
app.command()(plan)
app.command()(plot)
app.command()(trace)
app.command()(replay)
app.command()(duplicates)


def main() -> None:
    """Run the command; an error of hep_flows prints as its text, and the exit code is 1."""
    # Taken out here, so that it may stand after a command too.
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        app(arguments)
    except HepFlowsError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"hep-flows {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, exists=True, help="Folder of real files, one PHYSLITE and one NanoAOD [default: the sample]."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the plots.")] = Path("demo-output"),
    events: Annotated[int, typer.Option(min=1, max=1_000_000, help="Size of the sample, if it is made.")] = 10_000,
) -> None:
    """Run the two listings of the paper: plans, yields, times and plots."""
    from hep_flows.cli.demo import run_demo

    run_demo(data or Path("demo-data"), out, events, made=data is None)


app.command()(serve)


@app.command()
def plugins() -> None:
    """List the plug-ins, and the reason where one cannot be used."""
    show_plugins()


@app.command()
def config() -> None:
    """Print each setting, and where it comes from."""
    show_config()


# ``hep-flows config``: every setting, and where it comes from --------------------------------------------------------------------


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


# ``hep-flows plugins``: which plug-ins there are, where they come from, and what keeps one from being used -----------------------


def show_plugins() -> None:
    """Print every registered plug-in, or why it cannot be used; those that the settings leave out are marked."""
    wanted = read_settings().plugins
    table = Table("plug-in", "results", "from", "state")
    for one in registered():
        left_out = bool(wanted) and one.name not in wanted
        state = one.reason or ("left out by HEP_FLOWS_PLUGINS" if left_out else "ready")
        table.add_row(one.name, one.plugin.result_version if one.plugin is not None else "", one.package, state)
    Console(soft_wrap=True, highlight=False).print(table)

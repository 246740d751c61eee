"""The command ``hep-flows``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hep_flows import __version__
from hep_flows.cli.analysis import plan, run
from hep_flows.cli.cache import cache
from hep_flows.cli.serve import serve
from hep_flows.cli.server import server
from hep_flows.errors import HepFlowsError

app = typer.Typer(
    name="hep-flows",
    help="Array expressions on collision events, recorded first and executed as cached tasks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cache, name="cache")
app.add_typer(server, name="server")
app.command()(run)
app.command()(plan)


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
    from hep_flows.cli.plugins import show_plugins

    show_plugins()


@app.command()
def config() -> None:
    """Print each setting, and where it comes from."""
    from hep_flows.cli.config import show_config

    show_config()


@app.command("servicex-sim")
def servicex_sim(
    data: Annotated[Path, typer.Option(file_okay=False, exists=True, help="Folder of ROOT files; a folder inside is a dataset.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on, on this machine only [default: a free one].")] = 0,
    fault: Annotated[
        list[str] | None, typer.Option(help="What goes wrong, such as 'file kind=fails file=*x.root times=2'.")
    ] = None,
    write: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the configuration to this file.")] = None,
) -> None:
    """Run a ServiceX server on local files, to try things without an account."""
    from hep_flows.cli.servicex_sim import run_simulator

    run_simulator(data, port, fault or [], write)

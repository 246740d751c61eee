"""``hep-flows server``: a Prefect server of the cache folder, with its UI."""

from __future__ import annotations

from typing import Annotated

import typer

from hep_flows.errors import StoreError

server = typer.Typer(
    help="A Prefect server for the cache folder: later runs use it at once, and it has the UI.", no_args_is_help=True
)


@server.command()
def start(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port; a free one when left out.")] = None,
) -> None:
    """Start the server, and wait until it answers; one that runs is left alone."""
    from hep_flows.orchestrate import server as servers

    found = servers.running(folder())
    started = found or servers.start(folder(), port)
    typer.echo(f"{'it runs already' if found else 'it runs'}: UI {started.ui}, API {started.url}, process {started.pid}")


@server.command()
def stop() -> None:
    """End the server; what is computed stays in the cache."""
    from hep_flows.orchestrate import server as servers

    typer.echo("it is stopped" if servers.stop(folder()) else "there is no server")


@server.command()
def status() -> None:
    """Say whether the server runs; the exit code is 1 when it does not."""
    from hep_flows.orchestrate import server as servers

    found = servers.running(folder())
    if found is None:
        typer.echo("no server runs; a run starts one for itself, and hep-flows server start gives one that stays")
        raise typer.Exit(1)
    typer.echo(f"it runs: UI {found.ui}, API {found.url}, process {found.pid}")


def folder() -> str:
    """Give where the servers of the cache folder are noted."""
    from hep_flows.execute.open_store import open_store
    from hep_flows.settings import read_settings

    store = open_store(read_settings())
    if store is None:
        raise StoreError("there is no cache, so there is no server for it", do="hep-flows config says where it is switched off")
    return f"{store.folder.root}/prefect"

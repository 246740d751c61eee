"""Serve a flow from a file: runs by a schedule, or when somebody asks for one, in processes that this one starts."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, get_type_hints

from hep_flows.errors import OrchestrationError, did_you_mean
from hep_flows.orchestrate.run import configured_at
from hep_flows.orchestrate.server import start, token_file, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from prefect import Flow


def serve(  # noqa: PLR0913 - what a deployment is made of
    file: Path, *, flow: str, name: str, cron: str, parameters: Mapping[str, Any], folder: str, tell: Callable[[str], None]
) -> None:
    """Serve until it is interrupted.

    Parameters
    ----------
    file : Path
        The file of the flow.
    flow : str
        The name of the function; may be empty where the file has one flow.
    name : str
        The name of the deployment.
    cron : str
        The schedule; empty for runs on demand only.
    parameters : mapping
        What runs get where nothing else is given.
    folder : str
        Where the server of the cache folder is noted; it is used, and started, unless the user has configured a Prefect API.
    tell : callable
        Gets lines for the user.

    Raises
    ------
    OrchestrationError
        When the file has no such flow, or the parameters do not fit it.
    """
    _name_of(file, flow)  # before a server is started, which would stay
    with ExitStack() as held:
        where = configured_at()
        if not where:
            from hep_flows.orchestrate.settings import shared_settings

            server = start(folder)
            held.enter_context(shared_settings(server.url, token_of(folder)))
            where = f"the server of the cache folder, UI {server.ui} with the password in {token_file(folder)}"
        found = flow_in(file, flow)
        shaped = _shaped(found, parameters)
        tell(f"serving {found.name!r} as {name!r} {f'at {cron!r}' if cron else 'on demand'}; {where}; Ctrl-C ends it")
        found.serve(name=name, cron=cron or None, parameters=shaped, print_starting_message=False)


def flow_in(file: Path, name: str = "") -> Flow[..., Any]:
    """Give the flow of that name in a file, or the only one.

    Raises
    ------
    OrchestrationError
        When there is none, or it is not clear which is meant.
    """
    from prefect.flows import load_flow_from_entrypoint

    return load_flow_from_entrypoint(f"{file.resolve()}:{_name_of(file, name)}")


def _name_of(file: Path, name: str) -> str:
    """Give the name of the flow that is meant; nothing is imported."""
    if not file.is_file():
        raise OrchestrationError(f"{file} is not a file", do="give the file of a flow, such as flows/scheduled_reprocessing.py")
    names = _flows(file)
    if not names:
        raise OrchestrationError(f"{file} defines no flow", why="a flow is a function below @flow", do="decorate it")
    if name and name not in names:
        raise OrchestrationError(
            f"{file} has no flow {name!r}", why=f"it has {', '.join(names)}", do=did_you_mean(name, names) or f"--flow {names[0]}"
        )
    if not name and len(names) > 1:
        raise OrchestrationError(f"{file} has several flows: {', '.join(names)}", do="say which: --flow NAME")
    return name or names[0]


def _flows(file: Path) -> list[str]:
    import ast

    def is_flow(decorator: ast.expr) -> bool:
        named = decorator.func if isinstance(decorator, ast.Call) else decorator
        return (isinstance(named, ast.Name) and named.id == "flow") or (isinstance(named, ast.Attribute) and named.attr == "flow")

    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise OrchestrationError(f"{file} is not Python", why=str(error)) from None
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f.name for f in functions if any(is_flow(d) for d in f.decorator_list)]


def _shaped(found: Flow[..., Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters as the flow takes them: where it takes one model, they are the fields of that."""
    from prefect.exceptions import ParameterTypeError, SignatureMismatchError
    from pydantic import BaseModel

    hints = {n: h for n, h in get_type_hints(found.fn).items() if n != "return"}
    given = dict(parameters)
    if len(hints) == 1:
        ((name, kind),) = hints.items()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name not in given:
            given = {name: given}
    try:
        found.validate_parameters(given)
    except (ParameterTypeError, SignatureMismatchError, TypeError, ValueError) as error:
        raise OrchestrationError(
            f"the parameters do not fit the flow {found.name!r}", why=str(error), do="--param analysis=analysis.py gives one"
        ) from None
    return given

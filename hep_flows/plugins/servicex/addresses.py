"""Which ServiceX servers the user has set up: read off ``servicex.yaml``, with no network and without loading the client.

The file is looked for where the client looks: ``.servicex``, else ``servicex.yaml``, in the current folder and in every one above it,
then in the home folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.expr.file_names import shown
from hep_flows.plugins.servicex.endpoint import EndpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = (".servicex", "servicex.yaml")


@dataclass(frozen=True, slots=True)
class Address:
    """A server that the user has set up.

    Parameters
    ----------
    name, url : str
        As in the file.
    token : str
        The refresh token, never shown; empty where the server needs none, or where ``BEARER_TOKEN_FILE`` names one.
    config_file : str
        Where it was read.
    """

    name: str
    url: str
    token: str = field(default="", repr=False)
    config_file: str = ""

    @property
    def place(self) -> str:
        """Give the address without user and password, for messages and for what is stored."""
        return shown(self.url)


def configured_endpoints(config_path: str | Path | None = None) -> tuple[Address, ...]:
    """Give the servers that are set up, the default one first; none where there is no file.

    Raises
    ------
    EndpointError
        When the file is not there though it was named, or does not say what it has to.
    """
    file = _find(Path(config_path) if config_path is not None else None)
    if file is None:
        return ()
    content = _read(file)
    listed = content.get("api_endpoints")
    if not isinstance(listed, list) or not listed:
        raise EndpointError(f"{file} has no list 'api_endpoints'")
    found = [_address(entry, file) for entry in listed]
    default = content.get("default_endpoint", content.get("default-endpoint"))
    if default is not None and default not in {a.name for a in found}:
        raise EndpointError(
            f"{file}: the default endpoint {default!r} is not listed; there are: {', '.join([a.name for a in found])}"
        )
    # The client takes the last one of a name.
    by_name = {a.name: a for a in found}
    first = default if default is not None else found[0].name
    return (by_name[first], *[a for name, a in by_name.items() if name != first])


def _find(told: Path | None) -> Path | None:
    if told is not None:
        if not told.is_file():
            raise EndpointError(f"there is no file {told}")
        return told
    return next((p for p in _candidates() if p.exists()), None)


def _candidates() -> Iterator[Path]:
    try:
        here = Path.cwd()
    except OSError:  # the current folder was removed
        folders: tuple[Path, ...] = ()
    else:
        folders = (here, *here.parents)
    for folder in (*folders, Path.home()):
        yield from [folder / name for name in _NAMES]


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        reason = "" if isinstance(content, dict) else "it is no mapping"
    except yaml.YAMLError as error:
        # The text of the error quotes the file, and the file holds tokens.
        mark = getattr(error, "problem_mark", None)
        reason = "it is no YAML" + (f", line {mark.line + 1}" if mark is not None else "")
    except (OSError, UnicodeDecodeError) as error:
        reason = type(error).__name__
    if reason:
        raise EndpointError(f"{file} cannot be read: {reason}")
    return dict(content)


def _address(entry: object, file: Path) -> Address:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) and entry[k] for k in ("endpoint", "name")):
        raise EndpointError(f"{file}: every entry of 'api_endpoints' has a 'name' and an 'endpoint'")
    token = entry.get("token") or ""
    if not isinstance(token, str):
        raise EndpointError(f"{file}: the token of {entry['name']!r} is no text")
    return Address(entry["name"], entry["endpoint"].rstrip("/"), token, str(file))

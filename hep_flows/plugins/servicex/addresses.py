"""Which ServiceX servers the user has set up: read off ``servicex.yaml``, with no network and without loading the client.

The file is looked for where the client looks: ``.servicex``, else ``servicex.yaml``, in the current folder and in every one above it,
then in the home folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hep_flows.expr.key import digest
from hep_flows.expr.text import shown
from hep_flows.plugins.servicex.query import EndpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


# What stands for the content of a file or dataset that only a server reads: where it is, its name, and an epoch ------------------
#
# A server says what its files are called, not what is in them. So a dataset is known by its name, at one server, in one epoch: a number that
# moves on when the user asks for the files anew (``refresh``). Where the content of a file is known, it takes the place of the epoch.

PREFIX = "servicex:"


@dataclass(frozen=True, slots=True)
class RemoteIdentity:
    """The identity of a file or dataset at a server.

    Parameters
    ----------
    url : str
        The server.
    name : str
        The dataset, or the file.
    version : str
        The epoch, or the content where it is known.
    """

    url: str
    name: str
    version: str

    def written(self) -> str:
        """Give the text that stands among the contents of a table. It is stored: what may be secret in a name is a digest in it."""
        name = shown(self.name)
        if name != self.name:
            name += f"#{digest('name', self.name).hex()}"
        return PREFIX + json.dumps([self.url, name, self.version], separators=(",", ":"))

    @classmethod
    def read(cls, content: str) -> Self | None:
        """Give the identity that a text stands for; None for the content of a file that is read here."""
        if not content.startswith(PREFIX):
            return None
        url, name, version = json.loads(content.removeprefix(PREFIX))
        return cls(url, name, version)

    @property
    def is_by_name(self) -> bool:
        """Whether nothing but the name stands for the content."""
        return self.version.startswith("epoch ")


def epoch_text(number: int) -> str:
    """Give the version of something that is known by its name only."""
    return f"epoch {number}"


# How patient a remote endpoint is, and how much it asks for at a time ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """What can be set for a remote endpoint. Times are in seconds.

    Parameters
    ----------
    chunk_files : int
        How many files of a list one request has at most.
    requests, downloads : int
        How many requests a server works on at the same time for this process, and how many results are fetched at the same time.
    attempts : int
        How often a file is asked for, and how often a call is made that fails for a reason that may pass.
    poll_s : float
        The longest time between two looks at a request; a new one is looked at more often.
    backoff_s : float
        The wait before the second attempt; it doubles with each, and varies by a half.
    answer_s : float
        How long one call may take, with what the client itself tries again.
    stall_s : float
        How long nothing may change at the server before the request counts as stuck.
    settle_s : float
        How long the results may take to appear once the server calls the request complete.
    cancel_s : float
        How long to wait for the server when requests are cancelled.
    deadline_s : float, optional
        How long everything may take; no limit when None.
    code_generators : mapping
        The code generator to ask for, by dialect; chosen from those that the server has where there is none.
    """

    chunk_files: int = 50
    requests: int = 8
    downloads: int = 8
    attempts: int = 3
    poll_s: float = 3.0
    backoff_s: float = 2.0
    answer_s: float = 90.0
    stall_s: float = 3600.0
    settle_s: float = 60.0
    cancel_s: float = 10.0
    deadline_s: float | None = None
    code_generators: Mapping[str, str] = field(default_factory=dict)

    def wait_s(self, attempt: int, random: float) -> float:
        """Give the wait after an attempt, counted from 0; ``random`` lies between 0 and 1."""
        return min(self.backoff_s * 2.0**attempt, 120.0) * (0.5 + random)

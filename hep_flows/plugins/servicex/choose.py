"""Which endpoint runs the queries of a table: the server that the table was made for, or this process."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.plugins.servicex.addresses import RemoteIdentity, RemoteSettings, configured_endpoints
from hep_flows.plugins.servicex.query import EndpointError

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Dataset
    from hep_flows.plugins.servicex.addresses import Address
    from hep_flows.plugins.servicex.embedded import EmbeddedServiceX
    from hep_flows.plugins.servicex.query import Endpoint

SECTION = "hep_flows"


def address_named(name: str | None) -> Address:
    """Give the server of that name in ``servicex.yaml``, or the default one.

    Raises
    ------
    SourceError
        When no server is set up, or none of that name.
    """
    known = _configured()
    if not known:
        raise SourceError(
            "no ServiceX server is set up",
            why="there is no servicex.yaml or .servicex in this folder, above it, or in the home folder",
            do="write one (docs/servicex.md), or give local files: they need no server",
        )
    if name is None:
        return known[0]
    found = next((a for a in known if a.name == name), None)
    if found is None:
        names = [a.name for a in known]
        raise SourceError(
            f"no ServiceX server {name!r} is set up",
            why=f"{known[0].config_file} has {', '.join(names)}",
            do=did_you_mean(name, names),
        )
    return found


def is_configured() -> bool:
    """Say whether any server is set up."""
    return bool(_configured())


class Endpoints:
    """The endpoints of a plug-in, each made when it is first needed.

    Parameters
    ----------
    only : Endpoint, optional
        The one that runs everything.
    """

    def __init__(self, only: Endpoint | None = None) -> None:
        """Nothing is made yet."""
        self._only = only
        self._made: dict[str, Endpoint] = {}
        self._embedded: EmbeddedServiceX | None = None
        self._lock = threading.Lock()

    def is_here(self, dataset: Dataset) -> bool:
        """Say whether this process reads a table, and no server."""
        return self._only is None and _remote_identity(dataset) is None

    def of(self, dataset: Dataset) -> Endpoint:
        """Give the endpoint of a table that this process does not read.

        Raises
        ------
        SourceError
            When its server is not set up any more.
        """
        if self._only is not None:
            return self._only
        remote = _remote_identity(dataset)
        assert remote is not None
        with self._lock:
            if remote.url not in self._made:
                self._made[remote.url] = _remote(remote.url)
            return self._made[remote.url]

    @property
    def embedded(self) -> EmbeddedServiceX:
        """What runs queries in this process."""
        from hep_flows.plugins.servicex.embedded import EmbeddedServiceX

        with self._lock:
            self._embedded = self._embedded or EmbeddedServiceX()
            return self._embedded


def _remote_identity(dataset: Dataset) -> RemoteIdentity | None:
    return RemoteIdentity.read(dataset.content[0]) if dataset.content else None


def settings_in(config_file: str) -> RemoteSettings:
    """Give how patient to be with a server: the section ``hep_flows`` of ``servicex.yaml``, where there is one.

    Raises
    ------
    SourceError
        When it sets something that does not exist, or has another form.
    """
    import yaml

    try:
        with open(config_file, encoding="utf-8") as file:  # noqa: PTH123
            content = yaml.safe_load(file)
    except (OSError, yaml.YAMLError):
        return RemoteSettings()
    told = content.get(SECTION) if isinstance(content, dict) else None
    if told is None:
        return RemoteSettings()
    known = {f.name: f for f in fields(RemoteSettings)}
    if not isinstance(told, dict):
        raise SourceError(f"{config_file}: {SECTION} is no mapping")
    for name, value in told.items():
        if name not in known:
            raise SourceError(f"{config_file}: {SECTION} has no setting {name!r}", do=did_you_mean(str(name), list(known)))
        if not _fits(known[name].name, value):
            raise SourceError(f"{config_file}: {SECTION}.{name} cannot be {value!r}")
    return replace(RemoteSettings(), **told)


def _fits(name: str, value: Any) -> bool:
    default = getattr(RemoteSettings(), name)
    if name == "code_generators":
        return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    if isinstance(value, bool):
        return False
    if isinstance(default, int):
        return isinstance(value, int) and value > 0
    return value is None or (isinstance(value, int | float) and value > 0)


def _remote(url: str) -> Endpoint:
    from hep_flows.plugins.servicex.remote import RemoteServiceX

    address = next((a for a in _configured() if a.place == url), None)
    if address is None:
        raise SourceError(
            f"the ServiceX server {url} is not set up any more", do="put it back into servicex.yaml, or make the table again"
        )
    return RemoteServiceX(address, settings_in(address.config_file))


def _configured() -> tuple[Address, ...]:
    try:
        return configured_endpoints()
    except EndpointError as error:
        raise SourceError("the set-up of ServiceX cannot be used", why=error.text) from None

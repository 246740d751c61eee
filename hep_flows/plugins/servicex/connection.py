"""What the client needs to talk to one server, kept for the life of the process: its parts are slow to make."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servicex.models import TransformStatus

    from hep_flows.plugins.servicex.addresses import Address


class Connection:
    """The calls of the client for one server.

    Parameters
    ----------
    address : Address
        Where it is, and the token.

    Attributes
    ----------
    adapter : ServiceXAdapter
        The calls; it knows the access token, and what the server said about itself.
    """

    def __init__(self, address: Address) -> None:
        from servicex.servicex_adapter import ServiceXAdapter

        self.adapter = ServiceXAdapter(address.url, refresh_token=address.token or None)
        self._stores: dict[tuple[object, ...], Any] = {}

    def store(self, status: TransformStatus) -> Any:
        """Give the object store of a request.

        Requests differ in their bucket only, and a session with an object store reads megabytes of descriptions when it is new.
        """
        from servicex.minio_adapter import MinioAdapter

        key = (status.minio_endpoint, status.minio_secured, status.minio_access_key, status.minio_secret_key)
        if key not in self._stores:
            self._stores[key] = MinioAdapter.for_transform(status)
        store = copy.copy(self._stores[key])
        store.bucket = status.request_id
        return store

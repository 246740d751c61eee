"""Which of a server's code generators understands a dialect: names come from the server, since they differ between servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from hep_flows.plugins.servicex.endpoint import Dialect


def code_generator(dialect: Dialect, available: Collection[str], told: str = "") -> str:
    """Give the name of the code generator; empty where the server has none.

    For ``xaod`` it is the one of the newest release, ``atlasr25`` before ``atlasr22``, and ``atlasxaod`` where there is no such name.
    """
    if told:
        return told if told in available else ""
    if dialect == "uproot":
        return "uproot" if "uproot" in available else ""
    releases = [n for n in available if n.startswith("atlasr") and n.removeprefix("atlasr").isdigit()]
    if releases:
        return max(releases, key=lambda n: int(n.removeprefix("atlasr")))
    return next((n for n in ("atlasxaod", "atlas_xaod") if n in available), "")

"""``hep-flows plugins``: which plug-ins there are, where they come from, and what keeps one from being used."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from hep_flows.plugins import registered
from hep_flows.settings import read_settings


def show_plugins() -> None:
    """Print every registered plug-in, or why it cannot be used; those that the settings leave out are marked."""
    wanted = read_settings().plugins
    table = Table("plug-in", "results", "from", "state")
    for one in registered():
        left_out = bool(wanted) and one.name not in wanted
        state = one.reason or ("left out by HEP_FLOWS_PLUGINS" if left_out else "ready")
        table.add_row(one.name, one.plugin.result_version if one.plugin is not None else "", one.package, state)
    Console(soft_wrap=True, highlight=False).print(table)

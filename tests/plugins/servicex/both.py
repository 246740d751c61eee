"""One expression over one file twice: by the awkward plug-in, and by ServiceX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows import render
from hep_flows.contract import Columns
from hep_flows.execute.run import run_plan
from hep_flows.planning.plan import make_plan
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.servicex.plugin import ServiceXPlugin
from hep_flows.record.dataframe import table_of
from hep_flows.sources.describe import describe
from plugins.servicex.exactly import exact_difference

if TYPE_CHECKING:
    from hep_flows.contract import Plan, Plugin, Result

Expressions = "Callable[[DataFrame], dict[str, Any]]"


class Both:
    """The same files as two tables.

    Attributes
    ----------
    local, remote : DataFrame
        Read by the awkward plug-in, and by ServiceX.
    """

    def __init__(self, kind: str, files: list[str], tree: str = "", servicex: ServiceXPlugin | None = None) -> None:
        self._awkward = AwkwardPlugin()
        self.servicex = servicex or ServiceXPlugin()
        described = describe(kind, files, tree)
        self.local = table_of(described, kind)
        self.remote = table_of(described, f"servicex:{kind}")

    def plan(self, expression: Any) -> Plan:
        """Give the plan of an expression over the remote table."""
        return make_plan([render(expression)], self._plugins())

    def expected(self, expression: Any) -> Result:
        """Give the value of an expression over the local table."""
        return _result(make_plan([render(expression)], [self._awkward]), [self._awkward])

    def delivered(self, expression: Any) -> Result:
        """Give the value of an expression over the remote table."""
        return _result(self.plan(expression), self._plugins())

    def difference(self, local: Any, remote: Any) -> str:
        """Say in what two values differ, or nothing."""
        expected, got = self.expected(local), self.delivered(remote)
        if isinstance(expected, Columns) and isinstance(got, Columns):
            return exact_difference(got.array, expected.array)
        return "" if got == expected else f"{got} instead of {expected}"

    def _plugins(self) -> list[Plugin]:
        return [self.servicex, self._awkward]


def _result(plan: Plan, plugins: list[Plugin]) -> Result:
    return run_plan(plan, plugins)[plan.targets[0]]


def plugins_of(plan: Plan) -> list[str]:
    """Give the plug-in of each task."""
    return [t.plugin for t in plan.tasks]

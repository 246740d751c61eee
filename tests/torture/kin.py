"""Plug-ins of the numerics family of the built-in ones: they compute the same bits, and where they take part plans are cut elsewhere."""

from __future__ import annotations

from hep_flows.contract import No, Yes
from hep_flows.expr.nodes import Call
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.plugins.hist.plugin import HistPlugin


class Twin(AwkwardPlugin):
    """Runs all that the awkward plug-in runs, cheaper."""

    name = "twin"

    def can_run(self, node, inputs):
        """Say what the awkward plug-in says."""
        answer = super().can_run(node, inputs)
        return Yes(0.5) if isinstance(answer, Yes) else answer


class Arithmetic(AwkwardPlugin):
    """Runs some functions only, so that there are borders around them."""

    name = "arithmetic"

    def can_run(self, node, inputs):
        """Say yes to a few elementwise functions of numbers outside of loops."""
        if isinstance(node, Call) and node.function in {"multiply", "true_divide", "less", "absolute"} and not node.type.loops:
            return Yes(0.1)
        return No("it multiplies, divides and compares")


class RaisedAwkward(AwkwardPlugin):
    """A release of the awkward plug-in that computes other numbers."""

    result_version = "2"


class RaisedHist(HistPlugin):
    """A release of the hist plug-in that fills in another way."""

    result_version = "2"

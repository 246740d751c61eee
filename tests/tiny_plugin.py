"""A plug-in over arrays in memory, with just enough of the language to test plans, runs and histograms without files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.contract import Columns, Description, HistogramResult, No, Partition, Plugin, Program, Scalar, Yes
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.nodes import Call, Dataset, Field, Filter, Input, Literal
from hep_flows.expr.types import Bool, Float, Int, Member, Record, String
from hep_flows.expr.walk import postorder
from hep_flows.record.dataframe import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.contract import RunContext, Task
    from hep_flows.expr.nodes import Expr
    from hep_flows.record.dataframe import DataFrame

_JET = Record("Jet", {"pt": Member(Float(64)), "eta": Member(Float(64)), "n": Member(Int(64)), "tag": Member(String())}, "nanoaod")
_EVENT = Record(
    "event",
    {
        "Jet": Member(_JET, ("Jet",), "nJet"),
        "x": Member(Float(64)),
        "y": Member(Float(64), optional=True),
        "k": Member(Int(64)),
        "good": Member(Bool()),
        "s": Member(String()),
    },
    "nanoaod",
)


def tiny_table(content: str = "tiny") -> DataFrame:
    """Give a table with the members x, y (may be missing), k, good, s and Jet.pt, Jet.eta, Jet.n, Jet.tag."""
    return table_of(Description(_EVENT, (f"{content}.root",), (content,), "Events", content), "nanoaod")


def tiny_events(n: int, seed: int = 1) -> ak.Array:
    """Give that many random events."""
    if n == 0:
        return tiny_events(5)[:0]
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n)
    total = int(counts.sum())

    def jagged(values: Any) -> ak.Array:
        return ak.unflatten(ak.Array(values), counts)

    tags = np.array(["b", "light", "c"])[rng.integers(0, 3, total)]
    jets = {"pt": rng.exponential(40, total), "eta": rng.normal(0, 2, total), "n": rng.integers(-3, 9, total)}
    y = ak.mask(ak.Array(rng.normal(0, 1, n)), rng.random(n) > 0.2)
    return ak.Array(
        {
            "Jet": ak.zip({**{k: jagged(v) for k, v in jets.items()}, "tag": jagged(tags)}),
            "x": rng.normal(0, 1, n),
            "y": y,
            "k": rng.integers(0, 5, n),
            "good": rng.random(n) > 0.5,
            "s": ak.Array([f"s{i}" for i in rng.integers(0, 3, n)]),
        }
    )


@dataclass
class TinyPlugin(Plugin):
    """Runs some nodes over arrays in memory; remembers how it was called."""

    events: Mapping[str, ak.Array]
    name: str = "tiny"
    result_version: str = "1"
    only: frozenset[str] = frozenset()
    cost: float = 1.0
    fail_on: frozenset[int] = frozenset()
    calls: list[tuple[int, ...]] = field(default_factory=list)

    def can_run(self, node: Expr, inputs: Sequence[str]) -> Yes | No:
        if self.only and not (isinstance(node, Call) and node.function in self.only):
            return No(f"{self.name} runs only {', '.join(sorted(self.only))}")
        if isinstance(node, Call) and (not isinstance(node.function, str) or FUNCTIONS[node.function].kind == "histogram"):
            return No("it has no such function")
        return Yes(self.cost)

    def translate(self, task: Task) -> Program:
        columns = [n.name for n in postorder(task.expr) if isinstance(n, Field)]
        return Program(task, "tiny", "tiny", tuple(columns))

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...]:
        n = len(self.events[dataset.content[0]])
        starts = range(0, n, chunk_events)
        return tuple(Partition(dataset.files[0], 0, s, min(s + chunk_events, n), s) for s in starts)

    def run(self, programs: Sequence[Program], inputs: Mapping[bytes, Any], context: RunContext) -> dict[bytes, Any]:
        part = context.partition
        self.calls.append((part.start, part.stop) if part else ())
        if part and part.start in self.fail_on:
            raise ValueError(f"bad event in {part.start}")
        memo: dict[bytes, Any] = {}
        results = {}
        for program in programs:
            value = self._value(program.task.expr, inputs, part, memo)
            results[program.task.key] = Columns(value) if program.task.output == "columns" else Scalar(value)
        return results

    def merge(self, program: Program, parts: Sequence[Any]) -> Any:
        if program.task.output == "columns":
            arrays = [p.array for p in parts]
            return Columns(arrays[0] if len(arrays) == 1 else ak.concatenate(arrays))
        values = [p.value for p in parts]
        expr = program.task.expr
        if len(values) == 1 or not isinstance(expr, Call) or FUNCTIONS[expr.function].kind != "reduce":
            assert len(values) == 1
            return Scalar(values[0])
        there = [v for v in values if v is not None]
        joined = {"sum": sum, "count": sum, "max": max, "min": min}[expr.function]
        return Scalar(joined(there) if there else None)

    def _value(self, root: Expr, inputs: Mapping[bytes, Any], part: Partition | None, memo: dict[bytes, Any]) -> Any:
        for node in postorder(root):
            if node.key not in memo:
                memo[node.key] = self._one(node, [memo[i.key] for i in node.inputs()], inputs, part)
        return memo[root.key]

    def _one(self, node: Expr, given: list[Any], inputs: Mapping[bytes, Any], part: Partition | None) -> Any:
        match node:
            case Dataset():
                assert part is not None
                return self.events[node.content[0]][part.start : part.stop]
            case Literal():
                return node.value
            case Input():
                result = inputs[node.task]
                assert not isinstance(result, HistogramResult)
                return result.array if isinstance(result, Columns) else result.value
            case Field():
                return given[0][node.name]
            case Filter():
                return given[0][ak.fill_none(given[1], False)]
            case Call():
                return _called(node, given)
            case _:
                raise NotImplementedError(node.tag)


def _called(node: Call, given: list[Any]) -> Any:
    name, options = node.function, dict(node.options)
    if name == "record":
        return ak.zip(dict(zip(options["names"], given, strict=True)))
    if name == "slice":
        return given[0][slice(options["start"], options["stop"], options["step"])]
    if name == "pick" and options["at"] == 0:
        return given[0][options["index"]] if -len(given[0]) <= options["index"] < len(given[0]) else None
    if FUNCTIONS[name].kind == "reduce":
        value = getattr(ak, {"count": "num"}.get(name, name))(given[0], axis=-1) if node.type.axes or name != "count" else None
        if node.type.axes:
            return value
        value = len(given[0]) if name == "count" else value
        return value.item() if hasattr(value, "item") else value
    return getattr(np, name)(*given)

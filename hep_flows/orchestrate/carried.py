"""A unit on its way to whoever runs it: as it is within this process, as text to another one."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hep_flows.errors import OrchestrationError, SourceLine
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Call
from hep_flows.expr.transport import decode, encode
from hep_flows.expr.walk import postorder, rewrite
from hep_flows.orchestrate.units import Unit, closure
from hep_flows.orchestrate.work import Session, run_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.expr.nodes import Expr
    from hep_flows.orchestrate.work import Reference
    from hep_flows.planning.task import Plan


class Carried:
    """A unit that can be run where it arrives."""

    __slots__ = ()

    def run(self, before: Sequence[object]) -> Reference:
        """Run it; see `hep_flows.orchestrate.work.run_unit`."""
        raise NotImplementedError


class Here(Carried):
    """A unit for this process.

    Parameters
    ----------
    session : Session
        What all units share.
    unit : Unit
        The unit.
    """

    __slots__ = ("session", "unit")

    def __init__(self, session: Session, unit: Unit) -> None:
        """Keep both."""
        self.session, self.unit = session, unit

    def run(self, before: Sequence[object]) -> Reference:
        """Run it with what is at hand."""
        return run_unit(self.session, self.unit, before)


class Elsewhere(Carried):
    """A unit for a process that has this package and reaches the cache folder, and nothing else.

    Parameters
    ----------
    text : str
        The expressions, the lines that they were written on, the settings and the unit, as JSON.
    bodies : mapping
        The user's functions, by the digits of their identity. How they travel is the affair of the task runner.
    """

    __slots__ = ("bodies", "text")

    def __init__(self, text: str, bodies: Mapping[str, Callable[..., object]]) -> None:
        """Keep both."""
        self.text, self.bodies = text, dict(bodies)

    def run(self, before: Sequence[object]) -> Reference:
        """Make the plan again, and run the unit of it."""
        content = json.loads(self.text)
        session = _session(json.dumps(content["session"], sort_keys=True), _Bodies(self.bodies))
        unit = _unit(content["unit"])
        known = {t.key for t in session.plan.tasks}
        if not set(unit.tasks) <= known:
            raise OrchestrationError(
                "a worker makes another plan of the same expressions",
                why="it has another version of hep_flows or of a plug-in than the process that started the run",
                do="install the same versions there",
            )
        return run_unit(session, unit, before)


class Sender:
    """Writes units down for other processes.

    Parameters
    ----------
    plan : Plan
        What is run.
    settings : mapping
        What the other processes are told of the settings.
    """

    def __init__(self, plan: Plan, settings: Mapping[str, Any]) -> None:
        """Nothing is written yet."""
        self._plan, self._settings = plan, dict(settings)
        self._reach = {target: {t.key for t in closure(plan, (target,))} for target in dict.fromkeys(plan.targets)}
        self._written: dict[bytes, tuple[str, dict[str, list[Any]]]] = {}

    def carried(self, unit: Unit) -> Elsewhere:
        """Give a unit as text, with the expressions that its tasks are parts of and no others."""
        exprs = self._exprs(unit)
        written = [self._written_expr(e) for e in exprs]
        lines: dict[str, list[Any]] = {}
        for _, own in written:
            lines |= own
        session = self._settings | {"exprs": [text for text, _ in written], "lines": lines}
        content = {"session": session, "unit": _as_json(unit)}
        return Elsewhere(json.dumps(content, sort_keys=True), _bodies(exprs))

    def _exprs(self, unit: Unit) -> list[Expr]:
        wanted = set(unit.tasks)
        found: list[Expr] = []
        for target, expr in zip(self._plan.targets, self._plan.exprs, strict=True):
            new = wanted & self._reach[target]
            if new:
                found.append(expr)
                wanted -= new
        return found

    def _written_expr(self, expr: Expr) -> tuple[str, dict[str, list[Any]]]:
        if expr.key not in self._written:
            lines: dict[str, list[Any]] = {}
            for node in postorder(expr):
                for line in self._plan.lines.get(node.key, ())[:1]:
                    lines[node.key.hex()] = [line.file, line.line, line.start, line.end]
            self._written[expr.key] = (encode(expr).decode(), lines)
        return self._written[expr.key]


class _Bodies:
    """Functions by identity; two of them are equal when they hold the same ones."""

    def __init__(self, bodies: Mapping[str, Callable[..., object]]) -> None:
        self.bodies = bodies
        self._names = frozenset(bodies)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bodies) and self._names == other._names

    def __hash__(self) -> int:
        return hash(self._names)


@lru_cache(maxsize=16)
def _session(text: str, bodies: _Bodies) -> Session:
    """Make the session of some expressions; units of one dataset share it."""
    import threading

    from hep_flows.execute.machine import Limits
    from hep_flows.execute.open_store import store_of
    from hep_flows.normalise import normalise
    from hep_flows.planning.make_plan import make_plan
    from hep_flows.plugins import installed

    told = json.loads(text)
    lines = {bytes.fromhex(k): SourceLine(*v) for k, v in told["lines"].items()}
    exprs = [_revived(decode(e.encode()), bodies.bodies, lines) for e in told["exprs"]]
    plugins = installed(told["plugins"])
    store = store_of(told["root"], tuple(told["layers"]))
    limits = Limits(
        told["workers"], told["chunk_events"], lambda: False, slots=threading.BoundedSemaphore(told["workers"])
    )
    plan = make_plan(normalise(exprs), plugins)
    return Session(plan, plugins, store, limits, refresh=told["refresh"], keep_going=told["keep_going"])


def _revived(expr: Expr, bodies: Mapping[str, Callable[..., object]], lines: Mapping[bytes, SourceLine]) -> Expr:
    """Put back what does not travel with an expression: the bodies of functions, and the user's lines."""

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        from hep_flows.planning.cut import over

        made = over(node, inputs)
        where = lines.get(node.key)
        if isinstance(made, Call) and isinstance(made.function, UserFunction):
            body = bodies.get(made.function.code.hex())
            return replace(made, function=replace(made.function, body=body), where=where or made.where)
        return replace(made, where=where) if where is not None else made

    return rewrite([expr], change)[0]


def _bodies(exprs: Sequence[Expr]) -> dict[str, Callable[..., object]]:
    found: dict[str, Callable[..., object]] = {}
    for node in postorder(*exprs):
        if isinstance(node, Call) and isinstance(node.function, UserFunction) and node.function.body is not None:
            found[node.function.code.hex()] = node.function.body
    return found


def _as_json(unit: Unit) -> dict[str, Any]:
    return {
        "number": unit.number,
        "kind": unit.kind,
        "tasks": [k.hex() for k in unit.tasks],
        "dataset": unit.dataset,
        "batches": unit.batches,
    }


def _unit(told: Mapping[str, Any]) -> Unit:
    batches = None if told["batches"] is None else (int(told["batches"][0]), int(told["batches"][1]))
    tasks = tuple([bytes.fromhex(k) for k in told["tasks"]])
    return Unit(told["number"], told["kind"], tasks, told["dataset"], batches)

"""A unit on its way to whoever runs it: as it is within this process, as text to another one."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hep_flows.errors import OrchestrationError, SourceLine
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Call
from hep_flows.expr.transport import decode_together, encode_together
from hep_flows.expr.walk import postorder, rewrite
from hep_flows.orchestrate.units import Unit, closure
from hep_flows.orchestrate.work import Session, run_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.expr.nodes import Expr
    from hep_flows.orchestrate.reference import Reference
    from hep_flows.planning.task import Plan


Told = dict[str, Any]


class Carried:
    """A unit that can be run where it arrives. Prefect must not look into it: it would take long, and find nothing."""

    __slots__ = ()

    def run(self, after: Sequence[Told]) -> Reference:
        """Run it, after those whose references are given; see `hep_flows.orchestrate.work.run_unit`."""
        raise NotImplementedError


class Here(Carried):
    """A unit for this process.

    Parameters
    ----------
    session : Session
        What all units share.
    unit : Unit
        The unit.
    follows : sequence of dict
        What is new in the store because of the units that it followed, and what failed in them.
    """

    __slots__ = ("follows", "session", "unit")

    def __init__(self, session: Session, unit: Unit, follows: Sequence[Told]) -> None:
        """Keep them."""
        self.session, self.unit, self.follows = session, unit, tuple(follows)

    def run(self, after: Sequence[Told]) -> Reference:
        """Run it with what is at hand."""
        return run_unit(self.session, self.unit, [*after, *self.follows])


class Elsewhere(Carried):
    """A unit for a process that has this package and reaches the cache folder, and nothing else.

    Parameters
    ----------
    session : str
        The expressions, the lines that they were written on and the settings, as JSON.
    unit : str
        The unit, as JSON.
    bodies : mapping
        The user's functions, by the digits of their identity. How they travel is the affair of the task runner.
    follows : sequence of dict
        What is new in the store because of the units that it followed, and what failed in them.
    """

    __slots__ = ("bodies", "follows", "session", "unit")

    def __init__(self, session: str, unit: str, bodies: Mapping[str, Callable[..., object]], follows: Sequence[Told]) -> None:
        """Keep them."""
        self.session, self.unit, self.bodies, self.follows = session, unit, dict(bodies), tuple(follows)

    def run(self, after: Sequence[Told]) -> Reference:
        """Make the plan again, and run the unit of it."""
        session = _session(self.session, _Bodies(self.bodies))
        unit = _unit(json.loads(self.unit))
        known = {t.key for t in session.plan.tasks}
        if not set(unit.tasks) <= known:
            raise OrchestrationError(
                "a worker makes another plan of the same expressions",
                why="it has another version of hep_flows or of a plug-in than the process that started the run",
                do="install the same versions there",
            )
        return run_unit(session, unit, [*after, *self.follows])


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
        self._written: dict[tuple[bytes, ...], str] = {}

    def carried(self, unit: Unit, follows: Sequence[Told]) -> Elsewhere:
        """Give a unit as text, with the expressions that its tasks are parts of and no others."""
        exprs = self._exprs(unit)
        keys = tuple([e.key for e in exprs])
        if keys not in self._written:
            told = self._settings | {"exprs": encode_together(exprs).decode(), "lines": self._lines(exprs)}
            self._written[keys] = json.dumps(told, sort_keys=True)
        return Elsewhere(self._written[keys], json.dumps(_as_json(unit)), _bodies(exprs), follows)

    def _exprs(self, unit: Unit) -> list[Expr]:
        wanted = set(unit.tasks)
        found: list[Expr] = []
        for target, expr in zip(self._plan.targets, self._plan.exprs, strict=True):
            new = wanted & self._reach[target]
            if new:
                found.append(expr)
                wanted -= new
        return found

    def _lines(self, exprs: Sequence[Expr]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for node in postorder(*exprs):
            for line in self._plan.lines.get(node.key, ())[:1]:
                found[node.key.hex()] = [line.file, line.line, line.start, line.end]
        return found


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
    from hep_flows.execute.machine import Limits
    from hep_flows.execute.open_store import store_of
    from hep_flows.normalise import normalise
    from hep_flows.planning.make_plan import make_plan
    from hep_flows.plugins import installed
    from hep_flows.settings import default_memory

    told = json.loads(text)
    lines = {bytes.fromhex(k): SourceLine(*v) for k, v in told["lines"].items()}
    exprs = _revived(decode_together(told["exprs"].encode()), bodies.bodies, lines)
    plugins = installed(told["plugins"])
    store = store_of(told["root"], tuple(told["layers"]))
    limits = Limits.with_slots(
        told["workers"],
        told["chunk_events"],
        lambda: False,
        memory=min(told["memory"] or default_memory(), default_memory()),
        slice_events=told["slice_events"],
    )
    plan = make_plan(normalise(exprs), plugins)
    return Session(plan, plugins, store, limits, refresh=told["refresh"], keep_going=told["keep_going"])


def _revived(
    exprs: Sequence[Expr], bodies: Mapping[str, Callable[..., object]], lines: Mapping[bytes, SourceLine]
) -> tuple[Expr, ...]:
    """Put back what does not travel with an expression: the bodies of functions, and the user's lines."""

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        from hep_flows.planning.cut import over

        made = over(node, inputs)
        where = lines.get(node.key)
        if isinstance(made, Call) and isinstance(made.function, UserFunction):
            body = bodies.get(made.function.code.hex())
            return replace(made, function=replace(made.function, body=body), where=where or made.where)
        return replace(made, where=where) if where is not None else made

    return rewrite(exprs, change)


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
    batches = None if told["batches"] is None else tuple([int(n) for n in told["batches"]])
    tasks = tuple([bytes.fromhex(k) for k in told["tasks"]])
    return Unit(told["number"], told["kind"], tasks, told["dataset"], batches)

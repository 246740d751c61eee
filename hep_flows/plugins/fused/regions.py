"""Divide expressions into compiled loops and calls of numpy, and evaluate them in turn.

Before: ``count(filter(pairs, less(mass, 60)))``, where the mass needs ``cosh(Muon.eta[i])`` of each member of a pair. After: ``cosh`` of all
``Muon.eta``, one call of numpy on flat numbers; then one loop over events with everything else inside. What has its last digits from numpy
(sines, exponentials), or is Python, stays outside of loops: where it works on what was chosen, it works on everything and is chosen
afterwards, which changes no bit. What cannot be moved so divides the loops: loops, calls, loops.

A loop that meets what it was not written for (an angle that overflows, lists that do not fit) gives nothing, and numpy computes its nodes.
"""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from hep_flows.errors import TaskError
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Float
from hep_flows.expr.walk import over, postorder, rewrite
from hep_flows.plugins.awkward.evaluate import Evaluation, evaluate, located
from hep_flows.plugins.awkward.functions import elementwise_call
from hep_flows.plugins.awkward.needed import needed_fields
from hep_flows.plugins.awkward.values import Constant, Flat, Lists, Value, aligned, dtype_of
from hep_flows.plugins.fused.source import Kernel, Writer, has_value, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hep_flows.expr.types import Axis
    from hep_flows.plugins.awkward.evaluate import Leaves
    from hep_flows.plugins.awkward.values import Argument, Frames

    Function = Callable[..., tuple[Any, ...]]

# Functions of numpy move to where their arguments are stored: ``cos(phi[i])`` becomes ``cos(phi)[i]`` ------------------------------

_MAY_RAISE = frozenset({"power", "astype", "interp", "searchsorted"})


@dataclass(frozen=True, slots=True)
class _Peeled:
    """What a node chooses from: how (equal for nodes that choose in the same way), the node that chooses, and its parts."""

    how: tuple[object, ...]
    chooser: Expr
    parts: tuple[Expr, ...]


def moved(roots: Sequence[Expr]) -> tuple[Expr, ...]:
    """Give the same expressions with functions of numpy as near to the leaves as they can be."""
    return rewrite(roots, _Moving().node)


def _is_numpys(node: Call) -> bool:
    return _is_item(node) and node.function not in _MAY_RAISE and isinstance(node.type.item, Float) and refusal(node) != ""


class _Moving:
    """What is known of the nodes of some expressions while functions are moved: each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[bytes, _Peeled | None] = {}
        self._ends: dict[bytes, bool] = {}

    def node(self, node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        """Give a node over inputs that were moved."""
        new = over(node, inputs)
        return self._before_choice(new) if isinstance(new, Call) else new

    def _before_choice(self, node: Call) -> Expr:
        """Move a function before what its arguments are chosen by, where that makes loops whole or saves work.

        One of numpy moves to what is stored, unless one item of each list is chosen; any moves before combinations of items.
        """
        peeled = self._peeled(node) if _is_item(node) else None
        if peeled is None:
            return node
        chooser, n = peeled.chooser, _least(peeled.chooser)
        takes_one = len(chooser.type.axes) < len(chooser.inputs()[0].type.axes) and not node.type.loops
        if not n and (takes_one or not _is_numpys(node)):
            return node
        parts = []
        for part in peeled.parts:
            new = self._before_choice(part) if isinstance(part, Call) else part
            parts.append(_restricted(new, n) if new is part and _is_numpys(node) else new)
        if not n and not all(self._ends_in_leaves(p) for p in parts):
            return node
        _, *rest = chooser.inputs()
        if isinstance(chooser, Call) and chooser.function == "concatenate":
            rest = []
        return replace(over(chooser, (*parts, *rest)), type=node.type)

    def _ends_in_leaves(self, node: Expr) -> bool:
        """Say whether a function, after all that it was moved before, is one of what is stored."""
        while (found := _chosen_of(node)) is not None:
            node = found
        if node.key not in self._ends:
            is_made = isinstance(node, Call) and (_is_item(node) or node.function == "concatenate")
            self._ends[node.key] = _is_source(node) or (is_made and all(self._ends_in_leaves(a) for a in node.inputs()))
        return self._ends[node.key]

    def _peeled(self, node: Expr) -> _Peeled | None:
        if node.key not in self._known:
            is_item = isinstance(node, Call) and _is_item(node)
            self._known[node.key] = self._peeled_items(node) if is_item else _peeled(node)  # type: ignore[arg-type]
        return self._known[node.key]

    def _peeled_items(self, node: Call) -> _Peeled | None:
        """Peel a function of items that are all chosen in one way."""
        row = FUNCTIONS[str(node.function)]
        if row.name in _MAY_RAISE or row.missing != "passes":
            return None
        given = [None if isinstance(a, Literal) else self._peeled(a) for a in node.args]
        found = [p for p in given if p is not None]
        if not found or len(found) < sum([not isinstance(a, Literal) for a in node.args]):
            return None
        first = found[0]
        if any(p.how != first.how or p.chooser.type.axes != first.chooser.type.axes for p in found):
            return None
        parts = []
        for i in range(len(first.parts)):
            args = tuple([a if p is None else p.parts[i] for a, p in zip(node.args, given, strict=True)])
            others = [a.type for a in args if not isinstance(a, Literal)]
            if any(t.axes != others[0].axes or t.loops != others[0].loops for t in others):
                return None
            of = replace(others[0], item=node.type.item, optional=any(t.optional for t in others), unit=node.type.unit)
            parts.append(replace(node, args=args, type=of))
        return _Peeled(first.how, first.chooser, tuple(parts))


def _chosen_of(node: Expr) -> Expr | None:
    if isinstance(node, Filter | Bound):
        return node.of
    return node.args[0] if isinstance(node, Call) and node.function in {"pick", "slice", "gather"} else None


def _is_item(node: Call) -> bool:
    return isinstance(node.function, str) and FUNCTIONS[node.function].kind == "elementwise"


def _least(chooser: Expr) -> int:
    """Give how many items a list has at least of which combinations are chosen; 0 where it is something else that chooses."""
    if isinstance(chooser, Call) and chooser.function == "gather":
        index = chooser.args[1]
        if isinstance(index, Call) and index.function == "argcombinations" and index.type.axes[:-1] == chooser.type.axes[:-1]:
            n = index.option("n")
            assert isinstance(n, int)
            return n
    return 0


LEAST = "in lists of at least"


def _restricted(node: Expr, n: int) -> Expr:
    """Mark a function of numpy whose values are used in lists of at least so many items."""
    if n < 2 or not isinstance(node, Call) or node.type.loops or len(node.type.axes) != 2:
        return node
    return replace(node, options=(*node.options, (LEAST, n)))


def _peeled(node: Expr) -> _Peeled | None:
    match node:
        case Filter():
            return _Peeled(("filter", node.mask.key, node.at), node, (node.of,))
        case Bound():
            return _Peeled(("bound", node.of.type.axes[1], node.level), node, (node.of,))
        case Call(function="pick" | "slice" | "gather") if node.option("at") != 0:
            return _Peeled((node.function, *[a.key for a in node.args[1:]], node.options), node, node.args[:1])
        case Call(function="concatenate") if all(a.type.item == node.type.item for a in node.args):
            how = ("concatenate", *[tuple([x.key for x in a.type.axes]) for a in node.args], node.options)
            return _Peeled(how, node, node.args)
    return None


# Which nodes are computed together, in which order --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One loop and the nodes in it; or nodes for numpy, one after the other."""

    nodes: tuple[Expr, ...]
    kernel: Kernel | None = None


@dataclass(frozen=True, slots=True)
class Division:
    """The steps of some expressions; ``roots`` are the expressions that stand for those that were asked for."""

    roots: tuple[Expr, ...]
    steps: tuple[Step, ...]


def _is_source(node: Expr) -> bool:
    return isinstance(node, Dataset | Field | Literal | Input)


def refusals(roots: Sequence[Expr]) -> dict[bytes, str]:
    """Give the nodes that stay outside of loops, by key, and why; a loop over elements is compiled whole or not at all."""
    nodes = list(postorder(*roots))
    why = {n.key: r for n in nodes if not _is_source(n) and (r := refusal(n))}
    head = _groups([(i.key, n.key) for n in nodes for i in n.inputs() if i.type.loops])
    lost = {head(n.key): why[n.key] for n in nodes if n.key in why and n.type.loops}
    for node in nodes:
        reason = lost.get(head(node.key))
        if reason and (node.type.loops or isinstance(node, Map)) and not _is_source(node):
            why.setdefault(node.key, f"a step of the same map is not compiled: {reason}")
    return why


def _groups(pairs: Iterable[tuple[bytes, bytes]]) -> Callable[[bytes], bytes]:
    """Give a function that names the group of a key: both of each pair are in one."""
    group: dict[bytes, bytes] = {}

    def head(key: bytes) -> bytes:
        while (above := group.get(key, key)) != key:
            group[key] = group.get(above, above)
            key = above
        return key

    for one, other in pairs:
        group[head(one)] = head(other)
    return head


def _puts_together(node: Expr) -> bool:
    return isinstance(node, Call) and node.function in {"record", "replace"} and not node.type.loops


MOST_TURNS, MOST_LINES = 8, 4000


def divided(roots: Sequence[Expr]) -> Division:
    """Give the steps: all that needs numpy alone, then a loop, then what numpy makes of that, and so on.

    What would take many turns, or a very long loop, is left to numpy: compiling takes longer than in proportion.
    """
    try:
        found = _divided(roots)
    except RecursionError:  # a chain of a thousand functions
        found = None
    if found is None or any(s.kernel is not None and s.kernel.text.count("\n") > MOST_LINES for s in found.steps):
        needed = needed_fields(roots)
        return Division(tuple(roots), (Step(tuple([n for n in postorder(*roots) if not isinstance(n, Field) or n.key in needed])),))
    return found


def _divided(roots: Sequence[Expr]) -> Division | None:
    new = moved(roots)
    nodes = list(postorder(*new))
    outside = {*refusals(new), *[n.key for n in nodes if _puts_together(n)]}
    level = _levels(nodes, outside | _for_numpy(nodes, outside))
    if max(level.values()) > 2 * MOST_TURNS:
        return None
    steps: list[Step] = []
    needed = needed_fields(new)
    for number in range(max(level.values()) + 1):
        here = [n for n in nodes if level[n.key] == number and not isinstance(n, Literal)]
        if number % 2 == 0:
            here = [n for n in here if not isinstance(n, Field) or n.key in needed]
            literals = [n for n in nodes if isinstance(n, Literal)] if number == 0 else []
            steps.append(Step((*literals, *here)))
        elif here:
            steps += [_loop(some, nodes, new) for some in _apart(here)]
    return Division(new, tuple([s for s in steps if s.nodes]))


def _for_numpy(nodes: Sequence[Expr], outside: set[bytes]) -> set[bytes]:
    """Give functions of what is stored that numpy's take: there is no loop for them alone before those that all else is in."""
    before = {n.key for n in nodes if _is_source(n)}
    taken = {i.key for n in nodes if n.key in outside for i in n.inputs()}
    found: set[bytes] = set()
    for node in nodes:
        if isinstance(node, Call) and _is_item(node) and not node.type.loops and all(i.key in before for i in node.inputs()):
            if node.key in outside:
                before.add(node.key)
            elif node.key in taken:
                before.add(node.key)
                found.add(node.key)
    return found


def _levels(nodes: Sequence[Expr], outside: set[bytes]) -> dict[bytes, int]:
    """Give the number of the step of each node: even ones are numpy's. What depends on the elements of one loop is in one step."""
    is_inside = {n.key: not _is_source(n) and n.key not in outside for n in nodes}
    level = {n.key: int(is_inside[n.key]) for n in nodes}
    changed = True
    while changed:
        changed = False
        for node in nodes:
            own = level[node.key]
            for i in node.inputs():
                below = level[i.key]
                own = max(own, below + (below + is_inside[node.key]) % 2)
            if own != level[node.key]:
                level[node.key], changed = own, True
        for node in reversed(nodes):
            for i in node.inputs():
                if i.type.loops and is_inside[node.key] and is_inside[i.key] and level[i.key] < level[node.key]:
                    level[i.key], changed = level[node.key], True
        if max(level.values()) > 2 * len(nodes):
            raise RecursionError("a loop depends on what comes after it")
    return level


def _apart(here: Sequence[Expr]) -> list[list[Expr]]:
    """Give nodes in groups that share nothing that is computed: the loop of one stays the same, and compiled, when others change."""
    inside = {n.key for n in here}
    pairs = [
        (i.key, n.key) for n in here for i in n.inputs() if i.key in inside or (_chosen_of(n) or i) is not i
    ]  # a mask, an index
    head, groups = _groups(pairs), dict[bytes, list[Expr]]()
    for node in here:
        groups.setdefault(head(node.key), []).append(node)
    return list(groups.values())


def _loop(here: Sequence[Expr], nodes: Sequence[Expr], roots: Sequence[Expr]) -> Step:
    inside = {n.key: n for n in here}
    wanted = {r.key for r in roots}
    for node in nodes:
        if node.key not in inside:
            wanted.update([i.key for i in node.inputs()])
    inputs = {i.key: i for n in here for i in n.inputs() if i.key not in inside and not isinstance(i, Literal)}
    outputs = [n for n in here if n.key in wanted]
    return Step(tuple(here), Writer(inside, tuple(inputs.values()), outputs).kernel())


# Run the steps --------------------------------------------------------------------------------------------------------------------


# What loops save of numpy's time in the same nodes, about.
SAVED = 0.5


class Loop:
    """A kernel as a function.

    Parameters
    ----------
    make : callable
        Makes the function, when it is first called: one thread does, while others that need it wait.
    price_s : float
        About how many seconds that takes.
    """

    def __init__(self, make: Callable[[], Function], price_s: float = 0.0) -> None:
        """Nothing is made yet."""
        self.price_s = price_s
        self._make = make
        self._spent_s = 0.0
        self._lock = Lock()
        self._function: Function | None = None

    @property
    def is_paid(self) -> bool:
        """Whether it is made, or would have saved by now as much time as making it takes."""
        return self._function is not None or SAVED * self._spent_s >= self.price_s

    def spent(self, seconds: float) -> None:
        """Note the time that numpy spent in its place."""
        with self._lock:
            self._spent_s += seconds

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        """Call the function."""
        if self._function is None:
            with self._lock:
                if self._function is None:
                    self._function = self._make()
        return self._function(*arguments)


class LoopNotCompiled(UserWarning):
    """A version of numba does not know what a loop is made of; nothing but time is lost."""


class _NotForLoopsError(Exception):
    """The values are not what the loop was written for."""


def evaluate_fused(
    roots: Sequence[Expr],
    leaves: Leaves,
    frames: Frames,
    cancelled: Callable[[], bool],
    *,
    loop_of: Callable[[Kernel], Loop],
    always: bool,
) -> dict[bytes, Argument]:
    """Give the values of expressions, by key, as `hep_flows.plugins.awkward.evaluate.evaluate` does, to the bit.

    Parameters
    ----------
    roots, leaves, frames, cancelled
        As there.
    loop_of : callable
        Gives the function of a kernel: `compiled`, or `interpreted`.
    always : bool
        Whether a function is made where it does not pay.
    """
    # What is stored is part of what nodes mean; of what kind it is, only their types tell.
    division = _known_division(tuple(roots), tuple([f"{n.type}" for n in postorder(*roots) if _is_source(n)]))
    loops = [loop_of(s.kernel) for s in division.steps if s.kernel is not None]
    if not always and not all(loop.is_paid for loop in loops):
        return _for_now(roots, leaves, frames, cancelled, loops)
    evaluation = Evaluation(leaves, frames)
    values = evaluation.values
    kept = {r.key for r in division.roots}
    last = {i.key: number for number, s in enumerate(division.steps) for n in s.nodes for i in n.inputs()}
    with np.errstate(all="ignore"):
        for number, step in enumerate(division.steps):
            if cancelled():
                raise TaskError("the run was cancelled", where=roots[0].where)
            if step.kernel is None:
                for node in step.nodes:
                    values[node.key] = _by_numpy(evaluation, node, frames)
            else:
                _in_loop(step, step.kernel, evaluation, frames, loop_of(step.kernel))
            for key in [k for k in values if last.get(k, -1) <= number and k not in kept]:
                del values[key]
    return {r.key: values[n.key] for r, n in zip(roots, division.roots, strict=True)}


def _for_now(
    roots: Sequence[Expr], leaves: Leaves, frames: Frames, cancelled: Callable[[], bool], loops: Sequence[Loop]
) -> dict[bytes, Argument]:
    """Leave all to numpy, and note the time; of several loops, a longer one is worth more of it."""
    start = time.thread_time()
    values = evaluate(roots, leaves, frames, cancelled)
    spent_s, price_s = time.thread_time() - start, sum([loop.price_s for loop in loops])
    for loop in loops:
        loop.spent(spent_s * loop.price_s / price_s)
    return values


def _in_loop(step: Step, kernel: Kernel, evaluation: Evaluation, frames: Frames, loop: Loop) -> None:
    try:
        evaluation.values.update(_run(kernel, loop, evaluation.values, frames))
    except _NotForLoopsError:
        for node in step.nodes:
            evaluation.values[node.key] = located(evaluation, node)


def _by_numpy(evaluation: Evaluation, node: Expr, frames: Frames) -> Argument:
    """Give the value of one node; of one that only long lists are used of, the others have zeros."""
    least = dict(node.options).get(LEAST) if isinstance(node, Call) else None
    if not isinstance(node, Call) or not isinstance(least, int):
        return located(evaluation, node)
    plain = replace(node, options=tuple([o for o in node.options if o[0] != LEAST]))
    arguments = aligned(frames, [evaluation.values[a.key] for a in node.args], [a.type.item for a in node.args], ())
    lists = arguments.axes[0]
    where = np.flatnonzero(np.repeat(lists.counts >= least, lists.counts))
    if 2 * len(where) > arguments.size:
        return located(evaluation, plain)
    flats = tuple([Flat(f.data.take(where) if np.ndim(f.data) else f.data) for f in arguments.flats])
    some = elementwise_call(plain, replace(arguments, size=len(where), flats=flats))
    assert isinstance(some, Value)
    data = np.zeros(arguments.size, some.data.dtype)
    data[where] = some.data
    found = [f.valid for f in arguments.flats if f.valid is not None]
    return replace(some, data=data, valid=np.logical_and.reduce(found) if found else None)


@lru_cache(maxsize=64)
def _known_division(roots: tuple[Expr, ...], kinds: tuple[str, ...]) -> Division:
    del kinds
    return divided(roots)


def _run(kernel: Kernel, function: Loop, values: Mapping[bytes, Argument], frames: Frames) -> dict[bytes, Argument]:
    """Call a compiled loop on values, and give the values of its results."""
    given = _Given(kernel, values)
    sizes = [frames.frame(key, ()).size for key in kernel.events]
    status, *found = function(*sizes, *given.arguments())
    if status:
        raise _NotForLoopsError
    n = len(kernel.chosen)
    n_events = {**dict(zip(kernel.events, sizes, strict=True)), **dict(zip(kernel.chosen, found[:n], strict=True))}
    back = dict(zip(kernel.back, found[n:], strict=True))
    made: dict[tuple[bytes, ...], tuple[Lists, ...]] = {}
    for axes, names in kernel.made:
        lists, size = [], n_events[axes[0].key]
        for name in names:
            lists.append(Lists(back[name][: size + 1]))
            size = lists[-1].n_items
        made[_keys(axes)] = tuple(lists)
    results: dict[bytes, Argument] = {}
    for number, node in enumerate(kernel.outputs):
        axes = node.type.axes
        lists_of = (
            made[_keys(axes)] if _keys(axes) in made else tuple([given.lists[_keys(axes[:i])] for i in range(2, len(axes) + 1)])
        )
        frame = frames.root(axes[0].key, int(n_events[axes[0].key]))
        size = lists_of[-1].n_items if lists_of else frame.size
        data, there = back.get(f"y{number}"), back.get(f"z{number}")
        valid = None if there is None else there[:size]
        results[node.key] = Value(
            frame, lists_of, None if data is None else data[:size], None if valid is None or valid.all() else valid
        )
    return results


def _keys(axes: tuple[Axis, ...]) -> tuple[bytes, ...]:
    return tuple([a.key for a in axes])


class _Given:
    """What a kernel takes, of the values that are there.

    Attributes
    ----------
    lists : mapping
        The lists of each axis, by the keys of the axes from the events down to it.
    """

    def __init__(self, kernel: Kernel, values: Mapping[bytes, Argument]) -> None:
        self.lists: dict[tuple[bytes, ...], Lists] = {}
        self._named: dict[str, Any] = {}
        for number, node in enumerate(kernel.inputs):
            value = values[node.key]
            if isinstance(value, Constant):
                self._constant(number, node, value)
            else:
                self._value(number, node, value)
        for number, axes in enumerate(kernel.axes):
            self._named[f"o{number}"] = self.lists[_keys(axes)].offsets
        self._names = kernel.given[len(kernel.events) :]

    def arguments(self) -> list[Any]:
        """Give the arguments after the numbers of events, in order."""
        return [self._named[n] for n in self._names]

    def _constant(self, number: int, node: Expr, value: Constant) -> None:
        if node.type.axes or (value.value is None and not node.type.optional):
            raise _NotForLoopsError
        self._named[f"x{number}"] = dtype_of(node.type.item).type(value.value or 0)
        self._named[f"t{number}"] = value.value is not None

    def _value(self, number: int, node: Expr, value: Value) -> None:
        axes = node.type.axes
        if value.frame.loops or len(value.axes) != len(axes) - 1:
            raise _NotForLoopsError
        for i, lists in enumerate(value.axes):
            known = self.lists.setdefault(_keys(axes[: i + 2]), lists)
            if not known.holds_the_same_numbers_as(lists):
                raise _NotForLoopsError
        valid = value.valid
        if node.type.optional:
            self._named[f"t{number}"] = np.ones(value.n_items, np.bool_) if valid is None else np.ascontiguousarray(valid)
        elif valid is not None and not valid.all():
            raise _NotForLoopsError
        if has_value(node):
            self._named[f"x{number}"] = np.ascontiguousarray(value.data, dtype_of(node.type.item))


# Make functions of texts ----------------------------------------------------------------------------------------------------------


# What numba takes for a function, and for each line of it, about; in a long one each line takes longer.
_BASE_S, _LINE_S, _LINES = 0.1, 0.005, 500


def compiled(kernel: Kernel) -> Loop:
    """Give a kernel as machine code: of one text there is one in a process."""
    return _of_text(kernel.text, _signature(kernel))


@lru_cache(maxsize=256)
def _of_text(text: str, signature: tuple[str, ...]) -> Loop:
    lines = text.count("\n")
    return Loop(lambda: _compiled(text, signature), _BASE_S + _LINE_S * lines * (1 + lines / _LINES))


def _signature(kernel: Kernel) -> tuple[str, ...]:
    """Give the kind of each argument, with brackets where it is an array."""
    kinds: list[str] = []
    for name in kernel.given:
        letter, number = name[0], int(name[1:])
        if letter in "so":
            kinds.append("int64[]" if letter == "o" else "int64")
            continue
        of = kernel.inputs[number].type
        kind = "bool" if letter == "t" else str(of.item)
        kinds.append(f"{kind}[]" if of.axes else kind)
    return tuple(kinds)


def interpreted(kernel: Kernel) -> Loop:
    """Give a kernel as plain Python: slow, and the same to the bit."""
    return Loop(lambda: _function(kernel.text))


def _function(text: str) -> Function:
    names: dict[str, Any] = {"np": np}
    exec(compile(text, "<kernel>", "exec"), names)  # noqa: S102 - it was written by `source`
    function: Function = names["kernel"]
    return function


def _compiled(text: str, signature: tuple[str, ...]) -> Function:
    """Compile a function: without fast mathematics, so that no step is left out, put off or joined with another."""
    import numba

    def kind(name: str) -> Any:
        base = numba.from_dtype(np.dtype(name.removesuffix("[]")))
        # What was read may not be written to: both kinds of arrays fit.
        return numba.types.Array(base, 1, "C", readonly=True) if name.endswith("[]") else base

    try:
        with _without_extensions():
            types = tuple([kind(k) for k in signature])
            made: Function = numba.njit(types, nogil=True, error_model="numpy")(_function(text))
    except numba.core.errors.NumbaError as error:
        warnings.warn(f"numba cannot compile a loop, and numpy computes it: {error}", LoopNotCompiled, stacklevel=2)
        return lambda *_: (1,)
    return made


_STARTING = Lock()


@contextmanager
def _without_extensions() -> Iterator[None]:
    """Compile without what other packages add to numba: to load awkward's and vector's part takes as long as a function does.

    It is added when somebody else compiles. Where this version of numba keeps it in another way, it is loaded.
    """
    from numba.core import entrypoints

    with _STARTING:
        loaded = getattr(entrypoints, "_already_initialized", None)
        if loaded is False:
            entrypoints._already_initialized = True  # noqa: SLF001 - there is no other door
        try:
            yield
        finally:
            if loaded is False:
                entrypoints._already_initialized = False  # noqa: SLF001

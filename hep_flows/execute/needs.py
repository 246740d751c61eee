"""What of a plan has to be computed: backwards from what was asked for, to what is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hep_flows.execute.schedule import by_parts

if TYPE_CHECKING:
    from hep_flows.execute.batches import Batches
    from hep_flows.execute.keys import Keys
    from hep_flows.execute.results import Results
    from hep_flows.planning.task import Key, Plan, Task


@dataclass(slots=True)
class Needs:
    """What is stored, and what is not.

    Parameters
    ----------
    stored : set of bytes
        Tasks that are needed, and whose merged result is stored.
    merged : set of bytes
        Tasks whose merged result is needed and has to be made.
    missing : mapping of bytes to set of int
        By task, the batches that are needed and not stored.
    found : mapping of bytes to set of int
        By task, the batches that are needed and stored.
    """

    stored: set[Key] = field(default_factory=set)
    merged: set[Key] = field(default_factory=set)
    missing: dict[Key, set[int]] = field(default_factory=dict)
    found: dict[Key, set[int]] = field(default_factory=dict)

    @property
    def nothing_to_compute(self) -> bool:
        """Whether reading what is stored, and merging it, is all."""
        return not any(self.missing.values())


def needs(plan: Plan, keys: Keys, batches: Batches, results: Results) -> Needs:
    """Give what is stored and what is missing for the targets of a plan."""
    need = Needs()
    merged = set(plan.targets)
    parts: dict[Key, set[int]] = {}
    for task in reversed(plan.tasks):
        if task.key in merged:
            if keys.is_whole_stored(task) and results.has(task.key):
                need.stored.add(task.key)
            else:
                need.merged.add(task.key)
        if task.spread == "whole":
            if task.key in need.merged:
                need.missing[task.key] = {0}
                merged.update(task.inputs)
            continue
        assert task.dataset is not None
        wanted = parts.get(task.key, set()) | (_all(task, batches) if task.key in need.merged else set())
        _look_up(task, wanted, need, keys, batches, results)
        if need.missing[task.key]:
            for key in task.inputs:
                if by_parts(keys.tasks[key], task):
                    parts.setdefault(key, set()).update(need.missing[task.key])
                else:
                    merged.add(key)
    return need


def _all(task: Task, batches: Batches) -> set[int]:
    assert task.dataset is not None
    return set(range(len(batches.of(task.dataset))))


def _look_up(task: Task, wanted: set[int], need: Needs, keys: Keys, batches: Batches, results: Results) -> None:
    assert task.dataset is not None
    all_batches = batches.of(task.dataset) if wanted else ()
    is_stored = task.key not in keys.not_stored
    here = {n for n in wanted if is_stored and results.has(keys.of_batch(task, all_batches[n]))}
    need.found[task.key] = here
    need.missing[task.key] = wanted - here

"""What a unit gives in place of its results: small, plain, and checked before it is believed when it comes from a file.

::

    {"key": "ab..", "objects": ["cd..", ..], "complete": true, "rows": [{..}, ..], "events": 0, "partitions": 0,
     "stages": [["awkward", ["ef.."], 0.1], ..], "merging": {"ef..": 0.1}}
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

from hep_flows.execute.task_rows import State, TaskRow
from hep_flows.store.paths import is_key_name

Reference = dict[str, Any]

_STATES = get_args(State)
_KINDS = {"int": int, "float": (int, float), "str": str, "State": str}
_ROW = {f.name: _KINDS[str(f.type)] for f in fields(TaskRow)}
_HEAD = {
    "key": str,
    "objects": list,
    "complete": bool,
    "rows": list,
    "events": int,
    "partitions": int,
    "stages": list,
    "merging": dict,
}


def is_reference(content: object) -> bool:
    """Say whether something has the form of a reference in all its parts, to a unit of which everything is stored."""
    if not isinstance(content, dict) or not _has(content, _HEAD) or not content["complete"]:
        return False
    return (
        all(_is_name(name) for name in [content["key"], *content["objects"]])
        and all(isinstance(r, dict) and _has(r, _ROW) and r["state"] in _STATES and _is_name(r["key"]) for r in content["rows"])
        and all(_is_stage(s) for s in content["stages"])
        and all(_is_name(k) and _is(s, _KINDS["float"]) for k, s in content["merging"].items())
    )


def _has(content: dict[str, Any], kinds: dict[str, Any]) -> bool:
    return set(content) == set(kinds) and all(_is(content[k], kind) for k, kind in kinds.items())


def _is(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and is_key_name(name)


def _is_stage(stage: object) -> bool:
    match stage:
        case [str(), list(tasks), int() | float()]:
            return all(_is_name(k) for k in tasks)
        case _:
            return False

"""Faults written as text, for the command line: ``file kind=fails file=*part1* times=2``."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from hep_flows.errors import HepFlowsError
from hep_flows.testing.servicex_sim.faults import ALWAYS, FileFault, HttpFault, RequestFault

if TYPE_CHECKING:
    from hep_flows.testing.servicex_sim.faults import Fault

_CLASSES: dict[str, type[Fault]] = {"http": HttpFault, "file": FileFault, "request": RequestFault}


def parse_fault(text: str) -> Fault:
    """Give the fault that a text describes: ``http``, ``file`` or ``request``, then what differs from the defaults.

    Raises
    ------
    HepFlowsError
        When it is none; it lists what there is.
    """
    kind, *parts = shlex.split(text) or [""]
    found = _CLASSES.get(kind)
    if found is None:
        raise HepFlowsError(f"{text!r} is no fault", why=f"it starts with {kind!r}", do=f"start with {', '.join(_CLASSES)}")
    types = get_type_hints(found)
    values: dict[str, object] = {}
    for part in parts:
        name, is_set, value = part.partition("=")
        if name not in types or not is_set:
            names = ", ".join([f"{f.name}=" for f in fields(found)])
            raise HepFlowsError(f"{text!r} is no fault", why=f"{part!r} says nothing about a {kind}", do=f"there are: {names}")
        values[name] = _value(text, value, types[name])
    if "kind" in types and "kind" not in values:
        raise HepFlowsError(f"{text!r} is no fault", why="it has no kind", do=f"kind= one of {', '.join(get_args(types['kind']))}")
    return found(**values)  # type: ignore[arg-type]


def _value(text: str, value: str, kind: type) -> object:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise HepFlowsError(
                f"{text!r} is no fault", why=f"there is no kind {value!r}", do=f"there are: {', '.join(get_args(kind))}"
            )
        return value
    if kind is int and value == "always":
        return ALWAYS
    try:
        return kind(value)
    except ValueError:
        raise HepFlowsError(f"{text!r} is no fault", why=f"{value!r} is no number", do="write a number, or always") from None

"""Expressions as bytes, for other processes and for the footers of stored results: canonical JSON, no code.

One object: ``format``, ``key`` (of the last node), ``records``, ``functions``, ``nodes``. Nodes stand in postorder, one row each,
and name their inputs by number; equal parts are one row. Types are not written but found again by `hep_flows.expr.build`, so bytes
that were changed by hand cannot make an ill-formed expression; only results of other tasks bring their types along, and a node that
has another type above one of them (``typed``). Of the schema of a table goes along what `Needed` says; source lines
do not, and of a user's function the declaration without its body.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from hep_flows.errors import RecordError
from hep_flows.expr import build
from hep_flows.expr.cpp_function import CppFunction
from hep_flows.expr.file_names import shown
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.needed import Needed
from hep_flows.expr.nodes import Bound, Call, Dataset, Default, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.remake import made_call, retyped
from hep_flows.expr.transport_types import (
    Malformed,
    RecordReader,
    RecordWriter,
    checked,
    read_constant,
    read_type,
    written_constant,
    written_type,
)
from hep_flows.expr.types import Histogram, Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

Made = TypeVar("Made")
FORMAT = "hf-transport/1"
MOST_BYTES = 64 * 1024 * 1024
_MEMBERS = {"format", "key", "records", "functions", "nodes"}


def encode(expr: Expr) -> bytes:
    """Give the canonical bytes of an expression: equal expressions of one spelling give equal bytes.

    They may be kept: URLs of files are without what may be secret in them.
    """
    return json.dumps(_written(expr, name_of=shown), separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def encode_together(exprs: Sequence[Expr]) -> bytes:
    """Give the bytes of several expressions, with all that any of them needs of the schemas, for `decode_together`.

    They are for another process that reads the same files, and are not kept: names of files are whole.
    """
    text = _written(*exprs)
    numbers = {node.key: i for i, node in enumerate(postorder(*exprs))}
    text["roots"] = [numbers[e.key] for e in exprs]
    return json.dumps(text, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def _written(*exprs: Expr, name_of: Callable[[str], str] = str) -> dict[str, Any]:
    records = RecordWriter(Needed(*exprs))
    functions: dict[UserFunction, int] = {}
    numbers: dict[bytes, int] = {}
    rows = []
    types = {k: t for e in exprs for k, t in retyped(e).items()}
    last = exprs[-1]
    for node in postorder(*exprs):
        last = node
        inputs = [numbers[i.key] for i in node.inputs()]
        row = _row(node, inputs, records, functions, name_of)
        if node.key in types:
            row = ["typed", row, written_type(node.type, records)]
        rows.append(row)
        numbers[node.key] = len(numbers)
    return {
        "format": FORMAT,
        "key": last.key.hex(),
        "functions": [_declaration(f, records) for f in functions],
        "nodes": rows,
        "records": records.rows,
    }


def _row(
    node: Expr, inputs: Sequence[int], records: RecordWriter, functions: dict[UserFunction, int], name_of: Callable[[str], str]
) -> list[Any]:
    match node:
        case Dataset(type=t):
            assert isinstance(t.item, Record)
            number = records.number(t.item)
            files = [name_of(f) for f in node.files]
            more = [written_constant(node.collections)] if node.collections else []
            return ["dataset", node.kind, list(node.content), node.tree, files, node.name, number, *more]
        case Field():
            said = () if node.default is None else (written_constant(node.default.value), node.default.as_)
            return ["field", *inputs, node.name, *said]
        case Filter():
            return ["filter", *inputs, node.at]
        case Literal():
            return ["literal", written_constant(node.value), node.dtype]
        case Call():
            function = node.function
            name = function if isinstance(function, str) else functions.setdefault(function, len(functions))
            spec = node.type.item.spec if isinstance(node.type.item, Histogram) else ""
            return ["call", name, list(inputs), [[n, written_constant(v)] for n, v in node.options], spec]
        case Bound() | Map():
            return [node.tag, *inputs, node.level]
        case Input():
            return ["input", node.task.hex(), written_type(node.type, records)]


def _declaration(function: UserFunction, records: RecordWriter) -> list[Any]:
    accepts = [None if a is None else records.item(a) for a in function.accepts]
    returns = records.item(function.returns)
    head = [function.name, list(function.parameters), accepts, returns]
    rest: list[Any] = [True] if function.from_file else []
    if function.cpp is not None:
        rest = [[function.cpp.body, list(function.cpp.includes)]]
    return [*head, function.code.hex(), function.portable, function.note, *rest]


def decode(data: bytes) -> Expr:
    """Give the expression that `encode` wrote.

    Raises
    ------
    RecordError
        When the bytes are too many, damaged, of another format, or no well-formed expression.
    """
    return _read(data, lambda top: _decoded(top, _MEMBERS)[-1])


def decode_together(data: bytes) -> tuple[Expr, ...]:
    """Give the expressions that `encode_together` wrote; it raises as `decode` does."""

    def all_of_them(top: dict[str, Any]) -> tuple[Expr, ...]:
        nodes = _decoded(top, _MEMBERS | {"roots"})
        return tuple([nodes[_number(n, len(nodes))] for n in checked(top["roots"], list)])

    return _read(data, all_of_them)


def _read(data: bytes, how: Callable[[dict[str, Any]], Made]) -> Made:
    if len(data) > MOST_BYTES:
        raise _refused(f"{len(data):,} bytes are more than the {MOST_BYTES:,} that are accepted")
    try:
        return how(checked(json.loads(data), dict))
    except RecordError as error:
        raise _refused(str(error)) from error
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error
    except (Malformed, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise _refused(f"{type(error).__name__}: {error}") from error


def _refused(why: str) -> RecordError:
    return RecordError(
        "these bytes are not an expression",
        why=why,
        do="store it again: it was damaged, or written by another version of hep_flows",
    )


def _decoded(top: dict[str, Any], members: Collection[str]) -> list[Expr]:
    if top.get("format") != FORMAT:
        raise Malformed(f"the format is {top.get('format')!r}, not {FORMAT!r}")
    if set(top) != set(members):
        raise Malformed(f"its members are {sorted(top)}")
    records = RecordReader(checked(top["records"], list))
    functions = [_function(checked(f, list), records) for f in checked(top["functions"], list)]
    nodes: list[Expr] = []
    for row in checked(top["nodes"], list):
        match row:
            case ["typed", list(inside), what]:
                nodes.append(replace(_node(inside, nodes, records, functions), type=read_type(what, records)))
            case list():
                nodes.append(_node(row, nodes, records, functions))
            case _:
                raise Malformed(f"{str(row)[:40]} is no row")
    if not nodes or nodes[-1].key.hex() != top["key"]:
        raise Malformed("the content does not have the key that it was stored with")
    return nodes


def _node(row: list[Any], nodes: Sequence[Expr], records: RecordReader, functions: Sequence[UserFunction]) -> Expr:
    def node(number: object) -> Expr:
        return nodes[_number(number, len(nodes))]

    match row:
        case ["dataset", str(kind), list(content), str(tree), list(files), str(name), record, *more]:
            schema = records.record(record)
            collections = tuple([(checked(c, str), _texts(checked(leaves, list))) for c, leaves in (more[0] if more else [])])
            return build.dataset(kind, _texts(content), tree, schema, files=_texts(files), name=name, collections=collections)
        case ["field", of, str(name), *said]:
            return build.field(node(of), name, default=_default(said))
        case ["filter", of, mask, at]:
            return build.filtered(node(of), node(mask), _number(at, len(node(of).type.axes)))
        case ["literal", value, str(dtype)]:
            return build.literal(read_constant(value), dtype)
        case ["call", function, list(args), list(options), str(spec)]:
            called = function if isinstance(function, str) else functions[_number(function, len(functions))]
            named = tuple([(checked(n, str), read_constant(v)) for n, v in options])
            return made_call(called, [node(a) for a in args], named, spec)
        case ["bound", of, level]:
            return build.bound(node(of), checked(level, int))
        case ["map", over, body, level]:
            return build.mapped(node(over), node(body), checked(level, int))
        case ["input", str(task), what]:
            return build.task_input(bytes.fromhex(task), read_type(what, records))
        case _:
            raise Malformed(f"a row that is no node: {str(row)[:80]}")


def _default(said: list[Any]) -> Default | None:
    match said:
        case []:
            return None
        case [value, str(as_)]:
            return Default(read_constant(value), as_)
        case _:
            raise Malformed(f"a leaf with {str(said)[:40]}")


def _function(row: list[Any], records: RecordReader) -> UserFunction:
    name, parameters, accepts, returns, code, portable, note, *rest = row
    items = tuple([None if a is None else records.item(a) for a in checked(accepts, list)])
    names = _texts(checked(parameters, list))
    code = bytes.fromhex(checked(code, str))
    from_file, cpp = _origin(rest)
    known = names, items, records.item(returns), code, checked(portable, bool)
    return UserFunction(checked(name, str), *known, note=checked(note, str), from_file=from_file, cpp=cpp)


def _origin(rest: list[Any]) -> tuple[bool, CppFunction | None]:
    """Say whether a function was read from a file, and give its body in C++."""
    match rest:
        case []:
            return False, None
        case [True]:
            return True, None
        case [[str(body), list(includes)]]:
            return False, CppFunction(body, _texts(includes))
        case _:
            raise Malformed(f"a function with {rest}")


def _number(value: object, end: int) -> int:
    number: int = checked(value, int)
    if not 0 <= number < end:
        raise Malformed(f"number {number} of {end}")
    return number


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple([checked(v, str) for v in values])

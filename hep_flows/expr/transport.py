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
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from hep_flows.errors import RecordError
from hep_flows.expr import build
from hep_flows.expr.functions import FUNCTIONS, CppFunction, Mode, UserFunction
from hep_flows.expr.nodes import Bound, Call, Dataset, Default, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.text import shown
from hep_flows.expr.types import Anything, Axis, Bool, Float, Histogram, Int, Loop, Member, Record, String, Type
from hep_flows.expr.walk import Needed, postorder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.types import Constant, Item

# Constants, items, records and types in the form that `hep_flows.expr.transport` writes ------------------------------------------

_INT_BITS = {8, 16, 32, 64}
_FLOAT_BITS = {16, 32, 64}


class Malformed(Exception):  # noqa: N818
    """Something that `encode` never writes."""


def checked(value: object, kind: type) -> Any:
    """Give the value when it is of exactly that kind."""
    if type(value) is not kind:
        raise Malformed(f"{str(value)[:40]} where a {kind.__name__} was expected")
    return value


def written_constant(value: Constant) -> object:
    """Give a constant as JSON: a float is ``{"f": text}``, bytes are ``{"b": hex}``, a tuple is a list."""
    if isinstance(value, float):
        return {"f": repr(value)}
    if isinstance(value, bytes):
        return {"b": value.hex()}
    if isinstance(value, tuple):
        return [written_constant(v) for v in value]
    return value


def read_constant(value: object) -> Constant:
    """Give the constant that was written."""
    match value:
        case None | bool() | str() | int():
            return value
        case {"f": str(text), **rest} if not rest:
            return float(text)
        case {"b": str(text), **rest} if not rest:
            return bytes.fromhex(text)
        case list():
            return tuple([read_constant(v) for v in value])
        case _:
            raise Malformed(f"{str(value)[:40]} is no constant")


class RecordWriter:
    """Numbers records; ``rows`` are their texts, members before the records that hold them."""

    def __init__(self, needed: Needed) -> None:
        self.rows: list[list[Any]] = []
        self._needed = needed
        self._numbers: dict[Record, int] = {}

    def number(self, record: Record) -> int:
        """Give the number of a record, writing it and what it holds when it is new."""
        ahead = [record]
        while ahead:
            last = ahead[-1]
            members = self._needed.members(last)
            inside = [m.item for m in members.values() if isinstance(m.item, Record) and m.item not in self._numbers]
            if inside and last not in self._numbers:
                ahead.extend(inside)
                continue
            ahead.pop()
            if last not in self._numbers:
                rows = [self._member(n, m) for n, m in members.items()]
                self.rows.append([last.name, last.model, last.doc, rows])
                self._numbers[last] = len(self._numbers)
        return self._numbers[record]

    def _member(self, name: str, member: Member) -> list[Any]:
        texts = [member.column, member.doc, member.unit]
        row = [name, self.item(member.item), list(member.axes), *texts, member.optional, member.unreadable]
        more = [list(member.inside), member.lacking, member.differs, member.widened]
        return [*row, *more] if any(more) else row

    def item(self, item: Item) -> list[Any]:
        """Give an item as JSON: a word, and what belongs to it."""
        match item:
            case Bool():
                return ["bool"]
            case Int():
                return ["int", item.bits, item.signed, item.refers_to]
            case Float():
                return ["float", item.bits]
            case String():
                return ["string"]
            case Histogram():
                return ["histogram", item.spec]
            case Anything():
                return ["constant"]
            case Record():
                return ["record", self._numbers[item] if item in self._numbers else self.number(item)]


class RecordReader:
    """Makes the records again; each may hold only earlier ones, so there are no circles."""

    def __init__(self, rows: Sequence[object]) -> None:
        self._records: list[Record] = []
        for row in rows:
            name, model, doc, members = checked(row, list)
            read = dict([self._member(*checked(m, list)) for m in checked(members, list)])
            self._records.append(Record(checked(name, str), read, checked(model, str), checked(doc, str)))

    def _member(self, *row: object) -> tuple[str, Member]:
        name, item, axes, column, doc, unit, optional, unreadable, *more = row
        inside, lacking, differs, widened = more or ([], "", "", False)
        names = tuple([checked(a, str) for a in checked(axes, list)])
        read = Member(
            self.item(item),
            names,
            checked(column, str),
            checked(doc, str),
            checked(unit, str),
            checked(optional, bool),
            checked(unreadable, str),
            tuple([checked(n, str) for n in checked(inside, list)]),
            checked(lacking, str),
            checked(differs, str),
            checked(widened, bool),
        )
        return checked(name, str), read

    def record(self, number: object) -> Record:
        """Give a record by number."""
        n: int = checked(number, int)
        if not 0 <= n < len(self._records):
            raise Malformed(f"record {n} of {len(self._records)}")
        return self._records[n]

    def item(self, row: object) -> Item:
        """Give the item that was written."""
        match row:
            case ["bool"]:
                return Bool()
            case ["int", int(bits), bool(signed), str(refers_to)] if bits in _INT_BITS:
                return Int(bits, signed, refers_to)
            case ["float", int(bits)] if bits in _FLOAT_BITS:
                return Float(bits)
            case ["string"]:
                return String()
            case ["histogram", str(spec)]:
                return Histogram(spec)
            case ["constant"]:
                return Anything()
            case ["record", number]:
                return self.record(number)
            case _:
                raise Malformed(f"{str(row)[:40]} is no item")


def written_type(of: Type, records: RecordWriter) -> list[Any]:
    """Give the type of another task's result as JSON."""
    axes = [_written_axis(a) for a in of.axes]
    loops = [[_written_axis(o.axis), o.level] for o in of.loops]
    return [records.item(of.item), axes, loops, of.optional, of.unit]


def _written_axis(axis: Axis) -> list[str]:
    return [axis.key.hex(), axis.name, axis.root.hex()]


def read_type(row: object, records: RecordReader) -> Type:
    """Give the type that was written."""
    item, axes, loops, optional, unit = checked(row, list)
    read_loops = [checked(o, list) for o in checked(loops, list)]
    return Type(
        records.item(item),
        tuple([_read_axis(a) for a in checked(axes, list)]),
        tuple([Loop(_read_axis(axis), checked(level, int)) for axis, level in read_loops]),
        checked(optional, bool),
        checked(unit, str),
    )


def _read_axis(row: object) -> Axis:
    key, name, root = [checked(v, str) for v in checked(row, list)]
    return Axis(bytes.fromhex(key), name, bytes.fromhex(root))


# Make a node again from what it is known by: for decoding, checking and reading Python -------------------------------------------

Options = tuple[tuple[str, "Constant"], ...]


def remade(node: Expr) -> Expr:
    """Give the node made anew over its own inputs: checked and typed as if it had just been written."""
    match node:
        case Dataset(type=t):
            assert isinstance(t.item, Record)
            return build.dataset(
                node.kind, node.content, node.tree, t.item, files=node.files, name=node.name, collections=node.collections
            )
        case Field():
            return build.field(node.of, node.name, node.where, node.default)
        case Filter():
            return build.filtered(node.of, node.mask, node.at, node.where)
        case Literal():
            return build.literal(node.value, node.dtype, node.where)
        case Call():
            item = node.type.item
            return made_call(node.function, node.args, node.options, item.spec if isinstance(item, Histogram) else "", node.where)
        case Bound():
            return build.bound(node.of, node.level, node.where)
        case Map():
            return build.mapped(node.over, node.body, node.level, node.where)
        case Input():
            return build.task_input(node.task, node.type)


def retyped(root: Expr) -> dict[bytes, Type]:
    """Give the nodes, by key, whose types are not those that they would get if they were made anew.

    In a task they may: a filter whose mask holds another task's result keeps the axis of the mask that the user wrote.
    """
    nodes = list(postorder(root))
    if not any(isinstance(n, Input) for n in nodes):
        return {}
    return {n.key: n.type for n in nodes if not isinstance(n, Input) and not same_type(remade(n).type, n.type)}


def same_type(a: Type, b: Type) -> bool:
    """Say whether two types are the same; records made by an expression are compared by their members."""
    return (a.axes, a.loops, a.optional, a.unit) == (b.axes, b.loops, b.optional, b.unit) and same_item(a.item, b.item)


def same_item(a: Item, b: Item) -> bool:
    """Say whether two items are the same."""
    pairs = [(a, b)]
    while pairs:
        left, right = pairs.pop()
        if left is right:
            continue
        if not (isinstance(left, Record) and isinstance(right, Record)):
            if left != right:
                return False
            continue
        if (left.model, left.name) != (right.model, right.name):
            return False
        if list(left.members) != list(right.members):
            return False
        for m, n in zip(left.members.values(), right.members.values(), strict=True):
            if m is n:
                continue
            if (m.axes, m.optional, m.unit) != (n.axes, n.optional, n.unit):
                return False
            pairs.append((m.item, n.item))
    return True


def made_call(
    function: str | UserFunction, args: Sequence[Expr], options: Options = (), spec: str = "", where: Where = None
) -> Expr:
    """Give a call of any function of the table, by name and options.

    Raises
    ------
    RecordError
        When the arguments do not fit the function.
    KeyError, TypeError, IndexError
        When there is no such function, or its options are not those that it has.
    """
    if isinstance(function, UserFunction):
        return build.call(function, args, options, where)
    kind = FUNCTIONS[function].kind
    if kind == "histogram":
        return build.histogram(function, args, options, spec, where)
    if kind == "structure":
        return _made_structure(function, args, dict(options), where)
    return build.call(function, args, options, where)


def _made_structure(function: str, args: Sequence[Expr], options: dict[str, Constant], where: Where) -> Expr:  # noqa: C901, PLR0911, PLR0912 - one for each function
    match function:
        case "pick":
            return build.pick(args[0], _whole(options["index"]), _whole(options["at"]), where)
        case "slice":
            start, stop, step = [_whole_or_none(options[n]) for n in ("start", "stop", "step")]
            return build.sliced(args[0], (start, stop, step), _whole(options["at"]), where)
        case "gather":
            return build.gathered(args[0], args[1], _whole(options["at"]), where, inside=options.get("inside") is True)
        case "concatenate":
            return build.concatenated(args, _whole(options["at"]), where)
        case "record":
            names = options["names"]
            if not isinstance(names, tuple):
                raise TypeError("the names of a record are a tuple")
            n_axes = _whole(options["axes"]) if "axes" in options else None
            block = _whole(options["block"]) if "block" in options else None
            return build.record([_text(n) for n in names], args, where, n_axes, block)
        case "referring":
            return build.referring(args[0], where)
        case "replace":
            names, hidden = options["names"], options["hidden"]
            if not isinstance(names, tuple) or not isinstance(hidden, tuple):
                raise TypeError("the names of replaced members are tuples")
            return build.replaced(args[0], [_text(n) for n in names], args[1:], [_text(n) for n in hidden], where)
        case "flatten":
            return build.flattened(args[0], where)
        case "parameter":
            (value,) = [a.value for a in args if isinstance(a, Literal)]
            return build.parameter(_text(options["name"]), value, where)  # type: ignore[arg-type]
        case "vary":
            words = options["words"]
            if not isinstance(words, tuple):
                raise TypeError("the words of a variation are a tuple")
            name, order = options["source"]  # type: ignore[misc, str-unpack]
            return build.varied(args[0], args[1:], (_text(name), _whole(order)), [_text(w) for w in words], where)
        case _:
            raise KeyError(function)


def _whole(value: Constant) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an integer")
    return value


def _whole_or_none(value: Constant) -> int | None:
    return None if value is None else _whole(value)


def _text(value: Constant) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a name")
    return value


Made = TypeVar("Made")
FORMAT = "hf-transport/1"
MOST_BYTES = 64 * 1024 * 1024
_MEMBERS = {"format", "key", "records", "functions", "nodes"}


def encode(expr: Expr) -> bytes:
    """Give the canonical bytes of an expression: equal expressions of one spelling give equal bytes.

    They may be kept: URLs of files are without what may be secret in them.
    """
    return json.dumps(_written(expr, name_of=shown), separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def encode_together(exprs: Sequence[Expr], *, kept: bool = False) -> bytes:
    """Give the bytes of several expressions, with all that any of them needs of the schemas, for `decode_together`.

    They are for another process that reads the same files, and are not kept: names of files are whole. Where they are ``kept``, URLs are
    without what may be secret in them, as those of `encode`.
    """
    text = _written(*exprs, name_of=shown if kept else str)
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
    if (function.mode, function.lists, function.members, function.pure) != ("arrays", (), (), True):
        rest.append({name: list(v) if isinstance(v := getattr(function, name), tuple) else v for name in _HOW})
    return [*head, function.code.hex(), function.portable, function.note, *rest]


_HOW = ("mode", "lists", "members", "member", "pure")


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
    how = _how(rest.pop()) if rest and isinstance(rest[-1], dict) else {}
    from_file, cpp = _origin(rest)
    known = names, items, records.item(returns), code, checked(portable, bool)
    return UserFunction(checked(name, str), *known, note=checked(note, str), from_file=from_file, cpp=cpp, **how)


def _how(found: dict[str, Any]) -> dict[str, Any]:
    texts = {n: checked(found.pop(n), str) for n in ("mode", "member")}
    tuples = {n: _texts(checked(found.pop(n), list)) for n in ("lists", "members")}
    pure = checked(found.pop("pure"), bool)
    if found or texts["mode"] not in get_args(Mode):
        raise Malformed(f"a function that is called by {texts['mode']}, {found}")
    return {**texts, **tuples, "pure": pure}


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

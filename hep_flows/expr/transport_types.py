"""Constants, items, records and types in the form that `hep_flows.expr.transport` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.expr.types import Anything, Axis, Bool, Float, Histogram, Int, Loop, Member, Record, String, Type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.needed import Needed
    from hep_flows.expr.nodes import Constant
    from hep_flows.expr.types import Item

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

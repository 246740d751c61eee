"""Functions of items as terms: what a row of the capability table allows, with the kind of number that the back end would compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.functions import FUNCTIONS, UserFunction
from hep_flows.expr.types import Bool, Float, Int, is_number
from hep_flows.plugins.servicex.terms import Refused, Term, Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.nodes import Call
    from hep_flows.expr.types import Item
    from hep_flows.plugins.servicex.dialect import Dialect, Row

_FEW = 16
_INTEGERS_OF_TRUTHS = frozenset({"add", "subtract", "multiply", "floor_divide", "remainder", "fmod", "left_shift", "right_shift"})


def called(terms: Terms, dialect: Dialect, node: Call, args: Sequence[Term]) -> Term:
    """Give the term of a call.

    Raises
    ------
    Refused
        When the dialect has no such function for such arguments, or computes another kind of number.
    """
    if not any([a.op != "constant" for a in args]):
        raise Refused("it is a constant")
    name = table_name(node)
    row = dialect.functions.get(name)
    if row is None or (row.write is None and row.made_of is None):
        raise Refused(row.reason if row is not None and row.reason else f"the query language has no {name}")
    if name == "isin":
        return _is_one_of(terms, dialect, node, args[0])
    wanted = node.type.item
    if isinstance(node.function, UserFunction):
        args = [converted(terms, a, wanted) for a in args]
    return applied(terms, dialect, name, args, wanted)


def table_name(node: Call) -> str:
    """Give the name in the table of functions: a user's function without a body may stand for one."""
    function = node.function
    if isinstance(function, str):
        return function
    if function.name == "DeltaR" and len(function.parameters) == 4:
        return "delta_r" if function.body is None else f"{function.name} with a body of its own"
    return f"function {function.name}: its body is Python"


def applied(terms: Terms, dialect: Dialect, name: str, args: Sequence[Term], wanted: Item) -> Term:
    """Give a function of the table of terms.

    Raises
    ------
    Refused
        When the row does not allow it, or the kind of number would not be the one that is wanted.
    """
    row = dialect.functions[name]
    args = _prepared(terms, name, args, wanted)
    why = _why_not(row, args, wanted)
    if why:
        raise Refused(f"{name}: {why}")
    if row.made_of is not None:
        return row.made_of(terms, args, wanted)
    found = computed_item(name, args)
    if str(found) != str(wanted):
        raise Refused(f"{name} would give {found} there, not {wanted}")
    return terms.call(name, args, wanted)


def _prepared(terms: Terms, name: str, args: Sequence[Term], wanted: Item) -> Sequence[Term]:
    """Give the arguments with the width that the language gives them, where a back end would take another."""
    if name == "where":
        if any([a.optional for a in args]):
            raise Refused("where: a choice between values that may be missing is made here")
        return [args[0], *[typed(terms, a, wanted) for a in args[1:]]]
    if name in _INTEGERS_OF_TRUTHS and all([isinstance(a.item, Bool) for a in args]):
        return [converted(terms, a, Int(64)) for a in args]
    return args


def typed(terms: Terms, term: Term, wanted: Item) -> Term:
    """Give a constant that does not adapt to its neighbours any more."""
    return converted(terms, term, wanted) if is_weak(term) and not isinstance(wanted, Bool) else term


def _why_not(row: Row, args: Sequence[Term], wanted: Item) -> str:
    items = [a.item for a in args]
    if any([i is None or not is_number(i) for i in items]):
        return "the query language has numbers only"
    if any([isinstance(i, Float) and i.bits < 32 for i in [*items, wanted]]):
        return "the query language has no 16-bit numbers"
    deepest = max([a.depth for a in args])
    if any([a.optional and a.depth < deepest for a in args]):
        return "one missing value beside a list would make the whole list missing"
    if not all([_fits(a, i) for a in args for i in items]):
        return "a constant does not fit into the integers that it meets"
    return row.check([i for i in items if i is not None], wanted) or row.shape(args)


def _fits(term: Term, item: Item | None) -> bool:
    """Say whether a plain constant can take the width of an integer: numpy raises an error where it cannot."""
    if not is_weak(term) or not isinstance(term.item, Int) or not isinstance(item, Int):
        return True
    low, high = (-(1 << (item.bits - 1)), 1 << (item.bits - 1)) if item.signed else (0, 1 << item.bits)
    return low <= term.value[1] < high  # type: ignore[index,no-any-return]


def computed_item(name: str, args: Sequence[Term]) -> Item | None:
    """Give the kind of number that numpy gives."""
    rule = FUNCTIONS[name].item
    if rule is None:
        return None
    weak = [is_weak(a) for a in args]
    try:
        return rule([a.item for a in args if a.item is not None], weak)
    except TypeError:
        return None


def is_weak(term: Term) -> bool:
    """Say whether a term is a plain constant, which adapts to the width of its neighbours."""
    return term.op == "constant" and isinstance(term.value, tuple) and not term.value[3]


def converted(terms: Terms, term: Term, wanted: Item) -> Term:
    """Give the same number with a width of its own: a constant has it, anything else is multiplied by one."""
    if term.op == "constant":
        value = term.value[1]  # type: ignore[index]
        return terms.constant(float(value) if isinstance(wanted, Float) else int(value), wanted, str(wanted))
    if str(term.item) == str(wanted):
        return term
    one = terms.constant(1 if isinstance(wanted, Int) else 1.0, wanted, str(wanted))
    return terms.call("multiply", (term, one), wanted)


def _is_one_of(terms: Terms, dialect: Dialect, node: Call, of: Term) -> Term:
    values = node.option("values")
    if not isinstance(values, tuple) or not 0 < len(values) <= _FEW:
        raise Refused(f"membership of more than {_FEW} values is looked up here")
    found: Term | None = None
    for value in values:
        if not isinstance(value, bool | int | float):
            raise Refused("the query language has numbers only")
        dialect.spelling.constant(value, "")
        constant = terms.constant(value, Bool() if isinstance(value, bool) else Int(64) if isinstance(value, int) else Float(64))
        if not _fits(constant, of.item):
            continue  # It equals none of them.
        same = terms.call("equal", (of, constant), Bool())
        found = same if found is None else terms.call("bitwise_or", (found, same), Bool())
    if found is None:
        raise Refused("no value is one of these")
    return found

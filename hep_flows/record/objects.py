"""Subclasses of DataFrame: the user's own objects with properties of their own."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from hep_flows.errors import FieldError, did_you_mean
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound=type)

# Which properties are being computed: (class, name, expression key). Inside, the name means the leaf.
_ACTIVE: ContextVar[tuple[tuple[type, str, bytes], ...]] = ContextVar("hep_flows_properties", default=())


def guarded_properties(cls: type) -> None:
    """Let each property of a class use the leaf of its own name instead of calling itself for ever."""
    for name, own in list(vars(cls).items()):
        if isinstance(own, property) and own.fget is not None and not name.startswith("_"):
            setattr(cls, name, property(_guarded(cls, name, own.fget), own.fset, own.fdel, own.__doc__))


def _guarded(cls: type, name: str, getter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(getter)
    def get(frame: Any) -> Any:
        mark = (cls, name, frame._expr.key)  # noqa: SLF001
        if mark in _ACTIVE.get():
            return frame[name]
        token = _ACTIVE.set((*_ACTIVE.get(), mark))
        try:
            return getter(frame)
        finally:
            _ACTIVE.reset(token)

    return get


def exclusive_class(cls: C) -> C:
    """Give a class whose objects have only the properties, methods and operators that it defines itself.

    Inside them the object is an ordinary one, so that ``self.pt`` is the leaf.

    Parameters
    ----------
    cls : type
        A subclass of `DataFrame`.
    """
    own = {n: v for c in cls.__mro__ if c.__module__.split(".")[0] != "hep_flows" for n, v in vars(c).items() if c is not object}

    def refuse(name: str) -> FieldError:
        return FieldError(
            f"{cls.__name__} has no attribute {name!r}",
            where=user_site(),
            why="an exclusive class offers only what it defines",
            do=did_you_mean(name, [n for n in own if not n.startswith("_")]) or f"add a property {name!r} to {cls.__name__}",
        )

    def __getattribute__(self: Any, name: str) -> Any:  # noqa: N807
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        if name not in own:
            raise refuse(name)
        return getattr(_inner(self), name)

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807
        del self  # It is what Python passes; only the class matters.
        # Python asks here after __getattribute__ refused: the leaf must stay hidden.
        raise AttributeError(name) if name.startswith("_") else refuse(name)

    def _inner(self: Any) -> Any:
        inner: Any = object.__new__(cls)
        inner.__dict__.update(self.__dict__)
        for slot in ("_expr", "_table"):
            object.__setattr__(inner, slot, object.__getattribute__(self, slot))
        return inner

    outside: dict[str, Any] = {
        "__getattribute__": __getattribute__,
        "__getattr__": __getattr__,
        "__module__": cls.__module__,
        "__doc__": cls.__doc__,
    }
    outside["__qualname__"] = cls.__qualname__
    for name in _operators(cls):
        outside[name] = _delegated(name, _inner) if name in own else _refused(cls, name)
    return type(cls.__name__, (cls,), outside)  # type: ignore[return-value]


def _operators(cls: type) -> list[str]:
    from hep_flows.record.operators import Operators

    skip = {"__doc__", "__module__", "__slots__", "__hash__", "__bool__", "__iter__", "__len__", "__contains__"}
    names = {n for n in vars(Operators) if n.startswith("__")} | {"__getitem__", "__setitem__", "__call__", "__array_ufunc__"}
    return sorted(n for n in names - skip if callable(getattr(cls, n, None)))


def _delegated(name: str, inner: Callable[[Any], Any]) -> Callable[..., Any]:
    def operator(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(inner(self), name)(*args, **kwargs)

    return operator


def _refused(cls: type, name: str) -> Callable[..., Any]:
    def operator(self: Any, *args: Any, **kwargs: Any) -> Any:
        del self, args, kwargs  # Python passes them; the answer is the same for all.
        raise FieldError(
            f"{cls.__name__} does not define {name}",
            where=user_site(),
            why="an exclusive class offers only the operators that it defines",
            do=f"define {name} in {cls.__name__}",
        )

    return operator

"""A body in C++ for a user's function, for back ends that generate C++."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CppFunction:
    """What a function computes, as a back end that generates C++ is told it.

    Parameters
    ----------
    body : str
        The text between the braces of a C++ function, with its ``return``. The parameters have the names that they have in Python;
        ``float`` is ``double`` there, ``int`` is ``long long`` and ``bool`` is ``bool``. No line may be a ``//`` comment.
    includes : tuple of str
        The headers that it needs: ``("cmath",)``.
    """

    body: str
    includes: tuple[str, ...] = ()

"""How much work something is, in calls: a slow machine makes as many of them as a fast one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def n_calls(work: Callable[[], Any]) -> int:
    """Count the calls of functions, of Python and of C, that some work makes in this thread."""
    n = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal n
        n += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return n


def in_proportion(work: Callable[[Any], Any], make: Callable[[int], Any], size: int) -> bool:
    """Say whether twice the size is about twice the work, and not four times or more."""
    small, large = make(size), make(2 * size)
    work(small)  # what is made once, such as a table, is made here
    return n_calls(lambda: work(large)) < 2.6 * n_calls(lambda: work(small))

"""What Prefect logs of the runs that have a server of their own: nothing, since it stands in the report.

Loggers belong to the whole process, and the user may have flows that are to be seen. So only what is said within a run of ours is left
out; threads of a run have its context.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGERS = ("prefect.flow_runs", "prefect.task_runs")

_IS_QUIET: ContextVar[bool] = ContextVar("nothing is logged", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Prefect logs of flow runs and task runs in the block."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_filter())
    token = _IS_QUIET.set(True)
    try:
        yield
    finally:
        _IS_QUIET.reset(token)


@lru_cache(maxsize=1)
def _filter() -> logging.Filter:
    return _OnlyOthers()


class _OnlyOthers(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not _IS_QUIET.get()

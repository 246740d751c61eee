"""What ``run`` gives: the values, and what became of each task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import TaskError
from hep_flows.plugin import Columns, HistogramResult, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hep_flows.execute.report import RunReport
    from hep_flows.plugin import Result


class Missing:
    """Stands where a value could not be delivered.

    Parameters
    ----------
    reason : str
        Why.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        self.reason = reason

    def __bool__(self) -> bool:
        """A missing value counts as false."""
        return False

    def __repr__(self) -> str:
        """Say why it is missing."""
        return f"<missing: {self.reason}>"


class Lost(dict[str, Any]):
    """The values of a dataset that could not be used: those whose names are known, and whatever else is asked for, are `Missing`."""

    def __init__(self, names: Iterable[str], reason: str) -> None:
        """Keep the reason."""
        super().__init__(dict.fromkeys(names, Missing(reason)))
        self.reason = reason

    def __missing__(self, name: str) -> Missing:
        """Say why there is no value of that name."""
        return Missing(self.reason)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - there is a reason in its place
        """Say why there is no value of that name."""
        return self[name]

    def __repr__(self) -> str:
        """Say why they are missing."""
        return super().__repr__() if len(self) else repr(Missing(self.reason))


@dataclass(frozen=True, slots=True)
class RunResult:
    """The values that were asked for, and the report.

    Parameters
    ----------
    values : any
        In the containers that they were asked for in; a `Missing` where a value could not be delivered. There are no partial values.
    report : RunReport
        What became of each task.
    """

    values: Any
    report: RunReport

    @property
    def is_complete(self) -> bool:
        """Whether every value is there."""
        return not self.report.errors

    def checked(self) -> Any:
        """Give the values.

        Raises
        ------
        TaskError
            When one is missing; it holds the report.
        """
        if not self.report.errors:
            return self.values
        error = TaskError(
            f"{len(self.report.errors)} parts of the run failed, so not every result is there",
            where=self.report.errors[0].where,
            why="\n".join([r.reason for r in self.report.tasks if r.state == "failed"]),
            do="run it again when the reason is gone: what is stored is not computed again",
        )
        error.report = self.report
        raise error from self.report.errors[0]


def value_of(result: Result) -> Any:
    """Give what the user gets for a result."""
    match result:
        case Columns(array):
            return array
        case Scalar(value):
            return value
        case HistogramResult(histogram):
            return histogram

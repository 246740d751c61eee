"""Every exception of hep_flows, and how it prints.

::

    HepFlowsError
    ├── RecordError                 while an expression is written down
    │   ├── FieldError              no such leaf, collection or column
    │   ├── MixedFilesError         a leaf that only some files of a dataset have, or that they hold as different kinds
    │   ├── AxisError               operands, masks or levels that do not fit
    │   ├── LiteralError            a constant or argument of the wrong kind
    │   └── ControlFlowError        if, and, or, not, in, for, len, float on an expression
    ├── AnalysisError               an analysis that cannot be loaded or recorded
    ├── SourceError                 a file, tree or branch that cannot be used
    ├── PlanError
    │   └── NoPluginError           no plug-in can run a node; holds every refusal
    ├── PluginError                 a plug-in broke its contract
    ├── TaskError                   a task failed while it ran; the original is chained
    ├── StoreError                  a result that cannot be stored, or a folder that cannot hold it
    └── OrchestrationError          a Prefect server or a task runner that cannot be used

Each says *what* is wrong, *where* in the user's code, *why*, and what to *do*.
"""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import CodeType


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the user's code, as plain data: it can cross processes.

    Columns count characters from 0; ``end`` is exclusive; both are 0 when unknown.
    """

    file: str
    line: int
    start: int = 0
    end: int = 0

    def text(self) -> str:
        """Give the line with a caret under the part that is meant."""
        source = linecache.getline(self.file, self.line).rstrip("\n")
        name = visible(self.file.rsplit("/", 1)[-1])
        head = f"  {name}:{self.line}   "
        if not source.strip():
            return head.rstrip()
        indent = len(source) - len(source.lstrip())
        start = max(self.start, indent)
        stop = min(max(self.end, start + 1), len(source)) if self.end else len(source)
        return f"{head}{source.strip()}\n{' ' * (len(head) + start - indent)}{'^' * (stop - start)}"


class Site:
    """Where an expression was written: cheap to take, turned into a `SourceLine` only when shown."""

    __slots__ = ("_line", "code", "instruction", "lineno")

    def __init__(self, code: CodeType, instruction: int, lineno: int) -> None:
        self.code = code
        self.instruction = instruction
        self.lineno = lineno
        self._line: SourceLine | None = None

    def source_line(self) -> SourceLine:
        """Give the file, the line and the columns of the instruction; it is looked for once."""
        if self._line is None:
            self._line = self._found()
        return self._line

    def _found(self) -> SourceLine:
        file = self.code.co_filename
        for i, (line, end_line, start, end) in enumerate(self.code.co_positions()):
            if i * 2 == self.instruction and line is not None and start is not None:
                one_line = end if end is not None and end_line == line else 0
                return SourceLine(file, line, _characters(file, line, start), _characters(file, line, one_line))
        return SourceLine(file, self.lineno)


def _characters(file: str, line: int, n_bytes: int) -> int:
    """Turn the compiler's byte offset into a character offset."""
    return len(linecache.getline(file, line).encode()[:n_bytes].decode(errors="ignore"))


Where = Site | SourceLine | None


def line_of(where: Where) -> SourceLine | None:
    """Give the plain source line of a site."""
    return where.source_line() if isinstance(where, Site) else where


class HepFlowsError(Exception):
    """The root of all errors of hep_flows.

    Parameters
    ----------
    what : str
        One sentence: what is wrong.
    where : SourceLine or Site, optional
        The user's own line.
    why, do : str
        The reason, and what to write instead.

    Attributes
    ----------
    transient : bool
        Whether trying again may help, as with a server that did not answer.
    report : RunReport, optional
        Of an error that ended a run: what became of each task until then. None where nothing had begun.
    files : mapping of str to str
        The files that cannot be used, where it is these that the error is about, each with the reason.
    """

    transient = False
    report: Any = None
    files: Mapping[str, str] = MappingProxyType({})

    def __init__(self, what: str, *, where: Where = None, why: str = "", do: str = "") -> None:
        self.what, self.why, self.do = visible(what), visible(why), visible(do)
        super().__init__(self.what)
        self.where = line_of(where)

    def __str__(self) -> str:
        """Lay the four parts out below each other, and what became of the run where it had several tasks."""
        parts = [self.what]
        if self.where is not None:
            parts.append(self.where.text())
        if self.why:
            parts.append(f"  why: {self.why}")
        if self.do:
            parts.append(f"  do:  {self.do}")
        if self.report is not None and len(self.report.tasks) > 1:
            parts.append(f"  run: {self.report.in_short} (error.report has them one by one)")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the parts when the error crosses a process."""
        parts = (type(self), self.what, self.where, self.why, self.do, self.transient)
        # The report may hold the error itself, so it is put back when the error is there.
        state: dict[str, Any] = {"files": dict(self.files)} if self.files else {}
        state |= {} if self.report is None else {"report": self.report}
        return (_rebuilt, parts, state) if state else (_rebuilt, parts)


def _rebuilt(
    kind: type[HepFlowsError],
    what: str,
    where: SourceLine | None,
    why: str,
    do: str,
    transient: bool,  # noqa: FBT001
) -> HepFlowsError:
    error = kind.__new__(kind)
    HepFlowsError.__init__(error, what, where=where, why=why, do=do)
    error.transient = transient
    return error


class RecordError(HepFlowsError):
    """An expression that means nothing, found while it is written down."""


class FieldError(RecordError, AttributeError):
    """No leaf, column, alias or method of that name.

    It is an `AttributeError` so that ``hasattr`` and ``getattr`` with a default work.
    """


class MixedFilesError(RecordError):
    """A leaf that only some files of a dataset have, or that they hold as kinds that do not fit together.

    It is no `AttributeError`: ``hasattr`` and ``getattr`` with a default would answer for all files what holds for some.
    """


class AxisError(RecordError, ValueError):
    """Operands that do not align, a mask of other elements, or a level that does not exist."""


class LiteralError(RecordError, TypeError):
    """A constant or an argument of a kind that the language does not take."""


class ControlFlowError(RecordError):
    """Python control flow on an expression that has no value yet.

    It is no `TypeError`: Python would replace that by a text of its own where ``in`` asks for an iterator.
    """


class AnalysisError(HepFlowsError):
    """An analysis that cannot be loaded, fails while it is recorded, or gives something else than named expressions."""


class SourceError(HepFlowsError):
    """A file, tree or branch that is missing, damaged or of another kind."""

    def of_file(self, file: str) -> SourceError:
        """Say which file cannot be used, where that is not said; gives the error itself."""
        self.files = self.files or {file: self.what}
        return self


MOST_FILES = 20


def bad_files(errors: Sequence[HepFlowsError]) -> HepFlowsError:
    """Give one error that names every file of several; a single one is given as it is."""
    if len(errors) == 1:
        return errors[0]
    files = {file: why for e in errors for file, why in e.files.items()}
    whats = list(dict.fromkeys(files.values()))
    more = f"; and {len(whats) - MOST_FILES:,} more" if len(whats) > MOST_FILES else ""
    first = errors[0]
    made = SourceError("; ".join(whats[:MOST_FILES]) + more, where=first.where, why=first.why, do=first.do)
    made.files, made.transient = files, any(e.transient for e in errors)
    made.__cause__ = first
    return made


class PlanError(HepFlowsError):
    """An expression that cannot be turned into tasks."""


class NoPluginError(PlanError):
    """No plug-in can run a node; the reason of each stands in ``why``."""


class PluginError(HepFlowsError):
    """A plug-in broke its contract."""


class TaskError(HepFlowsError):
    """A task failed while it ran."""


class StoreError(HepFlowsError):
    """A result that cannot be stored, or a cache folder that cannot hold it."""


class OrchestrationError(HepFlowsError):
    """A Prefect server, an engine or a task runner that cannot be used."""


_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    """Give a text with everything spelled out that steers a terminal or changes the order of what is read.

    Names come from files, filesets and caches of others. A newline or an escape sequence in one could pose as a line of ours, and a mark of
    direction as another name.
    """
    return _HIDDEN.sub(lambda m: m[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def with_article(value: object) -> str:
    """Give ``"an int"`` or ``"a dict"`` for the kind of a value."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' or name.startswith('nd') else 'a'} {name}"


def did_you_mean(name: str, known: Iterable[str], limit: int = 3, about: Mapping[str, str] | None = None) -> str:
    """Give ``"did you mean 'a' or 'b'?"`` for names that differ by a slip of the fingers, with what they are about where that is known.

    A name that is near but means something else is worse than none: another number (``IsoMu24``, ``IsoMu27``) or another letter that
    stands alone (``DeepB``, ``DeepC``) is no slip.
    """
    found = sorted([(slips, i, k) for i, k in enumerate(dict.fromkeys(known)) if (slips := _slips(name, k)) is not None])
    texts = about or {}
    shown = [f"{k!r} ({texts[k]})" if texts.get(k) else repr(k) for _, _, k in found[:limit]]
    return f"did you mean {' or '.join(shown)}?" if shown else ""


def _slips(name: str, known: str) -> int | None:
    """Count the letters that were added, left out, exchanged or taken for others; None where these are too many for a slip."""
    a, b = name.casefold(), known.casefold()
    if a == b:
        return 0
    most = 1 if min(len(a), len(b)) <= 7 else 2
    if min(len(a), len(b)) < 2 or abs(len(a) - len(b)) > most or re.findall(r"\d+", a) != re.findall(r"\d+", b):
        return None
    words, others = [re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text) for text in (name, known)]
    if len(words) == len(others) and any(v != w and len(v) == len(w) == 1 for v, w in zip(words, others, strict=True)):
        return None
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other)))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                row[-1] = min(row[-1], last[j - 2] + 1)
    return row[-1] if row[-1] <= most else None

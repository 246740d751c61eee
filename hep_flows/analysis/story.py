"""What a file of results says about itself: the query, the data and the versions that it was made with, so that it can be made again.

A story stands in every histogram of UHI's JSON, as a text beside each in a ROOT file, and in the pictures. It is data: nothing in it
is ever run but expressions, whose functions are those of the language.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.histogram_files import with_flow
from hep_flows.errors import AnalysisError, StoreError, line_of, visible
from hep_flows.execute.joint import as_hist, stacked
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.nodes import Call, Dataset
from hep_flows.expr.text import one_line, shown
from hep_flows.expr.transport import decode_together, encode_together
from hep_flows.expr.walk import postorder
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import make_plan
from hep_flows.plugins import installed
from hep_flows.record.histogram import HistogramRequest
from hep_flows.store.about import loaded_versions
from hep_flows.verbs import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hep_flows.expr.nodes import Expr

FORMAT = "hf-story/1"
MEMBER = "hep_flows"  # of the metadata of a histogram in UHI's form, and of the texts of a picture
ENDING = ".story"  # of the name of the text beside a histogram in a ROOT file
_TEXT_WIDTH, _SHORT_WIDTH = 2000, 200  # of the first part, and of its variations
_MOST_BYTES = 1 << 20  # of an expression; that of a dataset of thousands of files is left out


def told(
    dataset: str,
    result: str,
    parts: Mapping[str, tuple[str, Expr]],
    label: Mapping[str, Any],
    histogram: Any,
    *,
    blinded: bool = False,
) -> dict[str, Any]:
    """Give the story of a histogram.

    Parameters
    ----------
    dataset, result : str
        What it is called.
    parts : mapping of str to pair of str and Expr
        By variation (or an empty name), the key of the content and the expression.
    label : mapping
        What a partial result is of; empty where it is whole.
    histogram : hist.Hist
        The values.
    blinded : bool
        Whether some of them are hidden: the story has no expression then, which would show them.
    """
    exprs = [e for _, e in parts.values()]
    nodes = list(postorder(*exprs))
    lines = dict.fromkeys([f"{x.file.rsplit('/', 1)[-1]}:{x.line}" for n in nodes if (x := line_of(n.where)) is not None])
    data = {n.key: n for n in nodes if isinstance(n, Dataset)}
    encoded = "" if blinded else encode_together(exprs, kept=True).decode()
    return {
        "format": FORMAT,
        "dataset": dataset,
        "result": result,
        "parts": {
            p: {"key": key, "text": one_line(e, _TEXT_WIDTH if i == 0 else _SHORT_WIDTH)}
            for i, (p, (key, e)) in enumerate(parts.items())
        },
        "expression": encoded if len(encoded) <= _MOST_BYTES else "",
        "data": [
            {
                "name": d.name,
                "kind": d.kind,
                "tree": d.tree,
                "files": [list(f) for f in zip(map(shown, d.files), d.content, strict=False)],
            }
            for d in data.values()
        ],
        "functions": sorted({n.function.name for n in nodes if isinstance(n, Call) and isinstance(n.function, UserFunction)}),
        "lines": list(lines),
        "versions": loaded_versions(),
        "partial": dict(label),
        "blinded": blinded,
        "sha256": checksum(histogram),
    }


def checksum(histogram: Any) -> str:
    """Give the checksum of the contents, the same for a histogram that was in a ROOT file."""
    return sha256(_contents(histogram).tobytes()).hexdigest()


def _contents(histogram: Any) -> Any:
    """Give the bins of counts as ROOT has them: flow bins at both ends, of categories none; of other storages all bins."""
    if histogram.kind.value != "COUNT" or "Multi" in histogram.storage_type.__name__:
        return histogram.view(flow=True)
    whole = with_flow(histogram)
    return whole.view(flow=True)[tuple([slice(0, len(a)) if "Category" in type(a).__name__ else slice(None) for a in whole.axes])]


# Stories in files ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A story that a file tells, and the histogram that it is about; a picture has none."""

    story: Mapping[str, Any]
    histogram: Any = None

    @property
    def name(self) -> str:
        """The dataset and the result."""
        return f"{self.story['dataset']}/{self.story['result']}"

    @property
    def is_altered(self) -> bool:
        """Whether the contents are others than those that were written."""
        return self.histogram is not None and checksum(self.histogram) != self.story["sha256"]


def read_stories(file: str | Path) -> list[Told]:
    """Give the stories of a file of results.

    Raises
    ------
    StoreError
        When it is damaged, or tells none.
    """
    path = Path(file)
    try:
        read = {".json": _of_json, ".root": _of_root, ".png": _of_png}[path.suffix.lower()]
    except KeyError:
        raise StoreError(f"{path} tells no story", why="histograms.json, histograms.root and pictures (.png) do") from None
    try:
        found = [Told(json.loads(text), h) for text, h in read(path)]
        usual = [
            t
            for t in found
            if isinstance(t.story["expression"], str)
            and t.story["format"] == FORMAT
            and t.name
            and t.story["parts"]
            and t.story["sha256"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, struct.error) as error:
        raise StoreError(f"{path} cannot be read", why=f"{type(error).__name__}: {visible(str(error))[:200]}") from None
    if not usual:
        raise StoreError(f"{path} tells no story", why="it was written by something else, or by an earlier version")
    return usual


def _of_json(path: Path) -> Iterable[tuple[str, Any]]:
    import hist
    import uhi.io.json

    for said in json.loads(path.read_text(encoding="utf-8"), object_hook=uhi.io.json.object_hook).values():
        text = said.get("metadata", {}).pop(MEMBER, "")
        if text:
            yield text, hist.Hist(said)


def _of_root(path: Path) -> Iterable[tuple[str, Any]]:
    import uproot

    with uproot.open(path) as opened:
        if opened.file.fEND > path.stat().st_size:
            raise ValueError("it was cut short")
        for key in opened.keys(cycle=False, recursive=True):
            if key.endswith(ENDING):
                name = key.removesuffix(ENDING)
                yield str(opened[key]), _whole(opened[name]) if name in opened else None


def _whole(read: Any) -> Any:
    """Give a histogram of a ROOT file with its flow bins: uproot's own conversion drops them where an axis has labels."""
    import hist

    axes = [read.axis(i) for i in range(len(read.axes))]
    made = [hist.axis.StrCategory(a.labels()) if a.labels() else hist.axis.Variable(a.edges()) for a in axes]
    weighted = len(read.member("fSumw2")) > 0
    found = hist.Hist(*made, storage=hist.storage.Weight() if weighted else hist.storage.Double())
    inside = tuple([slice(1, -1) if a.labels() else slice(None) for a in axes])
    view = found.view(flow=True)[tuple([slice(0, len(m)) if a.labels() else slice(None) for a, m in zip(axes, made, strict=True)])]
    if weighted:
        view["value"], view["variance"] = read.values(flow=True)[inside], read.variances(flow=True)[inside]
    else:
        view[...] = read.values(flow=True)[inside]
    return found


def _of_png(path: Path) -> Iterable[tuple[str, Any]]:
    data, at = path.read_bytes(), 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body, check = data[at + 4 : at + 8], data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        if struct.pack(">I", zlib.crc32(kind + body)) != check:
            raise ValueError("a part of the picture is damaged")
        if kind in (b"tEXt", b"iTXt") and body.startswith(MEMBER.encode() + b"\0"):
            text = body.split(b"\0", 1)[1] if kind == b"tEXt" else body.split(b"\0", 5)[5]
            yield from [(json.dumps(one), None) for one in json.loads(text.decode("utf-8" if kind == b"iTXt" else "latin-1"))]
        at += 12 + size


# What a story says, and what it makes again ---------------------------------------------------------------------------------------


def story_text(one: Told) -> str:
    """Give a story in the words of a physicist."""
    story = one.story
    lines = [one.name]
    for part, said in story["parts"].items():
        lines.append(f"  {part or 'is'}: {said['text']}")
        lines.append(f"    key {said['key'][:16]}")
    for data in story["data"]:
        lines.append(f"  of {data['name']}: {data['kind']}, tree {data['tree'] or '-'}, {len(data['files'])} files")
        lines += [f"    {name}  {content.rpartition(':')[2][:16]}" for name, content in data["files"][:5]]
        lines += [f"    ... and {len(data['files']) - 5} more"] if len(data["files"]) > 5 else []
    if story["partial"]:
        lines.append(f"  PARTIAL: {json.dumps(story['partial'].get('files'))}")
    lines += [f"  functions of the user: {', '.join(story['functions'])}"] if story["functions"] else []
    lines += [f"  written at: {', '.join(story['lines'][:8])}"] if story["lines"] else []
    lines.append(f"  made with: {', '.join([f'{n} {v}' for n, v in story['versions'].items()])}")
    lines += ["  ALTERED: the contents are not those that were written"] if one.is_altered else []
    return "\n".join([visible(line) for line in lines])


def replayed(one: Told) -> Any:
    """Give the histogram that a story tells of, computed again from the data: nothing that is stored is used.

    Raises
    ------
    AnalysisError
        When the story lacks the expression, has functions of a user, or was altered.
    HepFlowsError
        When the data is not there any more, or is other data.
    """
    parts = one.story["parts"]
    if one.story["functions"]:
        raise AnalysisError(
            f"{one.name} calls {', '.join(one.story['functions'])}, and the file has no code",
            do="run the analysis again: what is stored is found",
        )
    if one.story.get("blinded"):
        raise AnalysisError(f"{one.name} is blinded", why="made again it would show what is hidden", do="run the analysis again")
    if not one.story["expression"]:
        raise AnalysisError(f"{one.name} has too many files to stand in its story", do="run the analysis again")
    exprs = dict(zip(parts, decode_together(one.story["expression"].encode()), strict=False))
    targets = make_plan(normalise(list(exprs.values())), installed()).targets
    if len(exprs) != len(parts) or [t.hex() for t in targets] != [p["key"] for p in parts.values()]:
        raise AnalysisError(f"the story of {one.name} is not that of its key", why="it was altered, or is of another version")
    done = run({p: HistogramRequest._of(e, None) for p, e in exprs.items()}, refresh=True, on_error="raise")  # noqa: SLF001
    values = {p: as_hist(v) for p, v in done.values.items()}
    return stacked(values) if len(values) > 1 else next(iter(values.values()))


def compared(one: Told, again: Any) -> str:
    """Say how a histogram differs from that in the file; empty when every bit of every bin is the same."""
    import numpy as np

    if one.histogram is None:
        raise AnalysisError("a picture has no numbers to compare", do="hep-flows replay histograms.json --check")
    if checksum(again) == checksum(one.histogram):
        return ""
    old, new = [np.asarray(v["value"] if v.dtype.names else v, dtype=float) for v in map(_contents, (one.histogram, again))]
    if old.shape != new.shape:
        return f"it has {old.shape} bins, and now {new.shape}"
    if np.array_equal(old, new):
        return "the sums are the same, and the sums of squares differ"
    differs = old != new
    largest = float(np.max(np.abs(new - old)[differs] / np.maximum(np.abs(old), np.abs(new))[differs], initial=0.0))
    now = loaded_versions()
    changed = [f"{n} {v} (now {now[n]})" for n, v in one.story["versions"].items() if n in now and now[n] != v]
    others = f"; it was made with {', '.join(changed)}" if changed else ""
    return f"{int(differs.sum())} bins differ, by up to {largest:.2g} of their content{others}"

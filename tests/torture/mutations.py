"""Every change that is tried, and which results have to be computed again because of it: plug-in and number of batches."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import Project, write_file

from functions.sample_corrections import (
    corrections,
    dense_model,
    named,
    network,
    write_corrections,
    write_model,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Expected = dict[str, list[tuple[str, int]]]


def everything(n: int) -> Expected:
    """Give what is computed when that many files are new: maxima change, so what they enter changes everywhere."""
    names = ("corrected", "smeared", "scaled", "classed", "decorated", "weighted", "scored", "alias", "column", "mapped", "count")
    return {
        **{name: [("awkward", n)] for name in names},
        "histogram": [("awkward", n), ("hist", n)],
    }


@dataclass(frozen=True)
class Mutation:
    """A change, how it is made, and what it makes necessary."""

    name: str
    make: Callable[[Project], None]
    expected: Expected


def _edit(old: str, new: str) -> Callable[[Project], None]:
    return lambda p: p.edit(old, new)


def _overwrite(p: Project) -> None:
    write_file(p.files[1], 77)


def _replace_alike(p: Project) -> None:
    before = p.files[1].stat()
    write_file(p.files[1], 78)
    os.utime(p.files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = p.files[1].stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _write_into(p: Project) -> None:
    """Change bytes in place: the same file system entry, size and time."""
    before = p.files[1].stat()
    other = p.root / "other.root"
    write_file(other, 79)
    with p.files[1].open("r+b") as file:
        file.write(other.read_bytes())
    other.unlink()
    os.utime(p.files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = p.files[1].stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


def _add(p: Project) -> None:
    p.files.append(p.root / "part_3.root")
    write_file(p.files[-1], 3)


def _remove(p: Project) -> None:
    p.files.pop(1)


def _swap(p: Project) -> None:
    p.files.reverse()


def _move_cache(p: Project) -> None:
    p.cache = p.cache.rename(p.cache.parent / "moved" if not p.cache.parent.joinpath("moved").exists() else p.cache)


def _move_project(p: Project) -> None:
    root = p.root.parent / "elsewhere"
    shutil.move(p.root, root)
    p.files = [root / f.name for f in p.files]
    p.root = root


def _move_file(p: Project) -> None:
    p.files[1] = p.files[1].rename(p.root / "renamed.root")


def _edit_correction(name: str) -> Callable[[Project], None]:
    def make(p: Project) -> None:
        content = corrections()
        named(content, name)["data"] = 1.75
        write_corrections(p.root / "sf.json", content)

    return make


def _describe_correction(p: Project) -> None:
    content = corrections()
    content["description"] = named(content, "electron-sf 1")["description"] = "other words"
    content["corrections"].reverse()
    write_corrections(p.root / "sf.json", content)


def _replace_model(p: Project) -> None:
    write_model(p.root / "score.onnx", dense_model(network(2, 5, 1, seed=2)))


def _rename_model(p: Project) -> None:
    (p.root / "score.onnx").rename(p.root / "renamed.onnx")
    p.edit('"score.onnx"', '"renamed.onnx"')


def _touch(p: Project) -> None:
    os.utime(p.files[1], (time.time() + 5, time.time() + 5))


def _plugin(name: str, value: str) -> Callable[[Project], None]:
    return lambda p: p.add_plugin(name, value)


def _how(**settings: object) -> Callable[[Project], None]:
    return lambda p: p.how.update(settings)


def _by_servicex(p: Project) -> None:
    p.edit(" nanoaod_table, onnx_model", " onnx_model, servicex_table")
    p.edit("nanoaod_table(files)", 'servicex_table(files, kind="nanoaod")')


def _both(*changes: Callable[[Project], None]) -> Callable[[Project], None]:
    def make(p: Project) -> None:
        for change in changes:
            change(p)

    return make


NOTHING: Expected = {}
# The maximum over all events enters "normalised": it is computed again for the file, and everywhere when the maximum changed.
ONE_FILE: Expected = {**everything(1), "normalised": [("awkward", 1), ("awkward", 3)], "first": [("awkward", 1)]}

MUTATIONS = [
    Mutation("cut value", _edit("> 30.0", "> 35.0"), {"histogram": [("awkward", 3), ("hist", 3)], "count": [("awkward", 3)]}),
    Mutation("helper of a user_func", lambda p: p.edit_tools("0.25", "0.5"), {"corrected": [("awkward", 3)]}),
    Mutation("helper through its module", lambda p: p.edit_tools("1.125", "1.25"), {"smeared": [("awkward", 3)]}),
    Mutation("captured value", _edit("scaled_by(1.5)", "scaled_by(1.25)"), {"scaled": [("awkward", 3)]}),
    Mutation("global of a user_func", _edit("SCALE = 2.0", "SCALE = 4.0"), {"corrected": [("awkward", 3)]}),
    Mutation("body of a user_func", _edit("return pt * factor", "return pt + factor"), {"scaled": [("awkward", 3)]}),
    Mutation("function of a class", lambda p: p.edit_tools("pt * Tool.FACTOR", "pt / Tool.FACTOR"), {"classed": [("awkward", 3)]}),
    Mutation("constant of a class", lambda p: p.edit_tools("FACTOR = 3.0", "FACTOR = 3.5"), {"classed": [("awkward", 3)]}),
    Mutation("function behind a decorator", lambda p: p.edit_tools("pt + 1.75", "pt + 1.5"), {"decorated": [("awkward", 3)]}),
    Mutation("the decorator itself", lambda p: p.edit_tools("+ 0.5", "+ 0.75"), {"decorated": [("awkward", 3)]}),
    Mutation("correction in use", _edit_correction("electron-sf 1"), {"weighted": [("awkward", 3)]}),
    Mutation("ONNX model replaced", _replace_model, {"scored": [("awkward", 3)]}),
    Mutation("file overwritten in place", _overwrite, ONE_FILE),
    Mutation("file replaced, same size and mtime", _replace_alike, ONE_FILE),
    Mutation("bytes changed, same inode, size and mtime", _write_into, ONE_FILE),
    Mutation("file added", _add, {**ONE_FILE, "normalised": [("awkward", 1), ("awkward", 4)]}),
    Mutation("file removed", _remove, {"normalised": [("awkward", 2)], "first": [("awkward", 1)]}),
    Mutation("files in another order", _swap, {"normalised": [("awkward", 3)], "first": [("awkward", 1), ("awkward", 1)]}),
    Mutation("binning", _edit("Reg(20, 0, 200", "Reg(25, 0, 200"), {"histogram": [("hist", 3)]}),
    Mutation("weight", _edit("weight=0.1", "weight=good.pt"), {"histogram": [("awkward", 3), ("hist", 3)]}),
    Mutation("factor of all weights", _edit("weight=0.1", "weight=0.3"), NOTHING),
    Mutation("alias redefined", _edit("j.pt / 1000.0", "j.pt / 500.0"), {"alias": [("awkward", 3)]}),
    Mutation("column redefined", _edit("events.Jet.pt.Sum()", "events.Jet.pt.Max()"), {"column": [("awkward", 3)]}),
    Mutation("result version of hist", _plugin("hist", "kin:RaisedHist"), {"histogram": [("hist", 3)]}),
    Mutation(
        "result version of awkward",
        _plugin("awkward", "kin:RaisedAwkward"),
        {**everything(3), "normalised": [("awkward", 3), ("awkward", 3)], "first": [("awkward", 1), ("awkward", 1)]},
    ),
    Mutation("another correction in the same file", _edit_correction("other"), NOTHING),
    Mutation("order and words of the correction file", _describe_correction, NOTHING),
    Mutation("ONNX model renamed", _rename_model, NOTHING),
    Mutation("function of a class that nobody calls", lambda p: p.edit_tools("pt - 11.0", "pt - 12.0"), NOTHING),
    Mutation("lambda variable renamed", _edit("lambda jet: jet.pt * jet.eta", "lambda x: x.pt * x.eta"), NOTHING),
    Mutation("comment", _edit("return pt * factor", "return pt * factor  # a remark"), NOTHING),
    Mutation("line moved", _edit("SCALE = 2.0\n", "\n\n\nSCALE = 2.0\n\n"), NOTHING),
    Mutation(
        "a & b for b & a",
        _edit("(events.Jet.pt > 30.0) & (abs(events.Jet.eta) < 2.4)", "(abs(events.Jet.eta) < 2.4) & (30.0 < events.Jet.pt)"),
        NOTHING,
    ),
    Mutation("cache folder moved", _move_cache, NOTHING),
    Mutation("project moved", _move_project, NOTHING),
    Mutation("file moved", _move_file, NOTHING),
    Mutation("file touched", _touch, NOTHING),
    Mutation("another cut of the plan", _plugin("arithmetic", "kin:Arithmetic"), NOTHING),
    Mutation("another plug-in of the family", _plugin("twin", "kin:Twin"), NOTHING),
    Mutation("read by ServiceX", _by_servicex, NOTHING),
    Mutation("another engine", _how(engine="embedded"), NOTHING),
    Mutation("other workers", _how(workers=5), NOTHING),
    Mutation("other memory", lambda p: p.environment.update(HEP_FLOWS_MEMORY="256MB"), NOTHING),
    Mutation(
        "binning, with other workers and memory",
        _both(
            _edit("Reg(20, 0, 200", "Reg(25, 0, 200"),
            _how(workers=1),
            lambda p: p.environment.update(HEP_FLOWS_MEMORY="256MB"),
        ),
        {"histogram": [("hist", 3)]},
    ),
    Mutation("other slices at a time", _how(chunk_events=1000), NOTHING),
    Mutation(
        "binning, by another plug-in of the family",
        _both(_edit("Reg(20, 0, 200", "Reg(25, 0, 200"), _plugin("twin", "kin:Twin")),
        {"histogram": [("hist", 3)]},
    ),
    Mutation(
        "binning, by another engine",
        _both(_edit("Reg(20, 0, 200", "Reg(25, 0, 200"), _how(engine="embedded")),
        {"histogram": [("hist", 3)]},
    ),
]

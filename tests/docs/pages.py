"""The pages of the documentation, cut into code blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hep_flows.expr.functions import FUNCTIONS
from hep_flows.record.hooks import awkward_names, numpy_names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))

_BLOCK = re.compile(r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block; ``output`` is the ``text`` block that follows with nothing but empty lines between.

    ``start`` and ``end`` are where its text stands in the page.
    """

    language: str
    title: str
    text: str
    line: int
    start: int
    end: int
    output: Block | None = None


def blocks_of(page: str) -> list[Block]:
    """Give the blocks of a page, in order; expected outputs are part of the block before them."""
    found: list[Block] = []
    last_end = -1
    for match in _BLOCK.finditer(page):
        line = page.count("\n", 0, match.start("text")) + 1
        new = Block(match["language"], match["title"] or "", match["text"], line, match.start("text"), match.end("text"))
        follows = bool(found) and not page[last_end : match.start()].strip()
        if new.language == "text" and follows and found[-1].language in {"python", "console"} and found[-1].output is None:
            before = found.pop()
            new = Block(before.language, before.title, before.text, before.line, before.start, before.end, new)
        found.append(new)
        last_end = match.end()
    return found


def code_of(page: str) -> str:
    """Give all code of a page, inline and in blocks, as one text."""
    blocks = [m["text"] for m in _BLOCK.finditer(page)]
    prose = _BLOCK.sub("", page)
    return "\n".join([*blocks, *re.findall(r"``(.+?)``", prose), *re.findall(r"`([^`\n]+)`", prose)])


def functions_not_documented(page):
    """Give what the table of functions says and the page does not: methods with their lines, and names in numpy and awkward."""
    lines = page.splitlines()
    rows = [r for r in FUNCTIONS.values() if r.method]
    endings = {r.method: f"| {r.doc} | {r.empty}".rstrip() + " |" for r in rows}
    missing = [m for m, end in endings.items() if not any(n.startswith(f"| `{m}(") and n.endswith(end) for n in lines)]
    for prefix, names in (("np", numpy_names()), ("ak", awkward_names())):
        listed = set(re.findall(rf"`{prefix}\.(\w+)`", "\n".join([n for n in lines if n.startswith(f"| `{prefix}.")])))
        missing += [f"{prefix}.{n}" for n in sorted(set(names) ^ listed)]
    return missing

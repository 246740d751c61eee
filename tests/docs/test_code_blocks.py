"""Every code block of the documentation runs, and prints what the page says.

With ``HEP_FLOWS_GOLDEN=1`` the expected outputs are written anew instead.
"""

from __future__ import annotations

import os
import re
from contextvars import copy_context

import pytest
from pages import PAGES, blocks_of

RUNS = {"python", "console"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_code_blocks_run_and_print_what_the_page_says(page, reader):
    copy_context().run(_read, page, reader)


def _read(page, reader):
    text = page.read_text()
    new, position = [], 0
    for block in blocks_of(text):
        if block.language not in RUNS and not block.title:
            continue
        said = reader.run(block)
        if block.output is None:
            continue
        if os.environ.get("HEP_FLOWS_GOLDEN") and _without_keys(said) != _without_keys(block.output.text):
            new += [text[position : block.output.start], said]
            position = block.output.end
        elif not os.environ.get("HEP_FLOWS_GOLDEN"):
            assert _without_keys(said) == _without_keys(block.output.text), f"{page.name}:{block.line}"
    if position:
        page.write_text("".join([*new, text[position:]]))


def _without_keys(text):
    # Keys cover the content of the files, and every sample that is written has an identity of its own.
    return re.sub(r"\bkey [0-9a-f]{8}\b", "key ........", text)


def test_a_wrong_output_is_found(reader, tmp_path, environment):
    environment(HEP_FLOWS_GOLDEN=None)
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```text\n2\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:2"):
        _read(page, reader)


def test_a_failing_block_is_found(reader, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError):
        _read(page, reader)

"""Run the code blocks of a page, as a reader would: in order, in one folder, in one session."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import HepFlowsError

if TYPE_CHECKING:
    from pages import Block


class Session:
    """One reader with one page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, block: Block) -> str:
        """Run one block, and give what it prints; an error of hep_flows prints as its class and its text."""
        if block.title:
            target = self.folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
            return ""
        if block.language == "console":
            return "".join([self._command(line) for line in block.text.splitlines() if line.startswith("$ ")])
        return self._python(block)

    def _python(self, block: Block) -> str:
        # Every block has a file of its own, so that lines in messages and sources of functions are found.
        file = str(self.folder / f"block_{block.line}" / "analysis.py")
        linecache.cache[file] = (len(block.text), None, block.text.splitlines(keepends=True), file)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(block.text, file, "exec", dont_inherit=True), self.names)
            except HepFlowsError as error:
                if block.output is None:
                    raise
                printed.write(f"{type(error).__name__}: {error}\n")
        return printed.getvalue().replace(str(self.folder), "/home/somebody/analysis")

    def _command(self, line: str) -> str:
        if line == "$ pip install --editable .":
            return self._installed()
        words = shlex.split(line.removeprefix("$ "))
        here = Path(sys.executable).parent
        path = f"{here}{os.pathsep}{os.environ.get('PATH', '')}"
        done = subprocess.run(
            [str(here / words[0]) if (here / words[0]).exists() else words[0], *words[1:]],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "COLUMNS": "132"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _installed(self) -> str:
        """Do what pip does for the project in the folder, without a network and without touching the environment."""
        project = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        name, version = project["name"], project["version"]
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, points in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        sys.path.insert(0, str(self.folder))
        return ""

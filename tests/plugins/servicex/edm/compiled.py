"""Queries for ATLAS xAOD files, proved: the real generator's C++ is compiled against a stand-in of the data model, and runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

HERE = Path(__file__).parent
_INCLUDE = re.compile(r'^\s*#include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
_FLAGS = ("-std=c++17", "-O0", "-w", "-ffp-contract=off")


def need_compiler() -> None:
    """Skip the test where there is no compiler: then nothing can be proved."""
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ here, so generated C++ cannot be compiled")


class DoesNotCompileError(Exception):
    """The compiler refused the generated code."""


class FailsError(Exception):
    """The compiled query stopped with an error."""


@dataclass
class Compiler:
    """Generates, compiles and runs queries in one folder; what does not change between queries is compiled once."""

    folder: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    n_compiled: int = 0

    def __post_init__(self) -> None:
        shutil.copy(HERE / "edm.h", self.folder)
        self._run("g++", *_FLAGS, "-x", "c++-header", "edm.h", "-o", "edm.h.gch", at=self.folder)
        self._run("g++", *_FLAGS, "-I.", "-c", str(HERE / "main.cxx"), "-o", "main.o", at=self.folder)

    def run(self, qastle: str, columns: Path) -> dict[str, ak.Array]:
        """Give the columns of a query over the values that `write_columns` wrote."""
        with self.lock:
            program = self._compiled(qastle)
        done = subprocess.run([str(program), str(columns)], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise FailsError(done.stderr.strip())
        return _as_arrays(done.stdout)

    def generate(self, qastle: str) -> str:
        """Give the C++ of a query."""
        with self.lock:
            return self._generated(qastle, self.folder / "generated").joinpath("query.cxx").read_text()

    def _generated(self, qastle: str, at: Path) -> Path:
        from func_adl_xAOD.atlas.xaod.executor import atlas_xaod_executor
        from qastle import text_ast_to_python_ast

        at.mkdir(exist_ok=True)
        # The generator keeps types in global tables, which a new executor empties, and prints while it works.
        with contextlib.redirect_stdout(io.StringIO()):
            executor = atlas_xaod_executor()
            executor.reset()
            tree = text_ast_to_python_ast(qastle).body[0].value
            executor.write_cpp_files(executor.apply_ast_transformations(tree), at)
        return at

    def _compiled(self, qastle: str) -> Path:
        at = self.folder / hashlib.sha256(qastle.encode()).hexdigest()[:16]
        if (at / "query").exists():
            return at / "query"
        self._generated(qastle, at)
        (at / "analysis").mkdir(exist_ok=True)
        shutil.copy(at / "query.h", at / "analysis")
        self._stand_in_headers(at)
        (at / "all.cxx").write_text(
            '#include "edm.h"\n#include "query.cxx"\nEL::AnaAlgorithm* make_query() { return new query("query", nullptr); }\n'
        )
        self._run("g++", *_FLAGS, "-I", str(self.folder), "-I.", "all.cxx", str(self.folder / "main.o"), "-o", "query", at=at)
        self.n_compiled += 1
        return at / "query"

    def _stand_in_headers(self, at: Path) -> None:
        for text in ((at / "query.cxx").read_text(), (at / "query.h").read_text()):
            for name in _INCLUDE.findall(text):
                if name.endswith(".h") and name not in {"analysis/query.h", "math.h"}:
                    (at / name).parent.mkdir(parents=True, exist_ok=True)
                    (at / name).write_text('#include "edm.h"\n')

    def _run(self, *command: str, at: Path) -> None:
        done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DoesNotCompileError(done.stderr[:4000])


def _as_arrays(text: str) -> dict[str, ak.Array]:
    header, *rows = text.splitlines()
    types = json.loads(header)
    events = [json.loads(r) for r in rows]
    return {name: _typed([e[name] for e in events], kind) for name, kind in types.items()}


def _typed(values: list, kind: str) -> ak.Array:
    """Give the values in exactly the type that the C++ variable has; numbers are read as texts of 17 digits, which is exact."""
    depth = kind.count("var * ")
    dtype = np.dtype(kind.removeprefix("var * " * depth))
    offsets = []
    for _ in range(depth):
        offsets.append(np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int64))
        values = [item for v in values for item in v]
    layout = ak.contents.NumpyArray(np.array(values, dtype=dtype))
    for o in reversed(offsets):
        layout = ak.contents.ListOffsetArray(ak.index.Index64(o), layout)
    return ak.Array(layout)

"""What in a user's function reads something that no key covers: files, the network, the clock, random numbers, the environment.

A function is never run to find out. Names are looked at: of modules whose purpose it is, and of functions and methods that read,
whatever they belong to (``np.load``, ``path.read_text``, ``CorrectionSet.from_file``). A harmless function with such a name is
computed each time, which costs time; a result that does not follow a file would be wrong.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MODULES = frozenset(
    "_io _random bz2 configparser correctionlib csv ctypes dbm duckdb fileinput fsspec ftplib getpass glob gzip h5py "
    "hep_flows http httpx importlib io joblib lightgbm locale lzma mmap multiprocessing netCDF4 numpy.random onnx onnxruntime os "
    "pathlib pickle platform polars posix posixpath pyarrow random requests ROOT runpy secrets servicex shelve shutil socket sqlite3 "
    "ssl subprocess tarfile tempfile time uproot urllib urllib3 uuid xgboost zarr zipfile aiohttp".split()
)
BUILTINS = frozenset("open input eval exec compile __import__ globals locals vars breakpoint id hash".split())
NAMES = frozenset(
    "argv DataSource default_rng environ getenv memmap now open_memmap popen random RandomState sample stdin system today urlopen "
    "urlretrieve utcnow".split()
)
BEGINNINGS = (
    "read",
    "load",
    "open",
    "from_file",
    "fromfile",
    "from_parquet",
    "from_json",
    "from_feather",
    "genfromtxt",
    "fetch",
    "download",
)


def reads_outside(tree: ast.AST, used: Mapping[str, str], unbound: Iterable[str]) -> str:
    """Give the name by which a function may read something from outside; empty when there is none.

    Parameters
    ----------
    tree : ast.AST
        Its source.
    used : mapping of str to str
        By the names that it uses, what of Python or of a library they stand for, in full.
    unbound : iterable of str
        The names that only Python itself gives a meaning.
    """
    for name in unbound:
        if name in BUILTINS and hasattr(builtins, name):
            return name
    for name, full in used.items():
        if _is_outside(full):
            return name
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if _reads(name):
                return name
            case ast.Import(names=names):
                wanted = [a.name for a in names]
            case ast.ImportFrom(module=str(module), names=names):
                wanted = [f"{module}.{a.name}" for a in names]
            case _:
                continue
        found = next((n for n in wanted if _is_outside(n)), "")
        if found:
            return found
    return ""


def _is_outside(full: str) -> bool:
    parts = full.split(".")
    return any(".".join(parts[:n]) in MODULES for n in (1, 2)) or _reads(parts[-1])


def _reads(name: str) -> bool:
    return name in NAMES or name.startswith(BEGINNINGS)

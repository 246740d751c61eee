"""Find the user's own line: the first frame outside the package, and outside the libraries that call it back."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

from hep_flows.errors import Site

if TYPE_CHECKING:
    from types import FrameType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120
_LISTINGS = _PACKAGE + "demo" + os.sep  # The paper's listings are written as a user writes them, and shown as such.
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep


def user_site(skip: int = 1) -> Site | None:
    """Give where the user's code stands now, or None when there is no frame outside the package.

    Frames are walked one by one: this runs at every recorded operation. Where a library calls us back, as matplotlib does for
    ``plt.hist(x)``, the line is that of the call of the library.
    """
    frame: FrameType | None = sys._getframe(skip)  # noqa: SLF001
    outside: FrameType | None = None
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) or file.startswith(_LISTINGS):
            outside = outside or frame
            if not _is_library(file, frame.f_globals.get("__name__", "")):
                return Site(frame.f_code, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return None if outside is None else Site(outside.f_code, outside.f_lasti, outside.f_lineno)


def asking_library() -> str:
    """Give the name of the library that calls us on behalf of the user; empty where the user does it directly."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    asked_by = ""
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_globals.get("__name__", "")
        if not file.startswith(_PACKAGE) or file.startswith(_LISTINGS):
            if not _is_library(file, name):
                return asked_by
            asked_by = name.split(".")[0]
        frame = frame.f_back
    return ""


@lru_cache(maxsize=4096)
def _is_library(file: str, module: str) -> bool:
    """Say whether code is that of a library: installed, or of Python, and nothing in it comes from this package.

    An analysis may be installed as well; it imports this package, or parts of it.
    """
    if not any(part in file for part in _INSTALLED) and not file.startswith(_STDLIB) and not file.startswith("<frozen "):
        return False
    content = vars(sys.modules[module]).values() if module in sys.modules else ()
    return not any(_is_ours(value) for value in list(content))


def _is_ours(value: object) -> bool:
    # Attributes of other values may run code.
    if isinstance(value, ModuleType):
        name = vars(value).get("__name__", "")
    else:
        name = getattr(value if isinstance(value, type | FunctionType) else type(value), "__module__", "")
    return isinstance(name, str) and (name == "hep_flows" or name.startswith("hep_flows."))

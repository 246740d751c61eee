"""Find the user's own line: the first frame outside the package."""

from __future__ import annotations

import os
import sys

from hep_flows.errors import Site

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120
_LISTINGS = _PACKAGE + "demo" + os.sep  # The paper's listings are written as a user writes them, and shown as such.


def site_outside(library: str) -> Site | None:
    """Give where the user's code stands when a library calls us back: the first frame outside the package and the library."""
    frame = sys._getframe(1)  # noqa: SLF001
    while frame.f_globals.get("__name__", "").split(".")[0] in ("hep_flows", library) and frame.f_back is not None:
        frame = frame.f_back
    return Site(frame.f_code, frame.f_lasti, frame.f_lineno)


def user_site(skip: int = 1) -> Site | None:
    """Give where the user's code stands now, or None when there is no frame outside the package.

    Frames are walked one by one: this runs at every recorded operation.
    """
    frame = sys._getframe(skip)  # noqa: SLF001
    while (file := frame.f_code.co_filename).startswith(_PACKAGE) and not file.startswith(_LISTINGS):
        outer = frame.f_back
        if outer is None:
            return None
        frame = outer
    return Site(frame.f_code, frame.f_lasti, frame.f_lineno)

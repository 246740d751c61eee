"""Run a script, or code after ``-c``, with a clock that is wrong by some seconds: ``with_clock.py SECONDS SCRIPT ARGUMENT...``."""

from __future__ import annotations

import runpy
import sys
import time


def shift(seconds):
    """Change what Python says the time is; the file system keeps the right one."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    shift(float(sys.argv[1]))
    what, *words = sys.argv[2:]
    if what == "-c":
        sys.argv = words
        exec(compile(words[0], "<code>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [what, *words]
        runpy.run_path(what, run_name="__main__")

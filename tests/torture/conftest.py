"""Helper modules of this folder are imported by name; a table of the mutations is printed when it is asked for."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_terminal_summary(terminalreporter):
    """Print what every mutation made necessary."""
    if not os.environ.get("HEP_FLOWS_TORTURE_TABLE"):
        return
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    rows = [dict(r.user_properties) for r in reports if r.when == "call" and r.user_properties]
    if not rows:
        return
    terminalreporter.write_line("")
    terminalreporter.write_line(f"{'change':46s} {'stale':>5s} {'needless':>8s}  computed again")
    for row in rows:
        terminalreporter.write_line(f"{row['change']:46s} {row['stale']:5d} {row['needless']:8d}  {row['computed'] or '-'}")
    stale, needless = sum(r["stale"] for r in rows), sum(r["needless"] for r in rows)
    terminalreporter.write_line(f"{len(rows)} changes: {stale} stale, {needless} needless")

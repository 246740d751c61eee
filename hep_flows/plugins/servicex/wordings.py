"""The languages of queries by kind of table; each is loaded for the first table of its kind, since most analyses have none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.plugins.servicex.wording import Wording

UPROOT = frozenset({"servicex:nanoaod", "servicex:xaod", "servicex:tree"})
XAOD = frozenset({"servicex:xaod-cpp"})


class Wordings:
    """Gives the language of a kind of table.

    Parameters
    ----------
    given : sequence of Wording
        Those that are to be used; the built-in ones when empty.

    Attributes
    ----------
    kinds : frozenset of str
        The kinds of tables that there are languages for.
    """

    def __init__(self, given: Sequence[Wording] = ()) -> None:
        """Nothing is loaded yet."""
        self._made: dict[str, Wording] = {kind: w for w in given for kind in w.kinds}
        self._lock = threading.Lock()
        self.kinds = frozenset(self._made) or UPROOT | XAOD

    def of(self, kind: str) -> Wording:
        """Give the language of a kind that is among `kinds`."""
        with self._lock:
            if kind not in self._made:
                made = _uproot() if kind in UPROOT else _xaod()
                self._made.update(dict.fromkeys(made.kinds, made))
            return self._made[kind]


def _uproot() -> Wording:
    from hep_flows.plugins.servicex.uproot_table import uproot_dialect
    from hep_flows.plugins.servicex.uproot_wording import UprootWording

    return UprootWording(uproot_dialect())


def _xaod() -> Wording:
    from hep_flows.plugins.servicex.xaod.wording import XaodWording

    return XaodWording()

"""What stands for the content of a file or dataset that only a server reads: where it is, its name, and an epoch.

A server says what its files are called, not what is in them. So a dataset is known by its name, at one server, in one epoch: a number that
moves on when the user asks for the files anew (``refresh``). Where the content of a file is known, it takes the place of the epoch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from hep_flows.expr.file_names import shown
from hep_flows.expr.key import digest

PREFIX = "servicex:"


@dataclass(frozen=True, slots=True)
class RemoteIdentity:
    """The identity of a file or dataset at a server.

    Parameters
    ----------
    url : str
        The server.
    name : str
        The dataset, or the file.
    version : str
        The epoch, or the content where it is known.
    """

    url: str
    name: str
    version: str

    def written(self) -> str:
        """Give the text that stands among the contents of a table. It is stored: what may be secret in a name is a digest in it."""
        name = shown(self.name)
        if name != self.name:
            name += f"#{digest('name', self.name).hex()}"
        return PREFIX + json.dumps([self.url, name, self.version], separators=(",", ":"))

    @classmethod
    def read(cls, content: str) -> Self | None:
        """Give the identity that a text stands for; None for the content of a file that is read here."""
        if not content.startswith(PREFIX):
            return None
        url, name, version = json.loads(content.removeprefix(PREFIX))
        return cls(url, name, version)

    @property
    def is_by_name(self) -> bool:
        """Whether nothing but the name stands for the content."""
        return self.version.startswith("epoch ")


def epoch_text(number: int) -> str:
    """Give the version of something that is known by its name only."""
    return f"epoch {number}"

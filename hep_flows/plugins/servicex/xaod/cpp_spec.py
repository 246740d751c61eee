"""Functions in C++ that go along with a query: metadata of the kind ``add_cpp_function``.

The generator puts the texts of the arguments in place of the words ``argument_0``, ``argument_1``, ... So the code is a function of its own
that is called with these words: nothing that stands in an argument can take the place of a name in the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CppSpec:
    """A function in C++.

    Parameters
    ----------
    name : str
        What it is called in queries.
    parameters : tuple of (str, str)
        The C++ type and the name of each parameter.
    returns : str
        The C++ type of the result, or of one item of it.
    body : str
        The text between the braces.
    includes : tuple of str
        Headers.
    collection : bool
        Whether the result is a vector.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    returns: str
    body: str
    includes: tuple[str, ...] = ()
    collection: bool = False

    def metadata(self) -> Mapping[str, object]:
        """Give the metadata that a query carries."""
        words = [f"argument_{i}" for i in range(len(self.parameters))]
        parameters = ", ".join([f"{kind} {name}" for kind, name in self.parameters])
        returns = f"std::vector<{self.returns}>" if self.collection else self.returns
        code = f"auto result = []({parameters}) -> {returns} {{ {self.body} }}({', '.join(words)});"
        found: dict[str, object] = {
            "metadata_type": "add_cpp_function",
            "name": self.name,
            "include_files": [*self.includes, *(["vector"] if self.collection else [])],
            "arguments": words,
            "code": [code],
            "return_type": self.returns,
        }
        return found | ({"return_is_collection": True} if self.collection else {})


def real(name: str, names: str, body: str, returns: str = "double") -> CppSpec:
    """Give a function of numbers, all of them double."""
    return CppSpec(name, tuple([("double", n) for n in names.split()]), returns, f"return {body};", ("cmath",))

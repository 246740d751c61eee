"""How the arguments of a function become the inputs of an ONNX model, and which of its outputs is the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr.types import Bool, Float, Int, Item
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from collections.abc import Sequence

# The names that onnxruntime gives to types of numbers.
ITEMS: dict[str, Item] = {
    "tensor(float)": Float(32),
    "tensor(double)": Float(64),
    "tensor(bool)": Bool(),
    **{f"tensor(int{bits})": Int(bits) for bits in (8, 16, 32, 64)},
    **{f"tensor(uint{bits})": Int(bits, signed=False) for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One input of a model.

    Parameters
    ----------
    name : str
        Its name in the model.
    item : Item
        The type of its numbers.
    width : int
        How many arguments it takes for each element.
    is_flat : bool
        Whether it has one number for each element, without a second axis.
    rows : int
        For how many elements at a time the model is made; 0 for any number.
    """

    name: str
    item: Item
    width: int
    is_flat: bool
    rows: int


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """The output that is the result: its name, the type of its numbers, and which column of it."""

    name: str
    item: Item
    column: int


def model_inputs(file: str, nodes: Sequence[Any], features: Sequence[str]) -> tuple[ModelInput, ...]:
    """Give the inputs of a model, as onnxruntime describes them.

    Raises
    ------
    SourceError
        When an input is nothing that one number, or a row of numbers, for each element can be.
    """
    found = [_input(file, n, features, alone=len(nodes) == 1) for n in nodes]
    total = sum([i.width for i in found])
    if features and total != len(features):
        raise _refused(file, f"it takes {total} arguments, and {len(features)} features are named")
    names = parameters_of(found, features)
    if len(set(names)) < len(names):
        raise _refused(file, f"two of its arguments have one name: {', '.join(names)}", "name them: features=(...)")
    return tuple(found)


def parameters_of(inputs: Sequence[ModelInput], features: Sequence[str]) -> tuple[str, ...]:
    """Give a name for each argument."""
    return tuple(features) or tuple([i.name if i.width == 1 else f"{i.name}_{k}" for i in inputs for k in range(i.width)])


def model_output(file: str, nodes: Sequence[Any], output: str, column: int | None) -> ModelOutput:
    """Give the output of that name, or the only one.

    Raises
    ------
    SourceError
        When it has to be chosen, or gives no number for each element.
    """
    names = [n.name for n in nodes]
    if not output and len(nodes) != 1:
        raise _refused(file, f"it has the outputs {', '.join(names)}", f"choose one: output={names[0]!r}")
    node = nodes[0] if not output else next((n for n in nodes if n.name == output), None)
    if node is None:
        raise _refused(file, f"it has the outputs {', '.join(names)}, not {output!r}", did_you_mean(output, names))
    item, shape = ITEMS.get(node.type), list(node.shape or [])
    if item is None or not 1 <= len(shape) <= 2:
        raise _refused(file, f"its output {node.name} is {node.type} of shape {shape}: not one number for each element")
    width = 1 if len(shape) == 1 else shape[1]
    if column is None and width != 1:
        raise _refused(file, f"its output {node.name} has {width} columns", "choose one: column=0")
    if column is not None and not (column >= 0 and (not isinstance(width, int) or column < width)):
        raise _refused(file, f"its output {node.name} has {width} columns, not column {column}")
    return ModelOutput(node.name, item, column or 0)


def _input(file: str, node: Any, features: Sequence[str], *, alone: bool) -> ModelInput:
    item, shape = ITEMS.get(node.type), list(node.shape or [])
    if item is None or not 1 <= len(shape) <= 2:
        raise _refused(file, f"its input {node.name} is {node.type} of shape {shape}: not a row of numbers for each element")
    rows = shape[0] if isinstance(shape[0], int) else 0
    width = 1 if len(shape) == 1 else shape[1]
    if not isinstance(width, int):
        if not (alone and features):
            raise _refused(
                file, f"it does not say how many numbers its input {node.name} takes", 'name them: features=("pt", "eta", ...)'
            )
        width = len(features)
    return ModelInput(node.name, item, width, len(shape) == 1, rows)


def _refused(file: str, why: str, do: str = "") -> SourceError:
    return SourceError(f"the model of {file} cannot stand in an expression", where=user_site(), why=why, do=do)

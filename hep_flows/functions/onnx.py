"""``onnx_model``: a model in ONNX format as a function in expressions."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, SourceError, did_you_mean
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.types import Bool, Float, Int, Item
from hep_flows.functions.correction import file_bytes
from hep_flows.functions.declared import DeclaredFunction
from hep_flows.record.arguments import checked
from hep_flows.record.groups import block_columns
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

# How the arguments of a function become the inputs of an ONNX model, and which of its outputs is the result ----------------------

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
    has_lists : bool
        Whether each argument is a list for each element: the input is a block of objects and their features.
    length : int
        How many entries these lists have; 0 for any number.
    """

    name: str
    item: Item
    width: int
    is_flat: bool
    rows: int
    has_lists: bool = False
    length: int = 0


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
    if item is None or not 1 <= len(shape) <= 3:
        raise _refused(
            file,
            f"its input {node.name} is {node.type} of shape {shape}: not a row of numbers for each element, nor a block of rows",
        )
    rows, *inner = [s if isinstance(s, int) else 0 for s in shape]
    width = inner[-1] if inner else 1
    if not width:
        if not (alone and features):
            raise _refused(
                file, f"it does not say how many numbers its input {node.name} takes", 'name them: features=("pt", "eta", ...)'
            )
        width = len(features)
    has_lists = len(inner) == 2
    return ModelInput(node.name, item, width, not inner, rows, has_lists, inner[0] if has_lists else 0)


def _refused(file: str, why: str, do: str = "") -> SourceError:
    return SourceError(f"the model of {file} cannot stand in an expression", where=user_site(), why=why, do=do)


# Enough for matrices to be fast, few enough for the values between two layers to stay small.
BATCH_ROWS = 4096


@checked
def onnx_model(
    path: str | PathLike[str], output: str = "", *, column: int | None = None, features: Sequence[str] = ()
) -> DeclaredFunction:
    """Give a model in ONNX format, as a function of its features.

    Parameters
    ----------
    path : str or path
        The model. It is read now, and not again: what is computed is the model as it was read.
    output : str
        Which output is the result; may be left out where there is only one.
    column : int, optional
        Which column of the output, where it has more than one.
    features : sequence of str
        Names for the arguments, in order; needed where the model does not say how many there are.

    Returns
    -------
    DeclaredFunction
        Takes one number for each feature, by place or by name: those of the first input, then those of the next; or all of them as one
        block of `ml_features`. Records a call when one of them is an expression, else computes. An input of shape (N, objects, features)
        takes one list for each feature, of the objects of a block.

    Raises
    ------
    SourceError
        When the file cannot be read, is no model, or does not give a number for rows of numbers.
    LiteralError
        When onnxruntime is not installed.

    Notes
    -----
    Results are found again by the content of the file, not by its name. Models whose weights stand in another file are refused.
    """
    file, data = file_bytes(path)
    if find_spec("onnxruntime") is None:
        raise LiteralError(
            f"{file} needs onnxruntime", where=user_site(), why="it is not installed", do="pip install hep-flows[onnx]"
        )
    session = _session(file, data)
    features = tuple(features)
    inputs = model_inputs(file, session.get_inputs(), features)
    chosen = model_output(file, session.get_outputs(), output, column)
    names = parameters_of(inputs, features)
    lists = [n for n, i in zip(names, [i for i in inputs for _ in range(i.width)], strict=True) if i.has_lists]
    function = UserFunction(
        re.sub(r"\W", "_", file.removesuffix(".onnx")) or "model",
        names,
        tuple([i.item for i in inputs for _ in range(i.width)]),
        chosen.item,
        digest("onnx model", data, chosen.name, chosen.column, tuple([i.width for i in inputs])),
        body=Model(file, data, inputs, chosen),
        note=f"the model of {file}",
        from_file=True,
        mode="jagged" if lists else "arrays",
        lists=tuple(lists),
    )
    return _ModelFunction(function, named=bool(features))


class _ModelFunction(DeclaredFunction):
    """A model that takes its arguments one by one, or as one block; its features are ``named`` by the user, or by their place only."""

    def __init__(self, declared: UserFunction, *, named: bool) -> None:
        super().__init__(declared)
        self._named = named

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Record a call, or compute."""
        names = self.declared.parameters
        block = args[0] if len(args) == 1 and not kwargs and hasattr(args[0], "_expr") else None
        columns = None if block is None else block_columns(block, len(names))
        if columns is None:
            return super().__call__(*args, **kwargs)
        if set(columns) == set(names):
            return super().__call__(**columns)
        if self._named or len(columns) != len(names):
            raise LiteralError(
                f"{self.declared.name} takes {', '.join(names)}, and the block has {', '.join(columns)}",
                where=user_site(),
                do="make a block of as many features, and give them the names that the model has",
            )
        return super().__call__(*columns.values())


@dataclass(frozen=True, slots=True)
class Model:
    """Computes a model from the bytes that were hashed, for numbers and for arrays of them.

    Parameters
    ----------
    file : str
        The name of the file, for errors.
    data : bytes
        The model.
    inputs : tuple of ModelInput
        What it takes.
    output : ModelOutput
        Which of its outputs is the result.
    """

    file: str
    data: bytes = field(repr=False)
    inputs: tuple[ModelInput, ...]
    output: ModelOutput

    def __call__(self, *values: Any) -> Any:
        """Give the model's output for each element."""
        import numpy as np

        lists = [i for i in self.inputs for _ in range(i.width)]
        of_lists = [_rectangular(v, i) if i.has_lists else np.asarray(v) for v, i in zip(values, lists, strict=True)]
        shape = np.broadcast_shapes(*[a.shape[: a.ndim - i.has_lists] for a, i in zip(of_lists, lists, strict=True)])
        flat = [
            np.broadcast_to(a, (*shape, *a.shape[a.ndim - i.has_lists :])).reshape(-1, *a.shape[a.ndim - i.has_lists :])
            for a, i in zip(of_lists, lists, strict=True)
        ]
        size = flat[0].shape[0]
        step = max([i.rows for i in self.inputs]) or BATCH_ROWS
        parts = [self._part([a[i : i + step] for a in flat]) for i in range(0, size, step)]
        found = np.concatenate(parts) if parts else np.zeros(0, f"{self.output.item}")
        return found.reshape(shape)[()]

    def _part(self, values: list[Any]) -> Any:
        import numpy as np

        fed, left = {}, list(values)
        size = left[0].shape[0]
        for i in self.inputs:
            rows = np.stack([left.pop(0) for _ in range(i.width)], axis=-1).astype(f"{i.item}")
            if i.rows > size:
                # The model is made for more elements: the last one is repeated, and what comes of it left out.
                rows = np.concatenate([rows, np.repeat(rows[-1:], i.rows - size, axis=0)])
            fed[i.name] = rows[:, 0] if i.is_flat else rows
        (found,) = _session(self.file, self.data).run([self.output.name], fed)
        column = found if found.ndim == 1 else found[:, self.output.column]
        return column[:size]


def _rectangular(lists: Any, of: ModelInput) -> Any:
    """Give lists of one length as an array with one more axis."""
    import awkward as ak
    import numpy as np

    if isinstance(lists, ak.Array):
        lengths = np.unique(ak.num(lists))
        if len(lengths) > 1:
            raise ValueError(f"lists of {lengths[0]} to {lengths[-1]} entries are no block: ml_features(X, ..., pad=4) makes one")
        lists = ak.to_numpy(ak.to_regular(lists))
    lists = np.asarray(lists)
    if of.length and lists.shape[-1] != of.length:
        raise ValueError(f"the model takes {of.length} objects, and lists of {lists.shape[-1]} were given: pad={of.length}")
    return lists


@lru_cache(maxsize=8)
def _session(file: str, data: bytes) -> Any:
    """Load a model so that the same numbers come out each time, whatever the number of elements and the machine's processors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    # Weights in another file would be part of no key: there is no file in this folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise SourceError(
            f"{file} cannot be loaded as a model",
            where=user_site(),
            why=f"{error}".split("\n", 1)[0],
            do="a model in ONNX format with its weights in the same file is needed",
        ) from error

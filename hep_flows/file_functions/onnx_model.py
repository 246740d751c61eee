"""``onnx_model``: a model in ONNX format as a function in expressions."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, SourceError
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.file_functions.file_bytes import file_bytes
from hep_flows.file_functions.onnx_arguments import ModelInput, ModelOutput, model_inputs, model_output, parameters_of
from hep_flows.record.arguments import checked
from hep_flows.record.declared_function import DeclaredFunction
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

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
        Takes one number for each feature, by place or by name: those of the first input, then those of the next. Records a call when
        one of them is an expression, else computes.

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
    function = UserFunction(
        re.sub(r"\W", "_", file.removesuffix(".onnx")) or "model",
        parameters_of(inputs, features),
        tuple([i.item for i in inputs for _ in range(i.width)]),
        chosen.item,
        digest("onnx model", data, chosen.name, chosen.column, tuple([i.width for i in inputs])),
        body=Model(file, data, inputs, chosen),
        note=f"the model of {file}",
        from_file=True,
    )
    return DeclaredFunction(function)


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

        arrays = np.broadcast_arrays(*values)
        shape = arrays[0].shape
        flat = [np.ravel(a) for a in arrays]
        size = flat[0].size
        step = max([i.rows for i in self.inputs]) or BATCH_ROWS
        parts = [self._part([a[i : i + step] for a in flat]) for i in range(0, size, step)]
        found = np.concatenate(parts) if parts else np.zeros(0, f"{self.output.item}")
        return found.reshape(shape)[()]

    def _part(self, values: list[Any]) -> Any:
        import numpy as np

        fed, left = {}, list(values)
        size = left[0].size
        for i in self.inputs:
            rows = np.stack([left.pop(0) for _ in range(i.width)], axis=1).astype(f"{i.item}")
            if i.rows > size:
                # The model is made for more elements: the last one is repeated, and what comes of it left out.
                rows = np.concatenate([rows, np.repeat(rows[-1:], i.rows - size, axis=0)])
            fed[i.name] = rows[:, 0] if i.is_flat else rows
        (found,) = _session(self.file, self.data).run([self.output.name], fed)
        column = found if found.ndim == 1 else found[:, self.output.column]
        return column[:size]


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

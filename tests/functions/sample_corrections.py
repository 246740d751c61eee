"""A small file of corrections, and models in ONNX format, as plain data that tests can change."""

from __future__ import annotations

import copy
import gzip
import json
from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

REAL = {"name": "weight", "type": "real"}


def _variable(name, kind="real"):
    return {"name": name, "type": kind, "description": f"the {name}"}


def _binned(edges, values, name="pt", flow="error"):
    return {"nodetype": "binning", "input": name, "edges": edges, "content": values, "flow": flow}


CORRECTIONS = {
    "schema_version": 2,
    "description": "made for a test",
    "corrections": [
        {
            "name": "electron-sf 1",
            "version": 1,
            "description": "a scale factor",
            "inputs": [_variable("eta"), _variable("pt"), _variable("variation", "string")],
            "output": REAL,
            "data": {
                "nodetype": "category",
                "input": "variation",
                "content": [
                    {
                        "key": name,
                        "value": {
                            "nodetype": "multibinning",
                            "inputs": ["eta", "pt"],
                            "edges": [[-10.0, 0.0, 10.0], [0.0, 20.0, 40.0, "inf"]],
                            "content": [scale * c for c in (0.9, 1.01, 1.1, 0.95, 1.05, 1.15)],
                            "flow": "clamp",
                        },
                    }
                    for name, scale in (("nominal", 1.0), ("up", 1.125))
                ],
            },
        },
        {
            "name": "resolution",
            "version": 1,
            "inputs": [_variable("pt")],
            "output": REAL,
            "data": {
                "nodetype": "formula",
                "expression": "x * (1 + [0] * log(x + 1))",
                "parser": "TFormula",
                "variables": ["pt"],
                "parameters": [0.0125],
            },
        },
        {"name": "strict", "version": 1, "inputs": [_variable("pt")], "output": REAL, "data": _binned([0.0, 40.0], [1.25])},
        {
            "name": "pileup",
            "version": 1,
            "inputs": [_variable("n", "int")],
            "output": REAL,
            "data": _binned([0.0, 2.0, 5.0], [0.75, 1.25], "n", flow="clamp"),
        },
        {"name": "other", "version": 1, "inputs": [_variable("pt")], "output": REAL, "data": 2.5},
    ],
    "compound_corrections": [
        {
            "name": "both",
            "description": "one after the other",
            "inputs": [_variable("pt")],
            "output": REAL,
            "inputs_update": ["pt"],
            "input_op": "*",
            "output_op": "*",
            "stack": ["resolution", "strict_not_at_all"],
        }
    ],
}
CORRECTIONS["corrections"].append(
    {
        "name": "strict_not_at_all",
        "version": 1,
        "inputs": [_variable("pt")],
        "output": REAL,
        "data": _binned([0.0, 30.0, 60.0], [1.0625, 0.875], flow="clamp"),
    }
)


def corrections():
    """Give the content of the file, to be changed."""
    return copy.deepcopy(CORRECTIONS)


def named(content, name):
    """Give one correction of it."""
    return next(c for c in [*content["corrections"], *content["compound_corrections"]] if c["name"] == name)


def write_corrections(path, content=None):
    """Write the file, compressed where its name says so."""
    data = json.dumps(CORRECTIONS if content is None else content).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def network(*widths, seed=1, scale=0.25):
    """Give layers of a small network."""
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(size=(a, b)).astype(np.float32) * np.float32(scale), rng.normal(size=b).astype(np.float32))
        for a, b in pairwise(widths)
    ]


def dense_model(layers, rows="N", features=None, outputs=1):
    """Give a model of dense layers with one input ``x``."""
    nodes, weights, last = [], [], "x"
    for i, (w, b) in enumerate(layers):
        weights += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"g{i}"]))
        last = f"y{i}" if i < len(layers) - 1 else "score"
        nodes.append(helper.make_node("Tanh", [f"g{i}"], [last]))
    width = layers[0][0].shape[0] if features is None else features
    return model(nodes, [("x", [rows, width])], [("score", [rows, outputs])], weights)


def model(nodes, inputs, outputs, weights=(), kind=TensorProto.FLOAT):
    """Give a model."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, kind, shape) for n, shape in inputs],
        [helper.make_tensor_value_info(n, kind, shape) for n, shape in outputs],
        list(weights),
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made


def write_model(path, made):
    """Write a model."""
    path.write_bytes(made.SerializeToString())
    return path


def by_numpy(layers, x):
    """Compute the network with numpy, in double precision."""
    for w, b in layers:
        x = np.tanh(x.astype(np.float64) @ w + b)
    return x

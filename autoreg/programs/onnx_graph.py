"""A winner as an ONNX graph: one input a column, raw cells in, predictions out.

Numbers are doubles, NaN where a cell is missing; categories are text, "" where one is missing.
Outputs are ``prediction`` (means, or positions of classes as int64) and, for classes,
``probabilities`` (n, C) in the order of the classes, which the graph's metadata names.

Everything is computed in doubles, as the model itself does, so that a runtime agrees with it to
rounding.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoreg.errors import DataError, StudyError
from autoreg.model import LAYER_NORM_EPS, SMALLEST_BIN, Model, Parameters
from autoreg.preprocess import FIRST_LEVEL, MISSING, NOWHERE, UNSEEN
from autoreg.programs.words import title, written_by

OPSET, ML_OPSET, IR = 18, 3, 9


def write_onnx(model: Model, path: Path) -> Path:
    """Write the graph of a model.

    Raises DataError where the extra ``onnx`` is missing, StudyError for a network with filters of
    images, whose layout no input of columns describes.
    """
    try:
        import onnx
    except ImportError as error:
        raise DataError("ONNX needs the extra: pip install 'autoreg[onnx]'") from error
    if model.parameters.info.get("images"):
        raise StudyError("a network with filters of images is not exported to ONNX; use script")
    graph = _Graph(onnx)
    graph.answers(model, graph.told(model))
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes, "autoreg", graph.inputs, graph.outputs, graph.constants
        ),
        opset_imports=[
            onnx.helper.make_opsetid("", OPSET),
            onnx.helper.make_opsetid("ai.onnx.ml", ML_OPSET),
        ],
        ir_version=IR,
        producer_name="autoreg",
        doc_string=f"{title(model)}. {written_by()}",
    )
    facts = {"classes": json.dumps(list(model.classes)), "target": model.target}
    onnx.helper.set_model_props(made, facts)
    onnx.checker.check_model(made)
    onnx.save(made, str(path))
    return path


class _Graph:
    """Nodes, constants and ends of a graph in the making; names are numbered."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def op(self, kind: str, *given: str, domain: str = "", out: str = "", **options: Any) -> str:
        """Add a node; the name of its result."""
        name = out or f"t{len(self.nodes)}"
        node = self.onnx.helper.make_node(kind, list(given), [name], domain=domain, **options)
        self.nodes.append(node)
        return name

    def constant(self, values: Any, kind: type = np.float64) -> str:
        """Add an array; its name."""
        name = f"c{len(self.constants)}"
        array: NDArray[Any] = np.ascontiguousarray(np.asarray(values, dtype=kind))
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def column(self, name: str, *, text: bool) -> str:
        """Add an input (n, 1)."""
        kind = self.onnx.TensorProto.STRING if text else self.onnx.TensorProto.DOUBLE
        self.inputs.append(self.onnx.helper.make_tensor_value_info(name, kind, ["n", 1]))
        return name

    # ---- inputs to scores -------------------------------------------------------------------

    def told(self, model: Model) -> str:
        """Means (n, 1) or probabilities (n, C): the mean over networks and over their passes."""
        inputs = self.standardized(model)
        scores = [one for part in model.parameters.members for one in self.scores(part, inputs)]
        each = [self.linked(model, one) for one in scores]
        if len(each) == 1:
            return each[0]
        return self.op("Div", self.op("Sum", *each), self.constant(float(len(each))))

    def scores(self, part: Parameters, inputs: str) -> list[str]:
        """Raw scores (n, C) of a model, one for each of its passes."""
        arrays = part.arrays
        if part.family == "linear":
            return [self.dense(inputs, arrays["coefficients"], arrays["intercept"])]
        hidden = self.embedded(arrays, inputs)
        passes = range(len(arrays["pass_0"])) if "pass_0" in arrays else [None]
        return [self.network(arrays, part.info, hidden, number) for number in passes]

    def standardized(self, model: Model) -> str:
        """Standardized inputs (n, q) from one input for each column."""
        scaler = model.parameters.preprocessor
        parts = []
        for position, column in enumerate(model.columns):
            mine = np.flatnonzero(scaler.groups == position)
            cell = self.column(column.name, text=column.is_categorical)
            if column.is_categorical:
                raw = self.indicators(cell, column.levels, scaler.lookups[position], mine)
            else:
                raw = cell
            centred = self.op("Sub", raw, self.constant(scaler.mean[mine]))
            scale = np.where(scaler.scale[mine] > 0, scaler.scale[mine], np.inf)
            value = self.op("Div", centred, self.constant(scale))
            if not column.is_categorical:
                gap = self.op("IsNaN", value)
                value = self.op("Where", gap, self.constant(0.0), value)
            parts.append(value)
        return self.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]

    def indicators(
        self, cell: str, levels: tuple[str, ...], lookup: NDArray[np.int64], mine: NDArray[Any]
    ) -> str:
        """The indicators (n, k) of a category: text to position, position to a row of a table."""
        known = list(levels)
        kinds = [FIRST_LEVEL + k for k in range(len(known))]
        if "" not in known:
            known, kinds = ["", *known], [MISSING, *kinds]
        kind = self.op(
            "LabelEncoder", cell, domain="ai.onnx.ml", keys_strings=known, values_int64s=kinds,
            default_int64=UNSEEN,
        )  # fmt: skip
        table = np.zeros((len(lookup), len(mine)))
        for row, slot in enumerate(lookup):
            if slot != NOWHERE:
                table[row, slot - mine[0]] = 1.0
        flat = self.op("Reshape", kind, self.constant([-1], np.int64))
        return self.op("Gather", self.constant(table), flat, axis=0)

    def embedded(self, arrays: Any, hidden: str) -> str:
        """Inputs with the vectors of numeric ones behind them."""
        if "embedded" not in arrays:
            return hidden
        where = arrays["embedded"].astype(np.int64)
        numeric = self.op("Gather", hidden, self.constant(where, np.int64), axis=1)
        numeric = self.op("Unsqueeze", numeric, self.constant([2], np.int64))
        if "edges" in arrays:
            edges = arrays["edges"].astype(np.float64)
            widths = np.maximum(np.diff(edges, axis=1), SMALLEST_BIN)
            away = self.op("Sub", numeric, self.constant(edges[:, :-1]))
            inside = self.op("Div", away, self.constant(widths))
            inside = self.op("Clip", inside, self.constant(0.0), self.constant(1.0))
            twice = self.op("Mul", inside, self.constant(2.0))
            vectors = self.op("Sub", twice, self.constant(1.0))
        else:
            turns = 2 * np.pi * arrays["frequencies"].astype(np.float64)
            angle = self.op("Mul", numeric, self.constant(turns))
            # Of a cosine no runtime has a kernel for doubles: it is a sine a quarter turn ahead.
            ahead = self.op("Add", angle, self.constant(np.pi / 2))
            vectors = self.op("Concat", self.op("Sin", angle), self.op("Sin", ahead), axis=2)
        flat = self.op("Flatten", vectors, axis=1)
        return self.op("Concat", hidden, flat, axis=1)

    def network(self, arrays: Any, info: Any, hidden: str, number: int | None) -> str:
        """The scores (n, C) of a network, with the units of one pass."""
        for layer in range(int(info["depth"])):
            added = self.dense(hidden, arrays[f"weight_{layer}"], arrays[f"bias_{layer}"])
            if f"norm_scale_{layer}" in arrays:
                added = self.op("Mul", added, self.constant(arrays[f"norm_scale_{layer}"]))
                added = self.op("Add", added, self.constant(arrays[f"norm_shift_{layer}"]))
            if f"layer_gain_{layer}" in arrays:
                added = self.normalized(
                    added, arrays[f"layer_gain_{layer}"], arrays[f"layer_shift_{layer}"]
                )
            added = self.op("Relu", added)
            if number is not None:
                added = self.op("Mul", added, self.constant(arrays[f"pass_{layer}"][number]))
            hidden = self.op("Add", hidden, added) if info.get("skip") and layer else added
        out = self.dense(hidden, arrays["output_weight"], arrays["output_bias"])
        if "target_scale" in arrays:
            out = self.op("Mul", out, self.constant(arrays["target_scale"]))
            out = self.op("Add", out, self.constant(arrays["target_mean"]))
        return out

    def dense(self, hidden: str, weight: Any, bias: Any) -> str:
        """A layer without its activation."""
        product = self.op("MatMul", hidden, self.constant(weight))
        return self.op("Add", product, self.constant(bias))

    def normalized(self, values: str, gain: Any, shift: Any) -> str:
        """Layer normalization, by its parts."""
        axes = self.constant([1], np.int64)
        centred = self.op("Sub", values, self.op("ReduceMean", values, axes))
        variance = self.op("ReduceMean", self.op("Mul", centred, centred), axes)
        scale = self.op("Sqrt", self.op("Add", variance, self.constant(LAYER_NORM_EPS)))
        unit = self.op("Div", centred, scale)
        return self.op("Add", self.op("Mul", unit, self.constant(gain)), self.constant(shift))

    # ---- scores to answers ------------------------------------------------------------------

    def linked(self, model: Model, scores: str) -> str:
        """Means or probabilities from scores."""
        if model.task == "regression":
            return scores
        if model.task == "count":
            return self.op("Exp", scores)
        if self.columns_of(model) == 1:
            none = self.op("Mul", scores, self.constant(0.0))
            scores = self.op("Concat", none, scores, axis=1)
        return self.op("Softmax", scores, axis=1)

    def columns_of(self, model: Model) -> int:
        """How many scores a row has."""
        arrays = model.parameters.members[0].arrays
        last = "coefficients" if model.parameters.family == "linear" else "output_weight"
        return int(arrays[last].shape[1])

    def answers(self, model: Model, told: str) -> None:
        """The outputs of the graph."""
        kinds = self.onnx.TensorProto
        info = self.onnx.helper.make_tensor_value_info
        if not model.classes:
            self.op("Reshape", told, self.constant([-1], np.int64), out="prediction")
            self.outputs = [info("prediction", kinds.DOUBLE, ["n"])]
            return
        self.op("ArgMax", told, axis=1, keepdims=0, out="prediction")
        self.op("Identity", told, out="probabilities")
        self.outputs = [
            info("prediction", kinds.INT64, ["n"]),
            info("probabilities", kinds.DOUBLE, ["n", len(model.classes)]),
        ]

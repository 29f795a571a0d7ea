"""A fitted model as data: schema, preprocessing statistics, parameters; arrays and JSON only.

Predictions need numpy alone. A saved model is a folder with ``model.json`` and ``arrays.npz``,
so nothing is ever unpickled; ``autoreg.storage`` says how it is guarded.

Why here, above the engines: engines produce ``Parameters``; the model room gives them a shape
and a forward pass that no engine shares, so the engines' own predictions can be tested
against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from autoreg.data.dataset import Column, Floats, Label, Task
from autoreg.data.encoding import encode_open
from autoreg.data.schema import schema_lines
from autoreg.data.table import Table
from autoreg.errors import DataError, ModelError
from autoreg.forward import patches, places_of, pooled, rating
from autoreg.preprocess import Preprocessor
from autoreg.storage import DOCUMENT, damaged, read, write

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LAYER_NORM_EPS, SMALLEST_BIN = 1e-5, 1e-6
UNSAVED = (
    "the model is a {} of your own, code that autoreg's format of arrays and JSON does not hold; "
    "predict with it in memory, keep `result.fitted` by its own library's means, or fit its best "
    "parameters again"
)
HIGHEST = 300.0  # the greatest log of a mean count: beyond it sums of squares would overflow


class OwnModel(Protocol):
    """A fitted model of a user's own family, behind autoreg's preprocessing."""

    @property
    def fitted(self) -> Any:
        """The user's estimator or module itself."""

    def predictions(self, inputs: Floats) -> Floats:
        """Means (n, 1) or class probabilities (n, C) for preprocessed inputs (n, q)."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """What an engine learned, on preprocessed inputs, and how to apply it.

    Linear: ``coefficients`` (q, C) and ``intercept`` (C,). Networks: for layer l
    ``weight_l`` (in, out), ``bias_l`` (out,), with batch normalization ``norm_scale_l`` and
    ``norm_shift_l`` (out,) applied before the ReLU, with layer normalization ``layer_gain_l`` and
    ``layer_shift_l`` (out,) behind it, and ``output_weight``, ``output_bias``; where ``info`` says
    ``skip``, every hidden layer but the first adds to what it is given; where it names sizes of
    ``images``, the first layers are 3 x 3 filters, each followed by 2 x 2 pooling; numeric inputs
    at the positions ``embedded`` (p,) have vectors made of ``edges`` (p, v + 1) of bins, or of
    ``frequencies`` (p, v / 2), behind all inputs;
    with ``pass_l`` (S, out), factors of the units of layer l in each of S passes, predictions are
    the mean over the passes; where ``info`` says how many ``members`` there are, each network's
    arrays are named ``member_k.NAME``, and predictions are the mean over the networks;
    Factorizations: ``user_bias`` (U,), ``user_factors`` (U, K), ``item_bias`` (I,),
    ``item_factors`` (I, K) and ``mean`` (1,); ``info`` says which columns ``user`` and ``item``
    are, and which of their levels, rising, are the known ``users`` and ``items``.
    Of networks, ``target_mean`` and ``target_scale`` (1,) bring outputs to original units (of
    counts: to the logarithm of the mean).
    An ``own`` model of the user's, an estimator or a module, stands for all arrays.
    """

    family: str
    arrays: dict[str, Floats]
    preprocessor: Preprocessor
    info: dict[str, Any] = field(default_factory=dict)
    own: OwnModel | None = None

    @classmethod
    def averaged(cls, members: Sequence[Parameters]) -> Parameters:
        """Networks of one structure and preprocessing as one model, which predicts their mean."""
        arrays = {
            f"member_{k}.{name}": array
            for k, one in enumerate(members)
            for name, array in one.arrays.items()
        }
        first = members[0]
        info = {**first.info, "members": len(members)}
        return cls(first.family, arrays, first.preprocessor, info)

    @property
    def members(self) -> list[Parameters]:
        """The networks whose mean this is; itself alone where it is no mean."""
        if "members" not in self.info:
            return [self]
        info = {name: value for name, value in self.info.items() if name != "members"}
        return [
            Parameters(
                self.family, _with_prefix(self.arrays, f"member_{k}."), self.preprocessor, info
            )
            for k in range(self.info["members"])
        ]

    def outputs(self, X: Floats, number: int | None = None) -> Floats:
        """Raw outputs (n, C) for raw rows X (n, p): a mean, its log, or class scores (logits).

        Those of one pass, by its ``number``, or with all units on.
        """
        if self.family == "factorization":
            return self._ratings(X)
        hidden = self.preprocessor.transform(X)
        if self.family == "linear":
            return hidden @ self.arrays["coefficients"] + self.arrays["intercept"]
        hidden, images = self._embedded(hidden), self.info.get("images", [])
        for layer in range(int(self.info["depth"])):
            filters = layer < len(images)
            given = patches(hidden, images[layer]) if filters else hidden
            added = np.maximum(self._standardized(given, layer), 0.0)
            added = pooled(added, images[layer]) if filters else added
            if number is not None:
                added = added * self.arrays[f"pass_{layer}"][number]
            hidden = hidden + added if self.info.get("skip") and layer > len(images) else added
        out = hidden @ self.arrays["output_weight"] + self.arrays["output_bias"]
        if "target_scale" in self.arrays:
            out = out * self.arrays["target_scale"] + self.arrays["target_mean"]
        return out

    def _ratings(self, X: Floats) -> Floats:
        """Ratings (n, 1): of a user or an item that training did not know nothing is added."""
        known = {name: np.append(one, 0 * one[:1], axis=0) for name, one in self.arrays.items()}
        users, items = (
            places_of(X[:, self.info[role]], np.array(self.info[f"{role}s"], dtype=np.int64))
            for role in ("user", "item")
        )
        told = rating(
            known["user_bias"], known["item_bias"], known["user_factors"], known["item_factors"],
            users, items,
        )  # fmt: skip
        return self.arrays["mean"] + told[:, None]

    def _embedded(self, inputs: Floats) -> Floats:
        """Inputs (n, q) with the vectors of numeric ones behind them, where there are any."""
        if "embedded" not in self.arrays:
            return inputs
        numeric = inputs[:, self.arrays["embedded"].astype(np.int64), None]
        if "edges" in self.arrays:
            edges = self.arrays["edges"]
            widths = np.maximum(np.diff(edges, axis=1), SMALLEST_BIN)
            vectors = 2 * np.clip((numeric - edges[:, :-1]) / widths, 0.0, 1.0) - 1
        else:
            turns = 2 * np.pi * numeric * self.arrays["frequencies"]
            vectors = np.concatenate([np.sin(turns), np.cos(turns)], axis=2)
        return np.concatenate([inputs, vectors.reshape(len(inputs), -1)], axis=1)

    def _standardized(self, hidden: Floats, layer: int) -> Floats:
        """What a layer's units (n, out) are given, behind its normalizations if it has any."""
        arrays = self.arrays
        values = hidden @ arrays[f"weight_{layer}"] + arrays[f"bias_{layer}"]
        if f"norm_scale_{layer}" in arrays:
            values = values * arrays[f"norm_scale_{layer}"] + arrays[f"norm_shift_{layer}"]
        if f"layer_gain_{layer}" in arrays:
            centred = values - values.mean(axis=1, keepdims=True)
            scale = np.sqrt((centred**2).mean(axis=1, keepdims=True) + LAYER_NORM_EPS)
            values = centred / scale * arrays[f"layer_gain_{layer}"]
            values = values + arrays[f"layer_shift_{layer}"]
        return values

    def predictions(self, X: Floats, task: Task) -> Floats:
        """Means (n, 1) for regression and counts, otherwise class probabilities (n, C)."""
        if self.own is not None:
            return self.own.predictions(self.preprocessor.transform(X))
        if "members" in self.info:
            each = [one.predictions(X, task) for one in self.members]
            return np.asarray(np.mean(each, axis=0))
        if "pass_0" not in self.arrays:
            return linked(self.outputs(X), task)
        passes = range(len(self.arrays["pass_0"]))
        each = [linked(self.outputs(X, number), task) for number in passes]
        return np.asarray(np.mean(each, axis=0))


def linked(scores: Floats, task: Task) -> Floats:
    """What scores (..., C) predict: means as they are, means of counts, or probabilities."""
    if task == "regression":
        return scores
    return mean_counts(scores) if task == "count" else softmax(scores)


def mean_counts(scores: Floats) -> Floats:
    """Means of counts from their logarithms; infinite for a score that ran away (above 300).

    >>> mean_counts(np.array([0.0, 1000.0]))
    array([ 1., inf])
    """
    return np.where(scores > HIGHEST, np.inf, np.exp(np.minimum(scores, HIGHEST)))


def softmax(scores: Floats) -> Floats:
    """Class probabilities from scores (n, C), or (n, 1) scores of the second of two classes.

    >>> softmax(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    if scores.shape[-1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=-1)
    # Column by column: along the last axis, which is short, numpy takes ten times as long.
    top = reduce(np.maximum, np.moveaxis(scores, -1, 0))
    shifted = np.exp(scores - top[..., None])
    total = reduce(np.add, np.moveaxis(shifted, -1, 0))
    return np.asarray(shifted / total[..., None])


@dataclass(frozen=True, eq=False)
class Model:
    """The final model of a study, ready to predict from a table.

    >>> import pandas as pd
    >>> from autoreg.preprocess import Preprocessor
    >>> columns = (Column("a", "numeric"),)
    >>> scaler = Preprocessor.fit(np.array([[0.0], [2.0]]), columns)
    >>> line = {"coefficients": np.array([[1.0]]), "intercept": np.array([5.0])}
    >>> model = Model(columns, "regression", "y", (), Parameters("linear", line, scaler))
    >>> model.predict(pd.DataFrame({"a": [1.0, 2.0]}))
    array([5., 6.])
    """

    columns: tuple[Column, ...]
    task: Task
    target: str
    classes: tuple[Label, ...]
    parameters: Parameters
    about: dict[str, Any] = field(default_factory=dict)

    def predict(self, frame: pd.DataFrame) -> NDArray[Any]:
        """The mean, or the most probable class, for each row of a table; shape (n,).

        Raises DataError, naming the column, where the table lacks one that was trained on.
        """
        return self.decided(self.raw(frame))

    def raw(self, frame: pd.DataFrame | Table) -> Floats:
        """Means (n, 1) or class probabilities (n, C) for the rows of a table."""
        return self.read(*encode_open(frame, self.columns))

    def read(self, X: Floats, columns: Sequence[Column]) -> Floats:
        """The same for encoded rows; ``columns`` hold the documents that cells of text point to."""
        return self._reading(columns).predictions(X, self.task)

    def inputs(self, frame: pd.DataFrame | Table) -> Floats:
        """The rows of a table as preprocessed inputs (n, q)."""
        X, columns = encode_open(frame, self.columns)
        return self._reading(columns).preprocessor.transform(X)

    def _reading(self, columns: Sequence[Column]) -> Parameters:
        known = self.parameters
        if not known.preprocessor.learned:
            return known
        return replace(known, preprocessor=known.preprocessor.reading(columns))

    def decided(self, predictions: Floats) -> NDArray[Any]:
        """The means (n,) as they are, or the most probable class of each row."""
        if not self.classes:
            return predictions[:, 0]
        return np.asarray(np.array(self.classes)[predictions.argmax(axis=1)])

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Class probabilities (n, C) in the order of ``classes``."""
        if not self.classes:
            raise DataError(f"a {self.task} model predicts means, not class probabilities")
        return self.raw(frame)

    def example(self) -> pd.DataFrame:
        """One made-up row that the model accepts: training means and first levels, no real row."""
        import pandas as pd

        scaler = self.parameters.preprocessor
        means = dict(zip(scaler.names, scaler.mean.tolist(), strict=True))
        cells: dict[str, Any] = {}
        for column in self.columns:
            if column.part:
                cells.setdefault(column.source, "2026-01-01")
            elif column.kind == "text":
                cells[column.name] = "some words"
            else:
                cells[column.name] = (
                    column.levels[0] if column.is_categorical else means[column.name]
                )
        return pd.DataFrame([cells])

    @property
    def schema(self) -> list[str]:
        """What each column of a table to predict must hold, in words."""
        return list(schema_lines(self.columns))

    @property
    def is_data(self) -> bool:
        """Whether it is arrays and plain data; one of a user's own family is not."""
        return self.parameters.own is None

    def save(self, folder: Path | str) -> None:
        """Write ``model.json`` and ``arrays.npz`` into a folder.

        Raises ModelError for a model of a user's own family, which is no data.
        """
        if not self.is_data:
            raise ModelError(UNSAVED.format(self.parameters.family))
        statistics, arrays = self.parameters.preprocessor.to_data()
        document = {
            "task": self.task,
            "target": self.target,
            "classes": list(self.classes),
            # Documents are rows of the training table, and no part of what was learned.
            "columns": [
                {**vars(column), "levels": [] if column.kind == "text" else column.levels}
                for column in self.columns
            ],
            "family": self.parameters.family,
            "info": self.parameters.info,
            "preprocessor": statistics,
            "about": self.about,
        }
        everything = {f"parameters.{k}": v for k, v in self.parameters.arrays.items()}
        everything |= {f"preprocessor.{k}": v for k, v in arrays.items()}
        write(Path(folder), document, everything)

    @classmethod
    def load(cls, folder: Path | str) -> Model:
        """Read a saved model; nothing is unpickled.

        Raises ModelError naming the file that is missing, damaged, or of a newer format.
        """
        document, arrays = read(Path(folder))
        try:
            return cls._from_data(document, arrays)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise damaged(Path(folder) / DOCUMENT, f"{type(error).__name__}: {error}") from error

    @classmethod
    def _from_data(cls, document: dict[str, Any], arrays: dict[str, Floats]) -> Model:
        columns = tuple(
            Column(**{**one, "levels": tuple(one["levels"])}) for one in document["columns"]
        )
        preprocessor = Preprocessor.from_data(
            document["preprocessor"], _with_prefix(arrays, "preprocessor."), columns
        )
        parameters = Parameters(
            document["family"], _with_prefix(arrays, "parameters."), preprocessor, document["info"]
        )
        return cls(
            columns,
            document["task"],
            document["target"],
            tuple(document["classes"]),
            parameters,
            document["about"],
        )


def load(folder: Path | str) -> Model:
    """A saved model, ready to predict: from ``result.save(folder)``, or from a study's folder.

    Nothing is unpickled. Raises ModelError naming the file that is missing or damaged.

    >>> import tempfile
    >>> import pandas as pd
    >>> from autoreg.preprocess import Preprocessor
    >>> columns, folder = (Column("a", "numeric"),), tempfile.mkdtemp()
    >>> scaler = Preprocessor.fit(np.array([[0.0], [2.0]]), columns)
    >>> line = {"coefficients": np.array([[1.0]]), "intercept": np.array([5.0])}
    >>> Model(columns, "regression", "y", (), Parameters("linear", line, scaler)).save(folder)
    >>> load(folder).predict(pd.DataFrame({"a": [1.0, 2.0]}))
    array([5., 6.])
    """
    folder = Path(folder)
    inside = folder / "model"
    return Model.load(inside if (inside / DOCUMENT).is_file() else folder)


def _with_prefix(arrays: dict[str, Floats], prefix: str) -> dict[str, Floats]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

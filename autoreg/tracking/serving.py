"""A model of autoreg as MLflow keeps and loads it: arrays and JSON, nothing pickled."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg import __version__
from autoreg.data.dataset import Column
from autoreg.model import Model, Parameters
from autoreg.preprocess import Preprocessor

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature
    from numpy.typing import NDArray

PACKAGES = ("numpy", "pandas", "pydantic", "scikit-learn")


def wrap(folder: Path, path: Path, example: pd.DataFrame) -> Path:
    """Wrap a saved model so that ``mlflow.pyfunc.load_model`` loads it; returns ``path``."""
    requirements = [f"autoreg=={__version__}", *(f"{name}=={version(name)}" for name in PACKAGES)]
    with warnings.catch_warnings():
        # While it is imported and while it saves, MLflow warns about its own type hints.
        warnings.simplefilter("ignore")
        from mlflow import pyfunc

        pyfunc.save_model(
            path=str(path),
            loader_module=__name__,
            data_path=str(folder),
            signature=_signature(example, Model.load(folder).predict(example)),
            input_example=example,
            pip_requirements=requirements,
        )
    return path


def _signature(example: pd.DataFrame, predicted: NDArray[Any]) -> ModelSignature:
    """The columns by name, of any type.

    MLflow refuses whole numbers where it saw fractions, numbers and booleans where a category
    was text, and a missing category; the model takes them all, and checks its columns itself.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    anything = AnyType()  # type: ignore[no-untyped-call] # MLflow gives it no types
    columns = Schema([ColSpec(anything, name) for name in example.columns])
    return ModelSignature(columns, infer_signature(model_output=predicted).outputs)


def made_up() -> Model:
    """The smallest model there is: y = x.

    >>> made_up().example()
         x
    0  1.0
    """
    import numpy as np

    columns = (Column("x", "numeric"),)
    scaler = Preprocessor.fit(np.array([[0.0], [2.0]]), columns)
    line = {"coefficients": np.array([[1.0]]), "intercept": np.array([1.0])}
    return Model(columns, "regression", "y", (), Parameters("linear", line, scaler))


class Served:
    """A model with the method that MLflow calls."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Means or classes for a table; ``params`` is MLflow's and not used."""
        return self.model.predict(model_input)


def _load_pyfunc(path: str) -> Served:
    """Called by ``mlflow.pyfunc.load_model``."""
    return Served(Model.load(Path(path)))

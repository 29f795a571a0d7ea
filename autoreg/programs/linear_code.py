"""A linear winner as scikit-learn code, with its numbers, and how to learn them anew."""

from __future__ import annotations

from dataclasses import dataclass

from autoreg.model import Model
from autoreg.programs.words import array, chosen, literal
from autoreg.spec import LinearSpec
from autoreg.techniques.base import Penalty

HEAD = ["import sys", "", "import numpy as np", "import pandas as pd"]

REGRESSION = '''

def predict(frame):
    """The mean of each row of a table."""
    return pd.DataFrame({"prediction": model.predict(inputs(frame))})
'''
COUNT = '''

def predict(frame):
    """The mean count of each row of a table."""
    return pd.DataFrame({"prediction": np.exp(inputs(frame) @ COEFFICIENTS[:, 0] + INTERCEPT[0])})
'''
CLASSES = '''

def predict(frame):
    """The most probable class of each row of a table, and the probabilities of all."""
    chances = model.predict_proba(inputs(frame))
    found = {f"probability_{one}": chances[:, k] for k, one in enumerate(CLASSES)}
    return pd.DataFrame({"prediction": np.array(CLASSES)[chances.argmax(axis=1)], **found})
'''
SET = """
model = {shell}
model.coef_ = {coefficients}
model.intercept_ = {intercept}
"""
SET_CLASSES = """model.classes_ = np.arange(len(CLASSES))
model.n_features_in_ = len(MEAN)
"""
FIT = '''

def fit(frame):
    """Learn the same model anew from rows with {target}; inputs stay standardized as they were."""
    Z, n = inputs(frame), len(frame)
{body}
'''
MAIN = """

if __name__ == "__main__":
    new, *train = map(pd.read_csv, sys.argv[1:])
    if train:
        model = fit(train[0])
    predict(new).to_csv(sys.stdout, index=False)
"""
# How strong a penalty is at the chosen strength, as in the study: a share of the strength that
# leaves no input in the model, or without an L1 part of the largest eigenvalue of Z'Z / n.
RIDGE = """    y = frame[TARGET].to_numpy(float)
    penalty = STRENGTH * np.linalg.eigvalsh(Z.T @ Z / n)[-1]
    return Ridge(alpha=penalty * n).fit(Z, y)"""
PLAIN = """    y = frame[TARGET].to_numpy(float)
    return LinearRegression().fit(Z, y)"""
SPARSE = """    y = frame[TARGET].to_numpy(float)
    centred = y - y.mean()
    l1 = STRENGTH * abs(Z.T @ centred).max() / n
    l2 = l1 / centred.std() * (1 - MIX) / MIX
    fitted = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), tol=1e-8, max_iter=100_000)
    return fitted.fit(Z, y)"""
LOGISTIC = """    y = pd.Categorical(frame[TARGET], categories=CLASSES).codes
    penalty = STRENGTH * np.linalg.eigvalsh(Z.T @ Z / n)[-1]
    return LogisticRegression(C=1 / (penalty * n), tol=1e-8, max_iter=10_000).fit(Z, y)"""
SPARSE_LOGISTIC = """    y = pd.Categorical(frame[TARGET], categories=CLASSES).codes
    Y = (y[:, None] == np.arange(len(CLASSES))).astype(float)
    penalty = STRENGTH * abs(Z.T @ (Y - Y.mean(axis=0))).max() / n / MIX
    fitted = LogisticRegression(
        C=1 / (penalty * n), l1_ratio=MIX, solver="saga", tol=1e-7, max_iter=50_000
    )
    return fitted.fit(Z, y)"""


@dataclass(frozen=True)
class Body:
    """The parts of a program that depend on the model."""

    constants: str
    code: str
    main: str = ""


def linear_code(model: Model) -> tuple[list[str], Body, bool]:
    """Imports, body, and whether the program can learn its numbers anew."""
    arrays, scaler = model.parameters.arrays, model.parameters.preprocessor
    recipe = _recipe(model)
    shell = "LogisticRegression()" if model.classes else "LinearRegression()"
    used = {shell.partition("(")[0]} if model.task != "count" else set()
    constants = [
        array("MEAN", scaler.mean),
        array("SCALE", scaler.scale),
        array("COEFFICIENTS", arrays["coefficients"]),
        array("INTERCEPT", arrays["intercept"]),
    ]
    code = ""
    if model.task != "count":
        code = SET.format(
            shell=shell,
            coefficients="COEFFICIENTS.T" if model.classes else "COEFFICIENTS[:, 0]",
            intercept="INTERCEPT" if model.classes else "INTERCEPT[0]",
        )
    code += SET_CLASSES if model.classes else ""
    code += {"regression": REGRESSION, "count": COUNT}.get(model.task, CLASSES)
    if recipe is not None:
        values, fit = recipe
        constants = [literal("TARGET", model.target), *values, *constants]
        code += FIT.format(target="the target", body=fit)
        names = ("Ridge", "LinearRegression", "ElasticNet", "LogisticRegression")
        used |= {name for name in names if f"{name}(" in fit}
    imports = [f"from sklearn.linear_model import {', '.join(sorted(used))}"] if used else []
    body = Body("\n".join(constants), code, MAIN if recipe else "")
    return [*HEAD, *imports], body, recipe is not None


def _recipe(model: Model) -> tuple[list[str], str] | None:
    """Constants and code of a fit; None where scikit-learn has no such model."""
    one, about = chosen(model), model.about
    known = LinearSpec(**about.get("linear", {})) == LinearSpec()
    learned = model.parameters.preprocessor.learned  # which says something else of its own rows
    if one is None or model.task == "count" or not known or about.get("weighted") or learned:
        return None
    if one.is_none:
        return None if model.classes else ([], PLAIN)
    (own,) = one.techniques
    if own.seams() != {"penalty"}:
        return None
    penalty = own.penalty()
    if not penalty.is_plain or not one.chosen_strengths:
        return None
    return [f"STRENGTH = {one.chosen_strengths[0]!r}", *_mix(penalty)], _fit(model, penalty)


def _mix(penalty: Penalty) -> list[str]:
    return [f"MIX = {penalty.l1!r}"] if penalty.l1 else []


def _fit(model: Model, penalty: Penalty) -> str:
    if model.classes:
        return SPARSE_LOGISTIC if penalty.l1 else LOGISTIC
    return SPARSE if penalty.l1 else RIDGE

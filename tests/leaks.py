"""Planted leaks, each of which ``verify`` must catch: engines that look where they must not.

Every one is a mistake that people make: something is learned on ALL rows before the split, and
then everything is fitted and judged as if nothing had happened.
"""

from dataclasses import replace

import numpy as np

from autoreg.data.dataset import Column
from autoreg.engines.base import Engine, Failure, Fit, TrainingSet, mean_losses
from autoreg.engines.loop import LoopEngine


class Leaky(Engine):
    """An honest engine that is handed a table on which somebody has learned already."""

    def __init__(self, honest, prepare=lambda table: table):
        self.honest, self.prepare = honest, prepare
        self.name = f"leaky {honest.name}"

    def refuses(self, candidate, task):
        return self.honest.refuses(candidate, task)

    def warm_up(self, candidates, task, linear):
        self.honest.warm_up(candidates, task, linear)

    def run(self, jobs, table, **options):
        return self.honest.run(jobs, self.prepare(table), **options)


def scaler(table):
    numeric = [j for j, column in enumerate(table.columns) if not column.is_categorical]
    X = table.X.copy()
    X[:, numeric] -= np.nanmean(X[:, numeric], axis=0)
    X[:, numeric] /= np.nanstd(X[:, numeric], axis=0)
    return replace(table, X=X)


def imputer(table):
    return replace(table, X=np.where(np.isnan(table.X), np.nanmean(table.X, axis=0), table.X))


def encoder(table):
    """Categories become the mean target of their rows: target encoding."""
    X = table.X.copy()
    columns = list(table.columns)
    for j, column in enumerate(table.columns):
        if column.is_categorical:
            columns[j] = Column(column.name, "numeric")
            for level in np.unique(table.X[~np.isnan(table.X[:, j]), j]):
                inside = table.X[:, j] == level
                X[inside, j] = table.y[inside].mean()
    return replace(table, X=X, columns=tuple(columns))


def screen(table):
    """Only the two columns that go best with the target are kept."""
    X = np.nan_to_num(table.X)
    with np.errstate(all="ignore"):
        strength = np.abs(np.nan_to_num(np.corrcoef(X.T, table.y)[-1, :-1]))
    kept = np.argsort(-strength)[:2]
    return replace(table, X=np.where(np.isin(np.arange(X.shape[1]), kept), X, 0.0))


class Resampler(Leaky):
    """Fills up the rarer class with rows from wherever they are, before the split."""

    def run(self, jobs, table, **options):
        rare = np.flatnonzero(table.y == np.bincount(table.y).argmin())
        more = [replace(job, training=self._filled(job.training, rare)) for job in jobs]
        options.pop("cells", None)
        return LoopEngine().run(more, table, **options)

    @staticmethod
    def _filled(training, rare):
        return TrainingSet(np.concatenate([training.rows, rare]), training.excluded)


class Calibration(Leaky):
    """Brings predicted probabilities to the class shares of all rows."""

    def run(self, jobs, table, **options):
        outcomes = self.honest.run(jobs, table, **options)
        shares = np.bincount(table.y, minlength=len(table.classes)) / table.n
        pairs = zip(jobs, outcomes, strict=True)
        return [self._calibrated(one, job, table, shares) for job, one in pairs]

    @staticmethod
    def _calibrated(outcome, job, table, shares):
        if isinstance(outcome, Failure):
            return outcome
        raw = np.stack([outcome.predictions[k] for k in range(len(outcome.predictions))])
        raw = raw * shares
        predictions = raw / raw.sum(axis=-1, keepdims=True)
        losses = mean_losses(table, job.predict, predictions)
        return replace(outcome, predictions=predictions, losses=losses)


class TotalMinusBlock(Leaky):
    """Ridge from the Gram matrix of ALL rows, from which those of other rows are taken off."""

    def run(self, jobs, table, **options):
        A = np.column_stack([np.ones(table.n), np.nan_to_num(table.X)])
        gram, products = A.T @ A, A.T @ table.y
        return [self._fit(job, table, A, gram, products) for job in jobs]

    @staticmethod
    def _fit(job, table, A, gram, products):
        others = np.setdiff1d(np.arange(table.n), job.training.rows)
        G = gram - A[others].T @ A[others]
        b = products - A[others].T @ table.y[others]
        penalty = np.diag([0.0, *np.ones(len(G) - 1)]) * len(job.training.rows)
        coefficients = [np.linalg.lstsq(G + s * penalty, b, rcond=None)[0] for s in job.walked]
        predict, train = (
            np.stack([(A[rows] @ w)[:, None] for w in coefficients])
            for rows in (job.predict, job.training.rows)
        )
        return Fit(
            predict,
            mean_losses(table, job.predict, predict),
            mean_losses(table, job.training.rows, train),
        )


# By the name of what leaks: how an honest engine is made to leak, and the task that shows it.
ENGINES = {
    "scaler": (lambda honest: Leaky(honest, scaler), "binary"),
    "imputer": (lambda honest: Leaky(honest, imputer), "binary"),
    "encoder": (lambda honest: Leaky(honest, encoder), "binary"),
    "screen": (lambda honest: Leaky(honest, screen), "binary"),
    "resampler": (Resampler, "binary"),
    "calibration": (Calibration, "binary"),
    "total-minus-block Gram": (TotalMinusBlock, "regression"),
}


def gossip(honest):
    """An ``ask`` that tries what any other search has asked for before, from the design on."""
    heard = {}

    def ask(self, history, pending=()):
        tried = {one.key for one in (*(known for known, _ in history), *pending)}
        own = honest(self, history, pending)
        others = [c for name, asked in heard.items() if name != self.search for c in asked]
        new = [one for one in others if one.key not in tried]
        late = len(history) >= len(self.space.design())
        heard.setdefault(self.search, []).append(own)
        return new[-1] if late and new else own

    return ask

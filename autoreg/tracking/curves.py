"""Curves of trials as metrics with steps: learning curves by epoch, paths by their strength."""

from __future__ import annotations

from collections.abc import Iterable

from autoreg.findings import Findings
from autoreg.trial import Trial

MOST_POINTS = 12  # of a trial's curve: enough for its shape; each point costs a row of a table
ALL_POINTS = 100  # of the winner's

Curve = list[tuple[int, float]]


def winner_curves(findings: Findings) -> dict[str, Curve]:
    """The learning curves of the trial that was chosen, means over its inner folds.

    They stand in the run of the refit, which itself has no stop-set to show.
    """
    final = findings.final
    own = [t for t in findings.trials if t.search == (final.source or final.search)]
    trial = next(t for t in own if t.number == final.chosen.trial)
    return {name: thinned(c, most=ALL_POINTS) for name, c in _learning(trial).items()}


def _learning(trial: Trial) -> dict[str, Curve]:
    """Training loss, stop-set loss, their gap and the length of the weights, by epoch."""
    known = {f"curve_{name}": list(enumerate(values)) for name, values in trial.curve.items()}
    if {"train", "stop"} <= set(trial.curve):
        pairs = zip(trial.curve["stop"], trial.curve["train"], strict=False)
        known["curve_gap"] = [(epoch, stop - train) for epoch, (stop, train) in enumerate(pairs)]
    return known


def trial_curves(trial: Trial) -> dict[str, Curve]:
    """Losses by fold, learning curves by epoch, and what changes along a path.

    The step of a path is its place in the range of strengths, in percent, weakest first.
    """
    losses = map(float, trial.losses[trial.best])
    curves = {"fold_val_loss": list(enumerate(losses))}
    curves |= {name: thinned(curve) for name, curve in _learning(trial).items()}
    if dial := trial.candidate.path:
        shares = trial.weights / trial.weights.sum()
        places = [round(100 * dial.strength(strength)) for strength in trial.strengths]
        path = {
            "val_loss": trial.means,
            "train_loss": trial.train_losses @ shares,
            "n_columns": trial.sparsity,
        }
        for name, numbers in path.items():
            pairs = zip(places, map(float, numbers), strict=False)
            curves[f"path_{name}"] = thinned(pairs, keep=places[trial.best])
    return {name: curve for name, curve in curves.items() if curve}


def thinned(
    curve: Iterable[tuple[int, float]], keep: int | None = None, most: int | None = None
) -> Curve:
    """At most so many points of a curve, the ends and the one to keep among them.

    >>> len(thinned((step, 0.0) for step in range(1000))), thinned([(3, 0.5), (1, 0.7)])
    (12, [(1, 0.7), (3, 0.5)])
    """
    points, most = dict(sorted(curve)), most or MOST_POINTS
    steps = list(points)
    last = len(steps) - 1
    if last >= most:
        places = [round(k * last / (most - 1)) for k in range(most)]
        if keep in points:
            kept = steps.index(keep)
            places[min(range(most), key=lambda k: abs(places[k] - kept))] = kept
        steps = [steps[place] for place in places]
    return [(step, points[step]) for step in steps]

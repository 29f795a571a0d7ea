"""Entirely synthetic findings, as a finished study would leave them, for report and tracking.

Nothing is fitted: losses come from smooth formulas plus seeded noise, shaped like a study of
breast-cancer data (6 searches of 24 trials, linear models and networks). Same arguments, same
findings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autoreg.budget import Budget, budgets
from autoreg.coefficients import CoefficientPath
from autoreg.findings import Findings
from autoreg.folds import FINAL
from autoreg.select import select
from autoreg.space import Space
from autoreg.spec import seed_for, study_from
from autoreg.statistics import Interval, nadeau_bengio
from autoreg.trial import Trial
from autoreg.verdict import FoldVerdict, HeldOut, Margin, Standing, Verdict

LINEAR = {"ridge": {}, "lasso": {}, "elastic_net": {}}
NETWORK = {"early_stopping": {}, "weight_decay": {}, "dropout": {}, "mixup": {}}
SHAPE = {"width": [16, 128], "depth": [1, 3], "learning_rate": [1e-3, 3e-2]}
BEST = {"none": 0.145, "ridge": 0.081, "lasso": 0.078, "elastic_net": 0.074}
GAIN = {"early_stopping": 0.035, "weight_decay": 0.016, "dropout": 0.02, "mixup": 0.004}
SWEET = {"ridge": 0.35, "lasso": 0.45, "elastic_net": 0.4}
BASELINE = {"binary": 0.5, "regression": 0.0}
FEATURELESS = {"binary": 0.66, "regression": 0.197}
TESTED = 0.25  # n_test / n_train of five outer folds


def sample(
    *,
    task: str = "binary",
    winner: str = "linear",
    networks: bool = True,
    held_out: bool = True,
    failures: bool = True,
    signal: bool = True,
    seed: int = 0,
    **changes,
) -> Findings:
    """Findings of one imagined study.

    ``winner`` is the family that wins; ``task`` is binary or regression; ``changes`` replace
    fields of the findings at the end.
    """
    spec = _spec(task, networks, held_out, seed)
    space = Space.build(spec.space, task)
    searches = [*(f"outer-{fold}" for fold in range(spec.folds.outer)), FINAL]
    trials = [
        trial
        for search in searches
        for trial in _search(search, space, spec, task, winner, failures)
    ]
    selections = {
        search: select([t for t in trials if t.search == search], spec.select, space.incumbent)
        for search in searches
    }
    found = Findings(
        spec=spec,
        space=space,
        data=_data(task),
        splits=_splits(spec),
        trials=tuple(trials),
        selections=selections,
        verdict=_verdict(selections, space, task, held_out, signal),
        seconds=163.4,
        versions={"autoreg": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "optuna": "5.0.0"},
        remarks=("2 pairs of rows are equal in all columns.",),
        budget=_budget(trials, task),
    )
    return replace(found, **{"coefficients": _coefficients(found, task)} | changes)


def _spec(task, networks, held_out, seed):
    families = {"linear": {"techniques": LINEAR, "share": 0.3}}
    if networks:
        families["network"] = {"techniques": NETWORK, "share": 0.3, "architecture": SHAPE}
    binary = task == "binary"
    return study_from(
        {
            "study": "breast_cancer" if binary else "diabetes",
            "question": "Which regularization lets 30 cell measurements tell malignant from "
            "benign tumours, and is a network worth its trouble?"
            if binary
            else "Does shrinkage help ten measurements predict how diabetes progresses?",
            "data": {"source": "breast_cancer" if binary else "diabetes", "task": task},
            "space": {
                "space": "linear_and_network",
                "about": "penalized linear models and small networks, on the same folds",
                "families": families,
                "incumbent": {"family": "linear", "techniques": ["ridge"]},
            },
            "trials": 24,
            "held_out": 0.2 if held_out else "none",
            "metrics": ["auc", "accuracy"] if binary else ["r2"],
            "seed": seed,
        }
    )


def _budget(trials, task):
    """A budget curve whose nested loss rises a little at the end."""
    outer = [t for t in trials if t.search != FINAL and not t.failure]
    points = []
    for count in budgets(24):
        best = [
            min(t.loss for t in outer if t.search == search and t.number < count)
            for search in sorted({t.search for t in outer})
        ]
        inner = float(np.mean(best))
        rise = 0.01 * _unit(task) * (1 + (count / 24) ** 2)
        points.append(Budget(count, inner, inner + rise))
    return tuple(points)


# ---- trials --------------------------------------------------------------------------------------


def _search(search, space, spec, task, winner, failures):
    draws = np.random.default_rng(seed_for(spec.seed, "sample", search))
    design = space.design()
    settings = list(design)
    families = sorted(space.families)
    while len(settings) < spec.trials:
        family = families[int(draws.integers(len(families)))]
        point = {
            axis.name: axis.categories[int(draws.integers(len(axis.categories)))]
            if axis.categories
            else float(draws.uniform())
            for axis in space.axes(family)
        }
        one = space.decode(family, point)
        if one not in settings:
            settings.append(one)
    for number, one in enumerate(settings[: spec.trials]):
        origin = "design" if number < len(design) else "sampler"
        failed = failures and number == spec.trials - 3
        yield _trial(search, number, one, origin, space, task, winner, draws, failed)


def _trial(search, number, one, origin, space, task, winner, draws, failed):
    folds = 5 if search == FINAL else 4
    strengths = space.strengths(one)
    means, train = _curves(one, strengths, task, winner, draws)
    spread = _unit(task) * 0.02
    hard = draws.normal(0, spread, folds)  # folds; on average none, so that luck decides nothing
    noise = hard - hard.mean() + draws.normal(0, spread / 8, (len(means), folds))
    losses = means[:, None] + noise
    common = {
        "search": search,
        "number": number,
        "candidate": one,
        "origin": origin,
        "weights": np.full(folds, 91.0),
        "baseline": FEATURELESS[task] * _unit(task),
    }
    if failed:
        nothing = np.zeros((max(1, len(strengths)), folds))
        reason = f"1 of {folds} folds failed: the fit diverged: predictions are not finite"
        return Trial(
            strengths=strengths, losses=nothing, train_losses=nothing, failure=reason, **common
        )
    is_network = one.family == "network"
    best = float(losses.mean(axis=1).min())
    return Trial(
        strengths=strengths,
        losses=losses,
        train_losses=np.tile(train[:, None], folds),
        scores=_scores(best, task),
        steps=tuple(int(s) for s in draws.integers(150, 420, folds)) if is_network else (),
        curve=_learning(best, FEATURELESS[task] * _unit(task), draws) if is_network else {},
        flags=("separable",) if one.label == "none" and not is_network else (),
        seconds=float(draws.uniform(0.05, 1.6)),
        **({} if is_network else _read(one, len(means), int(losses.mean(axis=1).argmin()), task)),
        **common,
    )


def _read(one, strengths, best, task):
    """What folds tell of their coefficients: fewer columns and less freedom the stronger."""
    p = len(_names(task))
    weak = np.linspace(1, 0, strengths) if strengths > 1 else np.ones(1)
    zeroes = any(t.penalty().zeroes for t in one.techniques)
    used = np.ceil(p * weak) if zeroes else np.full(strengths, float(p))
    kept = _names(task)[: int(used[best])] if zeroes else ()
    shares = {name: 1.0 - 0.2 * (k % 4) for k, name in enumerate(kept)}
    return {"sparsity": used, "freedom": float(p * weak[best] ** 1.5), "stability": shares}


def _curves(one, strengths, task, winner, draws):
    """Validation and training loss along the strengths, each (S,)."""
    scale = _unit(task)
    penalty = 0.0 if one.family == winner else 0.02
    if one.family == "network":
        active = {t.key for t in one.techniques}
        level = 0.15 - sum(GAIN[key] for key in active & set(GAIN))
        off = sum((s - 0.45) ** 2 for s in one.strengths.values())
        level += 0.02 * off + 0.006 * abs(float(draws.normal())) + penalty
        return np.array([level * scale]), np.array([level * 0.6 * scale])
    if not strengths:
        return np.array([(BEST["none"] + penalty) * scale]), np.array([0.01 * scale])
    place = np.linspace(0, 1, len(strengths))
    mix = 0.01 * sum((float(t.values.get("mix", 0.4)) - 0.4) ** 2 for t in one.techniques)
    depth = BEST[one.label] + mix + penalty
    under = 0.6 / (1 + np.exp(-14 * (place - 0.85)))
    over = 0.16 * np.clip(SWEET[one.label] - place, 0, None) ** 1.5 / SWEET[one.label]
    return (depth + under + over) * scale, (0.012 + 0.05 * place**1.3 + 0.96 * under) * scale


def _unit(task):
    return 1.0 if task == "binary" else 30000.0


def _scores(loss, task):
    if task == "binary":
        return {
            "auc": 1 - 0.09 * loss,
            "accuracy": 1 - 0.33 * loss,
            "log_loss": loss,
        }
    return {"r2": 1 - loss / 5900, "mse": loss}


def _learning(loss, start, draws):
    epochs = np.arange(int(draws.integers(24, 60)))
    train = loss * 0.5 + (start - loss * 0.5) * np.exp(-epochs / 6)
    stop = loss + (start - loss) * np.exp(-epochs / 5)
    stop += start * (0.0015 * np.maximum(epochs - 18, 0) + draws.normal(0, 0.003, len(epochs)))
    return {"train": train.tolist(), "stop": stop.tolist()}


# ---- selection and verdict -------------------------------------------------------------------


def _verdict(selections, space, task, held_out, signal):
    draws = np.random.default_rng(seed_for("outer", task))
    outer = {name: one for name, one in selections.items() if name != FINAL}
    final = selections[FINAL].chosen
    name = "auc" if task == "binary" else "r2"
    base = (FEATURELESS[task] if signal else 0.07) * _unit(task)
    folds = tuple(_fold(search, one, name, base, task, draws) for search, one in outer.items())
    standings = _standings(outer, name, task, draws)
    here = next(s for s in standings if (s.family, s.label) == final.candidate.technique_set)
    rival = selections[FINAL].runner_up.candidate.technique_set
    losses = np.array([fold.loss for fold in folds])
    baseline = np.array([fold.baseline_loss for fold in folds])
    final_scores = _scores(final.loss, task)
    sets = [fold.chosen.technique_set for fold in folds]
    return Verdict(
        metric=name,
        greater_is_better=True,
        inner_best=final_scores[name],
        inner_best_loss=final.loss,
        nested=nadeau_bengio(np.array([fold.score for fold in folds]), TESTED),
        nested_loss=nadeau_bengio(losses, TESTED),
        folds=folds,
        standings=standings,
        none={s.family: s.score for s in standings if s.label == "none" and s.score},
        baseline=nadeau_bengio(np.full(len(folds), BASELINE[task]), TESTED),
        baseline_loss=nadeau_bengio(baseline, TESTED),
        runner_up=_margin(standings, rival, here),
        incumbent=_margin(standings, space.incumbent, here),
        signal=nadeau_bengio(baseline - losses, TESTED),
        agreement=sets.count(final.candidate.technique_set),
        held_out=_held_out(final.loss, name, base, task) if held_out else None,
        scores={
            metric: nadeau_bengio(
                np.array([_scores(loss, task)[metric] for loss in losses]), TESTED
            )
            for metric in final_scores
        },
        statement=("outer-3: separable",),
    )


def _fold(search, selection, name, base, task, draws):
    loss = selection.chosen.loss + abs(float(draws.normal(0.006, 0.02))) * _unit(task)
    return FoldVerdict(
        fold=search,
        chosen=selection.chosen.candidate,
        loss=loss,
        score=_scores(loss, task)[name],
        inner_loss=selection.chosen.loss,
        baseline_loss=base * (1 + float(draws.normal(0, 0.02))),
        rows=91,
    )


def _standings(outer, name, task, draws):
    """Every technique set, judged on the outer folds whose search tried it; best mean first."""
    sets = sorted({c.candidate.technique_set for one in outer.values() for c in one.contenders})
    standings = []
    hard = {search: float(draws.normal(0.006, 0.018)) for search in outer}
    for family, label in sets:
        losses = []
        for search, one in outer.items():
            tried = [c for c in one.contenders if c.candidate.technique_set == (family, label)]
            shift = hard[search] + float(draws.normal(0, 0.006))
            losses.append(tried[0].loss + abs(shift) * _unit(task) if tried else None)
        scores = tuple(None if one is None else _scores(one, task)[name] for one in losses)
        known = np.array([one for one in scores if one is not None])
        score = nadeau_bengio(known, TESTED) if len(known) == len(outer) else None
        loss = nadeau_bengio(np.array(losses), TESTED) if score else None
        standings.append(Standing(family, label, tuple(losses), scores, score, loss))
    return tuple(sorted(standings, key=_order))


def _order(standing):
    return standing.score is None, np.mean([one for one in standing.losses if one is not None])


def _margin(standings, rival, here):
    if rival == (here.family, here.label):
        return None
    other = next(s for s in standings if (s.family, s.label) == rival)
    pairs = [
        theirs - own
        for theirs, own in zip(other.losses, here.losses, strict=True)
        if theirs is not None and own is not None
    ]
    difference = nadeau_bengio(np.array(pairs), TESTED) if len(pairs) > 1 else None
    return Margin(other.family, other.label, difference, len(pairs))


def _held_out(loss, name, base, task):
    loss = loss * 1.05
    interval = Interval(loss, 0.8 * loss, 1.2 * loss, method="rows")
    return HeldOut(114, "first", _scores(loss, task)[name], loss, base, interval)


# ---- coefficients ------------------------------------------------------------------------------


def _names(task):
    return tuple(f"measure {k}" for k in range(30 if task == "binary" else 10))


def _coefficients(found, task):
    """Soft-thresholded coefficients along the path of a linear choice."""
    chosen = found.final.chosen
    if chosen.candidate.family != "linear":
        return None
    trial = next(t for t in found.trials if (t.search, t.number) == (FINAL, chosen.trial))
    names, strengths = _names(task), trial.strengths or (1.0,)
    full = np.linspace(2, -1.5, len(names))
    shrink = 2.2 * np.linspace(0, 1, len(strengths))[:, None]
    standardized = np.sign(full) * np.maximum(np.abs(full) - shrink, 0)
    scales = np.geomspace(1e-2, 1e3, len(names))
    return CoefficientPath(
        names=names,
        groups=names,
        strengths=trial.strengths,
        coefficients=(standardized / scales)[:, :, None],
        intercepts=np.full((len(strengths), 1), -7.25),
        chosen=trial.best,
        outputs=("benign",) if task == "binary" else ("target",),
        scales=scales,
        freedom=trial.freedom,
        inner=trial.stability or None,
        outer={names[0]: 1.0, names[1]: 0.6},
        outer_folds=5,
    )


# ---- facts -----------------------------------------------------------------------------------


def _data(task):
    binary = task == "binary"
    return {
        "name": "breast_cancer" if binary else "diabetes",
        "source": "breast_cancer" if binary else "diabetes",
        "digest": "9f3c1a7b2e4d5068",
        "rows": 569 if binary else 442,
        "columns": 30 if binary else 10,
        "numeric": 30 if binary else 10,
        "categorical": 0,
        "feature_groups": 0,
        "missing_cells": 0,
        "task": task,
        "target": "target",
        "classes": {"malignant": 212, "benign": 357} if binary else {},
        "roles": {},
    }


def _splits(spec):
    return {
        "splitter": "stratified",
        "outer": spec.folds.outer,
        "inner": spec.folds.inner or spec.folds.outer - 1,
        "repeats": spec.folds.repeats or 1,
        "development_rows": 455 if spec.held_out else 569,
        "held_out_rows": 114 if spec.held_out else 0,
        "digest": "51d0c2aa90be7734",
    }

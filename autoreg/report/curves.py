"""The charts of the search: strength curves, learning curves, history.

The only numbers made here are plotting statistics: a mean over folds, its standard error band,
the best-so-far line. Wherever an inner loss is drawn, the nested loss is drawn beside it as a
reference line: an inner loss never stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes

from autoreg.findings import Findings
from autoreg.report.ink import (
    ACCENT,
    FAMILY_INKS,
    FAMILY_MARKERS,
    INK,
    MUTED,
    PAPER,
    WARN,
    Picture,
    log_x,
    loss_axis,
    picture,
    plain_numbers,
    quiet,
    tell,
)
from autoreg.report.words import (
    brief,
    count,
    family_name,
    loss_name,
    name_of,
    quoted,
    search_name,
    set_name,
    settings,
)
from autoreg.trial import Trial

WIDE, THIRD = 840, 285
MOST_POINTS = 100  # of a learning curve, thinned by the engine
MOST_TOLD = 25
ORIGINS = {"design": "fixed design", "sampler": "sampler"}


# ---- strength curves ---------------------------------------------------------------------------


def strength_charts(findings: Findings) -> list[Picture]:
    """For each technique with a path: the loss along its strength in the final search."""
    paths = _paths(findings)
    bottom, top = _limits(paths, findings)
    return [_strength_chart(findings, trials, (bottom, top)) for trials in paths]


def _paths(findings: Findings) -> list[list[Trial]]:
    """The valid path trials of the final search, by technique set, best first in each."""
    found: dict[str, list[Trial]] = {}
    for trial in _final_trials(findings):
        if len(trial.strengths) > 1:
            found.setdefault(trial.candidate.label, []).append(trial)
    return [sorted(trials, key=lambda trial: trial.loss) for trials in found.values()]


def _limits(paths: Iterable[Sequence[Trial]], findings: Findings) -> tuple[float, float]:
    """One loss axis for all techniques; what is worse than featureless is cut off."""
    tops, bottoms = [findings.verdict.nested_loss.value], [findings.verdict.nested_loss.value]
    for best, *_ in paths:
        means, error = best.means, best.errors
        worst = float((means + error).max())
        top = min(worst, 1.1 * best.baseline) if best.baseline > 0 else worst
        tops.append(top)
        # A training loss near zero would take most of a logarithmic axis, and so would the band of
        # a loss that is itself far above what is shown.
        deepest = max(float(_train(best).min()), 0.4 * float(means.min()))
        seen = means <= max(top, float(means.min()))
        bottoms += [float((means - error)[seen].min()), deepest]
    low, high = min(bottoms), max(tops)
    return max(low - 0.05 * (high - low), 0.8 * low), high + 0.05 * (high - low)


def _strength_chart(
    findings: Findings, trials: Sequence[Trial], limits: tuple[float, float]
) -> Picture:
    chosen, best = findings.final.chosen, trials[0]
    is_winner = chosen.candidate.technique_set == best.candidate.technique_set
    shown = next((one for one in trials if is_winner and one.number == chosen.trial), best)
    others = [one for one in trials if one is not shown]
    place = _chosen_place(shown, findings) if is_winner else shown.best
    label = name_of(best.candidate.label)

    def paint(axes: Axes) -> None:
        for other in others:
            axes.plot(other.strengths, other.means, color=MUTED, linewidth=0.8, alpha=0.35)
        _draw_path(axes, shown, limits)
        _nested_line(axes, findings)
        axes.plot(
            shown.strengths[place], shown.means[place], "o", markersize=9, zorder=4,
            color=ACCENT if is_winner else PAPER, markeredgecolor=ACCENT, markeredgewidth=1.8,
        )  # fmt: skip
        loss_axis(axes, *limits)
        axes.set_xlabel("strength, as a fraction")
        axes.set_title(f"{label} (chosen)" if is_winner else label)
        quiet(axes)

    strength = brief(shown.strengths[place])
    more = f", faint: its {count(len(others), 'other setting')}" if others else ""
    verb = "is chosen" if is_winner else "does best"
    return picture(
        f"strength-{best.candidate.label}",
        THIRD,
        275,
        paint,
        alt=f"{label}: mean validation and training loss against strength; strength {strength} "
        f"{verb} with inner loss {brief(float(shown.means[place]))}, beside the nested loss "
        f"{quoted(findings.verdict.nested_loss)}.",
        caption=f"{label[0].upper()}{label[1:]} {verb} at strength {strength}{more}.",
    )


def _draw_path(axes: Axes, trial: Trial, limits: tuple[float, float]) -> None:
    """Validation loss with its error band and training loss, along the strengths of a trial."""
    means, error = trial.means, trial.errors
    axes.fill_between(
        trial.strengths, means - error, means + error, color=ACCENT, alpha=0.16, linewidth=0
    )
    axes.plot(trial.strengths, means, color=ACCENT, linewidth=2)
    places = [k for k in _told_places(len(means)) if limits[0] <= means[k] <= limits[1]]
    (marks,) = axes.plot(
        [trial.strengths[k] for k in places], means[places], "o", color=ACCENT, markersize=9,
        alpha=0, markeredgewidth=0, clip_on=False, zorder=5,
    )  # fmt: skip
    tell(
        marks,
        [
            f"strength {brief(trial.strengths[k])}: inner loss {brief(float(means[k]))} "
            f"(standard error {brief(float(error[k]))})"
            for k in places
        ],
    )
    axes.plot(trial.strengths, _train(trial), "--", color=MUTED, linewidth=1.4)
    dial = trial.candidate.path
    if dial is not None and dial.log:
        log_x(axes)


def _told_places(count: int) -> list[int]:
    """Places of a line that tell what they are: not so many that the page grows heavy."""
    steps = min(MOST_TOLD, count) - 1
    return [round(k * (count - 1) / steps) for k in range(steps + 1)] if steps else [0]


def _chosen_place(trial: Trial, findings: Findings) -> int:
    """Where on the path the choice lies; a rule may have moved it away from the best."""
    key = findings.final.chosen.candidate.key
    places = range(len(trial.strengths))
    return next((k for k in places if trial.candidate_at(k).key == key), trial.best)


def _train(trial: Trial) -> np.ndarray:
    """The mean training loss at each strength, shape (S,)."""
    return np.asarray(trial.train_losses @ trial.weights / trial.weights.sum())


# ---- learning curves ---------------------------------------------------------------------------


def learning_chart(findings: Findings) -> Picture | None:
    """Training and stop-set loss of the chosen model, else of the best that was trained."""
    trial = _network(findings)
    if trial is None:
        return None
    is_winner = findings.final.chosen.candidate.family == trial.candidate.family
    thinned = findings.spec.training.lasting(trial.candidate.training_length) > MOST_POINTS
    names = {"train": "training loss", "stop": "stop-set loss"}
    losses = {name: values for name, values in trial.curve.items() if name in names}

    def paint(axes: Axes) -> None:
        for name, values in losses.items():
            epochs = range(1, len(values) + 1)
            color, line = (MUTED, "--") if name == "train" else (ink, "-")
            axes.plot(epochs, values, line, color=color, linewidth=2, label=names[name])
            _tell_epochs(axes, values, names[name])
        axes.set_xlabel("part of the training (thinned epochs)" if thinned else "epoch")
        axes.set_ylabel(f"{loss_name(findings.data['task'])}, mean over folds")
        quiet(axes)
        plain_numbers(axes, "y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=11.5)

    kind = family_name(trial.candidate.family)
    who = f"the chosen {kind}" if is_winner else f"the best {kind}, which was not chosen"
    reading = (
        ": a stop-set loss that rises again while the training loss falls is overfitting. Jumps "
        "toward the end come from folds that stopped earlier: the mean is of those still at it."
    )
    ink = FAMILY_INKS.get(trial.candidate.family, INK)
    return picture(
        "learning",
        WIDE,
        315,
        paint,
        alt=f"Learning curves of {who}: {', '.join(names[one] for one in losses)} against epochs.",
        caption=f"{who[0].upper()}{who[1:]} ({set_name(trial.candidate.label)})"
        f"{reading if 'stop' in losses else ', on the rows that it was fitted to.'}",
    )


def _tell_epochs(axes: Axes, values: Sequence[float], name: str) -> None:
    places = _told_places(len(values))
    (marks,) = axes.plot(
        [k + 1 for k in places], [values[k] for k in places], "o", markersize=9, alpha=0,
        markeredgewidth=0, color=INK, clip_on=False, zorder=5,
    )  # fmt: skip
    tell(marks, [f"{name} after {k + 1}: {brief(values[k])}" for k in places])


def _network(findings: Findings) -> Trial | None:
    """The chosen trial where it has learning curves, else the best one that has."""
    trained = [trial for trial in _final_trials(findings) if any(trial.curve.values())]
    chosen = findings.final.chosen.trial
    return min(trained, key=lambda t: (t.number != chosen, t.loss), default=None)


# ---- the search --------------------------------------------------------------------------------


def history_chart(findings: Findings) -> Picture | None:
    """Inner loss against trial number in the leading search, and the best so far of them all."""
    trials = _final_trials(findings)
    if not trials:
        return None
    everyone = [t for t in findings.trials if t.search == findings.lead]
    top = _history_top(trials)
    lost = sum(trial.loss > top for trial in trials)

    def paint(axes: Axes) -> None:
        _history_points(axes, trials, top)
        _best_so_far(axes, findings)
        failed = [t.number + 1 for t in everyone if t.failure]
        if failed:
            axes.plot(failed, [top] * len(failed), "x", color=WARN, label="failed", clip_on=False)
        pruned = [t.number + 1 for t in everyone if t.pruned]
        if pruned:
            axes.plot(pruned, [top] * len(pruned), "1", color=MUTED, label="pruned", clip_on=False)
        _nested_line(axes, findings)
        loss_axis(axes, 0.92 * min(t.loss for t in trials), top)
        axes.set_xlim(0, max(t.number for t in everyone) + 2)
        axes.set_xlabel(f"trial of {search_name(findings.lead)}")
        axes.set_ylabel(f"inner {loss_name(findings.data['task'])}")
        quiet(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=11, handlelength=1.4,
                    columnspacing=1.3, borderaxespad=0.2)  # fmt: skip

    beyond = f" At the upper edge: {count(lost, 'worse trial')}." if lost else ""
    return picture(
        "history",
        WIDE,
        350,
        paint,
        alt=f"Inner loss of {count(len(everyone), 'trial')} of {search_name(findings.lead)}; the "
        f"best reaches {brief(min(t.loss for t in trials))}, beside the nested loss "
        f"{quoted(findings.verdict.nested_loss)}.",
        caption="Filled marks are the fixed design that every search starts with, hollow ones "
        "were proposed by the sampler; the thin lines are the best so far of the outer searches. "
        f"Inner losses are optimistic: compare them with the nested line.{beyond}",
    )


def budget_chart(findings: Findings) -> Picture | None:
    """Best inner loss and nested loss against the budget: what the later trials were worth."""
    points = findings.budget
    if len(points) < 2:
        return None
    trials = [point.trials for point in points]
    inner, nested = ([getattr(point, name) for point in points] for name in ("inner", "nested"))

    def paint(axes: Axes) -> None:
        axes.plot(trials, nested, "o-", color=ACCENT, linewidth=2, label="nested loss")
        axes.plot(trials, inner, "o--", color=MUTED, linewidth=1.4, label="best inner (optimistic)")
        axes.set_xscale("log")
        axes.set_xticks(trials, [str(one) for one in trials], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlabel("trials of each search")
        axes.set_ylabel(f"{loss_name(findings.data['task'])}, mean over searches")
        quiet(axes)
        plain_numbers(axes, "y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=11.5)

    return picture(
        "budget",
        WIDE,
        300,
        paint,
        alt=f"Inner and nested loss against trials: nested {brief(nested[0])} after {trials[0]}, "
        f"{brief(nested[-1])} after {trials[-1]}; best inner {brief(inner[0])}, then "
        f"{brief(inner[-1])}.",
        caption="What the outer searches would have chosen after fewer trials, judged on the outer "
        "folds. Where the inner loss still falls and the nested loss rises, further trials fit "
        "the noise of the inner folds (overtuning).",
    )


def _best_so_far(axes: Axes, findings: Findings) -> None:
    """The lowest loss up to each trial: bold for the final search, thin for the outer ones."""
    for search in dict.fromkeys(trial.search for trial in findings.trials):
        own = [t for t in findings.trials if t.search == search and t.is_valid]
        is_final = search == findings.lead
        axes.step(
            [t.number + 1 for t in own],
            np.minimum.accumulate([t.loss for t in own]) if own else [],
            where="post", color=INK if is_final else MUTED, zorder=2 if is_final else 1,
            linewidth=1.8 if is_final else 0.8, alpha=1 if is_final else 0.5,
            label="best so far" if is_final else None,
        )  # fmt: skip


def _history_top(trials: Sequence[Trial]) -> float:
    """Upper end of the loss axis: a little above featureless, where anything is that bad."""
    worst = max(trial.loss for trial in trials)
    baseline = trials[0].baseline
    return min(worst, 1.2 * baseline) * 1.08 if baseline > 0 else worst * 1.08


def _history_points(axes: Axes, trials: Sequence[Trial], top: float) -> None:
    for family in dict.fromkeys(trial.candidate.family for trial in trials):
        for origin, words in ORIGINS.items():
            own = [t for t in trials if (t.candidate.family, t.origin) == (family, origin)]
            if not own:
                continue
            ink = FAMILY_INKS.get(family, INK)
            (marks,) = axes.plot(
                [t.number + 1 for t in own], [min(t.loss, top) for t in own],
                FAMILY_MARKERS.get(family, "D"), markersize=7, markeredgewidth=1.6,
                color=ink if origin == "design" else PAPER, markeredgecolor=ink, zorder=3,
                clip_on=False, label=f"{family}, {words}",
            )  # fmt: skip
            tell(marks, [_trial_tip(trial) for trial in own])


def _trial_tip(trial: Trial) -> str:
    best = trial.best_candidate
    return f"trial {trial.number + 1}: {set_name(best.label)}; {settings(best)}; inner loss " + (
        brief(trial.loss)
    )


def _final_trials(findings: Findings) -> list[Trial]:
    """The valid trials of the search that the final selection comes from."""
    return [t for t in findings.trials if t.search == findings.lead and t.is_valid]


def _nested_line(axes: Axes, findings: Findings) -> None:
    """The nested loss, so that no inner loss stands alone."""
    axes.axhline(
        findings.verdict.nested_loss.value, color=INK, linewidth=1.2, linestyle=(0, (1, 2)),
        label="nested loss", zorder=1,
    )  # fmt: skip

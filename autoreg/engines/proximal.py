"""Every penalty, bound and loss by one simple method: accelerated proximal gradient steps.

A step goes down the loss's slope and then lets the penalty act. It knows nothing of working
sets, second derivatives or Gram matrices; that makes it slow and easy to check.

Steps shrink until the slope changes no faster along them than the step allows. Why by slopes and
not by values: near the solution the differences between values are all rounding.

Sources: Beck & Teboulle 2009, SIAM Journal on Imaging Sciences 2(1) (steps); O'Donoghue &
Candes 2015, Foundations of Computational Mathematics 15(3) (restarts); Zou & Li 2008, Annals of
Statistics 36(4) (concave penalties).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoreg.data.dataset import Floats
from autoreg.engines.burden import Burden, Inputs, zeroing
from autoreg.engines.linear import ROUNDING, Path, largest_eigenvalue, positive
from autoreg.engines.linear_objective import ACCEPTED, FLOOR, NOISE, TARGET, Sample
from autoreg.engines.separable import is_separable
from autoreg.techniques.base import Penalty

CAP = 50_000  # steps at one strength
CAP_NONE = 5_000  # without a penalty there may be no optimum to find
REWEIGHTINGS = 200  # of a concave penalty at one strength
NULL = 1e-10  # the violation that a null model with unpenalized inputs may leave
INITIAL = 1e-2  # strength of the ridge fit behind adaptive weights
SMALLEST = 1e-12  # share of the largest coefficient that an initial fit gives, at least
HEAVIEST = 1e6  # adaptive weight of an input that the initial fit gives nothing
OUT = 1e100  # an L1 part that nothing overcomes
RATIO = 0.9  # one strength of a concave penalty is reached through stronger ones in this ratio


@dataclass(frozen=True, eq=False)
class Problem:
    """The loss of a sample over points (q + 1, k), whose last row is the intercept."""

    sample: Sample
    burden: Burden

    def slope(self, point: Floats) -> Floats:
        """The gradient of the loss alone."""
        residuals = self.sample.loss(self.sample.X @ point[:-1] + point[-1])[1]
        return np.vstack([self.sample.X.T @ residuals, residuals.sum(axis=0)])

    def residual(self, point: Floats) -> float:
        """The largest violation of the optimality conditions."""
        return float(self.burden.violations(point, self.slope(point)).max())

    def value(self, point: Floats) -> float:
        """The objective."""
        scores = self.sample.X @ point[:-1] + point[-1]
        return self.sample.loss(scores)[0] + self.burden.size(point)


def minimized(problem: Problem, point: Floats, tolerance: float, cap: int = CAP) -> Floats:
    """Steps from a point until no optimality condition is violated by more than the tolerance."""
    l2, nearest = problem.burden.l2, problem.burden.nearest
    point = np.maximum(point, problem.burden.lowest)
    ahead, momentum, step = point, 1.0, 1.0
    for _ in range(cap):
        slope = problem.slope(ahead)
        while True:
            new = nearest(ahead - step * (slope + l2 * ahead), step)
            after, way = problem.slope(new), new - ahead
            bend = float((way * (after - slope + l2 * way)).sum())
            if 2 * step * bend <= float((way**2).sum()):
                break
            step /= 2
        if problem.burden.violations(new, after).max() <= tolerance:
            return new
        astray = float(((ahead - new) * (new - point)).sum()) > 0
        following = 1.0 if astray else (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        push = 0.0 if astray else (momentum - 1) / following
        ahead, point, momentum = new + push * (new - point), new, following
        step *= 2.0 if astray else 1.0
    return point


# ---- paths -----------------------------------------------------------------------------------


def walk(
    sample: Sample,
    penalty: Penalty,
    strengths: Sequence[float],
    inputs: Inputs,
    eigenvalue: float | None = None,
) -> Path:
    """Solutions from the strongest to the weakest, each starting where the last one ended.

    ``eigenvalue`` is the largest one of the Gram matrix of all inputs, where these are but some.
    """
    eigenvalue = eigenvalue or largest_eigenvalue(sample)
    bend = _adaptive(sample, penalty, inputs, eigenvalue)
    start = _null(sample, penalty, inputs)
    greatest = eigenvalue
    if penalty.zeroes:
        greatest = _zeroing(sample, penalty, inputs, bend, start)
    found: dict[float, Floats] = {}
    solved, point = True, start
    for strength in _steps(strengths, penalty):
        burden = Burden.of(penalty, strength * greatest, inputs, bend, sample.Y.shape[1])
        point, first = _solved(Problem(sample, burden), penalty, point)
        found[strength], again = _relaxed(Problem(sample, burden), penalty, point)
        solved = solved and first and again
    path = np.stack([found[strength] for strength in strengths])
    flags = _flags(sample, penalty, path[-1], solved)
    l2 = greatest * penalty.l2 * np.array(strengths)
    return Path(path[:, :-1], path[:, -1], flags, l2)


def _steps(strengths: Sequence[float], penalty: Penalty) -> list[float]:
    """Falling; where the solution depends on the way, a single one is reached from 1 on."""
    steps = sorted(set(strengths), reverse=True)
    if len(steps) == 1 and penalty.concave and steps[0] < 1:
        count = int(np.ceil(np.log(steps[0]) / np.log(RATIO)))
        return [*np.geomspace(1.0, steps[0], count + 1)[:-1], steps[0]]
    return steps


def _solved(problem: Problem, penalty: Penalty, point: Floats) -> tuple[Floats, bool]:
    """The solution at one strength, and whether it is one.

    A concave penalty is replaced by its slope at the last solution, again and again.
    """
    sample, idle = problem.sample, penalty.is_null
    tolerance = _tolerance(problem)
    for _ in range(REWEIGHTINGS):
        bent = replace(problem, burden=problem.burden.bent(penalty, point))
        point = minimized(bent, point, tolerance, CAP_NONE if idle else CAP)
        stays = replace(problem, burden=problem.burden.bent(penalty, point)).residual(point)
        if not penalty.concave or stays <= tolerance:
            break
    null = np.vstack([sample.null[0], sample.null[1]])
    steepest = float(np.abs(problem.slope(null)[:-1]).max(initial=0.0))
    return point, stays <= max(ACCEPTED * tolerance, NOISE * steepest)


def _relaxed(problem: Problem, penalty: Penalty, point: Floats) -> tuple[Floats, bool]:
    """The second fit, on the coefficients that the first one keeps, less of L1 on them.

    What is out stays out by an L1 part that nothing overcomes.
    """
    if penalty.relax == 1.0:
        return point, True
    burden = problem.burden
    out = np.where(point == 0, OUT, penalty.relax * burden.l1)
    out[-1] = 0.0
    return _solved(replace(problem, burden=replace(burden, l1=out)), penalty, point)


def _tolerance(problem: Problem) -> float:
    """The residual at which steps stop: small beside the pull of the penalty."""
    burden, unit = problem.burden, problem.sample.unit
    pulls = [part[part > 0] for part in (burden.l1, burden.heights, burden.l2)]
    pull = min((float(part.min()) for part in pulls if part.size), default=0.0)
    return max(TARGET * min(pull, unit), FLOOR * unit)


def _flags(sample: Sample, penalty: Penalty, point: Floats, solved: bool) -> tuple[str, ...]:
    if penalty.is_null and is_separable(sample, sample.X @ point[:-1] + point[-1]):
        return ("separable",)
    return () if solved else ("not converged",)


# ---- scales ----------------------------------------------------------------------------------


def _null(sample: Sample, penalty: Penalty, inputs: Inputs) -> Floats:
    """The solution on the inputs that no penalty touches, and the intercept."""
    W, b = sample.null
    point = np.vstack([W, b])
    burden = Burden.of(penalty, 1.0, inputs, np.ones(len(W)), len(b))
    idle = burden.is_idle[:-1]
    if penalty.is_null or not idle.any():
        return point
    bare = Burden.of(Penalty(), 0.0, inputs.keep(idle), np.ones(int(idle.sum())), len(b))
    rows = np.append(idle, True)
    point[rows] = minimized(Problem(sample.features(idle), bare), point[rows], NULL * sample.unit)
    return point


def _zeroing(sample: Sample, penalty: Penalty, inputs: Inputs, bend: Floats, null: Floats) -> float:
    """The smallest absolute strength that keeps the null model as it is."""
    slope = Problem(sample, Burden.of(Penalty(), 0.0, inputs, bend, null.shape[1])).slope(null)
    return positive(zeroing(sample, slope, penalty, inputs, bend)) * (1 + ROUNDING)


def _adaptive(sample: Sample, penalty: Penalty, inputs: Inputs, eigenvalue: float) -> Floats:
    """Factors of the L1 part from an initial ridge fit, 1 for the largest coefficient.

    Source: Zou 2006, JASA 101(476), section 3.
    """
    if penalty.adapt == 0:
        return np.ones(sample.X.shape[1])
    first = walk(sample, Penalty(l2=1.0), [INITIAL], inputs, eigenvalue)
    size = np.sqrt((first.coefficients[0] ** 2).sum(axis=1))
    share = np.maximum(size / (size.max() or 1.0), SMALLEST)
    return np.asarray(np.minimum(share**-penalty.adapt, HEAVIEST))


# ---- at most so many columns -----------------------------------------------------------------


def at_most(
    most: int,
    sample: Sample,
    penalty: Penalty,
    strengths: Sequence[float],
    inputs: Inputs,
    path: Path,
) -> Path:
    """Where too many raw columns are used, solve again on those with the largest coefficients.

    Columns that no penalty may touch stay. The size of a column is that of all its coefficients.
    """
    eigenvalue = largest_eigenvalue(sample)
    W, b = path.coefficients.copy(), path.intercepts.copy()
    l2 = np.zeros(len(W)) if path.l2 is None else path.l2.copy()
    for position, strength in enumerate(strengths):
        squares = np.bincount(inputs.columns, weights=(W[position] ** 2).sum(axis=1))
        if (squares > 0).sum() <= most:
            continue
        squares[inputs.columns[~inputs.penalized]] = np.inf
        kept = np.isin(inputs.columns, np.argsort(-squares, kind="stable")[:most])
        again = walk(sample.features(kept), penalty, [strength], inputs.keep(kept), eigenvalue)
        W[position] = 0.0
        W[position, kept], b[position] = again.coefficients[0], again.intercepts[0]
        l2[position : position + 1] = again.l2
    return replace(path, coefficients=W, intercepts=b, l2=l2)

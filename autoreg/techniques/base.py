"""What a technique is: its dials, whom it applies to, and HOW it acts, through named seams.

A technique lives in one file of this folder and the folder is the registry: the file name is
its key in YAML, in Optuna, in MLflow and in the tests. A technique imports this module and
nothing else of autoreg.

Why seams: an engine does not know techniques, it opens places where a technique may act. A
candidate fits an engine when all seams of its techniques are opened by that engine. The set is
closed; a public method that is no seam is an error at import, so a misspelt hook cannot
silently do nothing.

Why class methods with stacked dials: an engine may train many models at once. Hooks of the
network family therefore never read ``self``: they get every dial as a tensor of shape
(M, 1, 1), one number for each of M models, and act on tensors with a leading model dimension.
They contain no ``if`` on a dial: a model for which the technique is off simply carries the
dial's ``off`` value, which makes the hook the identity, bit for bit. Reductions run inside a
model and never over the model dimension. Random numbers come from ``draws`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from autoreg.dials import Choice, Dial, Range, Value
from autoreg.errors import SpaceError
from autoreg.hooks import (
    Architecture,
    Criterion,
    Dials,
    Draws,
    Facts,
    Moment,
    Picture,
    Seen,
    joint_norm,
    mixed,
    rows_at,
    top_direction,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "PASSES",
    "TASKS",
    "ZEROING_STRENGTH",
    "Architecture",
    "Choice",
    "Criterion",
    "Dial",
    "Dials",
    "Draws",
    "Facts",
    "Moment",
    "Penalty",
    "Picture",
    "Prior",
    "Range",
    "Seen",
    "Shrinkage",
    "Technique",
    "Value",
    "joint_norm",
    "mixed",
    "rows_at",
    "top_direction",
]

SEAMS = frozenset(
    {"penalty", "prior", "components"}  # linear models
    | {"shrinkage"}  # factorizations
    | {"batch", "weights", "hidden", "loss", "ascent", "gradients"}  # networks, in a step's order
    | {"step", "prox", "average", "net", "stop", "passes", "drops", "mixes"}
)
Acts = Literal["", "factor", "shift", "dropout", "mixture"]
ACTS = get_args(Acts)
TASKS = ("regression", "count", "binary", "multiclass")
PASSES = 32  # draws over which a Bayesian network's predictions are averaged


@dataclass(frozen=True)
class Penalty:
    """What a linear solver reads; the strength s multiplies all of it.

    ``s * (l1 * sum_j a_j |w_j| + l2 / 2 * |w|_2^2 + group * sum_g sqrt(m_g) |w_g|_2)``, where g
    runs over the feature groups and m_g is the number of inputs in a group.

    ``concave`` bends the L1 part of each coefficient so that large ones are shrunk less (slope
    of ``mcp``: ``max(0, s l1 - |w| / gamma)``; of ``scad``: s l1 up to |w| = s l1, then
    ``max(0, gamma s l1 - |w|) / (gamma - 1)``). ``adapt`` is the exponent gamma of the weights
    ``a_j = |ridge_j|^-gamma`` that an initial ridge fit gives. With ``relax`` below 1 the inputs
    that the full penalty keeps are fitted again with its L1 part multiplied by ``relax``.

    With an L1 or group share the strength is a fraction of the smallest strength that sets all
    coefficients to zero on the training set; without one it is a fraction of the largest
    eigenvalue of the training set's Gram matrix (for counts times their mean). Intercepts are never
    penalized.

    >>> Penalty(l1=0.5, l2=0.5).is_null, Penalty(group=1.0).zeroes
    (False, True)
    """

    l1: float = 0.0
    l2: float = 0.0
    group: float = 0.0
    concave: Literal["", "mcp", "scad"] = ""
    gamma: float = math.inf
    adapt: float = 0.0
    relax: float = 1.0

    @property
    def is_null(self) -> bool:
        """Whether nothing is penalized at all."""
        return self.l1 == self.l2 == self.group == 0.0

    @property
    def is_plain(self) -> bool:
        """Whether it is L1 and L2 alone, the same for all inputs."""
        return self == Penalty(l1=self.l1, l2=self.l2)

    @property
    def zeroes(self) -> bool:
        """Whether a large enough strength sets every coefficient to exactly zero."""
        return self.l1 > 0.0 or self.group > 0.0

    @property
    def is_convex(self) -> bool:
        """Whether the solution at a strength minimizes ONE convex objective."""
        return not self.concave and self.relax == 1.0


@dataclass(frozen=True)
class Shrinkage:
    """What a factorization reads: L2 strengths of its levels and of its factors, in rows.

    A strength of s pulls as much towards zero as s further rows whose residual is zero would, if
    the input that they speak of were 1.
    """

    biases: float = 0.0
    factors: float = 0.0


@dataclass(frozen=True)
class Prior:
    """A Gaussian prior over the coefficients, whose evidence chooses the strength by itself.

    One precision shared by all coefficients, or one for each of them (``relevance``).

    >>> Prior(relevance=True)
    Prior(relevance=True)
    """

    relevance: bool = False


# The path of every penalty that can zero all coefficients.
ZEROING_STRENGTH = Range(
    "strength",
    1e-4,
    1.0,
    default=1e-1,
    log=True,
    path=True,
    about="fraction of the smallest strength that sets every coefficient to zero",
)


class Technique:
    """One chosen setting of one technique, frozen; subclasses declare what it is.

    ``on_by_default``: networks of the fixed design have it; ``holds_alone``: it keeps a network in
    check however long it is trained, so the design tries others beside it instead of those. Every
    ask may set both kinds. ``needs_layers``: it must know which weights are those of the first or
    the last layer. ``acts_as``: whatever its ``hidden`` hook is given it multiplies by numbers (a
    factor), or adds numbers to it (a shift), that do not depend on it; a factor's ``step`` hook has
    one number for each model. The factors of a dropout are ``draws.kept`` at the rate that its
    ``drops`` says. The ``batch`` hook of a mixture makes of inputs and targets what ``mixed`` makes
    of them with what its ``mixes`` says. So many steps can be made ready together.

    >>> from autoreg.techniques import technique
    >>> ridge = technique("ridge")
    >>> ridge(strength=0.1), ridge(strength=0.1) == ridge(strength=0.1)
    (ridge(strength=0.1), True)
    """

    key: ClassVar[str]
    families: ClassVar[tuple[str, ...]]
    dials: ClassVar[tuple[Dial, ...]] = ()
    rank: ClassVar[int]
    references: ClassVar[tuple[str, ...]]
    tasks: ClassVar[tuple[str, ...]] = TASKS
    on_by_default: ClassVar[bool] = False
    holds_alone: ClassVar[bool] = False
    needs_symmetries: ClassVar[bool] = False
    needs_layers: ClassVar[bool] = False
    acts_as: ClassVar[Acts] = ""

    __slots__ = ("_values",)
    _values: tuple[tuple[str, Value], ...]

    def __init_subclass__(cls) -> None:
        cls.key = cls.__module__.rpartition(".")[2]
        public = {
            name
            for name, member in vars(cls).items()
            if not name.startswith("_") and (callable(member) or isinstance(member, classmethod))
        }
        if stray := sorted(public - SEAMS):
            raise TypeError(
                f"technique {cls.key}: {', '.join(stray)} is no seam; seams are {sorted(SEAMS)}"
            )
        if cls.acts_as not in ACTS:
            raise TypeError(f"technique {cls.key}: acts_as is {cls.acts_as!r}, not of {ACTS}")

    def __init__(self, **values: Value) -> None:
        known = {dial.name: dial for dial in self.dials}
        for name, value in values.items():
            if name not in known:
                raise SpaceError(f"{self.key} has no dial {name}; its dials are {list(known)}")
            if not known[name].contains(value):
                raise SpaceError(f"{self.key}.{name}: {value!r} is outside {known[name]}")
        ordered = {name: values[name] for name in known if name in values}
        object.__setattr__(self, "_values", tuple(ordered.items()))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a chosen technique is frozen; {name} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.key, self._values)

    @property
    def values(self) -> dict[str, Value]:
        """The chosen dials; a path strength that is still open is absent."""
        return dict(self._values)

    def __getitem__(self, dial: str) -> Value:
        return self.values[dial]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Technique) and (self.key, self._values) == (
            other.key,
            other._values,
        )

    def __hash__(self) -> int:
        return hash((self.key, self._values))

    def __repr__(self) -> str:
        return f"{self.key}({', '.join(f'{name}={value}' for name, value in self._values)})"

    @classmethod
    @cache
    def seams(cls) -> frozenset[str]:
        """The names of the places where this technique acts."""
        return frozenset(name for name in SEAMS if getattr(cls, name) != getattr(Technique, name))

    # ---- the seams; every default is the identity -------------------------------------------

    def penalty(self) -> Penalty:
        """Linear family: the penalty that a solver walks or solves."""
        return Penalty()

    def prior(self) -> Prior | None:
        """Linear family: the prior whose evidence is maximized; None where there is none."""
        return None

    def components(self) -> bool:
        """Linear family: whether the path is the share of principal components that is kept."""
        return False

    def shrinkage(self) -> Shrinkage:
        """Factorizations: the L2 strengths that it adds."""
        return Shrinkage()

    @staticmethod
    def batch(
        inputs: Tensor, targets: Tensor, dials: Dials, draws: Draws, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Change a training batch: inputs (M, B, q) and soft targets (M, B, C)."""
        return inputs, targets

    @staticmethod
    def mixes(dials: Dials, draws: Draws, rows: int) -> tuple[Tensor, Tensor]:
        """How much a mixture takes of another row, (M, rows, 1), and of which one, (M, rows)."""
        return 0.0 * draws.uniform(rows, 1), draws.permutation(rows)

    @staticmethod
    def weights(weights: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Change a weight matrix (M, in, out) as a training pass uses it; it is kept as it is."""
        return weights

    @staticmethod
    def hidden(activations: Tensor, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Change the activations (M, B, width) behind a hidden layer, in training only.

        With skip connections they are what the layer adds to its inputs.
        """
        return activations

    @staticmethod
    def drops(dials: Dials, moment: Moment) -> Tensor:
        """The share of a layer's hidden units that a dropout switches off, (M, 1, 1)."""
        return 0.0 * moment.progress

    @staticmethod
    def loss(losses: Tensor, seen: Seen, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Change the row losses (M, B, 1) that are minimized, in training only."""
        return losses

    @staticmethod
    def ascent(gradients: Sequence[Tensor], dials: Dials, moment: Moment) -> Sequence[Tensor]:
        """How far to displace each trained tensor (M, a, b) before the gradient is taken there.

        ``gradients`` are those at the tensors themselves. A technique with this seam makes the
        engine pass each batch twice, with the same noise; the tensors themselves stay.
        """
        return [0.0 * one for one in gradients]

    @staticmethod
    def gradients(gradients: Sequence[Tensor], dials: Dials, moment: Moment) -> Sequence[Tensor]:
        """Change the gradients (M, a, b) of all trained tensors before the optimizer sees them."""
        return gradients

    @staticmethod
    def step(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Change a weight matrix (M, in, out) after the optimizer's step; never biases, norms."""
        return weights

    @staticmethod
    def prox(weights: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """Apply the proximal operator of a penalty to a weight matrix (M, in, out)."""
        return weights

    @staticmethod
    def average(kept: Tensor, current: Tensor, dials: Dials, moment: Moment) -> Tensor:
        """The new average of a tensor (M, a, b) from the one kept so far, after each step.

        A technique with this seam makes the engine watch, keep and predict with the averages;
        training goes on from the current tensors.
        """
        return current

    @staticmethod
    def passes(width: int, dials: Dials, draws: Draws, moment: Moment) -> Tensor:
        """Factors (M, S, width) of a layer's hidden units in S passes of a prediction.

        A technique with this seam makes the engine predict the mean over the passes.
        """
        import torch

        return torch.ones(len(moment.progress), 1, width)

    def net(self, architecture: Architecture) -> Architecture:
        """Structural: return the architecture that this technique asks for."""
        return architecture

    @staticmethod
    def stop(since_best: Tensor, dials: Dials) -> Tensor:
        """Whether to stop, (M,) booleans, from the epochs since the best stop-set loss, (M,).

        A technique with this seam makes the engine cut a stop-set out of the training rows
        and restore the best weights.
        """
        return since_best < 0


def _rebuild(key: str, values: tuple[tuple[str, Value], ...]) -> Technique:
    from autoreg.techniques import technique

    return technique(key)(**dict(values))

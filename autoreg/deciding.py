"""The parts of a study file that say how it decides, and what only its author knows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoreg.mistakes import Frozen


class SelectSpec(Frozen):
    """How one candidate is chosen from a search."""

    rule: Literal["min", "one_se", "parsimonious"] = Field(
        "min", description="lowest loss; or stronger / simpler within one standard error of it"
    )
    metric: str | None = Field(
        None, description="choose by this metric; left out, by the loss that the search minimizes"
    )
    guard: Literal["report", "strict", "off"] = Field(
        "report",
        description="what to do when the winner does not clearly beat the incumbent: say so, "
        "or keep the incumbent",
    )
    final: Literal["search", "vote", "skip"] = Field(
        "search",
        description="the final model: searched once more on all development rows; what most outer "
        "searches chose, at the median of its dials; or none",
    )

    @property
    def makes_model(self) -> bool:
        """Whether a final model is asked for."""
        return self.final != "skip"


class PruneSpec(Frozen):
    """Which networks give up early, by what their own search knew when it asked for them."""

    epochs: Literal["off", "median", "halving"] = Field(
        "off",
        description="after some epochs, all folds together: those worse on the stop-set than the "
        "median of earlier trials, or than the best third of them",
    )
    folds: Literal["off", "forgiving"] = Field(
        "off",
        description="after 1, 2, 4, ... inner folds: those whose mean loss is above that of the "
        "best trial on its worst fold",
    )

    @property
    def is_on(self) -> bool:
        """Whether trials can be pruned at all."""
        return self.epochs != "off" or self.folds != "off"


class SheetSpec(Frozen):
    """What only the user can know of the model info sheet, in words."""

    features: str | None = Field(
        None, description="why every feature is known before the target, and legitimate to use"
    )
    sampling: str | None = Field(
        None, description="how the rows were drawn, and from which population"
    )

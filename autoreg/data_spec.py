"""The part of a study that is about its table: source, target, roles, kinds of columns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from autoreg.mistakes import Frozen

# Strict, for `trials: true` would be read as 1 otherwise.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Dials = dict[str, list[Whole | Number | str]]
Members = Annotated[tuple[str, ...], Field(min_length=1)]
Separator = Annotated[str, Field(min_length=1)]


class ImageSpec(Frozen):
    """The feature columns are the pixels of an image, row by row, the channels of a pixel together.

    Symmetries are changes of an image that leave its meaning as it was: only the user knows.
    """

    height: Whole = Field(ge=2, description="pixels from top to bottom")
    width: Whole = Field(ge=2, description="pixels from left to right")
    channels: Whole = Field(1, ge=1, description="numbers in each pixel")
    symmetries: tuple[Literal["shift", "rotate", "zoom", "flip", "erase"], ...] = Field(
        (), description="changes that leave the target as it was; flip is left to right"
    )

    @property
    def pixels(self) -> int:
        """How many columns an image takes."""
        return self.height * self.width * self.channels


class OrderSpec(Frozen):
    """How rows in the order of time are cut; distances count distinct moments of the table."""

    window: Literal["expanding", "rolling", "both_sides"] = Field(
        "expanding",
        description="train on all the past, on its latest half, or on the rows on both sides",
    )
    gap: Whole = Field(0, ge=0, description="moments between a forecast and what it is about")
    purge: Whole = Field(0, ge=0, description="moments until the target of a row is known")
    embargo: Whole = Field(
        0, ge=0, description="both_sides: further moments left out after the rows that judge"
    )


class DataSpec(Frozen):
    """Where the rows come from, what is predicted, and which columns have a role."""

    source: str | None = Field(
        None, description="a bundled data set (breast_cancer, ...), or a CSV or Parquet file"
    )
    target: str | None = Field(None, description="the column to predict (files and tables)")
    task: Literal["regression", "count", "binary", "multiclass"] | None = Field(
        None, description="inferred from the target if left out; count never is"
    )
    group: str | None = Field(None, description="rows of one group are never split apart")
    time: str | None = Field(None, description="train on the past, judge on the future")
    order: OrderSpec = Field(default_factory=OrderSpec)
    fold: str | None = Field(
        None, description="outer folds by a column; the group column: each group is left out once"
    )
    weight: str | None = Field(None, description="row weights, used in fits and in scores")
    user: str | None = Field(None, description="who rates: a feature that factorizations know")
    item: str | None = Field(None, description="what is rated: a feature that they know, too")
    drop: tuple[str, ...] = Field((), description="columns to leave out")
    categorical: tuple[str, ...] = Field((), description="numeric columns that are categories")
    text: tuple[str, ...] = Field((), description="columns of text: words become few directions")
    dates: tuple[str, ...] = Field(
        (), description="dates that are features: season, weekday, hour, year"
    )
    mean_target: tuple[str, ...] = Field(
        (), description="categories of many levels that become mean targets, across folds"
    )
    gaps: Literal["fill", "mark"] = Field(
        "fill", description="missing numbers become the mean; mark says so in a column of its own"
    )
    outliers: Literal["keep", "pull_in"] = Field(
        "keep", description="numbers far beyond the quartiles stay, or become the fence there"
    )
    stream: bool = Field(
        False, description="sum a Parquet file of numbers up in one pass, never holding its rows"
    )
    feature_groups: dict[str, Members] | Separator | None = Field(
        None,
        description="columns that belong together: group -> column names or globs such as gene1_*; "
        "or a separator such as _, and columns that agree before the last one form a group",
    )
    image: ImageSpec | None = Field(
        None, description="all feature columns are pixels: height, width, channels, symmetries"
    )

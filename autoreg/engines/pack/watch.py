"""What is looked at when an epoch ends: the seen and the watched rows of some models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autoreg.data.dataset import Floats, Rows, Task
from autoreg.engines.fitting import Ground
from autoreg.engines.pack.crowd import counts
from autoreg.engines.pack.members import Shelf
from autoreg.metrics.base import Target, row_losses
from autoreg.model import linked


@dataclass(frozen=True, eq=False)
class Watch:
    """For each of M models a run of rows on the shelf: the seen ones, the watched ones behind them.

    ``starts`` and ``lengths`` (M,) tell where the runs lie, ``halves`` (2 M,) how long the two
    parts of each are. The others hold a number for every row of every run, one run after the other.
    """

    task: Task
    starts: Rows
    lengths: Rows
    halves: Rows
    y: Target
    weights: Floats
    scale: Floats
    mean: Floats

    @classmethod
    def of(cls, grounds: Sequence[Ground], shelf: Shelf) -> Watch:
        """The rows of models that stand on these grounds."""
        halves = np.array([(len(one.seen), len(one.watched)) for one in grounds], dtype=np.int64)
        lengths, starts = halves.sum(axis=1), counts([shelf.eye_base[one] for one in grounds])
        where = np.concatenate([np.arange(a, a + n) for a, n in zip(starts, lengths, strict=True)])
        scales = np.array([(one.scaling.scale, one.scaling.mean) for one in grounds])
        scale, mean = np.repeat(scales, lengths, axis=0).T[:, :, None]
        rows = shelf.y[where], shelf.row_weights[where]
        task = grounds[0].scaling.task
        return cls(task, starts, lengths, halves.flatten(), *rows, scale, mean)

    def parts(self, rows: int) -> Iterator[Rows]:
        """Numbers of rows on the shelf, (M, rows) at a time; a run that ends repeats its last."""
        for first in range(0, int(self.lengths.max()), rows):
            offsets = np.minimum(first + np.arange(rows), self.lengths[:, None] - 1)
            yield self.starts[:, None] + offsets

    def real(self, outputs: Floats) -> Floats:
        """Of the outputs of all :meth:`parts`, side by side, those of the runs' own rows."""
        own: Floats = outputs[np.arange(outputs.shape[1]) < self.lengths[:, None]]
        return own

    def means(self, outputs: Floats) -> tuple[Floats, Floats]:
        """The mean losses of seen rows and of watched ones (or NaN), in original units, (M,) both.

        ``outputs`` (n, C) are those of all runs. A mean does not depend on the other runs.
        """
        original = outputs * self.scale + self.mean
        losses = row_losses(self.task, self.y, linked(original, self.task))
        full = self.halves > 0
        means = np.full(len(full), np.nan)
        means[full] = means_of(losses, self.weights, self.halves[full])
        return means[0::2], means[1::2]


def means_of(losses: Floats, weights: Floats, lengths: Rows) -> Floats:
    """The weighted mean of each of several runs of rows, one after the other.

    A run's mean does not depend on the other runs, bit for bit.

    >>> means_of(np.array([1.0, 3.0, 5.0]), np.ones(3), np.array([2, 1])).tolist()
    [2.0, 5.0]
    """
    starts = np.cumsum(lengths) - lengths
    total: Floats = np.add.reduceat(losses * weights, starts)
    return total / np.add.reduceat(weights, starts)

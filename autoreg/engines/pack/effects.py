"""What techniques do to hidden units, known before any unit has a value.

Dropout multiplies by a mask, noise is added: such hooks are asked once for many steps, what they
make of ones or zeros, and their answer is all that a step needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autoreg.engines.draws import FLOAT, Acting, Streams
from autoreg.techniques.base import Draws, Moment

Drawn = Callable[[Acting, int], Draws]


@dataclass(frozen=True, eq=False)
class Effects:
    """On the hidden units: ``values`` (T, layers, M, B, width) of T techniques, in their order.

    The units are multiplied by them, or they are added where ``adds`` says so.
    """

    values: Tensor
    adds: tuple[bool, ...]

    @classmethod
    def of(
        cls,
        acting: Sequence[Acting],
        moments: Sequence[Moment],
        shape: tuple[int, int, int],
        drawn: Drawn,
        real: Sequence[Tensor] = (),
    ) -> Effects:
        """Those of the techniques that act on hidden layers of a shape (M, B, width).

        ``moments`` are those of the hidden layers; where models are padded, ``real`` (M, 1, width)
        of each layer is 0 for padding and 1 for units.
        """
        device = moments[0].progress.device
        values = torch.empty(len(acting), len(moments), *shape, dtype=FLOAT, device=device)
        adds = tuple(one.kind.acts_as == "shift" for one in acting)
        for t, one in enumerate(acting):
            start = float(not adds[t])
            neutral = torch.full((1, 1, 1), start, dtype=FLOAT, device=device).expand(shape)
            for layer, here in enumerate(moments):
                found = one.kind.hidden(neutral, one.dials, drawn(one, layer), here)
                values[t, layer] = found * real[layer] if real and adds[t] else found
        return cls(values, adds)

    def on(self, active: Tensor, layer: int) -> Tensor:
        """What becomes of the units (M, B, width) of a layer."""
        for effect, adds in self._at(layer):
            active = active + effect if adds else active * effect
        return active

    def through(self, slope: Tensor, layer: int) -> Tensor:
        """The slope in the units as they were, from that in what became of them."""
        for effect, adds in reversed(self._at(layer)):
            slope = slope if adds else slope * effect
        return slope

    def _at(self, layer: int) -> list[tuple[Tensor, bool]]:
        return list(zip(self.values[:, layer], self.adds, strict=True))


def calls(one: Acting, moments: Sequence[Moment]) -> int:
    """How often a technique draws in the hidden layers of one step; found out by trying."""
    streams, unit = Streams([0]), torch.ones(1, 1, 1, dtype=FLOAT)
    dials = {name: values[:1] for name, values in one.dials.items()}
    for here in moments:
        first = replace(here, progress=here.progress[:1], rate=here.rate[:1])
        one.kind.hidden(unit, dials, streams, first)
    return streams.called

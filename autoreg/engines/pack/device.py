"""Where stacks are trained: by the processor, or on a GPU where there is one."""

from __future__ import annotations

from autoreg.errors import SpecError


def device_for(asked: str) -> str:
    """Where to train: what a study asks for; ``auto`` is a GPU where there is one."""
    import torch

    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"


def check_device(asked: str) -> None:
    """Raise SpecError where a study asks for a GPU and there is none.

    >>> check_device("auto")
    """
    if asked == "cuda" and device_for(asked) != "cuda":
        raise SpecError("training.device is cuda, but torch sees no GPU; write auto or cpu")

"""A second device for tests of what runs on GPUs: the processor, behind a border that is kept.

Tensors that lie ``AWAY`` are computed by the processor, so results can be compared. But as on a
GPU an operation refuses tensors of two devices, and numbers get there and back by copies only. Each
time that the processor would wait for the device is counted: where something is read back, and
where something is sent and its arrival awaited. What it cannot show is speed, and other last bits.

What is allowed across the border is what CUDA allows: copies, single numbers (tensors without
dimensions), and the processor's indices into a tensor of the device.
"""

import contextlib
from collections import Counter

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

AWAY = "away"
aten = torch.ops.aten
COPIES = {aten.copy_.default, aten._to_copy.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
traffic = Counter()  # reads, sends, and waits: all reads, and the sends that are not `non_blocking`


class AwayTensor(Tensor):
    """A tensor that lies away; what it holds is known to this file alone."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(AWAY, 0),
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return operate(operation, args, kwargs or {})

    def __repr__(self):
        return f"AwayTensor({self.held})"

    # What torch does below its dispatcher, where this class is not asked.

    def tolist(self):
        return self.cpu().tolist()

    def __getitem__(self, index):
        return super().__getitem__(sent(index))

    def __setitem__(self, index, value):
        super().__setitem__(sent(index), value)


def sent(index):
    """Lists of places, as tensors on the device."""
    if isinstance(index, tuple):
        return tuple(map(sent, index))
    return torch.tensor(index).to(AWAY) if isinstance(index, list) else index


def operate(operation, args, kwargs):
    """Compute an operation, where it is one that a device of its own could compute."""
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    there = [one for one in tensors if isinstance(one, AwayTensor)]
    device = kwargs.get("device")
    if operation not in COPIES:
        refuse_two(operation, args, tensors)
    held_args, held_kwargs = tree_map(held, (args, kwargs))
    if device is not None:
        held_kwargs["device"] = torch.device("cpu")
    found = operation(*held_args, **held_kwargs)
    if operation is aten._local_scalar_dense.default:
        traffic["reads"] += 1
        traffic["waits"] += 1
        return found
    goes_away = lies_away(operation, args, there, device)
    if operation in COPIES:
        source = args[1] if operation is aten.copy_.default else args[0]
        comes = isinstance(source, AwayTensor)
        traffic["reads"] += comes and not goes_away
        traffic["sends"] += goes_away and not comes
        traffic["waits"] += comes != goes_away and not (goes_away and is_patient(args, kwargs))
    if not goes_away:
        return found
    wrapped = tree_map(lambda one: AwayTensor(one) if isinstance(one, Tensor) else one, found)
    return return_and_correct_aliasing(operation, args, kwargs, wrapped) if there else wrapped


def is_patient(args, kwargs):
    """Whether a copy need not have arrived when the call returns."""
    return bool(kwargs.get("non_blocking") or args[2:3] == (True,))


def held(one):
    """The numbers of a tensor."""
    return one.held if isinstance(one, AwayTensor) else one


def lies_away(operation, args, there, device):
    """Whether the result lies on the second device."""
    if device is not None:
        return torch.device(device).type == AWAY
    return isinstance(args[0], AwayTensor) if operation is aten.copy_.default else bool(there)


def refuse_two(operation, args, tensors):
    """Raise RuntimeError, as torch does, where tensors lie on two devices."""
    here = [one for one in tensors if not isinstance(one, AwayTensor)]
    if len(here) in (0, len(tensors)):
        return
    if operation in INDEXED and isinstance(args[0], AwayTensor):
        values = args[2:3]
        here = [one for one in values if isinstance(one, Tensor) and one in here]
    if any(one.dim() for one in here):
        shapes = [(tuple(one.shape), one.device.type) for one in tensors]
        raise RuntimeError(f"{operation}: tensors on two devices: {shapes}")


class _Border(TorchDispatchMode):
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return operate(operation, args, kwargs or {})


class _Backend:
    """What torch asks a device for; it counts none, so that seeding leaves it alone."""

    def is_initialized(self):
        return True

    def is_available(self):
        return False

    def device_count(self):
        return 0

    def current_device(self):
        return 0

    def _is_in_bad_fork(self):
        return False

    def manual_seed_all(self, seed):
        """It makes no random numbers."""


@contextlib.contextmanager
def second_device():
    """Let tensors be sent ``AWAY``; gives the traffic across the border."""
    if not hasattr(torch, AWAY):
        backend_registration._setup_privateuseone_for_python_backend(AWAY, _Backend())
    traffic.clear()
    # Threads for gradients are counted out to devices once, maybe before there was this one.
    with torch.autograd.set_multithreading_enabled(False), _Border():
        yield traffic

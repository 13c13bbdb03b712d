"""The groups of an optimizer's parameters, and checks of what is given for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.epoch import bump
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.stack_frames import user_line
from tapenet.program.low import is_low

#: Parameters, under "params", and the options that hold for them.
Group = dict[str, Any]
#: The learning rate of a group before the first scheduler changed it, which `lr_scheduler` keeps there as PyTorch's does.
BASE_RATE = "initial_lr"


class ParamGroup(Group):
    """A group as an optimizer keeps it: a dict that tells captured steps when it changes.

    A learning rate that is set to a number changes nothing for them, since it is read at every step.
    """

    #: The options beside the learning rate that are functions of the step.
    scheduled: tuple[str, ...] = ()

    def __init__(self, options: Group) -> None:
        super().__init__(options)
        self._note_scheduled()

    def at(self, step: int) -> Group:
        """The options at a step, functions of the step by their values (then "scheduled" has their names too); the
        learning rate as it is."""
        if not self.scheduled:
            return self
        return {**self, **{name: self[name](step) for name in self.scheduled}, "scheduled": self.scheduled}

    def _note_scheduled(self) -> None:
        # A module, given as the parameters, can be called too.
        self.scheduled = tuple(n for n, value in self.items() if n not in ("lr", "params") and callable(value))

    def __setitem__(self, key: str, value: object) -> None:
        self._refuse_in_capture(key)
        super().__setitem__(key, value)
        self._note_scheduled()
        if key != "lr" or callable(value):
            bump()

    def __delitem__(self, key: str) -> None:
        self._refuse_in_capture(key)
        super().__delitem__(key)
        self._note_scheduled()
        bump()

    def update(self, *args: object, **kwargs: object) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: object) -> Self:  # type: ignore[override, misc]  # dict's has two overloads
        self.update(other)
        return self

    def setdefault(self, key: str, default: object = None) -> object:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: object) -> object:
        value = super().pop(key, *default)
        self._note_scheduled()
        bump()
        return value

    def popitem(self) -> tuple[str, object]:
        item = super().popitem()
        self._note_scheduled()
        bump()
        return item

    def clear(self) -> None:
        super().clear()
        self._note_scheduled()
        bump()

    @staticmethod
    def _refuse_in_capture(key: str) -> None:
        if local.state.tape is not None and capturing() is not None:
            raise CaptureError(
                f"{user_line()} changes the option {key!r} of an optimizer while a step is being captured; a replay would "
                "not do it again. Set it outside of the captured function, or give a learning rate as a function of the "
                "step: lr=optim.cosine(0.1, 1000)"
            )


def check_rate(where: str, lr: object) -> None:
    """Raise ValueError or TypeError for what is no learning rate."""
    if not callable(lr):
        check_range(where, "lr", lr, 0.0, math.inf)


def rate_at(where: str, schedule: Callable[[int], object], step: int) -> float:
    """The learning rate of a step.

    Raises:
        TypeError: the schedule gave no number.
        ValueError: it gave one that is negative or not finite.
    """
    try:
        rate = schedule(step)
    except Exception as error:
        error.add_note(
            f"{where}: in the schedule given as lr, at step {step}; it is called with the number of steps so far"
        )
        raise
    if type(rate) is float and 0.0 <= rate < math.inf:  # the usual case, quickly
        return rate
    wanted = f"a schedule is a function of the number of steps so far, and returns the learning rate, {_RATE}"
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or np.iscomplexobj(rate):
        raise TypeError(f"{where}: the schedule given as lr returned {_shown(rate)} at step {step}; {wanted}")
    if not 0.0 <= float(rate) < math.inf:
        raise ValueError(f"{where}: the schedule given as lr returned {rate} at step {step}; {wanted}")
    return float(rate)


_RATE = "a finite number of at least 0"


def _shown(value: object) -> str:
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"another function ({value!r})" if callable(value) else f"the {kind} {value!r}"


def check_parameter(where: str, name: str, param: Tensor) -> None:
    """Raise TypeError or ValueError for what is no tensor to optimise."""
    if param._kind is not None and param._kind.startswith("lazy"):
        raise ValueError(
            f"{where}: {name} has no shape before the first call of the layer that it belongs to: call the model once, "
            "net(x), and make the optimizer then"
        )
    if not param.is_leaf:
        assert param.node is not None
        raise ValueError(
            f"{where}: {name} is the result of op {param.node.name!r}, and an optimizer updates leaves: give "
            "the tensor it was computed from, or tn.tensor(t.numpy(), requires_grad=True)"
        )
    if not param.requires_grad:
        raise ValueError(
            f"{where}: {name} needs no gradient: call requires_grad_() on it, or leave it out, as in "
            "[p for p in net.parameters() if p.requires_grad]"
        )
    check_wide(where, name, param)
    if param.dtype.kind == "c":
        raise TypeError(
            f"{where}: {name} is {param.dtype}, and update rules are for real numbers: learn its real and imaginary parts "
            "as two tensors, and compute with real + 1j * imag"
        )


def check_wide(where: str, name: str, param: Tensor) -> None:
    """Raise TypeError for a tensor in 16 bits."""
    if is_low(param.dtype):
        raise TypeError(
            f"{where}: {name} is {param.dtype}, in which most updates would be lost to rounding: keep parameters in float32 "
            f"and compute inside tn.autocast({str(param.dtype)!r}), or use optim.MasterWeights(optim.{where.split(',')[0]}, "
            "params, ...)"
        )


def check_range(where: str, name: str, value: object, low: float, high: float) -> None:
    """Raise unless `value` is a number with low <= value < high.

    Raises:
        TypeError: no number.
        ValueError: out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{where}: {name} must be a number, not {type(value).__name__} {value!r}")
    if not low <= float(value) < high:
        limits = f"at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g})"
        raise ValueError(f"{where}: {name}={value} must be {limits}")


def check_betas(where: str, betas: object) -> None:
    """Raise unless `betas` are two numbers in [0, 1)."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ValueError(f"{where}: betas={betas!r} must be two numbers, such as (0.9, 0.999)")
    for beta in betas:
        check_range(where, "a number of betas", beta, 0.0, 1.0)

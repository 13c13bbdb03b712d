"""What the losses share."""

from __future__ import annotations

from typing import Any

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import cast
from tapenet.nn.module import Module
from tapenet.nn.parameter import Buffer


class Loss(Module):
    """How the elements of a loss are reduced, and settings in the repr where they are not the usual."""

    #: The usual value of each setting.
    _usual: dict[str, Any] = {"reduction": "mean"}  # noqa: RUF012  a constant

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def extra_repr(self) -> str:
        changed = {n: getattr(self, n) for n, usual in self._usual.items() if getattr(self, n) != usual}
        return ", ".join(f"{n}={value!r}" for n, value in changed.items())


def buffer(weight: Any) -> Tensor | None:
    """Weights that are given to a loss, as its buffer."""
    return None if weight is None else Buffer(weight)


def weights(weight: Tensor | None, input: Any) -> Any:
    """These in the dtype of an input."""
    return None if weight is None else cast(weight, input)

"""The base of layers that are an op, with its arguments as settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ClassVar

from numpy.typing import ArrayLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.settings_layer import SettingsLayer
from tapenet.ops.op import Op

#: Arguments of ops that layers call as PyTorch does.
_NAMES = {"axis": "dim", "keepdims": "keepdim"}


class OpSettings(SettingsLayer):
    """A layer whose settings are arguments of an op, to which `forward` gives `self._given()`. In the name of the op `{axes}`
    stands for the number of spatial axes.

    The op gets the settings that have the names of its arguments, and `training`.
    """

    _op_name: ClassVar[str] = "{axes}"
    _op: ClassVar[Callable[..., Tensor]]
    #: The arguments that the op gets beside its input, and the attributes that have them.
    _passed: ClassVar[dict[str, str]]

    def __init_subclass__(cls, op: str | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if op is not None:
            cls._op_name = op
        if "{axes}" in cls._op_name and not hasattr(cls, "axes"):
            return  # the base of layers over one, two and three axes
        cls._op = getattr(ops, cls._op_name.format(axes=getattr(cls, "axes", "")))
        # Without the further options that its signature has; a ufunc has none before NumPy 2.4.
        if isinstance(cls._op, Op):
            known = [a.name for a in cls._op.arguments]
        else:
            known = list(inspect.signature(getattr(cls._op, "function", cls._op)).parameters)
        names = {name: _NAMES.get(name, name) for name in known}
        cls._passed = {name: own for name, own in names.items() if own in cls._settings or own == "training"}

    def _given(self) -> dict[str, object]:
        return {name: getattr(self, own) for name, own in self._passed.items()}


class OpLayer(OpSettings):
    """A layer that computes an op of its input: `class ELU(OpLayer, op="elu")`. Without settings `forward` is the op itself
    (an op is no function, so it does not bind)."""

    def __init_subclass__(cls, op: str | None = None, **kwargs: object) -> None:
        super().__init_subclass__(op=op, **kwargs)
        if not getattr(cls, "_passed", True):
            cls.forward = cls._op  # type: ignore[method-assign]

    def forward(self, x: ArrayLike) -> Tensor:
        return self._op(asarray(x), **self._given())

"""Mixed precision: products of matrices take low inputs inside a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import Node
from tapenet.autodiff.observe.layer import CallStep, Layer, PullStep
from tapenet.autodiff.record import Call
from tapenet.autodiff.state import Switch, enter, local, switched
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.program.arguments import mapped
from tapenet.program.low import WIDE, dtype_of, is_inexact, is_low, meet
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

#: Where the ops are that `autocast` gives float32: those that add many numbers, or are steep.
_FULL = (
    "tapenet.ops.fft", "tapenet.ops.layers.losses", "tapenet.ops.layers.normalization", "tapenet.ops.linalg",
    "tapenet.ops.reductions",
)  # fmt: skip


class autocast(Switch):
    """Mixed precision: products of matrices take low inputs inside the block (or the decorated function).

    Inside, ops fall in three groups:

    - products (those of which `tn.profile` counts multiply-adds: linear, matmul, convolutions, recurrent layers, einsum)
      take inputs rounded to `dtype`, compute in float32, and give `dtype`. So do their gradients;
    - reductions, softmax, normalizations, losses, linear algebra and FFTs take and give float32;
    - all others keep what they are given; of mixed inputs the wider type counts.

    Products with inputs in float64, or with 8-bit weights, stay as they are. Parameters stay float32, and so do their
    gradients: optimizers know nothing of it. With float16 use `optim.GradScaler`, lest small gradients vanish. Nothing
    becomes faster in NumPy: activations kept for the backward pass take half the memory, and the rounding is that of
    hardware with float32 accumulators.
    Put the forward pass and the loss inside the block, `backward()` outside or inside: it makes no difference.

    Args:
        dtype: "bfloat16", for which ml_dtypes must be installed, or "float16"; or the dtype itself.
        enabled: False switches it off, for a part of another block.

    Raises:
        ImportError: bfloat16 without ml_dtypes.
        TypeError: another dtype.

    >>> import tapenet as tn
    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> with tn.autocast("float16"):
    ...     y = net([[1.0, 2.0]])
    ...     loss = y.sum()
    >>> y.dtype, loss.dtype, net[0].weight.dtype
    (dtype('float16'), dtype('float32'), dtype('float32'))
    """

    def __init__(self, dtype: DTypeLike = "bfloat16", enabled: bool = True) -> None:
        self.dtype = dtype_of(dtype)
        if enabled and not is_low(self.dtype):
            raise TypeError(f'autocast: dtype={self.dtype} is no low type; give "bfloat16" or "float16"')
        meet(self.dtype)
        self.enabled = enabled

    def __enter__(self) -> None:
        layers = [_Autocast(self.dtype)] if self.enabled else []
        enter(self, autocast=self.dtype if self.enabled else None, layers=local.state.layered(_Autocast, *layers))


class _Autocast(Layer):
    """Gives the arguments of ops the types that they have inside `autocast`."""

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype

    def call(self, step: CallStep) -> CallStep:
        def cast(call: Call) -> object:
            op, bound = call.op, call.bound
            if op.multiply_adds is not None:
                if all(_castable(bound[name]) for name in op.inputs):
                    bound.update({name: _cast(bound[name], self.dtype) for name in op.differentiable})
            elif stays_full(op):
                bound.update({name: _cast(bound[name], WIDE, low_only=True) for name in op.inputs})
            return step(call)

        return cast

    def pull(self, step: PullStep) -> PullStep:
        def pull(node: Node, g: Array, grads: Gradients) -> None:
            with without():  # what types rules compute in was decided in the forward pass
                step(node, g, grads)

        return pull


def without() -> switched:
    """A block without mixed precision, inside another."""
    return switched(autocast=None, layers=local.state.layered(_Autocast))


def stays_full(op: Op | Derived) -> bool:
    """Whether a function is one of those that are given float32."""
    return getattr(op, "precision", None) == "wide" or op.__module__.startswith(_FULL)


def _castable(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_castable, value))
    dtype = getattr(value, "dtype", None)
    if dtype is None or dtype == WIDE or is_low(dtype):
        return True
    return not is_inexact(dtype) and dtype != np.int8  # weights that are stored so have few digits already


def _cast(value: object, dtype: DType, low_only: bool = False) -> object:
    def cast(leaf: object) -> object:
        if not isinstance(leaf, (Tensor, np.ndarray)) or leaf.dtype == dtype:
            return leaf
        return ops.astype(leaf, dtype) if is_low(leaf.dtype) or (leaf.dtype == WIDE and not low_only) else leaf

    return mapped(cast, value)

"""Marks: which tensors of a module are learned, and which are state. Marks of a slot, not types."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.making import tensor
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.low import dtype_of

FLOAT = np.dtype(np.float32)


def float_type(dtype: DTypeLike | None) -> np.dtype[Any]:
    """The dtype of a layer's parameters: float32 for None, as wherever a dtype may be left out.

    >>> float_type(None), float_type("float64")
    (dtype('float32'), dtype('float64'))
    """
    return FLOAT if dtype is None else dtype_of(dtype)


def Parameter(data: Any, requires_grad: bool = True, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor that a module learns: set as an attribute of a module, it is found by `parameters()`.

    Args:
        data: the initial values, which are copied in their memory order. To share one parameter between two modules,
            give both the same tensor.
        requires_grad: False freezes it; it stays a parameter.
        dtype: by default float32 for Python numbers and lists, and the dtype of an array or tensor.

    Raises:
        TypeError: integers with requires_grad, or complex numbers.

    >>> from tapenet import nn
    >>> nn.Parameter([1.0, 2.0])
    Tensor([1., 2.], dtype=float32, requires_grad=True)
    """
    made = _marked(data, dtype, "parameter")
    return made._require() if requires_grad else made


def Buffer(data: Any, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor that belongs to a module's state but is not learned, such as a running mean.

    Args:
        data: the initial values, which are copied.
        dtype: as of `Parameter`, but Python integers and booleans keep their kind.

    >>> from tapenet import nn
    >>> nn.Buffer([0.0, 0.0])
    Tensor([0., 0.], dtype=float32)
    """
    return _marked(data, dtype, "buffer")


def _marked(data: Any, dtype: DTypeLike | None, kind: str) -> Tensor:
    made = tensor(data, dtype)
    if dtype is None and not hasattr(data, "dtype") and made.dtype.kind in ("biuf" if kind == "parameter" else "f"):
        made = tensor(made, FLOAT)
    if kind == "parameter" and made.dtype.kind == "c":
        raise TypeError(
            f"a parameter holds real numbers, not {made.dtype}: optimizers and initialisers are for these. Keep the real and "
            "the imaginary part as two parameters, and compute with real + 1j * imag"
        )
    made._kind = kind
    return made

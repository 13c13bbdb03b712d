"""Parameters and buffers: marks on tensors that say which a module learns, and which are state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.creation import tensor
from tapenet.autodiff.tensor import Tensor
from tapenet.program.low import dtype_of
from tapenet.typing import DType

FLOAT = np.dtype(np.float32)


def float_type(dtype: DTypeLike | None) -> DType:
    """The dtype of a layer's parameters: float32 for None, as wherever a dtype may be left out.

    >>> float_type(None), float_type("float64")
    (dtype('float32'), dtype('float64'))
    """
    return FLOAT if dtype is None else dtype_of(dtype)


class _Mark(type):
    """The type of a name for tensors with a mark: `isinstance` looks at the mark, and a call makes such a tensor."""

    #: How the marks end that the name stands for.
    mark: str

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, Tensor) and value._kind is not None and value._kind.endswith(cls.mark)


if TYPE_CHECKING:
    _Marked = Tensor
else:

    class _Marked:
        """What `Parameter` and the like are to Python, where tensors are of one exact type."""

        def __init_subclass__(cls, **kwargs: object) -> None:
            if cls.__module__ != __name__:
                raise TypeError(
                    f"{cls.__name__}: nn.Parameter and nn.Buffer are marks of tensors and have no subclasses; keep what "
                    "belongs to a parameter in the module that has it"
                )


class Parameter(_Marked, metaclass=_Mark):
    """A tensor that a module learns: set as an attribute of a module, it is found by `parameters()`.

    What it makes is a `Tensor` with a mark, for which `isinstance(p, nn.Parameter)` is true.

    Args:
        data: the initial values, which are copied in their memory order; None for no elements. To share one parameter
            between two modules, give both the same tensor.
        requires_grad: False freezes it; it stays a parameter.
        dtype: by default float32 for Python numbers and lists, and the dtype of an array or tensor.

    Raises:
        TypeError: integers with requires_grad, or complex numbers.

    >>> from tapenet import nn
    >>> nn.Parameter([1.0, 2.0])
    Tensor([1., 2.], dtype=float32, requires_grad=True)
    """

    mark = "parameter"

    def __new__(cls, data: object = None, requires_grad: bool = True, dtype: DTypeLike | None = None) -> Self:
        made = _marked(data, dtype, "parameter")
        return made._require() if requires_grad else made  # type: ignore[return-value]  # a tensor with the mark


class Buffer(_Marked, metaclass=_Mark):
    """A tensor that belongs to a module's state but is not learned, such as a running mean.

    Args:
        data: the initial values, which are copied.
        dtype: as of `Parameter`, but Python integers and booleans keep their kind.
        persistent: False leaves it out of state dicts: what can be computed again, such as a mask.

    >>> from tapenet import nn
    >>> nn.Buffer([0.0, 0.0])
    Tensor([0., 0.], dtype=float32)
    """

    mark = "buffer"

    def __new__(cls, data: object = None, dtype: DTypeLike | None = None, *, persistent: bool = True) -> Self:
        return _marked(data, dtype, "buffer" if persistent else "passing buffer")  # type: ignore[return-value]


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet: of a layer such as `nn.LazyLinear` before its first call.

    >>> from tapenet import nn
    >>> isinstance(nn.LazyLinear(3).weight, nn.UninitializedParameter)
    True
    """

    mark = "lazy parameter"

    def __new__(cls, requires_grad: bool = True, dtype: DTypeLike | None = None) -> Self:
        made = _marked(np.empty(0, float_type(dtype)), None, "lazy parameter")
        return made._require() if requires_grad else made  # type: ignore[return-value]


class UninitializedBuffer(Buffer):
    """A buffer whose shape is not known yet; see `UninitializedParameter`."""

    mark = "lazy buffer"

    def __new__(cls, dtype: DTypeLike | None = None) -> Self:
        return _marked(np.empty(0, float_type(dtype)), None, "lazy buffer")  # type: ignore[return-value]


def is_lazy(tensor: object) -> bool:
    """Whether it is a parameter or buffer whose shape is not known yet.

    >>> is_lazy(UninitializedParameter()), is_lazy(Parameter([1.0]))
    (True, False)
    """
    return isinstance(tensor, Tensor) and tensor._kind is not None and tensor._kind.startswith("lazy")


def _marked(data: object, dtype: DTypeLike | None, kind: str) -> Tensor:
    made = tensor(() if data is None else data, dtype)
    if dtype is None and not hasattr(data, "dtype") and made.dtype.kind in ("f" if kind.endswith("buffer") else "biuf"):
        made = tensor(made, FLOAT)
    if not kind.endswith("buffer") and made.dtype.kind == "c":
        raise TypeError(
            f"a parameter holds real numbers, not {made.dtype}: optimizers and initialisers are for these. Keep the real and "
            "the imaginary part as two parameters, and compute with real + 1j * imag"
        )
    made._kind = kind
    return made

"""Tensors made from data."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.arguments import check_device
from tapenet.ops.derived import array_like, duplicate, holds_tensors
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.tracebacks import boundary
from tapenet.program.low import dtype_of, is_low, meet
from tapenet.typing import Array

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from tapenet.typing import SupportsDLPack


@boundary
def tensor(data: object, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor from numbers, nested lists, an ndarray or a tensor, copying them.

    Args:
        data: the values. An ndarray keeps its dtype; Python floats become float64, as in NumPy. Of a tensor the values
            alone are taken: to stay in its graph use t.copy(). Tensors in lists are joined, and stay in theirs.
        dtype: another dtype.
        requires_grad: ask for its gradient; floats and complex numbers only.

    Raises:
        TypeError: not numbers, or integers with requires_grad.

    >>> import tapenet as tn
    >>> tn.tensor([1, 2, 3], dtype="float32")
    Tensor([1., 2., 3.], dtype=float32)
    """
    made: Tensor
    if isinstance(data, Tensor) and _captures():
        made = ops.copy(data.detach())
    elif isinstance(data, (list, tuple)) and holds_tensors(data):
        made = cast("Tensor", array_like(data))
    else:
        made = around(_array(data, dtype, copy=True))
        return made._require() if requires_grad else made
    made = made if dtype is None else made.astype(dtype, copy=False)
    return made.requires_grad_() if requires_grad else made


def asarray(data: object) -> Tensor:
    """A tensor around the given array without copying it, or the given tensor itself: `tn.asarray` of what holds no lists
    of tensors."""
    return data if isinstance(data, Tensor) else Tensor._of(_array(data, None, copy=False))


@boundary
def from_dlpack(x: SupportsDLPack, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor around the memory of an array or tensor of another library, by the DLPack protocol: PyTorch's, JAX's and
    others' on the CPU.

    Args:
        x: anything with `__dlpack__`.
        device: "cpu", if anything: data elsewhere is then copied, if its library can do that.
        copy: True copies in any case; False raises where a copy is needed.

    Raises:
        BufferError: its memory is not the CPU's, or it needs a gradient there.
        RuntimeError: NumPy does not have its dtype.
        ValueError: another device; a copy is needed but `copy=False`.

    >>> import numpy as np, tapenet as tn
    >>> a = np.zeros(2)
    >>> tn.from_dlpack(a).numpy().ctypes.data == a.ctypes.data
    True
    """
    check_device("from_dlpack", device)
    return around(np.from_dlpack(x, device=None if device is None else "cpu", copy=copy), shared=True)


def around(array: Array, shared: bool = False) -> Tensor:
    """A tensor around an array of numbers, which nobody else has unless it is `shared`."""
    made = Tensor._of(_array(array, None, copy=False))
    if not _captures():
        return made
    if shared:
        local.state.tape.values.see(array)
    else:
        array.flags.writeable = False  # a constant, of which every replay makes a new copy
        made = ops.copy(made)
        local.state.tape.constants.add(made._trace)
    return made


def _array(data: object, dtype: DTypeLike | None, copy: bool) -> Array:
    if isinstance(data, Tensor):
        data = data._data
    check_unmasked(data)
    if isinstance(dtype, str):
        dtype = dtype_of(dtype)
    array = np.asarray(data, dtype=dtype)
    if copy:
        array = duplicate(array)
    meet(array.dtype)
    if array.dtype.kind not in "biufc" and not is_low(array.dtype):
        raise TypeError(
            f"a tensor holds numbers, not {array.dtype}: {type(data).__name__} {str(data)[:40]!r} does not convert"
        )
    return array


def values(tensor: object) -> Array | None:
    """The array of a tensor; None while a step is captured, as a replay would hold others."""
    return tensor._data if isinstance(tensor, Tensor) and not _captures() else None


def _captures() -> bool:
    tape = local.state.tape
    return tape is not None and tape.captures

"""The methods of ndarray, for anything that ops accept: each is the op of its name, with NumPy's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet import ops
from tapenet.program.low import dtype_of


def _given(name: str, result: Any, out: Any) -> Any:
    """A result, or the tensor it was to be written to."""
    return result if out is None else ops.protocol.write(f"{name}()", result, out)


class Methods:
    """ndarray's methods in terms of ops. A method that works in place, such as `sort`, does as `t[...] = value` does: a
    new node behind the same handle."""

    __slots__ = ()
    shape: Any
    dtype: Any

    if TYPE_CHECKING:

        def __setitem__(self, index: Any, value: Any) -> None: ...

    # -- reductions --------------------------------------------------------------------------------------------

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        """Sum over `axis` (None: all, or a tuple)."""
        return _given("sum", ops.sum(self, axis, dtype, keepdims=keepdims, **options), out)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        """Mean over `axis`."""
        return _given("mean", ops.mean(self, axis, dtype, keepdims=keepdims, **options), out)

    def var(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: int = 0,
        keepdims: bool = False,
        **options: Any,
    ) -> Any:
        """Variance over `axis`."""
        return _given("var", ops.var(self, axis, dtype, ddof=ddof, keepdims=keepdims, **options), out)

    def std(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: int = 0,
        keepdims: bool = False,
        **options: Any,
    ) -> Any:
        """Standard deviation over `axis`."""
        return _given("std", ops.std(self, axis, dtype, ddof=ddof, keepdims=keepdims, **options), out)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        """Maximum over `axis`."""
        return _given("max", ops.max(self, axis, keepdims=keepdims, **options), out)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        """Minimum over `axis`."""
        return _given("min", ops.min(self, axis, keepdims=keepdims, **options), out)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **options: Any) -> Any:
        """Product over `axis`."""
        return _given("prod", ops.prod(self, axis, dtype, keepdims=keepdims, **options), out)

    def argmax(self, axis: Any = None, out: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        """Index of the maximum; a tensor without gradient."""
        return _given("argmax", ops.argmax(self, axis, keepdims=keepdims, **options), out)

    def argmin(self, axis: Any = None, out: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        """Index of the minimum; a tensor without gradient."""
        return _given("argmin", ops.argmin(self, axis, keepdims=keepdims, **options), out)

    def all(self, axis: Any = None, out: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        """Whether all elements along `axis` are true."""
        return _given("all", ops.all(self, axis, keepdims=keepdims, **options), out)

    def any(self, axis: Any = None, out: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
        """Whether any element along `axis` is true."""
        return _given("any", ops.any(self, axis, keepdims=keepdims, **options), out)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
        """The sum along a diagonal."""
        return _given("trace", ops.trace(self, offset, axis1, axis2, dtype), out)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any) -> Any:
        """Running sums along `axis` (None: of all elements in one axis)."""
        return _given("cumsum", ops.cumsum(self, axis, dtype, **options), out)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any) -> Any:
        """Running products along `axis`."""
        return _given("cumprod", ops.cumprod(self, axis, dtype, **options), out)

    # -- values ------------------------------------------------------------------------------------------------

    def clip(self, min: Any = None, max: Any = None, out: Any = None, **options: Any) -> Any:
        """Limit the values to [min, max]."""
        return _given("clip", ops.clip(self, min, max, **options), out)

    def round(self, decimals: int = 0, out: Any = None) -> Any:
        """Rounded to so many decimals; the gradient is 0."""
        return _given("round", ops.round(self, decimals), out)

    def conj(self) -> Any:
        """The complex conjugate; of real numbers the tensor itself."""
        return ops.conjugate(self) if self.dtype.kind == "c" else self

    conjugate = conj

    @property
    def real(self) -> Any:
        """The real part; of real numbers the tensor itself."""
        return ops.real(self) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Any:
        """The imaginary part; of real numbers zeros."""
        return ops.imag(self)

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """The values in another dtype; the gradient comes back in this one. The memory order is for arrays alone.

        Raises:
            TypeError: the cast is none of those that `casting` allows.
        """
        dtype = dtype_of(dtype)
        if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(
                f"astype: {self.dtype} cannot be cast to {dtype} by casting={casting!r}: allow another kind of cast"
            )
        return ops.astype(self, dtype) if copy or self.dtype != dtype else self

    def dot(self, other: Any, out: Any = None) -> Any:
        """Dot product, as `np.dot`."""
        return _given("dot", ops.dot(self, other), out)

    # -- shapes ------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        """The same values in another shape: `t.reshape(2, -1)` or `t.reshape((2, -1))`. Whether memory is shared makes no
        difference to a tensor, except that `copy=False` raises where NumPy could not share it."""
        shape = shape[0] if len(shape) == 1 else shape
        return ops.reshape(self, shape, order) if copy is None else ops.reshape(self, shape, order, copy=copy)

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order, reversed by default."""
        given = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))) else axes
        return ops.transpose(self, given or None)

    @property
    def T(self) -> Any:
        """The transpose: axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> Any:
        """The transpose of the last two axes."""
        return ops.swapaxes(self, -1, -2)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Two axes exchanged."""
        return ops.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None, **options: Any) -> Any:
        """Axes of length one removed."""
        return ops.squeeze(self, axis, **options)

    def flatten(self, order: str = "C") -> Any:
        """All elements in one axis."""
        return self.reshape(-1, order=order)

    def ravel(self, order: str = "C") -> Any:
        """All elements in one axis."""
        return self.reshape(-1, order=order)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        """Each element repeated."""
        return ops.repeat(self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1, **options: Any) -> Any:
        """The elements on a diagonal."""
        return ops.diagonal(self, offset, axis1, axis2, **options)

    # -- order and selection -----------------------------------------------------------------------------------

    def argsort(
        self, axis: Any = -1, kind: Any = None, order: None = None, *, stable: bool | None = None, **options: Any
    ) -> Any:
        """The indices that sort along `axis`; a tensor without gradient."""
        return ops.argsort(self, axis, kind, stable=stable, **options)

    def argpartition(self, kth: Any, axis: Any = -1, kind: str = "introselect") -> Any:
        """The indices that partition along `axis`; a tensor without gradient."""
        return ops.argpartition(self, kth, axis, kind)

    def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        """Where values would be inserted to keep the order; a tensor without gradient."""
        return ops.searchsorted(self, v, side, sorter)

    def nonzero(self) -> Any:
        """The indices of the elements that are not zero; tensors without gradient."""
        return ops.nonzero(self)

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
        """The elements at indices along `axis`."""
        return _given("take", ops.take(self, indices, axis, mode=mode), out)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        """The slices along `axis` where a condition holds."""
        return _given("compress", ops.compress(condition, self, axis), out)

    def choose(self, choices: Any, out: Any = None, mode: str = "raise") -> Any:
        """An element of one of the choices for each index in this tensor."""
        return _given("choose", ops.choose(self, choices, mode=mode), out)

    # -- in place ----------------------------------------------------------------------------------------------

    def sort(self, axis: int = -1, kind: Any = None, order: None = None, *, stable: bool | None = None) -> None:
        """Sort in place, as `t[...] = np.sort(t)` does it."""
        self[...] = ops.sort(self, axis, kind, stable=stable)

    def partition(self, kth: Any, axis: int = -1, kind: str = "introselect") -> None:
        """Partition in place, as `t[...] = np.partition(t)` does it."""
        self[...] = ops.partition(self, kth, axis, kind)

    def fill(self, value: Any) -> None:
        """Set all elements to a value, as `t[...] = value` does it."""
        self[...] = value

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """Set elements by their place in the flattened tensor."""
        ops.put(self, indices, values, mode)

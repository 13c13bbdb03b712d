"""Python's operators and NumPy's two protocols, for anything that ops accept.

`Tensor` derives from `Operand`, and so may any type that answers `__tapenet_op__` (captured, batched or foreign
arrays): it then takes part in `a + b`, `np.f(a)` and method calls as a tensor does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import ops


class Operand:
    """Operators, methods and NumPy protocols in terms of ops."""

    __slots__ = ()
    __hash__ = object.__hash__

    # -- arithmetic --------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return ops.divide(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return ops.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return ops.remainder(other, self)

    def __pow__(self, other: Any) -> Any:
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def __neg__(self) -> Any:
        return ops.negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return ops.absolute(self)

    # -- comparisons -------------------------------------------------------------------------------------------

    def __eq__(self, other: Any) -> Any:
        return ops.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Any:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Any:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return ops.greater_equal(self, other)

    def __and__(self, other: Any) -> Any:
        return ops.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Any:
        return ops.bitwise_and(other, self)

    def __or__(self, other: Any) -> Any:
        return ops.bitwise_or(self, other)

    def __ror__(self, other: Any) -> Any:
        return ops.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Any:
        return ops.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Any:
        return ops.bitwise_xor(other, self)

    def __invert__(self) -> Any:
        return ops.invert(self)

    # -- indexing ----------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return ops.getitem(self, index)

    # -- methods, named as ndarray's ---------------------------------------------------------------------------

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Sum over `axis` (None: all, or a tuple)."""
        return ops.sum(self, axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Mean over `axis`."""
        return ops.mean(self, axis, keepdims=keepdims)

    def var(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """Variance over `axis`."""
        return ops.var(self, axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """Standard deviation over `axis`."""
        return ops.std(self, axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Maximum over `axis`."""
        return ops.max(self, axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Minimum over `axis`."""
        return ops.min(self, axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Product over `axis`."""
        return ops.prod(self, axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Index of the maximum; a tensor without gradient."""
        return ops.argmax(self, axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Index of the minimum; a tensor without gradient."""
        return ops.argmin(self, axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether all elements along `axis` are true."""
        return ops.all(self, axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether any element along `axis` is true."""
        return ops.any(self, axis, keepdims=keepdims)

    def clip(self, a_min: Any = None, a_max: Any = None) -> Any:
        """Limit the values to [a_min, a_max]."""
        return ops.clip(self, a_min, a_max)

    def reshape(self, *shape: Any) -> Any:
        """The same values in another shape: `t.reshape(2, -1)` or `t.reshape((2, -1))`."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order, reversed by default."""
        given = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))) else axes
        return ops.transpose(self, given or None)

    @property
    def real(self) -> Any:
        """The real part; of real numbers the tensor itself."""
        return np.real(self) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Any:
        """The imaginary part; of real numbers zeros."""
        return np.imag(self)

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

    def squeeze(self, axis: Any = None) -> Any:
        """Axes of length one removed."""
        return ops.squeeze(self, axis)

    def flatten(self) -> Any:
        """All elements in one axis."""
        return ops.reshape(self, -1)

    def ravel(self) -> Any:
        """All elements in one axis."""
        return ops.reshape(self, -1)

    def astype(self, dtype: Any) -> Any:
        """The values in another dtype; the gradient comes back in this one."""
        return ops.astype(self, dtype)

    def dot(self, other: Any) -> Any:
        """Dot product, as `np.dot`."""
        return ops.dot(self, other)

    # -- NumPy's protocols -------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = f"np.{ufunc.__name__}"
        if kwargs.get("out") is not None:
            raise TypeError(
                f"{name}: a tensor cannot be written into an array in place (`array += tensor` or out=); write "
                "`array = array + tensor`, or use tensor.numpy() to leave the graph"
            )
        function = ops.stands_for(ufunc)
        if function is None:
            raise self._unsupported(name)
        if method != "__call__":
            raise TypeError(
                f"{name}.{method} is not supported on tensors: for reduce use np.sum, np.prod, np.max or np.min"
            )
        if kwargs:
            raise TypeError(
                f"{name} on tensors takes no {', '.join(sorted(kwargs))}=: for where= use np.where, for dtype= use "
                ".astype"
            )
        return function(*inputs)

    def _unsupported(self, name: str) -> Exception:
        """The error for a NumPy function that no op stands for."""
        return TypeError(
            f"{name} is not supported on tensors: use tensor.numpy() for the values alone, or define an op for it with "
            "tn.op(..., numpy=...)"
        )

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        function = ops.stands_for(func)
        if function is None:
            name = f"{func.__module__}.{func.__name__}".replace("numpy", "np", 1)
            raise self._unsupported(name)
        return function(*args, **kwargs)

"""Python's operators and NumPy's two protocols, for anything that ops accept.

`Tensor` derives from `Operand`, and so may any type that answers `__tapenet_op__` (captured, batched or foreign
arrays): it then takes part in `a + b`, `np.f(a)` and method calls as a tensor does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.methods import Methods
from tapenet.ops.registry import numpy_functions, numpy_name, ufunc_name

#: What SciPy calls otherwise.
_OWN = {"expit": "sigmoid", "log_expit": "logsigmoid"}


class Operand(Methods):
    """Operators, methods (of `Methods`) and NumPy protocols in terms of ops."""

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

    def __divmod__(self, other: Any) -> Any:
        return ops.divmod(self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return ops.divmod(other, self)

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
        return ops.positive(self)

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

    def __lshift__(self, other: Any) -> Any:
        return ops.left_shift(self, other)

    def __rlshift__(self, other: Any) -> Any:
        return ops.left_shift(other, self)

    def __rshift__(self, other: Any) -> Any:
        return ops.right_shift(self, other)

    def __rrshift__(self, other: Any) -> Any:
        return ops.right_shift(other, self)

    def __invert__(self) -> Any:
        return ops.invert(self)

    # -- indexing ----------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return ops.getitem(self, index)

    # -- NumPy's protocols -------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        function = numpy_functions.get(ufunc) or ops.stands_for(ufunc)
        if function is None:
            raise self._unsupported(ufunc_name(ufunc))
        if method == "__call__":
            return ops.protocol.call(ufunc, inputs, **kwargs) if kwargs else function(*inputs)
        for given in ("array", "indices"):  # by name: NumPy has them among the inputs as well
            kwargs.pop(given, None)
        return ops.protocol.METHODS[method](ufunc, *inputs, **kwargs)

    def _unsupported(self, name: str) -> Exception:
        """The error for a NumPy function that no op stands for."""
        if name.endswith(" (vectorized)"):
            return TypeError(
                f"np.frompyfunc's {name} is not supported on tensors: it calls Python once for each element; give the function "
                "the whole tensor, or define an op for it with tn.op"
            )
        own = name.rpartition(".")[2]
        own = _OWN.get(own, own)
        known = f"tn.{own}, " if hasattr(ops, own) else ""
        return TypeError(
            f"{name} is not supported on tensors: use {known}tensor.numpy() for the values alone, or define an op for it with "
            "tn.op(..., numpy=...)"
        )

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        function = numpy_functions.get(func) or ops.stands_for(func)
        if function is None:
            raise self._unsupported(numpy_name(func))
        if len(args) > 2 or kwargs or (len(args) == 2 and func in ops.protocol.OUT_SECOND):
            return ops.protocol.function(func, function, args, kwargs)
        if func is np.where and len(args) == 1:  # of a mask alone: another function under the same name
            return ops.nonzero(*args)
        return function(*args)

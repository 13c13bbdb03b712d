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
from tapenet.ops.tracebacks import hide

#: What SciPy calls otherwise.
_OWN = {"expit": "sigmoid", "log_expit": "logsigmoid"}


class Operand(Methods):
    """Operators, methods (of `Methods`) and NumPy protocols in terms of ops."""

    __slots__ = ()
    __hash__ = object.__hash__

    # -- arithmetic --------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        try:
            return ops.add(self, other)
        except Exception as error:
            hide(error)
            raise

    def __radd__(self, other: Any) -> Any:
        try:
            return ops.add(other, self)
        except Exception as error:
            hide(error)
            raise

    def __sub__(self, other: Any) -> Any:
        try:
            return ops.subtract(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rsub__(self, other: Any) -> Any:
        try:
            return ops.subtract(other, self)
        except Exception as error:
            hide(error)
            raise

    def __mul__(self, other: Any) -> Any:
        try:
            return ops.multiply(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rmul__(self, other: Any) -> Any:
        try:
            return ops.multiply(other, self)
        except Exception as error:
            hide(error)
            raise

    def __truediv__(self, other: Any) -> Any:
        try:
            return ops.divide(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rtruediv__(self, other: Any) -> Any:
        try:
            return ops.divide(other, self)
        except Exception as error:
            hide(error)
            raise

    def __floordiv__(self, other: Any) -> Any:
        try:
            return ops.floor_divide(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rfloordiv__(self, other: Any) -> Any:
        try:
            return ops.floor_divide(other, self)
        except Exception as error:
            hide(error)
            raise

    def __mod__(self, other: Any) -> Any:
        try:
            return ops.remainder(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rmod__(self, other: Any) -> Any:
        try:
            return ops.remainder(other, self)
        except Exception as error:
            hide(error)
            raise

    def __divmod__(self, other: Any) -> Any:
        try:
            return ops.divmod(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rdivmod__(self, other: Any) -> Any:
        try:
            return ops.divmod(other, self)
        except Exception as error:
            hide(error)
            raise

    def __pow__(self, other: Any) -> Any:
        try:
            return ops.power(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rpow__(self, other: Any) -> Any:
        try:
            return ops.power(other, self)
        except Exception as error:
            hide(error)
            raise

    def __matmul__(self, other: Any) -> Any:
        try:
            return ops.matmul(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rmatmul__(self, other: Any) -> Any:
        try:
            return ops.matmul(other, self)
        except Exception as error:
            hide(error)
            raise

    def __neg__(self) -> Any:
        try:
            return ops.negative(self)
        except Exception as error:
            hide(error)
            raise

    def __pos__(self) -> Any:
        try:
            return ops.positive(self)
        except Exception as error:
            hide(error)
            raise

    def __abs__(self) -> Any:
        try:
            return ops.absolute(self)
        except Exception as error:
            hide(error)
            raise

    # -- comparisons -------------------------------------------------------------------------------------------

    def __eq__(self, other: Any) -> Any:
        try:
            return ops.equal(self, other)
        except Exception as error:
            hide(error)
            raise

    def __ne__(self, other: Any) -> Any:
        try:
            return ops.not_equal(self, other)
        except Exception as error:
            hide(error)
            raise

    def __lt__(self, other: Any) -> Any:
        try:
            return ops.less(self, other)
        except Exception as error:
            hide(error)
            raise

    def __le__(self, other: Any) -> Any:
        try:
            return ops.less_equal(self, other)
        except Exception as error:
            hide(error)
            raise

    def __gt__(self, other: Any) -> Any:
        try:
            return ops.greater(self, other)
        except Exception as error:
            hide(error)
            raise

    def __ge__(self, other: Any) -> Any:
        try:
            return ops.greater_equal(self, other)
        except Exception as error:
            hide(error)
            raise

    def __and__(self, other: Any) -> Any:
        try:
            return ops.bitwise_and(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rand__(self, other: Any) -> Any:
        try:
            return ops.bitwise_and(other, self)
        except Exception as error:
            hide(error)
            raise

    def __or__(self, other: Any) -> Any:
        try:
            return ops.bitwise_or(self, other)
        except Exception as error:
            hide(error)
            raise

    def __ror__(self, other: Any) -> Any:
        try:
            return ops.bitwise_or(other, self)
        except Exception as error:
            hide(error)
            raise

    def __xor__(self, other: Any) -> Any:
        try:
            return ops.bitwise_xor(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rxor__(self, other: Any) -> Any:
        try:
            return ops.bitwise_xor(other, self)
        except Exception as error:
            hide(error)
            raise

    def __lshift__(self, other: Any) -> Any:
        try:
            return ops.left_shift(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rlshift__(self, other: Any) -> Any:
        try:
            return ops.left_shift(other, self)
        except Exception as error:
            hide(error)
            raise

    def __rshift__(self, other: Any) -> Any:
        try:
            return ops.right_shift(self, other)
        except Exception as error:
            hide(error)
            raise

    def __rrshift__(self, other: Any) -> Any:
        try:
            return ops.right_shift(other, self)
        except Exception as error:
            hide(error)
            raise

    def __invert__(self) -> Any:
        try:
            return ops.invert(self)
        except Exception as error:
            hide(error)
            raise

    # -- indexing ----------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        try:
            return ops.getitem(self, index)
        except Exception as error:
            hide(error)
            raise

    # -- NumPy's protocols -------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        try:
            function = numpy_functions.get(ufunc) or ops.stands_for(ufunc)
            if function is None:
                raise self._unsupported(ufunc_name(ufunc))
            if method == "__call__":
                return ops.protocol.call(ufunc, inputs, **kwargs) if kwargs else function(*inputs)
            for given in ("array", "indices"):  # by name: NumPy has them among the inputs as well
                kwargs.pop(given, None)
            return ops.protocol.METHODS[method](ufunc, *inputs, **kwargs)
        except Exception as error:
            hide(error)
            raise

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
        try:
            function = numpy_functions.get(func) or ops.stands_for(func)
            if function is None:
                raise self._unsupported(numpy_name(func))
            if len(args) > 2 or kwargs or (len(args) == 2 and func in ops.protocol.OUT_SECOND):
                return ops.protocol.function(func, function, args, kwargs)
            if func is np.where and len(args) == 1:  # of a mask alone: another function under the same name
                return ops.nonzero(*args)
            return function(*args)
        except Exception as error:
            hide(error)
            raise

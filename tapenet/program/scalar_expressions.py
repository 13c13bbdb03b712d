"""Native code of one element, written as NumPy code of one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tapenet.llvm import scalar
from tapenet.llvm.emitter import Emitter, literal, llvm_type
from tapenet.llvm.emitter import Value as Register
from tapenet.program.c_rows import ELEMENTS
from tapenet.program.primitives import ALIASES, loop_dtypes

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike, Number

Operand: TypeAlias = "Element | Number"


class Element(NDArrayOperatorsMixin):
    """A number in a register, with operators, NumPy's elementwise functions and ufuncs of `tn.native`, each of which emits its
    instruction. It has no value yet: code that branches on it raises.

    Attributes:
        dtype: the number's.
    """

    __hash__ = object.__hash__  # the mixin's == would take it away

    def __init__(self, e: Emitter, register: str, dtype: np.dtype) -> None:
        self._e = e
        self._register = register
        self.dtype = dtype

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Operand, **options: object) -> Element:
        if method != "__call__" or options:
            raise TypeError(f"native= calls np.{ufunc.__name__} with options or a method: numbers have none")
        return self._applied(ELEMENTS.get(ufunc) or ALIASES.get(ufunc.__name__, ufunc.__name__), inputs)

    def __array_function__(
        self, func: Callable[..., object], types: object, args: Sequence[Operand], kwargs: Mapping[str, object]
    ) -> Element:
        if func is not np.where or len(args) != 3:
            raise TypeError(f"native= calls np.{func.__name__}, which is no function of numbers; np.where is there")
        condition, *branches = args
        return self._applied("where", [condition != 0, *branches])

    def __bool__(self) -> NoReturn:
        raise TypeError("native= branches on a number, which is not there yet: write np.where")

    def astype(self, dtype: DTypeLike) -> Element:
        """The number in another dtype."""
        return Element(self._e, self._cast(self, np.dtype(dtype)), np.dtype(dtype))

    def view(self, dtype: DTypeLike) -> Element:
        """The same bits as a number of another dtype of the same size."""
        new = np.dtype(dtype)
        if new.itemsize != self.dtype.itemsize or "b" in (new.kind, self.dtype.kind):
            raise TypeError(f"native= views {self.dtype} as {new}, which has other bits")
        text = f"bitcast {llvm_type(self.dtype)} {self._register} to {llvm_type(new)}"
        return Element(self._e, self._e.emit(text), new)

    def intrinsic(self, name: str, *others: Operand) -> Element:
        """An intrinsic function of LLVM's whose arguments and result have the number's dtype, such as `fma` or `ctpop`."""
        kind = llvm_type(self.dtype)
        given = [f"{kind} {self._cast(o, self.dtype)}" for o in (self, *others)]
        suffix = {"float": "f32", "double": "f64"}.get(kind, kind)
        return Element(self._e, self._e.emit(f"call {kind} @llvm.{name}.{suffix}({', '.join(given)})"), self.dtype)

    def _cast(self, operand: Operand, dtype: np.dtype) -> str:
        if not isinstance(operand, Element):
            return literal(operand, dtype)  # type: ignore[arg-type]  # a complex number has no loop
        if operand.dtype == dtype:
            return operand._register
        return scalar.apply(self._e, "cast", (operand.dtype,), dtype, [operand._register])

    def _applied(self, name: str, operands: Sequence[Operand]) -> Element:
        given = tuple(o.dtype if isinstance(o, Element) else type(o) for o in operands)
        *wanted, result = loop_dtypes(name, given)
        registers = [self._cast(o, d) for o, d in zip(operands, wanted, strict=True)]
        if not scalar.can(name, wanted, result):
            raise TypeError(f"there is no native {name} of {', '.join(map(str, wanted))}")
        return Element(self._e, scalar.apply(self._e, name, wanted, result, registers), result)


def emitted(
    expression: Callable[..., object], result: np.dtype, dtypes: Sequence[np.dtype], *operands: Register
) -> Register:
    """Emit an expression on registers.

    Raises:
        TypeError: it gives no number, or one of another dtype than `result`.
    """
    e = operands[0].e
    found = expression(*(Element(e, o.name, d) for o, d in zip(operands, dtypes, strict=True)))
    if isinstance(found, (bool, int, float)):
        return Register(e, literal(found, result), llvm_type(result))
    if not isinstance(found, Element):
        raise TypeError(f"native= gives {type(found).__name__}, not a number of its arguments")
    if found.dtype != result:
        raise TypeError(f"native= gives {found.dtype} for {', '.join(map(str, dtypes))}, and the function {result}")
    return Register(e, found._register, llvm_type(result))

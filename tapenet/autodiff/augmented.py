"""The operators of augmented assignment: `t += v` and its kin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapenet import ops
from tapenet.autodiff.readable import Readable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Augmented(Readable):
    """The part of `Tensor` that gives each operator its op."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _augmented(self, op: Callable[[Any, Any], Any], other: Any, by: str, mend: str = "") -> Self: ...

    def __iadd__(self, other: Any) -> Self:
        return self._augmented(ops.add, other, "+=")

    def __isub__(self, other: Any) -> Self:
        return self._augmented(ops.subtract, other, "-=")

    def __imul__(self, other: Any) -> Self:
        return self._augmented(ops.multiply, other, "*=")

    def __itruediv__(self, other: Any) -> Self:
        return self._augmented(ops.divide, other, "/=")

    def __ifloordiv__(self, other: Any) -> Self:
        return self._augmented(ops.floor_divide, other, "//=")

    def __imod__(self, other: Any) -> Self:
        return self._augmented(ops.remainder, other, "%=")

    def __ipow__(self, other: Any) -> Self:
        return self._augmented(ops.power, other, "**=")

    def __imatmul__(self, other: Any) -> Self:
        return self._augmented(ops.matmul, other, "@=")

    def __iand__(self, other: Any) -> Self:
        return self._augmented(ops.bitwise_and, other, "&=")

    def __ior__(self, other: Any) -> Self:
        return self._augmented(ops.bitwise_or, other, "|=")

    def __ixor__(self, other: Any) -> Self:
        return self._augmented(ops.bitwise_xor, other, "^=")

    def __ilshift__(self, other: Any) -> Self:
        return self._augmented(ops.left_shift, other, "<<=")

    def __irshift__(self, other: Any) -> Self:
        return self._augmented(ops.right_shift, other, ">>=")

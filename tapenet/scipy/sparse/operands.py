"""SciPy's own sparse arrays beside tensors: each stands for the array of tensors with its values."""

from __future__ import annotations

from tapenet.ops.op import Op
from tapenet.scipy.sparse.arrays import ours


def _adopt() -> None:
    from scipy.sparse import sparray, spmatrix

    def answer(self: object, op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        if isinstance(self, spmatrix) and op.name == "multiply":  # SciPy's matrices, unlike its arrays, have * for @
            first, second = args
            return first @ ours(second) if self is second else ours(first).dot(second)
        return ours(self).__tapenet_op__(op, args, kwargs)

    for kind in (sparray, spmatrix):
        setattr(kind, "__tapenet_op__", answer)  # noqa: B010 - SciPy's classes do not declare it


_adopt()

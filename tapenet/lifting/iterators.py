"""Iterators over the elements of tensors, as NumPy's over those of arrays: `np.nditer` and `np.ndenumerate` inside of lifted
functions, whose elements are views."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.index import Whole
from tapenet.lifting.namespace import STANDS
from tapenet.lifting.subscripts import getitem
from tapenet.lifting.turns import Turns
from tapenet.ops.derived import holds_tensors

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike, Shape


class ndindex:
    """Stands for `np.ndindex`: the indices of an array of a shape."""

    def __init__(self, *shape: object) -> None:
        given = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        self._shape = tuple(map(operator.index, cast("tuple[int, ...]", given)))
        self._plain = np.ndindex(self._shape)

    def turns(self) -> Turns:
        """The turns of a loop over them."""
        return Turns(math.prod(self._shape), self._index)

    def _index(self, turn: Whole) -> tuple[object, ...]:
        """The index at a turn."""
        found: list[object] = []
        behind = math.prod(self._shape)
        for axis, n in enumerate(self._shape):
            behind //= n
            place = turn // behind if behind > 1 else turn
            found.append(place if axis == 0 else place % n)
        return tuple(found)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return self._plain

    def __next__(self) -> tuple[int, ...]:
        return next(self._plain)


class ndenumerate:
    """Stands for `np.ndenumerate`: pairs of an index and the element that it leads to."""

    def __new__(cls, arr: object) -> Self:
        return super().__new__(cls) if isinstance(arr, Tensor) else cast("Self", np.ndenumerate(arr))

    def __init__(self, arr: Tensor) -> None:
        self._pairs = ((index, arr[index]) for index in np.ndindex(arr.shape))
        self._array = arr

    def turns(self) -> Turns:
        """The turns of a loop over them."""
        places = ndindex(self._array.shape).turns()

        def pair(turn: Whole) -> tuple[object, object]:
            index = places.item(turn)
            return index, getitem(self._array, index)

        return Turns(places.number, pair)

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        return self

    def __next__(self) -> tuple[tuple[int, ...], Tensor]:
        return next(self._pairs)


#: Flags that say how NumPy goes through memory; of a tensor's elements there is one order.
_ABOUT_MEMORY = {
    "buffered",
    "grow_inner",
    "growinner",
    "delay_bufalloc",
    "copy_if_overlap",
    "common_dtype",
    "refs_ok",
    "ranged",
}
_FLAGS = _ABOUT_MEMORY | {"multi_index", "c_index", "f_index", "external_loop", "reduce_ok", "zerosize_ok"}


class nditer:
    """Stands for `np.nditer`: goes through the elements of tensors that are broadcast against each other. Elements of those to
    be written are views without axes, which `x[...] = value` writes; others are numbers."""

    def __new__(cls, op: object, *args: object, **kwargs: object) -> Self:
        return super().__new__(cls) if holds_tensors(op) else cast("Self", np.nditer(op, *args, **kwargs))  # type: ignore[call-overload]

    def __init__(
        self, op: object, flags: Sequence[str] | None = None, op_flags: Sequence[object] | None = None,
        op_dtypes: DTypeLike | Sequence[DTypeLike] | None = None, order: str = "K", casting: str = "safe",
        op_axes: Sequence[Sequence[int]] | None = None, itershape: Sequence[int] | None = None, buffersize: int = 0,
    ) -> None:  # fmt: skip
        given = list(op) if isinstance(op, (list, tuple)) else [op]
        self._flags = frozenset(flags or ())
        if op_axes is not None or not self._flags <= _FLAGS:
            what = "op_axes=" if op_axes is not None else f"flags {sorted(self._flags - _FLAGS)}"
            raise TypeError(f"np.nditer: {what} cannot be followed on tensors: bring them to the same axes first")
        each = _each(op_flags, len(given))
        known = [Tensor._of(np.asarray(x)) if not isinstance(x, Tensor) else x for x in given if x is not None]
        shape = np.broadcast_shapes(*(x.shape for x in known))
        if itershape is not None:
            shape = np.broadcast_shapes(shape, tuple(n if n >= 0 else 1 for n in itershape))
        dtypes = list(op_dtypes) if isinstance(op_dtypes, (list, tuple)) else [op_dtypes] * len(given)
        common = np.result_type(*(x.dtype for x in known))
        left = iter(known)
        self.operands: tuple[Tensor, ...] = tuple(
            ops.zeros(shape, common if dtype is None else dtype) if x is None else next(left)
            for x, dtype in zip(given, dtypes, strict=True)
        )
        self._written = [x is None or bool({"readwrite", "writeonly"} & f) for x, f in zip(given, each, strict=True)]
        self.shape: Shape = shape
        self.ndim, self.nop = len(shape), len(given)
        # NumPy itself says in which order it goes through arrays that lie in memory so.
        beside = [np.broadcast_to(x._data, shape) for x in self.operands]
        walk = np.nditer(beside, ["multi_index", "zerosize_ok"], order=cast("Literal['K']", order))
        self._places = [walk.multi_index for _ in walk] if shape else [()]
        if "external_loop" in self._flags and self._places != list(np.ndindex(shape)):
            raise TypeError(
                'np.nditer: "external_loop" cannot be followed on tensors that do not lie in row-major order: give order="C" '
                "on copies of them"
            )
        self.itersize = len(self._places)
        self.reset()

    def reset(self) -> None:
        """Go to the beginning."""
        self._at = 0
        self._begun = False

    @property
    def finished(self) -> bool:
        """Whether it has gone through all."""
        return self._at >= (1 if "external_loop" in self._flags and self.itersize else self.itersize)

    def iternext(self) -> bool:
        """Go on to the next elements, and say whether there are any."""
        self._at += 1
        return not self.finished

    @property
    def iterindex(self) -> int:
        """How many elements come before."""
        return self._at

    @property
    def multi_index(self) -> tuple[int, ...]:
        """Where it is."""
        self._needs("multi_index")
        return self._places[self._at]

    @property
    def index(self) -> int:
        """Where it is, as a flat index."""
        if "f_index" not in self._flags:
            self._needs("c_index")
        order = "F" if "f_index" in self._flags else "C"
        return int(np.ravel_multi_index(self._places[self._at], self.shape, order=order)) if self.shape else 0  # type: ignore[call-overload]

    def _needs(self, flag: str) -> None:
        if flag not in self._flags:
            raise ValueError(f"np.nditer is not asked to keep an index: give flags=[{flag!r}]")

    def _place(self, operand: Tensor) -> tuple[object, ...]:
        """The index of the present element of an operand, which may be broadcast."""
        whole = self._places[self._at][self.ndim - operand.ndim :]
        return tuple(0 if n == 1 else i for i, n in zip(whole, operand.shape, strict=True))

    def __getitem__(self, i: int) -> Tensor:
        operand = self.operands[i]
        if "external_loop" in self._flags:
            row = operand if operand.shape == self.shape else ops.broadcast_to(operand, self.shape)
            return cast("Tensor", ops.reshape(row, -1))
        place = self._place(operand)
        return operand[(*place, ...)] if self._written[i] else operand[place]

    def __setitem__(self, i: int, value: object) -> None:
        operand = self.operands[i]
        if not self._written[i]:
            raise ValueError(
                "np.nditer: an operand that is read alone is written to: give op_flags=['readwrite'] for it"
            )
        if "external_loop" in self._flags:
            operand[...] = ops.reshape(ops.broadcast_to(value, (operand.size,)), operand.shape)
        else:
            operand[(*self._place(operand), ...)] = value

    @property
    def value(self) -> Tensor | tuple[Tensor, ...]:
        """The present elements: of one operand as they are, of several a tuple."""
        found = tuple(self[i] for i in range(self.nop))
        return found[0] if self.nop == 1 else found

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, ...]]:
        return self

    def __next__(self) -> Tensor | tuple[Tensor, ...]:
        if self._begun:
            self._at += 1
        self._begun = True
        if self.finished:
            raise StopIteration
        return self.value

    def __len__(self) -> int:
        return self.itersize

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is left to be written: it is done at once."""


def _each(op_flags: Sequence[object] | None, count: int) -> list[set[str]]:
    """The flags of each operand."""
    if not op_flags:
        return [set() for _ in range(count)]
    if isinstance(op_flags[0], str):
        return [set(cast("Sequence[str]", op_flags)) for _ in range(count)]
    return [set(cast("Sequence[str]", flags)) for flags in op_flags]


STANDS[np.ndindex] = ndindex
STANDS[np.ndenumerate] = ndenumerate
STANDS[np.nditer] = nditer

"""Types that annotations share. Knows nothing of the package, so that every part may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:  # numpy.typing takes a while to load
    from collections.abc import Sequence
    from types import EllipsisType

    from numpy.typing import ArrayLike as ArrayLike
    from numpy.typing import DTypeLike as DTypeLike
    from typing_extensions import CapsuleType as CapsuleType

#: A NumPy array of any shape and dtype. In the formula of an op: whatever stands for one, a symbol or a tensor too.
Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
#: The lengths of an array's axes.
Shape: TypeAlias = tuple[int, ...]
#: What `axis=` takes: one axis, several, or all of them (None).
Axis: TypeAlias = int | tuple[int, ...] | None
#: What an array is indexed by.
Index: TypeAlias = (
    "int | slice | EllipsisType | Array | Sequence[int] | tuple[int | slice | EllipsisType | Array | None, ...] | None"
)
#: A number: Python's or NumPy's.
Number: TypeAlias = bool | int | float | complex | np.generic
#: The dtype of an array.
DType: TypeAlias = np.dtype[Any]
#: What a `state_dict()` gives: numbers, texts, arrays, and lists and dicts of these, by name.
StateDict: TypeAlias = dict[str, Any]


class Ranks(Protocol):
    """The processes of one program, over which work is split: `tn.parallel`."""

    @property
    def rank(self) -> int:
        """Which one this is."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    @property
    def map(self) -> Any:
        """What a function gives for each of some items, which ranks take in turn: the whole list on each."""
        ...

    @property
    def allgather(self) -> Any:
        """An op: all ranks' arrays behind each other."""
        ...

    @property
    def allreduce(self) -> Any:
        """An op: their sum."""
        ...


if TYPE_CHECKING:
    from typing import Literal, TypedDict

    class SupportsDLPack(Protocol):
        """An array or tensor of any library that gives its memory to others by the DLPack protocol."""

        def __dlpack__(self, *, stream: None = None) -> CapsuleType: ...

    #: What `casting=` takes, as in NumPy.
    Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]

    class UfuncOptions(TypedDict, total=False):
        """The options that NumPy's ufuncs take, and so the ops that stand for them."""

        out: Any
        where: ArrayLike
        casting: Casting
        order: Literal["K", "A", "C", "F"]
        dtype: DTypeLike | None
        subok: bool
        signature: str | tuple[str | None, ...]

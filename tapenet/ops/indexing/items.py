"""Reading and writing parts of arrays, and writing to storage.

Rules are stated: they give sparse gradients, and derived ones take 1.2 to 1.8 times as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.indexing.adding import add_at, basic_index, zeros_for
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.typing import Array, Index, Shape

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike


class Given(np.ndarray):
    """A view of an array that nobody else holds: `setitem` writes into it, and gives it back as its result."""

    def whole(self) -> Array:
        """That array."""
        assert self.base is not None
        return self.base


class Cleared:
    """A gradient `g`, but zeros at an index. What an earlier write gets of `setitem`: a backward pass clears in place what it
    owns, so that many writes to an array cost as much as the parts that were written."""

    __slots__ = ("g", "index")

    def __init__(self, g: Array, index: Index) -> None:
        self.g = g
        self.index = index

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return setitem(self.g, 0, self.index)


def _show(index: object) -> str:
    def one(i: object) -> str:
        if isinstance(i, slice):
            parts = ["" if p is None else str(p) for p in (i.start, i.stop)]
            return ":".join(parts + ([str(i.step)] if i.step is not None else []))
        if i is Ellipsis:
            return "..."
        return f"{i.dtype} {i.shape}" if isinstance(i, np.ndarray) else str(i)

    return ", ".join(one(i) for i in index) if isinstance(index, tuple) else one(index)


@op(
    precision="moves",
    nondiff=("index",),
    a=lambda g, index: Scatter(index, g),
    label="[ ]",
    samples=lambda r: [
        sample(r.normal(size=(4, 3)), 1),
        sample(r.normal(size=(4, 3)), (slice(None), -1)),
        sample(r.normal(size=(4, 3)), (Ellipsis, None, slice(None, None, 2))),
        sample(r.normal(size=(4, 3)), np.array([0, 2, 2, 0])),
        sample(r.normal(size=(4, 3)), (np.array([0, 2, 2]), np.array([1, 1, 1]))),
        sample(r.normal(size=(4, 3)), r.normal(size=(4, 3)) > 0),
        sample(r.normal(size=(4, 3, 2)), (np.array([[0], [3]]), slice(None), np.array([0, 1]))),
        sample(r.normal(size=(4, 3)), [0, 3]),
    ],
    hint=lambda a, index: f"a has shape {np.shape(a)}, the index is [{_show(index)}]",
)
def getitem(a: Array, index: Array) -> Array:
    """The part of `a` that an index selects, as `a[index]`: integers, slices, None, Ellipsis, integer and boolean
    arrays (or tensors) in any NumPy combination. A basic index gives a view.

    The gradient is added back into place; elements selected more than once get the sum.

    Raises:
        IndexError: the index does not fit the shape.

    >>> import tapenet as tn
    >>> tn.getitem(tn.tensor([1.0, 2.0, 3.0]), slice(1, None))
    Tensor([2., 3.])
    """
    return a[index]


@op(
    label="scatter add",
    nondiff=("index",),
    values=lambda g, index: g[index],
    samples=lambda r: [
        sample(r.normal(size=3), np.array([0, 2, 2]), (4,)),
        sample(r.normal(size=(2, 3)), slice(1, 3), (4, 3)),
        sample(r.normal(size=(3, 2)), np.array([0, 2, 2]), (4, 2)),
    ],
)
def scatter_add(values: Array, index: Index, shape: Shape) -> Array:
    """Zeros of the given shape with `values` added at `index`; repeated positions accumulate.

    >>> import numpy as np, tapenet as tn
    >>> tn.scatter_add(tn.tensor([1.0, 2.0, 4.0]), np.array([0, 2, 2]), (3,))
    Tensor([1., 0., 6.])
    """
    out = zeros_for(values, shape)
    add_at(out, index, values)
    return out


@op(
    label="scatter sum",
    nondiff=("indices",),
    values=lambda g, indices: tuple(g[index] for index in indices),
    gradients="values: g[index] for each",
    samples=lambda r: [
        sample([r.normal(size=3), r.normal(size=2)], [np.array([0, 2, 2]), slice(1, 3)], (4,)),
        sample([r.normal(size=()), r.normal(size=()), r.normal(size=(4,))], (0, -1, slice(None)), (4,)),
    ],
)
def scatter_sum(values: Array, indices: Array, shape: Shape) -> Array:
    """Zeros of the given shape with each of `values` added at its index: one array for many small parts.

    >>> import tapenet as tn
    >>> tn.scatter_sum([tn.tensor(1.0), tn.tensor([2.0, 4.0])], [0, slice(0, 2)], (3,))
    Tensor([3., 4., 0.])
    """
    out = zeros_for(values[0], shape, np.result_type(*(v.dtype for v in values)))
    for value, index in zip(values, indices, strict=True):
        add_at(out, index, value)
    return out


@op(
    label="[ ] +=",
    sequences=(),
    nondiff=("index",),
    a=lambda g: g,
    values=lambda g, index: g[index],
    samples=lambda r: [
        sample(r.normal(size=4), r.normal(size=3), np.array([0, 2, 2])),
        sample(r.normal(size=(4, 3)), r.normal(size=(2, 3)), slice(1, 3)),
        sample(r.normal(size=(4, 2)), r.normal(size=(3, 2)), np.array([0, 2, 2])),
    ],
)
def index_add(a: Array, values: Array, index: Index) -> Array:
    """A copy of `a` with `values` added at `index`; repeated positions accumulate. `np.add.at` on a tensor is this.

    Args:
        a: an array.
        values: of the shape of a[index].
        index: as of `getitem`.

    >>> import numpy as np, tapenet as tn
    >>> tn.index_add(tn.tensor([1.0, 1.0]), np.array([2.0, 3.0]), np.array([0, 0]))
    Tensor([6., 1.])
    """
    out = np.copy(a, "K")
    add_at(out, index, values)
    return out


def _setitem_value(g: Array, a_shape: tuple[int, ...], index: Index, value_shape: tuple[int, ...]) -> Array:
    read = g[index]
    if _may_repeat(a_shape, index, math.prod(read.shape)):
        # Each place is marked by the last value written there. Earlier ones have no effect, and no gradient.
        order = np.reshape(np.arange(math.prod(read.shape)), read.shape)
        if type(g) is np.ndarray:
            marks = np.empty(a_shape, order.dtype)
            marks[index] = order
        else:
            marks = setitem(np.zeros(a_shape, order.dtype), order, index)
        read = np.where(np.equal(marks[index], order), read, 0)
    return unbroadcast(read, value_shape)


def _may_repeat(shape: tuple[int, ...], index: Index, count: int) -> bool:
    """Whether an index that reads so many elements names some twice, or may: one that is not known yet, while a step is
    captured. Only an array of integers can."""
    parts: Any = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(i, list) or (hasattr(i, "dtype") and i.ndim and i.dtype != bool) for i in parts):
        return False
    numbers = [n for i in parts for n in (i if isinstance(i, list) else [i])]
    if any(
        hasattr(n, "dtype") and not isinstance(n, (np.ndarray, np.generic)) for n in numbers
    ):  # a tensor or a symbol
        return True
    named = np.zeros(shape, bool)
    named[index] = True
    return bool(np.count_nonzero(named) < count)


def _setitem_rule(
    g: Array, a_shape: Shape, value_shape: Shape, index: Index, wanted: Collection[str]
) -> dict[str, Array | Cleared]:
    found: dict[str, Array | Cleared] = {}
    plain = type(g) is np.ndarray
    if "value" in wanted:
        read = _setitem_value(g, a_shape, index, value_shape)
        found["value"] = np.copy(read) if plain and basic_index(index) else read  # no view of what is cleared now
    if "a" in wanted:
        found["a"] = Cleared(g, index) if plain else setitem(g, 0, index)
    return found


@op(
    precision="moves",
    sequences=(),
    nondiff=("index",),
    joint=_setitem_rule,
    label="[ ]=",
    gradients="a: g, but 0 at index; value: g[index], 0 where overwritten",
    samples=lambda r: [
        sample(r.normal(size=(4, 3)), r.normal(size=3), 1),
        sample(r.normal(size=(4, 3)), r.normal(size=(4, 1)), (slice(None), slice(1, 3))),
        sample(r.normal(size=(4, 3)), 0.5, np.array([0, 2])),
        sample(r.normal(size=(4, 3)), r.normal(size=()), r.normal(size=(4, 3)) > 0),
        sample(r.normal(size=5), r.normal(size=3), [3, 0, 3]),
        sample(r.normal(size=(3, 2)), r.normal(size=2), np.array([1, 0, 1])),
    ],
    hint=lambda a, value, index: (
        f"a has shape {np.shape(a)}, the value {np.shape(value)}, the index is [{_show(index)}]"
    ),
)
def setitem(a: Array, value: Array, index: Index) -> Array:
    """A copy of `a` with `value` (broadcast) at `index`. `t[index] = value` on a tensor is this.

    Where an index array names a position twice the last value wins, as in NumPy, and the others have gradient 0.

    Raises:
        IndexError, ValueError: the index or the value does not fit.

    >>> import tapenet as tn
    >>> tn.setitem(tn.tensor([1.0, 2.0]), 5.0, 0)
    Tensor([5., 2.])
    """
    if isinstance(a, Given):
        out = a.whole()
    else:
        out = np.empty_like(a) if index is Ellipsis else np.copy(a, "K")
    out[index] = value
    return out


@op(
    precision="moves",
    nondiff=True,
    effect=True,
    label="←",
    samples=lambda r: [sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)))],
)
def assign(target: Array, value: Array) -> Array:
    """Write `value` into the storage of `target`, as `t.data = value` does while a step is being captured.

    >>> import numpy as np, tapenet as tn
    >>> a = np.zeros(2)
    >>> tn.assign(a, np.ones(2)) is a
    True
    """
    np.copyto(target, value, casting="same_kind")
    return target


@op(
    effect=True,
    samples=lambda r: [sample(lambda: 0.5)],
)
def host(evaluate: Callable[[], object], dtype: DTypeLike | None = None) -> Array:
    """A number that the host program computes anew at every replay, such as a learning rate: `evaluate()` as an
    array.

    >>> import tapenet as tn
    >>> tn.host(lambda: 0.5)
    array(0.5)
    """
    return np.asarray(evaluate(), dtype=dtype)


def nonnegative(indices: Array) -> Array:
    """Indices of which the negative ones are out of any range, rather than counted from the end. For compiled forwards, which
    cannot look before they index; indexing itself raises there. The length is not asked for, so that code holds for all."""
    if indices.dtype.kind == "u":
        return indices
    indices = indices.astype(np.int64)
    return np.where(indices < 0, np.iinfo(np.int64).max, indices)


def raw_index(index: Any) -> Any:
    """An index with its tensors replaced by arrays."""
    if isinstance(index, tuple):
        return tuple(raw_index(i) for i in index)
    return index.numpy() if hasattr(index, "_node") else index

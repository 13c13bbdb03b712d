"""Tensors made of values, by the functions by which NumPy makes arrays.

NumPy's own answer `like=t` with a tensor: `np.array([s, 1.0], like=t)` is `tn.array([s, 1.0])`. What they are given may hold
tensors, and then they are differentiable. What they give are tensors, whatever they are given.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from tapenet.ops.arguments import check_device
from tapenet.ops.derived import array_like, derived, holds_tensors, made
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.joining import at_least
from tapenet.program.low import dtype_of
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


#: What `ascontiguousarray` and the like are made of.
@op(
    label="laid out",
    a=lambda g: g,
    samples=lambda r: [sample(r.normal(size=(2, 3)), "F"), sample(r.normal(size=(2, 3)), "C")],
)
def laid_out(a: Array, order: Literal["C", "F"]) -> Array:
    """The same values, laid out in memory by rows ("C") or by columns ("F"); a copy only if they are not so already.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.shapes.creation import laid_out
    >>> laid_out(tn.tensor(np.ones((2, 3))), "F").data.strides
    (8, 16)
    """
    return a.astype(a.dtype, order=order, copy=False)


def as_tensor(value: ArrayLike, dtype: DTypeLike | None, copy: bool | None) -> Array:
    """A value as a tensor in a dtype (None: its own), which shares memory with it unless `copy` is true."""
    if not holds_tensors(value):
        check_unmasked(value)
        # NumPy checks whether a copy would be needed.
        found = np.array(value, None if dtype is None else dtype_of(dtype), copy=copy, order="K")
        return made(found, shared=found is value)
    joined = array_like(value)
    cast = joined if dtype is None else np.astype(joined, dtype_of(dtype), copy=False)
    if copy is False and cast is not value:
        raise ValueError("copy=False, but to make one tensor of this takes a copy: leave it out")
    return np.copy(cast) if copy and cast is value else cast


def _in_order(a: Array, order: str | None) -> Array:
    if order in (None, "K", "A"):
        return a
    if order not in ("C", "F"):
        raise ValueError(f"order={order!r} is none of 'C', 'F', 'A' and 'K'")
    return laid_out(a, order)


def _lists(r: np.random.Generator) -> list[Sample]:
    return [
        sample([r.normal(size=()), r.normal(size=())]),
        sample([[r.normal(size=2)], (r.normal(size=2),)]),
        sample([r.normal(size=2), [r.normal(size=()), r.normal(size=())]]),
        sample(r.normal(size=(2, 3))),
        sample([1, 2]),
    ]


@derived(
    numpy=np.array,
    makes=True,
    samples=lambda r: [
        *_lists(r),
        sample(r.normal(size=2), np.int64),
        sample(r.normal(size=(2, 3)), order="F", ndmin=3),
        sample([r.normal(size=())], copy=None),
    ],
)
def array(
    object: Array, dtype: DTypeLike | None = None, *, copy: bool | None = True, order: str | None = "K", subok: bool = False,
    ndmin: int = 0, ndmax: int = 0,
) -> Array:  # fmt: skip
    """A tensor of numbers, arrays and tensors, in nested lists of equal lengths. Tensors stay in their graph.

    (`tn.tensor` takes of a tensor the values alone, and can ask for a gradient.)

    Args:
        object: a number, an array, a tensor, or nested lists of these.
        dtype: by default what all parts promote to, where a Python float counts as float64.
        copy: None copies only what has to be; False raises where a copy is needed.
        order: of the elements in memory: by rows "C", by columns "F", or as they are.
        subok: for NumPy's sake; no tensor is a subclass.
        ndmin: axes of length one come in front up to so many axes.
        ndmax: the most axes, if not 0.

    Raises:
        ValueError: lists of unequal lengths; a copy is needed but `copy=False`; more axes than `ndmax`.
        TypeError: something that is no number.

    >>> import numpy as np, tapenet as tn
    >>> s = tn.tensor(2.0, requires_grad=True)
    >>> tn.array([[s, 1.0], [0.0, s * s]])
    Tensor([[2., 1.],
            [0., 4.]], op=stack)
    >>> np.array([s, 1.0], like=s)
    Tensor([2., 1.], op=stack)
    """
    found = _in_order(as_tensor(object, dtype, copy), order)
    if ndmax and found.ndim > ndmax:
        raise ValueError(f"array: these are {found.ndim} axes, more than ndmax={ndmax}")
    return at_least(found, ndmin)


@derived(
    numpy=np.asarray,
    makes=True,
    samples=lambda r: [*_lists(r), sample(r.normal(size=2), np.int64), sample([], order="F")],
)
def asarray(
    a: Array,
    dtype: DTypeLike | None = None,
    order: str | None = None,
    *,
    device: object = None,
    copy: bool | None = None,
) -> Array:
    """A tensor of numbers, arrays and tensors, as `array` makes it; a tensor is returned as it is, and an array shares its
    memory.

    Args:
        a: a number, an array, a tensor, or nested lists of these.
        dtype: by default what all parts promote to.
        order: of the elements in memory: by rows "C", by columns "F", or as they are.
        device: "cpu", if anything.
        copy: True copies in any case; False raises where a copy is needed.

    Raises:
        ValueError: lists of unequal lengths, or a copy is needed but `copy=False`.
        TypeError: something that is no number.

    >>> import numpy as np, tapenet as tn
    >>> a = np.zeros(2)
    >>> tn.asarray(a).data is a
    True
    """
    check_device("asarray", device)
    return _in_order(as_tensor(a, dtype, copy), order)


@derived(numpy=np.asanyarray, makes=True, samples=lambda r: [*_lists(r), sample(r.normal(size=2), np.int64)])
def asanyarray(
    a: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str | None = None,
    *,
    device: object = None,
    copy: bool | None = None,
) -> Array:
    """`asarray`: tensors have no subclasses.

    >>> import tapenet as tn
    >>> tn.asanyarray([1.0, 2.0])
    Tensor([1., 2.])
    """
    return asarray(a, dtype, order, device=device, copy=copy)


@derived(
    numpy=np.ascontiguousarray,
    makes=True,
    samples=lambda r: [*_lists(r), sample(r.normal(size=(3, 2)).T), sample(r.normal(size=()))],
)
def ascontiguousarray(a: Array, dtype: DTypeLike | None = None) -> Array:
    """`asarray` by rows in memory, and with one axis at least.

    >>> import tapenet as tn
    >>> tn.ascontiguousarray(tn.tensor([[1.0, 2.0]]).T).data.flags.c_contiguous
    True
    """
    return laid_out(at_least(as_tensor(a, dtype, None), 1), "C")


@derived(
    numpy=np.asfortranarray,
    makes=True,
    samples=lambda r: [*_lists(r), sample(r.normal(size=(2, 3))), sample(r.normal(size=()))],
)
def asfortranarray(a: Array, dtype: DTypeLike | None = None) -> Array:
    """`asarray` by columns in memory, and with one axis at least.

    >>> import numpy as np, tapenet as tn
    >>> tn.asfortranarray(tn.tensor(np.ones((2, 3)))).data.flags.f_contiguous
    True
    """
    return laid_out(at_least(as_tensor(a, dtype, None), 1), "F")


#: What `require` can be asked for, by NumPy's names.
_REQUIREMENTS = {
    **dict.fromkeys(("C", "C_CONTIGUOUS", "CONTIGUOUS"), "C"),
    **dict.fromkeys(("F", "F_CONTIGUOUS", "FORTRAN"), "F"),
    **dict.fromkeys(("O", "OWNDATA"), "O"),
    **dict.fromkeys(("W", "WRITEABLE"), "W"),
    **dict.fromkeys(("A", "ALIGNED"), "A"),
    **dict.fromkeys(("E", "ENSUREARRAY"), "E"),
}


@derived(
    numpy=np.require,
    makes=True,
    samples=lambda r: [*_lists(r), sample(r.normal(size=(2, 3)), None, ["F", "W"]), sample(r.normal(size=2), int, "C")],
)
def require(a: ArrayLike, dtype: DTypeLike | None = None, requirements: str | Sequence[str] | None = None) -> Array:
    """`asarray` with promises about memory.

    Args:
        a: a number, an array, a tensor, or nested lists of these.
        dtype: by default what all parts promote to.
        requirements: a letter or several: "C" or "F", by rows or by columns; "O" or "W", memory of its own, for which it is
            copied. What NumPy promises beside that ("A", "E") holds for every tensor.

    Raises:
        ValueError: another letter, or both orders.

    >>> import tapenet as tn
    >>> tn.require([1.0, 2.0], "float32", "C")
    Tensor([1., 2.], dtype=float32)
    """
    wanted = {_REQUIREMENTS.get(r.upper()) for r in requirements or ()}
    if None in wanted or wanted >= {"C", "F"}:
        raise ValueError(f"require: requirements={requirements!r} must be of C, F, O, W, A and E, not C and F at once")
    order: Literal["F", "C", "K"] = "F" if "F" in wanted else "C" if "C" in wanted else "K"
    found = asarray(a, dtype)
    return np.copy(found, order) if wanted & {"O", "W"} else _in_order(found, order)


@derived(
    numpy=np.fromiter,
    makes=True,
    samples=lambda r: [
        sample([r.normal(size=()), r.normal(size=())], np.float64),
        sample((1, 2, 3), np.int64, 2),
        sample([r.normal(size=2), r.normal(size=2)], (np.float64, 2)),
        sample((), float),
    ],
)
def fromiter(iter: Array, dtype: DTypeLike, count: int = -1) -> Array:
    """A tensor of the numbers or tensors that an iterator gives.

    Args:
        iter: anything that can be iterated over.
        dtype: of the result.
        count: how many to take; -1 takes all.

    Raises:
        ValueError: the iterator gives fewer than `count`, or arrays of another shape.

    >>> import tapenet as tn
    >>> s = tn.tensor(3.0)
    >>> tn.fromiter((s**k for k in range(3)), float)
    Tensor([1., 3., 9.])
    """
    parts = list(iter if count < 0 else itertools.islice(iter, count))
    dtype = dtype_of(dtype)
    if not holds_tensors(parts):
        check_unmasked(parts)
        return made(np.fromiter(parts, dtype, count))
    if len(parts) < count:
        raise ValueError(f"fromiter: count={count}, but the iterator gave {len(parts)} elements")
    found = array_like(parts)
    if found.shape[1:] != dtype.shape:
        raise ValueError(f"fromiter: the elements have shape {found.shape[1:]}, for dtype={dtype} it is {dtype.shape}")
    return np.astype(found, dtype.base, copy=False)

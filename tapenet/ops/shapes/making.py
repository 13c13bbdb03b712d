"""Tensors made of values, by the functions by which NumPy makes arrays.

NumPy's own answer `like=t` with a tensor: `np.array([s, 1.0], like=t)` is `tn.array([s, 1.0])`. What they are given may hold
tensors, and then they are differentiable. What they give are tensors, whatever they are given.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tapenet.ops.derived import array_like, derived, holds_tensors, is_tensor, made
from tapenet.ops.low import dtype_of
from tapenet.ops.op import Op, called, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.creation import float_dtype
from tapenet.ops.shapes.joining import at_least


def _laid_out(a: Any, order: str) -> Any:
    return np.asarray(a, order=order)  # type: ignore[call-overload]  # a str, which NumPy checks


#: What `ascontiguousarray` and its kin are made of.
laid_out: Op = op(
    _laid_out,
    name="laid_out",
    label="laid out",
    lower=lambda a, order: a,
    a=lambda g: g,
    formula="a, its elements in another order of memory",
    gradients="a: g",
    doc="""The same values, laid out in memory by rows ("C") or by columns ("F"); a copy only if they are not so already.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.shapes.making import laid_out
    >>> laid_out(tn.tensor(np.ones((2, 3))), "F").data.strides
    (8, 16)
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)), "F"), sample(r.normal(size=(2, 3)), "C")],
)


def _tensor(value: Any, dtype: Any, copy: bool | None) -> Any:
    """A value as a tensor in a dtype (None: its own), which shares memory with it unless `copy` is true."""
    if not holds_tensors(value):
        # NumPy itself looks at the copy that is not to be made.
        found = np.array(value, None if dtype is None else dtype_of(dtype), copy=copy, order="K")
        return made(found, shared=found is value)
    joined = array_like(value)
    cast = joined if dtype is None else np.astype(joined, dtype_of(dtype), copy=False)
    if copy is False and cast is not value:
        raise ValueError("copy=False, but to make one tensor of this takes a copy: leave it out")
    return np.copy(cast) if copy and cast is value else cast


def _in_order(a: Any, order: str | None) -> Any:
    if order in (None, "K", "A"):
        return a
    if order not in ("C", "F"):
        raise ValueError(f"order={order!r} is none of 'C', 'F', 'A' and 'K'")
    return laid_out(a, order)


def _lists(r: np.random.Generator) -> list[Any]:
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
    object: Any, dtype: Any = None, *, copy: bool | None = True, order: str | None = "K", subok: bool = False,
    ndmin: int = 0, ndmax: int = 0,
) -> Any:  # fmt: skip
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
    found = _in_order(_tensor(object, dtype, copy), order)
    if ndmax and found.ndim > ndmax:
        raise ValueError(f"array: these are {found.ndim} axes, more than ndmax={ndmax}")
    return at_least(found, ndmin)


@derived(
    numpy=np.asarray,
    makes=True,
    samples=lambda r: [*_lists(r), sample(r.normal(size=2), np.int64), sample([], order="F")],
)
def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, device: Any = None, copy: bool | None = None
) -> Any:
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
    _check_device("asarray", device)
    return _in_order(_tensor(a, dtype, copy), order)


@derived(numpy=np.asanyarray, makes=True, samples=lambda r: [*_lists(r), sample(r.normal(size=2), np.int64)])
def asanyarray(
    a: Any, dtype: Any = None, order: str | None = None, *, device: Any = None, copy: bool | None = None
) -> Any:
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
def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    """`asarray` by rows in memory, and with one axis at least.

    >>> import tapenet as tn
    >>> tn.ascontiguousarray(tn.tensor([[1.0, 2.0]]).T).data.flags.c_contiguous
    True
    """
    return laid_out(at_least(_tensor(a, dtype, None), 1), "C")


@derived(
    numpy=np.asfortranarray,
    makes=True,
    samples=lambda r: [*_lists(r), sample(r.normal(size=(2, 3))), sample(r.normal(size=()))],
)
def asfortranarray(a: Any, dtype: Any = None) -> Any:
    """`asarray` by columns in memory, and with one axis at least.

    >>> import numpy as np, tapenet as tn
    >>> tn.asfortranarray(tn.tensor(np.ones((2, 3)))).data.flags.f_contiguous
    True
    """
    return laid_out(at_least(_tensor(a, dtype, None), 1), "F")


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
def require(a: Any, dtype: Any = None, requirements: Any = None) -> Any:
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
    unknown = [r for r in requirements or () if r.upper() not in _REQUIREMENTS]
    wanted = {_REQUIREMENTS[r.upper()] for r in requirements or () if r not in unknown}
    if unknown or wanted >= {"C", "F"}:
        raise ValueError(f"require: requirements={requirements!r} must be of C, F, O, W, A and E, not C and F at once")
    found = asarray(a, dtype)
    if wanted & {"O", "W"}:
        return np.copy(found, "F" if "F" in wanted else "C" if "C" in wanted else "K")
    return _in_order(found, "F" if "F" in wanted else "C" if "C" in wanted else None)


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
def fromiter(iter: Any, dtype: Any, count: int = -1) -> Any:
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
        return made(np.fromiter(parts, dtype, count))
    if len(parts) < count:
        raise ValueError(f"fromiter: count={count}, but the iterator gave {len(parts)} elements")
    found = array_like(parts)
    if found.shape[1:] != dtype.shape:
        raise ValueError(f"fromiter: the elements have shape {found.shape[1:]}, for dtype={dtype} it is {dtype.shape}")
    return np.astype(found, dtype.base, copy=False)


# -- of shapes ---------------------------------------------------------------------------------------------------


def _check_device(name: str, device: Any) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"{name}: device={device!r} is not there; NumPy's only one is 'cpu'")


def _shapes(r: np.random.Generator) -> list[Any]:
    return [sample((2, 3)), sample(3, int), sample((), np.float32), sample((2, 0), order="F", device="cpu")]


def _uniform(name: str, value: int, shape: Any, dtype: Any, order: Any, device: Any) -> Any:
    _check_device(name, device)
    return made(np.full(shape, value, dtype_of(float if dtype is None else dtype), order))


@derived(numpy=np.zeros, makes=True, nondiff=True, samples=_shapes)
def zeros(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """Zeros, as a tensor.

    Args:
        shape: an integer or a tuple of them.
        dtype: float64 by default.
        order: of the elements in memory: by rows "C" or by columns "F".
        device: "cpu", if anything.

    Raises:
        ValueError: a negative length.

    >>> import tapenet as tn
    >>> tn.zeros(2)
    Tensor([0., 0.])
    """
    return _uniform("zeros", 0, shape, dtype, order, device)


@derived(numpy=np.ones, makes=True, nondiff=True, samples=_shapes)
def ones(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """Ones, as a tensor; the arguments are those of `zeros`.

    >>> import tapenet as tn
    >>> tn.ones(2, int)
    Tensor([1, 1], dtype=int64)
    """
    return _uniform("ones", 1, shape, dtype, order, device)


@derived(numpy=np.empty, makes=True, nondiff=True, samples=lambda r: [sample((0, 3)), sample(0, int, "F")])
def empty(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """A tensor to be written to; the arguments are those of `zeros`. NumPy leaves open what it holds; here these are zeros,
    so that a step that is run again gives the same.

    >>> import tapenet as tn
    >>> tn.empty((2, 3)).shape
    (2, 3)
    """
    return _uniform("empty", 0, shape, dtype, order, device)


@derived(
    numpy=np.full,
    makes=True,
    samples=lambda r: [
        sample((2, 3), r.normal(size=())),
        sample((2, 3), r.normal(size=(2, 1))),
        sample(3, r.normal(size=3), np.int64),
        sample((), r.normal(size=())),
        sample((2, 2), [r.normal(size=()), r.normal(size=())], order="F"),
        sample(2, 7),
    ],
)
def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Any:
    """A tensor filled with a value, which may be a tensor and is broadcast; the arguments are those of `zeros`, and the dtype
    is that of the value.

    Raises:
        ValueError: `fill_value` does not broadcast to the shape.

    >>> import tapenet as tn
    >>> tn.full((2,), tn.tensor(3.0))
    Tensor([3., 3.])
    """
    _check_device("full", device)
    if not holds_tensors(fill_value):
        return made(np.full(shape, fill_value, None if dtype is None else dtype_of(dtype), order))
    value = _tensor(fill_value, dtype, None)
    return np.copy(np.broadcast_to(value, shape), order)


@derived(
    numpy=np.eye,
    makes=True,
    nondiff=True,
    samples=lambda r: [sample(2), sample(2, 3, 1, np.float32), sample(3, M=2, k=-1, dtype=int, order="F")],
)
def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = float, order: Any = "C", *, device: Any = None) -> Any:
    """Ones on a diagonal, zeros beside it, as a tensor.

    Args:
        N: how many rows.
        M: how many columns; by default as many as rows.
        k: which diagonal: above the main one if positive, below if negative.
        dtype: of the numbers.
        order: of the elements in memory: by rows "C" or by columns "F".
        device: "cpu", if anything.

    >>> import tapenet as tn
    >>> tn.eye(2, 3, 1)
    Tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    _check_device("eye", device)
    return made(np.eye(N, M, k, dtype_of(dtype), order))


@derived(numpy=np.identity, makes=True, nondiff=True, samples=lambda r: [sample(2), sample(0), sample(3, np.float32)])
def identity(n: Any, dtype: Any = None) -> Any:
    """The identity matrix of `n` rows, as a tensor.

    >>> import tapenet as tn
    >>> tn.identity(2)
    Tensor([[1., 0.],
            [0., 1.]])
    """
    return eye(n, dtype=float if dtype is None else dtype)


@derived(
    numpy=np.tri,
    makes=True,
    nondiff=True,
    samples=lambda r: [sample(2), sample(2, 3, 1, bool), sample(3, M=2, k=-1, dtype=np.float32)],
)
def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = float) -> Any:
    """Ones on a diagonal and below it, zeros above, as a tensor; the arguments are those of `eye`.

    >>> import tapenet as tn
    >>> tn.tri(2)
    Tensor([[1., 0.],
            [1., 1.]])
    """
    return made(np.tri(N, M, k, dtype_of(dtype)))


# -- of numbers that count -----------------------------------------------------------------------------------------


def _stepped(start: Any, stop: Any, step: Any, dtype: Any) -> Any:
    if step == 0 and type(step) is not int:  # of which NumPy says so
        raise ValueError("a step of 0 comes to no end")
    if dtype is not None:
        return np.arange(start, stop, step, dtype=dtype)
    found = np.arange(start, stop, step)
    # NumPy's are float64 whatever the ends are.
    return found if found.dtype != np.float64 else found.astype(float_dtype(start, stop, step), copy=False)


#: What `arange` is of tensors.
stepped: Op = op(
    _stepped,
    name="stepped",
    label="arange",
    nondiff=("stop",),
    lower=called("how many elements it has depends on values"),
    start=lambda g: np.sum(g),
    step=lambda g: np.sum(g * np.arange(g.shape[0]).astype(g.dtype)),
    formula="start + i · step, for each i from 0 on with which it is before stop",
    gradients="start: Σ g; step: Σ g · i",
    doc="""The numbers from `start` on at steps of `step` before `stop`, which `arange` returns.

    >>> import tapenet as tn
    >>> from tapenet.ops.shapes.making import stepped
    >>> stepped(tn.tensor(0.5), 2.0, 1.0, None)
    Tensor([0.5, 1.5])
    """,
    samples=lambda r: [
        sample(np.array(0.3), 2.1, np.array(0.4), None),
        sample(np.array(3.0), np.array(-1.1), np.array(-1.5), None),
        sample(np.array(2.0), 1, 1, None),
    ],
)


@derived(
    numpy=np.arange,
    makes=True,
    samples=lambda r: [
        sample(np.array(0.3), 2.1, np.array(0.4)),
        sample(np.array(0.3), np.array(-3.0), -1),
        sample(np.array(3)),
        sample(1, 7, step=2),
        sample(2.5),
        sample(np.array(0.3), 9.0, 1.6, np.int64),
    ],
)
def arange(start: Any = None, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None) -> Any:
    """The numbers start, start + step, start + 2 step ... before `stop`, as a tensor.

    How many there are is a step of the arguments, without a derivative: those of the elements are 1 by `start` and 0, 1, 2
    ... by `step`. A compiled step is for one number of them: `start + step * np.arange(n)` says it.

    Args:
        start: the first number; without `stop` the numbers go from 0 to before it.
        stop: the numbers come before it.
        step: from one to the next, not 0.
        dtype: by default that of the arguments (NumPy's is float64 or int64 at least).
        device: "cpu", if anything.

    Raises:
        ValueError: a step of 0; ZeroDivisionError, if that is a Python integer.
        TypeError: an argument that is no number.

    >>> import numpy as np, tapenet as tn
    >>> tn.arange(3)
    Tensor([0, 1, 2], dtype=int64)
    >>> s = tn.tensor(0.5, requires_grad=True)
    >>> np.arange(0, 1.5, s, like=s).sum().backward()
    >>> s.grad
    Tensor(3.)
    """
    _check_device("arange", device)
    if stop is None:
        start, stop = None, start
    start = 0 if start is None else start
    shapes = [np.shape(v) for v in (start, stop, step)]
    if any(shapes):
        raise TypeError(f"arange: start, stop and step have shapes {shapes}: they are numbers, without axes")
    dtype = None if dtype is None else dtype_of(dtype)
    found = stepped(start, stop, step, dtype)
    return found if is_tensor(type(found)) else made(found)


@derived(
    numpy=np.fromfunction,
    makes=True,
    nondiff=True,
    samples=lambda r: [
        sample(lambda i, j: i * 2.5 + j, (2, 3)),
        sample(lambda i, power: i**power, (3,), dtype=int, power=2),
    ],
)
def fromfunction(function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """What a function makes of the indices of an array, which it is given as tensors, one for each axis. It may use tensors of
    its own, whose gradients are its.

    Args:
        function: called once, as `function(i, j, ..., **kwargs)`, with indices of the shape `shape`.
        shape: a tuple of integers.
        dtype: of the indices.
        **kwargs: passed on to the function.

    >>> import tapenet as tn
    >>> s = tn.tensor(10.0)
    >>> tn.fromfunction(lambda i, j: i * s + j, (2, 2))
    Tensor([[ 0.,  1.],
            [10., 11.]])
    """
    return function(*(made(i) for i in np.indices(shape, dtype_of(dtype))), **kwargs)

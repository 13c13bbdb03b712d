"""What NumPy's protocols pass beside the inputs: methods of ufuncs, and the options `out=`, `where=` and `dtype=`.

Everything here is written in terms of ops, so that it is recorded, differentiated and compiled as they are. A tensor is
written as `t[...] = value` does it: a new node behind the same handle.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapenet.ops.derived import Derived, array_like
from tapenet.ops.indexing.basic import raw_index, scatter_add
from tapenet.ops.op import Op, op
from tapenet.ops.reductions import cumulative
from tapenet.ops.reductions.basic import logsumexp
from tapenet.ops.registry import numpy_functions, numpy_name, sample

_UNSET: Any = np._NoValue


# -- out= --------------------------------------------------------------------------------------------------------


def write(name: str, result: Any, out: Any, casting: str = "same_kind") -> Any:
    """Give a result to the tensor that was passed as `out=`, and return that.

    Raises:
        TypeError: `out` is no tensor, or its dtype cannot hold the result.
        ValueError: its shape is another.
    """
    if isinstance(out, np.ndarray):
        refuse_array(name)
    if out.shape != result.shape:
        raise ValueError(f"{name}: out= has shape {out.shape}, the result {result.shape}: they must agree")
    _check_cast(name, result, out, casting)
    out[...] = result
    return out


def _given(name: str, result: Any, out: Any) -> Any:
    """A result of a ufunc's method, or the tensor it was to be written to; NumPy passes that as a tuple."""
    if isinstance(out, tuple):
        (out,) = out
    return result if out is None else write(name, result, out)


def _check_cast(name: str, result: Any, out: Any, casting: str) -> None:
    if not np.can_cast(result.dtype, out.dtype, casting):  # type: ignore[arg-type]  # a str, which NumPy checks
        raise TypeError(
            f"{name}: out= has dtype {out.dtype}, which cannot hold a result of {result.dtype} (casting={casting!r}): cast "
            "it with .astype"
        )


def refuse_array(name: str) -> NoReturn:
    """Raise for an array that a tensor would have to be written into."""
    raise TypeError(
        f"{name}: a tensor cannot be written into an array in place (`array += tensor` or out=); write "
        "`array = array + tensor`, or use tensor.numpy() to leave the graph"
    )


def function(func: Any, stands: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call what stands for a NumPy function with all that NumPy's own takes: `out=` by position or name, and options
    that say nothing about a tensor (`subok`, `like`, the memory order)."""
    place = out_position(func) if len(args) > 2 else None
    if (place is None or len(args) <= place) and SPECIAL.isdisjoint(kwargs):
        return stands(*args, **kwargs)
    options = dict(kwargs)
    if place is not None and len(args) > place:
        names = list(inspect.signature(func).parameters)
        options |= zip(names[place : len(args)], args[place:], strict=True)
        args = args[:place]
    out = options.pop("out", None)
    known = _names(stands)
    for option, neutral in _NEUTRAL.items():
        if option not in known and option in options and options[option] in neutral:
            del options[option]
    result = stands(*args, **options)
    return result if out is None else write(numpy_name(func), result, out)


#: Options of NumPy's functions that a tensor has no use for, with the values that may be passed all the same.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "subok": (True, False),
    "like": (None,),
    "device": (None, "cpu"),
    "order": (None, "K", "C", "A", "F"),
    "overwrite_input": (True, False),
}
#: Names of options for which `function` is needed.
SPECIAL = frozenset({"out", *_NEUTRAL})


@functools.cache
def out_position(func: Any) -> int | None:
    """Where a NumPy function takes `out` by position, if it does."""
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except ValueError:  # made in C, without a signature
        return None
    for i, p in enumerate(parameters):
        if p.name == "out":
            return i if p.kind is p.POSITIONAL_OR_KEYWORD else None
    return None


def _names(stands: Callable[..., Any]) -> set[str]:
    if isinstance(stands, Op):
        return {a.name for a in stands.arguments}
    return set(inspect.signature(stands.function if isinstance(stands, Derived) else stands).parameters)


# -- calls of a ufunc --------------------------------------------------------------------------------------------


def call(
    ufunc: np.ufunc, inputs: tuple[Any, ...], *, out: Any = None, where: Any = True, dtype: Any = None,
    casting: str = "same_kind", order: str = "K", subok: bool = True, **core: Any,
) -> Any:  # fmt: skip
    """`ufunc(*inputs, ...)` with options; `core` are those of ufuncs on vectors and matrices: axis, axes, keepdims.

    Raises:
        TypeError: `where=` without `out=`, an array as `out=`, or a dtype that the inputs cannot be cast to.
    """
    name = f"np.{ufunc.__name__}"
    outs = out or (None,) * ufunc.nout
    for o in outs:
        if isinstance(o, np.ndarray):
            refuse_array(name)
    if where is not True and any(o is None for o in outs):
        raise TypeError(
            f"{name}: where= without out= leaves the other elements unset: write np.where(mask, {name}(...), other), or "
            "give a tensor as out="
        )
    if dtype is not None:
        inputs = _cast(name, ufunc, inputs, np.dtype(dtype), casting)
    # What is computed where the mask is false nobody sees.
    with np.errstate(all=None if where is True else "ignore"):
        results = numpy_functions[ufunc](*inputs, **core)
    results = results if ufunc.nout > 1 else (results,)
    made = []
    for r, o in zip(results, outs, strict=True):
        if o is None:
            made.append(r)
            continue
        _check_cast(name, r, o, casting)
        kept = r if where is True else np.where(where, r.astype(o.dtype), o)
        made.append(write(name, np.broadcast_to(kept, o.shape) if _fits(kept, o) else kept, o, casting))
    return made[0] if ufunc.nout == 1 else tuple(made)


def _fits(value: Any, out: Any) -> bool:
    """Whether a result may be repeated to the shape of `out`, as NumPy does it."""
    try:
        return bool(value.shape != out.shape and np.broadcast_shapes(value.shape, out.shape) == out.shape)
    except ValueError:
        return False


def _cast(
    name: str, ufunc: np.ufunc, inputs: tuple[Any, ...], dtype: np.dtype[Any], casting: Any
) -> tuple[Any, ...]:  # fmt: skip
    """The inputs in the dtypes from which NumPy makes results of `dtype`."""
    weak = (int, float, complex)
    inputs = tuple(x if type(x) in weak else array_like(x) for x in inputs)
    kinds = tuple(type(x) if type(x) in weak else x.dtype for x in inputs)
    try:
        loop = ufunc.resolve_dtypes(
            (*kinds, *(None,) * ufunc.nout), signature=(None,) * ufunc.nin + (dtype,) * ufunc.nout, casting=casting
        )
    except TypeError as error:
        raise TypeError(f"{name}: dtype={dtype} is not for inputs of {', '.join(map(_kind, kinds))}: {error}") from None
    return tuple(
        x if type(x) in weak or x.dtype == kind else np.astype(x, kind) for x, kind in zip(inputs, loop, strict=False)
    )


def _kind(dtype: Any) -> str:
    return dtype.__name__ if isinstance(dtype, type) else str(dtype)


# -- methods of ufuncs -------------------------------------------------------------------------------------------

reduced = op(
    lambda a, ufunc, axis=0, *, dtype=None, keepdims=False: ufunc.reduce(a, axis, dtype, keepdims=keepdims),
    name="reduced",
    nondiff=("a",),
    label=lambda ufunc, **_: f"{ufunc.__name__.replace('_', ' ')} reduce",
    formula="the elements of a combined one after another",
    doc="""`ufunc.reduce(a, axis)` of a ufunc without a derivative. Returns a tensor without gradient.

    >>> import numpy as np, tapenet as tn
    >>> np.bitwise_xor.reduce(tn.tensor([6, 3])).item()
    5
    """,
    samples=lambda r: [
        sample(np.array([[6, 3], [5, 12]]), np.bitwise_and, 1),
        sample(np.array([[6, 3], [5, 12]]), np.gcd, axis=0, keepdims=True),
        sample(r.normal(size=(2, 3)) > 0, np.logical_xor, None),
    ],
)
accumulated = op(
    lambda a, ufunc, axis=0, *, dtype=None: ufunc.accumulate(a, axis, dtype),
    name="accumulated",
    nondiff=("a",),
    label=lambda ufunc, **_: f"{ufunc.__name__.replace('_', ' ')} accumulate",
    formula="the elements of a combined one after another, each result kept",
    doc="""`ufunc.accumulate(a, axis)` of a ufunc without a derivative. Returns a tensor without gradient.

    >>> import numpy as np, tapenet as tn
    >>> np.bitwise_or.accumulate(tn.tensor([4, 1])).tolist()
    [4, 5]
    """,
    samples=lambda r: [
        sample(np.array([[6, 3], [5, 12]]), np.bitwise_or, 1),
        sample(np.array([[6, 4], [9, 12]]), np.gcd),
    ],
)
#: Reductions that are functions of their own.
_REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logaddexp: logsumexp,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
_ACCUMULATIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.cumsum,
    np.multiply: np.cumprod,
    np.maximum: cumulative.cumulative_max,
    np.minimum: cumulative.cumulative_min,
    np.logaddexp: cumulative.logcumsumexp,
}


def _steps(ufunc: np.ufunc) -> bool:
    """Whether a ufunc has no derivative."""
    stands = numpy_functions[ufunc]
    return isinstance(stands, (Op, Derived)) and not stands.differentiable


def reduce(
    ufunc: np.ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = _UNSET, where: Any = True,
) -> Any:  # fmt: skip
    """`ufunc.reduce(array, axis, ...)`: by the op that is this reduction, or element after element."""
    name = f"np.{ufunc.__name__}.reduce"
    array = array_like(array)
    if not array.ndim and axis in (0, -1):
        axis = None
    options: dict[str, Any] = {"keepdims": keepdims}
    if ufunc in _REDUCTIONS:
        if dtype is not None:
            array = np.astype(array, np.dtype(dtype))
        if initial is not _UNSET and initial is not None:
            options["initial"] = initial
        if where is not True:
            options["where"] = where
        result = _REDUCTIONS[ufunc](array, axis, **options)
    elif _steps(ufunc) and initial is _UNSET and where is True:
        result = reduced(array, ufunc, axis, dtype=dtype, keepdims=keepdims)
    else:
        result = _fold(name, ufunc, array, axis, dtype, keepdims, initial, where)
    return _given(name, result, out)


def _fold(
    name: str, ufunc: np.ufunc, a: Any, axis: Any, dtype: Any, keepdims: bool, initial: Any, where: Any
) -> Any:  # fmt: skip
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    if len(axes) > 1 and ufunc.identity is None and ufunc not in (np.fmax, np.fmin):
        raise ValueError(f"{name} depends on the order of its elements: it takes one axis, not {axes}")
    if dtype is not None:
        a = np.astype(a, np.dtype(dtype))
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    rest = tuple(n for i, n in enumerate(a.shape) if i not in axes)

    def lines(x: Any) -> Any:
        return np.reshape(np.moveaxis(x, axes, range(len(axes))), (math.prod(a.shape[i] for i in axes), *rest))

    rows = lines(a)
    masks = None if where is True else lines(np.broadcast_to(array_like(where), a.shape))
    first = ufunc.identity if initial is _UNSET else initial
    elements: Iterable[int] = range(rows.shape[0])
    if initial is _UNSET and masks is None and rows.shape[0]:
        out, elements = rows[0], range(1, rows.shape[0])
    elif first is None:
        raise ValueError(f"{name} has nothing to start from: give initial=")
    else:
        # The sum of no rows is the zero of their kind: a tensor if they are one.
        out = np.broadcast_to(np.sum(rows[:0], axis=0) + first, rest)
    for i in elements:
        step = ufunc(out, rows[i])
        out = step if masks is None else np.where(masks[i], step, out)
    return np.reshape(out, kept) if keepdims else out


def accumulate(ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    """`ufunc.accumulate(array, axis, ...)`."""
    array = array_like(array)
    axis = normalize_axis_index(axis, array.ndim)
    if dtype is not None:
        array = np.astype(array, np.dtype(dtype))
    if ufunc in _ACCUMULATIONS:
        result = _ACCUMULATIONS[ufunc](array, axis)
    elif _steps(ufunc):
        result = accumulated(array, ufunc, axis)
    else:
        rows = np.moveaxis(array, axis, 0)
        found = [rows[0]] if rows.shape[0] else []
        for i in range(1, rows.shape[0]):
            found.append(ufunc(found[-1], rows[i]))
        result = np.stack(found, axis) if found else np.copy(array)
    return _given(f"np.{ufunc.__name__}.accumulate", result, out)


def outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    """`ufunc.outer(a, b)`: the ufunc of each element of `a` with each of `b`."""
    a, b = array_like(a), array_like(b)
    return call(ufunc, (np.reshape(a, (*a.shape, *(1 for _ in b.shape))), b), **options)


def reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    """`ufunc.reduceat(array, indices, axis, ...)`: reductions of slices."""
    name = f"np.{ufunc.__name__}.reduceat"
    array = array_like(array)
    axis = normalize_axis_index(axis, array.ndim)
    if dtype is not None:
        array = np.astype(array, np.dtype(dtype))
    starts = np.asarray(raw_index(indices))
    length = array.shape[axis]
    if starts.size and not (starts.min() >= 0 and starts.max() < length):
        raise IndexError(f"{name}: indices must lie within the {length} elements of axis {axis}")
    ends = np.append(starts[1:], length)
    ends = np.where(ends > starts, ends, starts + 1)
    rows = np.moveaxis(array, axis, 0)
    if ufunc is np.add:
        counts = ends - starts
        positions = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        result = scatter_add(rows[positions], np.repeat(np.arange(len(starts)), counts), (len(starts), *rows.shape[1:]))
    else:
        parts = [reduce(ufunc, rows[int(s) : int(e)]) for s, e in zip(starts, ends, strict=True)]
        result = np.stack(parts) if parts else rows[:0]
    result = np.moveaxis(result, 0, axis)
    return _given(name, result, out)


def at(ufunc: np.ufunc, a: Any, indices: Any, *b: Any) -> None:
    """`ufunc.at(a, indices, b)`: `a[indices] = ufunc(a[indices], b)` on a tensor, each time an element is named."""
    if isinstance(a, np.ndarray):
        refuse_array(f"np.{ufunc.__name__}.at")
    index = raw_index(indices)
    places = np.arange(a.size).reshape(a.shape)[index]
    values = [np.broadcast_to(array_like(v), places.shape) for v in b]
    if ufunc in (np.add, np.subtract):
        change = scatter_add(values[0], index, a.shape)
        a[...] = a + change if ufunc is np.add else a - change
        return
    flat = np.reshape(a, (-1,)) + 0  # a tensor of its own, which the rounds below may assign to
    order = np.argsort(places, axis=None, kind="stable")
    ordered = places.reshape(-1)[order]
    # How often an element was named before: in each round every element occurs once.
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if ordered.size else ordered
    turn = np.arange(ordered.size) - np.repeat(begins, np.diff(np.append(begins, ordered.size)))
    values = [np.reshape(v, (-1,)) for v in values]
    for n in range(int(turn.max(initial=-1)) + 1):
        chosen = order[turn == n]
        where = places.reshape(-1)[chosen]
        flat[where] = ufunc(flat[where], *(v[chosen] for v in values))
    a[...] = np.reshape(flat, a.shape)


METHODS: dict[str, Callable[..., Any]] = {
    "reduce": reduce,
    "accumulate": accumulate,
    "outer": outer,
    "reduceat": reduceat,
    "at": at,
}

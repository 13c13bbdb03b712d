"""What NumPy's protocols pass beside the inputs: the options `out=`, `where=` and `dtype=`.

Everything here is written in terms of ops, so that it is recorded, differentiated and compiled as they are. A tensor is
written as `t[...] = value` does it: a new node behind the same handle.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tapenet.ops.derived import Derived, array_or_number, is_tensor
from tapenet.ops.op import Op
from tapenet.ops.registry import numpy_functions, numpy_name, ufunc_name
from tapenet.ops.signatures import NEUTRAL, SPECIAL, by_name, parameters, position
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

UNSET: Any = np._NoValue


# -- out= --------------------------------------------------------------------------------------------------------


def write(name: str, result: Array, out: Array, casting: str = "same_kind") -> Array:
    """Give a result to the tensor that was passed as `out=`, and return that. The result of plain arrays may go into one.

    Raises:
        TypeError: `out` is no tensor, or its dtype cannot hold the result.
        ValueError: its shape is another.
    """
    if isinstance(out, np.ndarray):
        if is_tensor(type(result)):
            refuse_array(name)
    elif not is_tensor(type(out)):
        hint = "; keepdims is given by name: keepdims=True" if isinstance(out, bool) else ""
        raise TypeError(f"{name}: out= is the tensor to write to, not {type(out).__name__}{hint}")
    if out.shape != result.shape:
        raise ValueError(f"{name}: out= has shape {out.shape}, the result {result.shape}: they must agree")
    _check_cast(name, result, out, casting)
    out[...] = result
    return out


def _check_cast(name: str, result: Array, out: Array, casting: str) -> None:
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


def function(
    func: Callable[..., object], stands: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> object:
    """Call what stands for a NumPy function with what NumPy passes: `out=` by position too, and values that are not set."""
    if id(UNSET) in map(id, kwargs.values()):  # by identity, since == of a tensor compares element by element
        kwargs = {name: value for name, value in kwargs.items() if value is not UNSET}
    place = _out_position(func) if len(args) > 1 else None
    if place is not None and len(args) > place:
        args, kwargs = by_name(func, "out", args, kwargs)
    return stands(*args, **kwargs)


def further(stands: Op | Derived, args: tuple[object, ...], options: dict[str, Any]) -> object:
    """Call what stands for a NumPy function with the options that mean the same for all functions: `out=`, and those
    that mean nothing for a tensor. NotImplemented if there are none among the options."""
    if SPECIAL.isdisjoint(options):
        return NotImplemented
    asked = SPECIAL.intersection(options) - _names(stands)
    func = next((f for f in stands.numpy if not isinstance(f, np.ufunc)), None)
    if func is None or not asked <= _names(func):
        return NotImplemented
    taken = {name for name in asked if name == "out" or options[name] in NEUTRAL[name]}
    if not taken:
        return NotImplemented
    result = stands(*args, **{name: value for name, value in options.items() if name not in taken})
    out = options["out"] if "out" in taken else None
    return result if out is None else write(numpy_name(func), result, out, options.get("casting", "same_kind"))


#: The functions that take `out` as their second argument. All others take it as their third or a later one.
OUT_SECOND = frozenset({np.fix, np.isposinf, np.isneginf})


@functools.cache
def _out_position(func: Callable[..., object]) -> int | None:
    return position(func, "out")


@functools.lru_cache(1024)
def _names(function: Callable[..., object]) -> frozenset[str]:
    """The names of the arguments of a function; all of `SPECIAL`, if it does not say."""
    if isinstance(function, Op):
        return frozenset(a.name for a in function.arguments)
    known = parameters(function.function if isinstance(function, Derived) else function)
    return SPECIAL if known is None else frozenset(p.name for p in known)


# -- calls of a ufunc --------------------------------------------------------------------------------------------


def call(
    ufunc: np.ufunc,
    inputs: tuple[Array, ...],
    *,
    out: tuple[Array, ...] | None = None,
    where: ArrayLike = True,
    dtype: DTypeLike | None = None,
    casting: str = "same_kind",
    signature: str | tuple[DType | None, ...] | None = None,
    order: str = "K",
    subok: bool = True,
    **core: object,
) -> object:
    """`ufunc(*inputs, ...)` with options; `core` are those of ufuncs on vectors and matrices: axis, axes, keepdims.

    Raises:
        TypeError: `where=` without `out=`, an array as `out=`, or a dtype or signature that the inputs cannot be cast to.
    """
    name = ufunc_name(ufunc)
    outs = out or (None,) * ufunc.nout
    if where is not True and any(o is None for o in outs):
        raise TypeError(
            f"{name}: where= without out= leaves the other elements unset: write np.where(mask, {name}(...), other), or "
            "give a tensor as out="
        )
    if dtype is not None or signature is not None:
        inputs = _cast(name, ufunc, inputs, dtype, signature, casting)
    # What is computed where the mask is false nobody sees.
    with np.errstate(all=None if where is True else "ignore"):
        results = numpy_functions[ufunc](*inputs, **core)
    results = results if isinstance(results, tuple) else (results,)
    made = tuple(r if o is None else _written(name, r, o, where, casting) for r, o in zip(results, outs, strict=True))
    return made[0] if ufunc.nout == 1 else made


def _written(name: str, result: Array, out: Array, where: ArrayLike, casting: str) -> Array:
    """A result in the tensor that was passed as `out=`, where a mask chooses it and repeated to its shape."""
    if where is not True:
        _check_cast(name, result, out, casting)
        result = np.where(where, result.astype(out.dtype), out)
    if result.shape != out.shape and repeats_to(result.shape, out.shape):
        result = np.broadcast_to(result, out.shape)
    return write(name, result, out, casting)


def repeats_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of one shape may be repeated to another."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _cast(
    name: str, ufunc: np.ufunc, inputs: tuple[Array, ...], dtype: DTypeLike | None, signature: Any, casting: Any
) -> tuple[Array, ...]:  # fmt: skip
    """The inputs in the dtypes from which NumPy makes results of `dtype`, or those that a signature names."""
    inputs = tuple(map(array_or_number, inputs))
    kinds = tuple(x.dtype if hasattr(x, "dtype") else type(x) for x in inputs)
    if dtype is not None:  # NumPy has seen to it that one of them is given
        signature = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
        asked = f"dtype={np.dtype(dtype)}"
    else:
        asked = f"signature={signature!r}"
    try:
        loop = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout), signature=signature, casting=casting)
    except TypeError as error:
        raise TypeError(f"{name}: {asked} is not for inputs of {', '.join(map(_kind, kinds))}: {error}") from None
    if any(kind.hasobject for kind in loop):
        raise TypeError(f"{name}: {asked} is for arrays of objects; a tensor holds numbers")
    return tuple(
        np.astype(x, kind) if hasattr(x, "dtype") and x.dtype != kind else x
        for x, kind in zip(inputs, loop, strict=False)
    )


def _kind(dtype: type | DType) -> str:
    return dtype.__name__ if isinstance(dtype, type) else str(dtype)

"""What reductions share: masks, first values, and calls for the tests."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def hint(a: Array, *rest: ArrayLike) -> str:
    """How to repair a reduction that failed."""
    if any(type(v) is bool for v in rest[1:-1]):  # behind the axis, as in PyTorch
        return "Give keepdims by name: keepdims=True"
    if math.prod(np.shape(a)) == 0:
        return "Of no elements it is initial=, if that is given"
    return f"axis must lie within the {np.ndim(a)} axes of a"


def chosen(name: str, a: Array, where: ArrayLike, fill: ArrayLike) -> Array:
    """`a` with `fill` wherever the mask `where` is false."""
    if where is True:
        return a
    mask = array_like(where)
    if mask.dtype != bool:
        if isinstance(where, np.ndarray) or not isinstance(mask, (np.ndarray, np.generic)):
            raise TypeError(f"{name}: where= is a mask of booleans, not {mask.dtype}: compare, as in where=a > 0")
        mask = mask.astype(bool)  # numbers and lists of them are true where they are not 0
    where = mask
    if np.broadcast_shapes(a.shape, where.shape) != a.shape:
        raise ValueError(f"{name}: where= of shape {where.shape} does not broadcast to {a.shape}, the shape of a")
    return np.where(where, a, fill)


def number(value: ArrayLike, dtype: DType) -> Array:
    """`initial=`, a number or an array or tensor without axes, in the dtype of the result."""
    if not hasattr(value, "shape"):
        value = np.array(value, dtype)  # raises where the dtype cannot hold a number
    if np.shape(value):
        raise ValueError(f"initial= is a number, not an array of shape {np.shape(value)}")
    array = array_like(value)
    return array if array.dtype == dtype else array.astype(dtype)


def without_nan(a: Array, fill: ArrayLike) -> Array:
    """`a` with `fill` in place of nan."""
    a = array_like(a)
    return np.where(np.isnan(a), fill, a) if a.dtype.kind in "fc" else a


def holds(value: Array, test: Callable[[Array], ArrayLike]) -> bool:
    """Whether a test holds of one of the numbers of a value; nothing does of those that are not known yet, while a step is
    captured."""
    numbers = known(value)
    return numbers is not None and bool(np.any(test(numbers)))


def warn_of_none(freedom: Array, words: str = "Degrees of freedom <= 0 for slice") -> None:
    """NumPy's warning, where a number of elements or of degrees of freedom is 0 or less."""
    if holds(freedom, lambda n: n <= 0):
        warnings.warn(words, RuntimeWarning, stacklevel=2)


def conjugate(z: Array) -> Array:
    """The complex conjugate; what is real stays as it is."""
    return np.conj(z) if z.dtype.kind == "c" else z


def real(z: Array) -> Array:
    """The real part; what is real stays as it is."""
    return np.real(z) if z.dtype.kind == "c" else z


def like(a: Array, g: Array) -> Array:
    """`a` for a product with the gradient `g`: its real part if `g` is real, since `dtype=float` cut off the rest."""
    return real(a) if g.dtype.kind == "f" else a


def squared(z: Array) -> Array:
    """|z|², real."""
    return np.real(z) ** 2 + np.imag(z) ** 2 if z.dtype.kind == "c" else np.square(z)


def scaled(g: Array, d: Array, summary: Array) -> Array:
    """g · d, but 0 where g is 0, also where d is infinite or nan. If `summary` is an array of finite numbers, so is d."""
    return g * d if type(summary) is np.ndarray and np.isfinite(summary).all() else safe_mul(g, d)


def divisible(product: Array) -> bool:
    """Whether products in plain numbers may be divided by their factors: none is 0, and none over- or underflowed."""
    if type(product) is not np.ndarray or product.size == 0:
        return False
    size = np.abs(product)
    return bool(size.min() >= np.finfo(size.dtype).tiny and size.max() < math.inf)


def axis_samples(positive: bool = False) -> Samples:
    """Calls of a reduction over no, one, several and negative axes, with and without keepdims."""

    def make(r: np.random.Generator) -> list[Sample]:
        def array(*shape: int) -> Array:
            return r.uniform(0.5, 2.0, shape) if positive else r.normal(size=shape)

        return [
            sample(array(2, 3)),
            sample(array(2, 3), axis=0),
            sample(array(2, 3, 4), axis=(0, -1)),
            sample(array(2, 3, 4), axis=1, keepdims=True),
            sample(array(2, 3), keepdims=True),
            sample(array()),
        ]

    return make


def exact(r: np.random.Generator, *shape: int) -> Array:
    """Distinct numbers whose sums are exact in every order, since NumPy adds masked elements in an order of its own."""
    return r.permutation(math.prod(shape)).reshape(shape) / 4 - 1.125


def mask_of(*shape: int) -> Array:
    """A mask that chooses two of three elements."""
    return (np.arange(math.prod(shape)) % 3 > 0).reshape(shape)


def rare_samples(initial: float | None = None, where: bool = True) -> Samples:
    """Calls with where= and initial=."""
    start = {} if initial is None else {"initial": initial}
    needed = {} if where else start

    def make(r: np.random.Generator) -> list[Sample]:
        return [
            sample(exact(r, 2, 3), where=mask_of(2, 3), **needed),
            sample(exact(r, 2, 4), axis=-1, keepdims=True, where=np.array([True, False, True, False]), **needed),
            sample(exact(r, 2, 3), axis=0, where=np.array([[True], [False]]), **start),
            *([sample(exact(r, 2, 3), axis=(0, 1), **start), sample(exact(r, 0, 2), axis=0, **start)] if start else []),
        ]

    return make

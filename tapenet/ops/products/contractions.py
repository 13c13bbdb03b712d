"""Sums of products of two arrays, over axes beyond the matrix product.

One `contract` is a matrix product of its arguments with their axes in another order, and its gradients are contractions
too: so are their gradients in turn. Derived rules take 1.1 times as long where axes change places.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from functools import lru_cache
from operator import index
from typing import Any, NamedTuple

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape

LETTERS = string.ascii_uppercase + string.ascii_lowercase


class _Factor(NamedTuple):
    """How an array is laid out for the product: the order of its axes (None: as they are), then a shape."""

    order: tuple[int, ...] | None
    shape: tuple[int, ...]

    def of(self, a: Array) -> Array:
        if self.order is not None:
            a = a.transpose(self.order)
        return a if a.shape == self.shape else a.reshape(self.shape)


class _Plan(NamedTuple):
    """A contraction as a matrix product, or where nothing is summed a plain one; and what becomes of the result.

    `loop` says that there is no matrix product in it for which it would pay to copy an array: NumPy's own loop is quicker.
    """

    x: _Factor
    y: _Factor
    summed: bool
    shape: tuple[int, ...]
    order: tuple[int, ...] | None
    loop: bool


def order_of(labels: str, wanted: str) -> tuple[int, ...] | None:
    """In which order the axes with these labels are to come; None if they are in it."""
    return None if labels == wanted else tuple(map(labels.index, wanted))


def _split(subscripts: str) -> tuple[str, str, str]:
    """The labels of x, of y and of the result."""
    given, _, out = subscripts.partition("->")
    x, _, y = given.partition(",")
    return x, y, out


@lru_cache(maxsize=4096)
def _plan(subscripts: str, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> _Plan:
    x, y, out = _split(subscripts)
    if len(x) != len(x_shape) or len(y) != len(y_shape):
        raise ValueError(f"the subscripts are for {len(x)} and {len(y)} axes")
    if any(len(set(labels)) < len(labels) for labels in (x, y, out)):
        raise ValueError("a label occurs twice in one array, which einsum takes")
    if {*x} - {*y, *out} or {*y} - {*x, *out} or {*out} - {*x, *y}:
        raise ValueError("a label occurs in one array alone, which einsum takes")
    sizes = dict(zip(x + y, x_shape + y_shape, strict=True))
    if tuple(sizes[i] for i in x) != x_shape:
        raise ValueError("axes of one label differ in length")

    def count(labels: str) -> int:
        return math.prod(sizes[i] for i in labels)

    inner = "".join(i for i in x if i not in out)
    if not inner:  # a product, with axes of length one where a label is missing

        def spread(labels: str) -> _Factor:
            order = order_of(labels, "".join(i for i in out if i in labels))
            return _Factor(order, tuple(sizes[i] if i in labels else 1 for i in out))

        return _Plan(spread(x), spread(y), False, (), None, False)
    batch = "".join(i for i in out if i in x and i in y)
    left = "".join(i for i in out if i not in y)
    right = "".join(i for i in out if i not in x)
    stack = (count(batch),) if batch else ()
    made = batch + left + right
    # A matrix times a vector: axes that are not neighbours are merged by a copy, and BLAS takes rows or columns.
    larger, groups = (x, (batch, left, inner)) if left else (y, (batch, inner, right))
    copied = any(group not in larger for group in groups) or larger[-1] in batch
    return _Plan(
        _Factor(order_of(x, batch + left + inner), (*stack, count(left), count(inner))),
        _Factor(order_of(y, batch + inner + right), (*stack, count(inner), count(right))),
        True,
        tuple(sizes[i] for i in made),
        order_of(made, out),
        not (left or right) or (copied and not (left and right)),
    )


def _contract_x(g: Array, y: Array, subscripts: str) -> Array:
    first, second, out = _split(subscripts)
    return contract(g, y, f"{out},{second}->{first}")


def _contract_y(g: Array, x: Array, subscripts: str) -> Array:
    first, second, out = _split(subscripts)
    return contract(x, g, f"{first},{out}->{second}")


def _multiply_adds(x_shape: Shape, y_shape: Shape, subscripts: str) -> int:
    x, y, _ = _split(subscripts)
    return math.prod(dict(zip(x + y, (*x_shape, *y_shape), strict=True)).values())


def _contract_lanes(batched: frozenset[str], x: Array, y: Array, subscripts: str) -> object:
    if "c" not in (x.dtype.kind, y.dtype.kind):
        return NotImplemented  # products of real numbers are read
    first, second, out = _split(subscripts)
    lane = next(i for i in LETTERS if i not in subscripts)
    first, second = (lane + labels if n in batched else labels for n, labels in (("x", first), ("y", second)))
    return contract(x, y, f"{first},{second}->{lane}{out}")


@op(
    label=lambda subscripts: subscripts.replace("->", " → "),
    multiply_adds=_multiply_adds,
    x=_contract_x,
    y=_contract_y,
    formula="Σ x · y, over the labels not in the result",
    gradients="x: Σ g · y; y: Σ x · g",
    vmap=_contract_lanes,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 2)), "ij,jk->ik"),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(3, 2, 2)), "bij,jbk->kbi"),
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 2)), "ij,ji->"),
        sample(r.normal(size=(2, 3)), r.normal(size=3), "ij,j->ji"),
        sample(r.normal(size=2), r.normal(size=3), "i,j->ji"),
        sample(r.normal(size=()), r.normal(size=3), ",j->j"),
        sample(r.normal(size=(2, 0)), r.normal(size=(0, 3)), "ij,jk->ik"),
        sample(r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2)), r.normal(size=(2, 1)) + 1j, "ij,jk->ki"),
    ],
    hint=lambda x, y, subscripts: f"The subscripts are {subscripts!r}, the shapes {np.shape(x)} and {np.shape(y)}",
)
def contract(x: Array, y: Array, subscripts: str) -> Array:
    """One step of `einsum`: two arrays multiplied and summed, as one (batched) matrix product.

    Args:
        x, y: arrays.
        subscripts: a letter for every axis of x, of y and of the result, as in "bij,bjk->bik". Each letter stands in two
            or all three of them, in each at most once, and has one length. `einsum` takes all else.

    Raises:
        ValueError: the subscripts or the lengths do not fit.

    >>> import tapenet as tn
    >>> tn.contract(tn.tensor([[1.0, 2.0]]), tn.tensor([3.0, 4.0]), "ij,j->i")
    Tensor([11.])
    """
    plan = _plan(subscripts, x.shape, y.shape)
    if plan.loop and type(x) is type(y) is np.ndarray:
        return array_like(np.einsum(subscripts, x, y))
    x, y = plan.x.of(x), plan.y.of(y)
    if not plan.summed:
        return np.multiply(x, y)
    found: Array = np.matmul(x, y).reshape(plan.shape)
    return found if plan.order is None else found.transpose(plan.order)


@derived(
    numpy=(np.tensordot, np.linalg.tensordot),
    samples=lambda r: [
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(1, 3, 2))),
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 2)), axes=1),
        sample(r.normal(size=2), r.normal(size=3), axes=0),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), axes=(-1, 1)),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(3, 2, 1)), axes=([0, -1], [1, 0])),
        sample(r.normal(size=(2, 0)), r.normal(size=(0, 3)), axes=1),
        sample(r.normal(size=()), r.normal(size=2), axes=0),
    ],
)
def tensordot(a: Array, b: Array, axes: int | Sequence[int | Sequence[int]] = 2) -> Array:
    """The sum of products over pairs of axes, as one matrix product.

    Args:
        a, b: arrays.
        axes: n for the last n axes of `a` with the first n of `b`; or the axes of `a` and those of `b`, each one or a list.

    Returns:
        the other axes of `a`, then those of `b`.

    Raises:
        ValueError: axes that are paired differ in length or number, or an axis is named twice.

    >>> import numpy as np, tapenet as tn
    >>> tn.tensordot(tn.tensor(np.ones((2, 3))), np.ones((4, 3)), axes=(1, 1)).shape
    (2, 4)
    """
    a, b = array_like(a), array_like(b)
    left, right = _axes(axes)
    return contract(a, b, _paired(a.shape, b.shape, left, right))


def _axes(axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of either array that `tensordot` sums over: for a number n the last n and the first n."""
    try:
        n = index(axes)
    except TypeError:
        left, right = (tuple(p) if np.iterable(p) else (p,) for p in axes)
        return tuple(map(index, left)), tuple(map(index, right))
    return tuple(range(-n, 0)), tuple(range(n))


@lru_cache(maxsize=4096)
def _paired(a: tuple[int, ...], b: tuple[int, ...], over_a: tuple[int, ...], over_b: tuple[int, ...]) -> str:
    """The subscripts of a sum over pairs of axes of arrays of these shapes."""
    hint = f"tensordot: axes={over_a, over_b} of shapes {a} and {b} do not fit"
    if len(over_a) != len(over_b) or any(
        not -len(shape) <= i < len(shape) for shape, over in ((a, over_a), (b, over_b)) for i in over
    ):
        raise ValueError(f"{hint}: name equally many axes of each, that it has")
    if any(len({i % len(shape) for i in over}) < len(over) for shape, over in ((a, over_a), (b, over_b))):
        raise ValueError(f"{hint}: name each axis once")
    if any(a[i] != b[j] for i, j in zip(over_a, over_b, strict=True)):
        raise ValueError(f"{hint}: axes that are paired must be equally long")
    first, second = list(LETTERS[: len(a)]), list(LETTERS[len(a) : len(a) + len(b)])
    for i, j in zip(over_a, over_b, strict=True):
        second[j] = first[i]
    out = [i for i in first + second if i not in first or i not in second]
    return f"{''.join(first)},{''.join(second)}->{''.join(out)}"

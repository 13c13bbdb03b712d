"""Sums of products over axes beyond the matrix product: tensordot, and einsum step by step.

`einsum` is a sequence of contractions of two arrays each. One `contract` is a matrix product of its arguments with
their axes in another order, and its gradients are contractions too: so are their gradients in turn.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import index
from typing import Any, NamedTuple

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import Op, op
from tapenet.ops.products.basic import operand
from tapenet.ops.registry import answer, sample

LETTERS = string.ascii_uppercase + string.ascii_lowercase
#: The letter of a label that is a number.
_BY_NUMBER = dict(enumerate(LETTERS))

# -- two arrays --------------------------------------------------------------------------------------------------


class _Factor(NamedTuple):
    """How an array is laid out for the product: the order of its axes (None: as they are), then a shape."""

    order: tuple[int, ...] | None
    shape: tuple[int, ...]

    def of(self, a: Any) -> Any:
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


def _order(labels: str, wanted: str) -> tuple[int, ...] | None:
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
            order = _order(labels, "".join(i for i in out if i in labels))
            return _Factor(order, tuple(sizes[i] if i in labels else 1 for i in out))

        return _Plan(spread(x), spread(y), False, (), None, False)
    batch = "".join(i for i in out if i in x and i in y)
    left = "".join(i for i in out if i not in y)
    right = "".join(i for i in out if i not in x)
    stack = (count(batch),) if batch else ()
    made = batch + left + right
    # Of a matrix with a vector: axes that are not neighbours become one only in a copy, and BLAS wants rows or columns.
    larger, groups = (x, (batch, left, inner)) if left else (y, (batch, inner, right))
    copied = any(group not in larger for group in groups) or larger[-1] in batch
    return _Plan(
        _Factor(_order(x, batch + left + inner), (*stack, count(left), count(inner))),
        _Factor(_order(y, batch + inner + right), (*stack, count(inner), count(right))),
        True,
        tuple(sizes[i] for i in made),
        _order(made, out),
        not (left or right) or (copied and not (left and right)),
    )


def _contract(x: Any, y: Any, subscripts: str) -> Any:
    plan = _plan(subscripts, x.shape, y.shape)
    if plan.loop and type(x) is type(y) is np.ndarray:
        return np.einsum(subscripts, x, y)
    x, y = plan.x.of(x), plan.y.of(y)
    if not plan.summed:
        return np.multiply(x, y)
    found = np.matmul(x, y).reshape(plan.shape)
    return found if plan.order is None else found.transpose(plan.order)


def _contract_x(g: Any, y: Any, subscripts: str) -> Any:
    first, second, out = _split(subscripts)
    return contract(g, y, f"{out},{second}->{first}")


def _contract_y(g: Any, x: Any, subscripts: str) -> Any:
    first, second, out = _split(subscripts)
    return contract(x, g, f"{first},{out}->{second}")


def _multiply_adds(x_shape: Any, y_shape: Any, subscripts: str) -> int:
    x, y, _ = _split(subscripts)
    return math.prod(dict(zip(x + y, (*x_shape, *y_shape), strict=True)).values())


contract: Op = op(
    _contract,
    name="contract",
    label=lambda subscripts: subscripts.replace("->", " → "),
    multiply_adds=_multiply_adds,
    x=_contract_x,
    y=_contract_y,
    formula="Σ x · y, over the labels not in the result",
    gradients="x: Σ g · y; y: Σ x · g",
    doc="""One step of `einsum`: two arrays multiplied and summed, as one (batched) matrix product.

    Args:
        x, y: arrays.
        subscripts: a letter for every axis of x, of y and of the result, as in "bij,bjk->bik". Each letter stands in two
            or all three of them, in each at most once, and has one length. `einsum` takes all else.

    Raises:
        ValueError: the subscripts or the lengths do not fit.

    >>> import tapenet as tn
    >>> tn.contract(tn.tensor([[1.0, 2.0]]), tn.tensor([3.0, 4.0]), "ij,j->i")
    Tensor([11.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 2)), "ij,jk->ik"),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(3, 2, 2)), "bij,jbk->kbi"),
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 2)), "ij,ji->"),
        sample(r.normal(size=(2, 3)), r.normal(size=3), "ij,j->ji"),
        sample(r.normal(size=2), r.normal(size=3), "i,j->ji"),
        sample(r.normal(size=()), r.normal(size=3), ",j->j"),
        sample(r.normal(size=(2, 0)), r.normal(size=(0, 3)), "ij,jk->ik"),
    ],
    mend=lambda x, y, subscripts: f"The subscripts are {subscripts!r}, the shapes {np.shape(x)} and {np.shape(y)}",
)


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
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
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


def _axes(axes: Any) -> tuple[Any, Any]:
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
    mend = f"tensordot: axes={over_a, over_b} of shapes {a} and {b} do not fit"
    if len(over_a) != len(over_b) or any(
        not -len(shape) <= i < len(shape) for shape, over in ((a, over_a), (b, over_b)) for i in over
    ):
        raise ValueError(f"{mend}: name equally many axes of each, that it has")
    if any(len({i % len(shape) for i in over}) < len(over) for shape, over in ((a, over_a), (b, over_b))):
        raise ValueError(f"{mend}: name each axis once")
    if any(a[i] != b[j] for i, j in zip(over_a, over_b, strict=True)):
        raise ValueError(f"{mend}: axes that are paired must be equally long")
    first, second = list(LETTERS[: len(a)]), list(LETTERS[len(a) : len(a) + len(b)])
    for i, j in zip(over_a, over_b, strict=True):
        second[j] = first[i]
    out = [i for i in first + second if i not in first or i not in second]
    return f"{''.join(first)},{''.join(second)}->{''.join(out)}"


# -- subscripts --------------------------------------------------------------------------------------------------


def _written(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The subscripts and the arrays of a call of einsum, also where each array is followed by a list of its labels."""
    if not operands:
        raise ValueError("einsum: give subscripts such as 'ij,jk->ik' and the arrays")
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), list(operands[1:])
    count = len(operands) // 2
    lists = [operands[2 * i + 1] for i in range(count)]
    subscripts = ",".join(map(_letters, lists))
    if len(operands) % 2:
        subscripts += "->" + _letters(operands[-1])
    return subscripts, [operands[2 * i] for i in range(count)]


def _letters(labels: Iterable[Any]) -> str:
    try:
        return "".join("..." if i is Ellipsis else _BY_NUMBER[index(i)] for i in labels)
    except (TypeError, KeyError):
        raise ValueError(
            f"einsum: an array is followed by a list of its labels, numbers from 0 to {len(LETTERS) - 1} or Ellipsis, not by "
            f"{labels!r}"
        ) from None


def _explicit(subscripts: str, ndims: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """The labels of each array's axes, those of an ellipsis with letters of their own, and of the result."""

    def fail(reason: str) -> Any:
        raise ValueError(f"einsum: {subscripts!r} {reason}")

    given, arrow, after = subscripts.partition("->")
    parts = given.split(",")
    if len(parts) != len(ndims):
        fail(f"is for {len(parts)} arrays, {len(ndims)} are given")
    for part in (*parts, after):
        if part.count("...") > 1 or not set(part.replace("...", "", 1)) <= set(LETTERS):
            fail("may hold letters, commas, one arrow '->', and one ellipsis '...' for each array")
    spread = [n - len(part.replace("...", "")) for part, n in zip(parts, ndims, strict=True)]
    for i, (part, extra) in enumerate(zip(parts, spread, strict=True)):
        if extra < 0 or (extra and "..." not in part):
            fail(f"does not fit array {i}, which has {ndims[i]} axes; '...' stands for any number of them")
    count = max((n for part, n in zip(parts, spread, strict=True) if "..." in part), default=0)
    free = [i for i in LETTERS if i not in subscripts]
    if count > len(free):
        fail("leaves too few letters for the axes of '...'")
    dots = "".join(free[:count])
    labels = tuple(part.replace("...", dots[count - n :]) for part, n in zip(parts, spread, strict=True))
    if not arrow:
        once = sorted(i for i in set(given) - {",", "."} if given.count(i) == 1)
        return labels, dots + "".join(once)
    if count and "..." not in after:
        fail(
            "sums over the axes of '...', which has to be said by name: give them letters, or write '...' after the arrow"
        )
    out = after.replace("...", dots)
    if len(set(out)) < len(out) or not set(out) <= set("".join(labels)):
        fail("has in its result a label twice, or one that no array has")
    return labels, out


def _sizes(labels: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """How long the axes of each label are; those of length one broadcast."""
    sizes: dict[str, int] = {}
    for i, (part, shape) in enumerate(zip(labels, shapes, strict=True)):
        own: dict[str, int] = {}
        for label, n in zip(part, shape, strict=True):
            if own.setdefault(label, n) != n:
                raise ValueError(f"einsum: array {i} of shape {shape} is not square in the label {label!r} of {part!r}")
            if n != 1 and sizes.setdefault(label, n) != n:
                raise ValueError(
                    f"einsum: the label {label!r} is {n} long in array {i} of shape {shape} and {sizes[label]} long in "
                    "another"
                )
    return sizes


class _Read(NamedTuple):
    """What subscripts mean for arrays of given shapes.

    Attributes:
        labels: of each array, without those of axes that broadcast.
        out: of the result.
        shapes: of each array without the axes that broadcast.
        plain: the subscripts of one `contract`, if that is all.
    """

    labels: tuple[str, ...]
    out: str
    shapes: tuple[tuple[int, ...], ...]
    plain: str


@lru_cache(maxsize=4096)
def _read(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> _Read:
    labels, out = _explicit(subscripts, tuple(map(len, shapes)))
    sizes = _sizes(labels, shapes)
    kept = [
        [(i, n) for i, n in zip(part, shape, strict=True) if n == sizes.get(i, 1)]
        for part, shape in zip(labels, shapes, strict=True)
    ]
    parts = tuple("".join(i for i, _ in pairs) for pairs in kept)
    squeezed = tuple(tuple(n for _, n in pairs) for pairs in kept)
    text = f"{','.join(parts)}->{out}"
    once = all(text.count(i) >= 2 for i in set(text) - set(",->")) and all(len(set(p)) == len(p) for p in parts)
    return _Read(parts, out, squeezed, text if len(parts) == 2 and once and squeezed == shapes else "")


# -- one array ---------------------------------------------------------------------------------------------------


def _reduced(a: Any, labels: str, keep: Any) -> tuple[Any, str]:
    """An array with the diagonal of labels that it has twice, and summed over those that nobody keeps."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            a = np.diagonal(a, 0, first, second)
            labels = labels[:first] + labels[first + 1 : second] + labels[second + 1 :] + label
    axes = tuple(i for i, label in enumerate(labels) if label not in keep)
    if axes:
        a = np.sum(a, axis=axes, dtype=a.dtype)
    return a, "".join(i for i in labels if i in keep)


def _pair(x: Any, y: Any, first: str, second: str, keep: Any, out: str | None) -> tuple[Any, str]:
    """Two arrays contracted to the labels to keep, in the order of `out` if it is given."""
    x, first = _reduced(x, first, {*second, *keep})
    y, second = _reduced(y, second, {*first, *keep})
    if out is None:
        shared = [i for i in first if i in second and i in keep]
        out = "".join([*shared, *(i for i in first if i not in second), *(i for i in second if i not in first)])
    return contract(x, y, f"{first},{second}->{out}"), out


# -- einsum ------------------------------------------------------------------------------------------------------


def _steps(labels: tuple[str, ...], out: str, shapes: Any, optimize: Any) -> Sequence[Any]:
    """Which arrays to contract, in which order: positions in a list from which they are taken and to whose end the result
    goes."""
    if isinstance(optimize, (list, tuple)) and optimize and optimize[0] == "einsum_path":
        return optimize[1:]
    if len(labels) <= 2:
        return [tuple(range(len(labels)))]
    optimize = tuple(optimize) if isinstance(optimize, (list, tuple)) else optimize or "greedy"
    return _searched(labels, out, shapes, optimize)


@lru_cache(maxsize=1024)
def _searched(labels: tuple[str, ...], out: str, shapes: Any, optimize: Any) -> Sequence[Any]:
    arrays = [np.broadcast_to(0.0, shape) for shape in shapes]
    path: list[Any] = np.einsum_path(f"{','.join(labels)}->{out}", *arrays, optimize=optimize)[0]
    return path[1:]


def _cast(a: Any, dtype: Any, casting: str) -> Any:
    if not np.can_cast(a.dtype, dtype, casting):  # type: ignore[arg-type]  # a str, which NumPy checks
        raise TypeError(f"einsum: an array of {a.dtype} cannot be cast to {dtype} by the rule casting={casting!r}")
    return a if a.dtype == dtype else a.astype(dtype)


@derived(
    numpy=np.einsum,
    samples=lambda r: [
        sample("ij,jk", r.normal(size=(2, 3)), r.normal(size=(3, 2))),
        sample("ij,jk->ki", r.normal(size=(2, 3)), r.normal(size=(3, 2))),
        sample("ii", r.normal(size=(3, 3))),
        sample("ii->i", r.normal(size=(3, 3))),
        sample("ijij,ik->kj", r.normal(size=(2, 1, 2, 1)), r.normal(size=(2, 2))),
        sample("iii->", r.normal(size=(2, 2, 2))),
        sample("ba", r.normal(size=(2, 3))),
        sample("ij->", r.normal(size=(2, 3))),
        sample("i,j->", r.normal(size=2), r.normal(size=3)),
        sample("i...,...j->...ij", r.normal(size=(2, 1, 3)), r.normal(size=(2, 1, 2))),
        sample("...,...", r.normal(size=(2, 1)), r.normal(size=3)),
        sample("...ij,...j", r.normal(size=(2, 2, 3)), r.normal(size=3)),
        sample("ij,ij->ij", r.normal(size=(1, 3)), r.normal(size=(2, 1))),
        sample("ij,jk->ik", r.normal(size=(2, 1)), r.normal(size=(3, 2))),
        sample("ij,jk,kl->il", r.normal(size=(2, 2)), r.normal(size=(2, 3)), r.normal(size=(3, 2))),
        sample("i,i,i->i", *r.normal(size=(3, 3)), optimize="optimal"),
        sample("ij,jk,kl", *r.normal(size=(3, 2, 2)), optimize=["einsum_path", (1, 2), (0, 1)]),
        sample("ij,jk,kl", *r.normal(size=(3, 2, 2)), optimize=["einsum_path", (0, 1, 2)]),
        sample("i,->i", r.normal(size=3), 2.0),
        sample(",", r.normal(size=()), r.normal(size=())),
        sample("ij,jk->ik", r.normal(size=(2, 0)), r.normal(size=(0, 3))),
        sample("ij,j", r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2)), r.normal(size=2)),
        sample(r.normal(size=(2, 3)), [0, 1], r.normal(size=(3, 2)), [1, 2], [2, 0]),
        sample(r.normal(size=(2, 3)), [..., 5], r.normal(size=3), [5]),
    ],
)
def einsum(
    *operands: Any, dtype: Any = None, order: str = "K", casting: str = "safe", optimize: Any = False
) -> Any:  # fmt: skip
    """Products of arrays summed as labels on their axes say: `einsum("ij,jk->ik", a, b)` is the matrix product.

    A label that the result has not is summed over. A label twice on one array takes its diagonal. Without an arrow the
    result has all labels that occur once, in alphabetic order. `...` stands for any number of axes, which broadcast; so do
    axes of length one.

    Arrays are multiplied two at a time, each time by a matrix product, whose results the gradients use again; more than
    two in the order that costs least.

    Args:
        operands: the subscripts and the arrays; or each array followed by a list of its labels, numbers from 0 to 51, and at
            the end that of the result.
        dtype: what to compute in.
        order: how NumPy lays the result out in memory, which means nothing here.
        casting: the rule by which arrays may be cast to `dtype`.
        optimize: how the order of more than two arrays is found: False, True or "greedy" quickly, "optimal" with all care,
            ("greedy", limit) with a limit on the size of what is in between; or the order itself, from `einsum_path`.

    Raises:
        ValueError: the subscripts do not fit the arrays.

    >>> import tapenet as tn
    >>> a = tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tn.einsum("ii", a), tn.einsum("ij,j->i", a, tn.tensor([1.0, 10.0]))
    (Tensor(5.), Tensor([21., 43.]))
    """
    subscripts, given = _written(operands)
    arrays = _arrays(given, dtype, casting)
    shapes = tuple(a.shape for a in arrays)
    parts, out, squeezed, plain = _read(subscripts, shapes)
    if plain:
        return contract(*arrays, plain)
    # An axis that broadcasts multiplies by the same number everywhere: as if the array did not have it.
    waiting = [
        (a if a.shape == shape else np.reshape(a, shape), part)
        for a, part, shape in zip(arrays, parts, squeezed, strict=True)
    ]
    for step in (
        *_steps(parts, out, squeezed, optimize),
        range(len(parts)),
    ):  # at last, what a path from outside has left
        group = [waiting.pop(i) for i in sorted((i for i in step if i < len(waiting)), reverse=True)][::-1]
        while len(group) > 1:
            (x, first), (y, second) = group[0], group[1]
            others = [*waiting, *group[2:]]
            keep = set(out).union(*(part for _, part in others))
            group[:2] = [_pair(x, y, first, second, keep, None if others else out)]
        waiting += group
    ((a, part),) = waiting
    a, part = _reduced(a, part, out)
    turn = _order(part, out)
    return a if turn is None else np.transpose(a, turn)


def _arrays(given: Sequence[Any], dtype: Any, casting: str) -> list[Any]:
    """The arrays of einsum, all of one dtype: that of their sum, in which Python numbers count for little."""
    if dtype is None:
        first = getattr(given[0], "dtype", None) if given else None
        if isinstance(first, np.dtype) and all(getattr(a, "dtype", 0) == first for a in given):
            return list(given)
    found = [operand(a) for a in given]
    if dtype is None:
        kinds = [getattr(a, "dtype", a) for a in found]
        dtype = np.result_type(*kinds) if kinds else None
    dtype = np.dtype(dtype)
    return [_cast(a, dtype, casting) if hasattr(a, "dtype") else np.asarray(a, dtype) for a in found]


def einsum_path(*operands: Any, optimize: Any = "greedy") -> tuple[list[Any], str]:
    """The order in which `einsum` contracts its arrays, and a table of what it costs, as `np.einsum_path`. Only shapes
    matter.

    >>> import numpy as np, tapenet as tn
    >>> tn.einsum_path("ij,jk", tn.tensor(np.ones((2, 3))), np.ones((3, 2)))[0]
    ['einsum_path', (0, 1)]
    """
    subscripts, given = _written(operands)
    arrays = [np.broadcast_to(0.0, np.shape(operand(a))) for a in given]
    path: tuple[list[Any], str] = np.einsum_path(subscripts, *arrays, optimize=optimize)
    return path


answer(np.einsum_path, einsum_path)

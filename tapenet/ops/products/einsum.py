"""Sums of products of any number of arrays, as subscripts say: a sequence of contractions of two arrays each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from operator import index
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.products.contractions import LETTERS, contract, order_of
from tapenet.ops.products.matmul import operand
from tapenet.ops.registry import answer, sample
from tapenet.typing import Array, DType, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

#: The letter of a label that is a number.
_BY_NUMBER = dict(enumerate(LETTERS))

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


def _letters(labels: Iterable[int | EllipsisType]) -> str:
    try:
        return "".join("..." if i is Ellipsis else _BY_NUMBER[index(i)] for i in labels)
    except (TypeError, KeyError):
        raise ValueError(
            f"einsum: an array is followed by a list of its labels, numbers from 0 to {len(LETTERS) - 1} or Ellipsis, not by "
            f"{labels!r}"
        ) from None


def _explicit(subscripts: str, ndims: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """The labels of each array's axes, those of an ellipsis with letters of their own, and of the result."""

    def fail(reason: str) -> Array:
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


def _reduced(a: Array, labels: str, keep: Collection[str]) -> tuple[Array, str]:
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


def _pair(x: Array, y: Array, first: str, second: str, keep: Collection[str], out: str | None) -> tuple[Array, str]:
    """Two arrays contracted to the labels to keep, in the order of `out` if it is given."""
    x, first = _reduced(x, first, {*second, *keep})
    y, second = _reduced(y, second, {*first, *keep})
    if out is None:
        shared = [i for i in first if i in second and i in keep]
        out = "".join([*shared, *(i for i in first if i not in second), *(i for i in second if i not in first)])
    return contract(x, y, f"{first},{second}->{out}"), out


# -- einsum ------------------------------------------------------------------------------------------------------


def _steps(
    labels: tuple[str, ...], out: str, shapes: tuple[Shape, ...], optimize: bool | str | Sequence[object]
) -> Sequence[Sequence[int]]:
    """Which arrays to contract, in which order: positions in a list from which they are taken and to whose end the result
    goes."""
    if isinstance(optimize, (list, tuple)) and optimize and optimize[0] == "einsum_path":
        return optimize[1:]
    if len(labels) <= 2:
        return [tuple(range(len(labels)))]
    optimize = tuple(optimize) if isinstance(optimize, (list, tuple)) else optimize or "greedy"
    return _searched(labels, out, shapes, optimize)


@lru_cache(maxsize=1024)
def _searched(
    labels: tuple[str, ...], out: str, shapes: tuple[Shape, ...], optimize: bool | str | tuple[object, ...]
) -> list[tuple[int, ...]]:
    arrays = [np.broadcast_to(0.0, shape) for shape in shapes]
    path: list[tuple[int, ...]] = np.einsum_path(f"{','.join(labels)}->{out}", *arrays, optimize=optimize)[0]
    return path[1:]


def _cast(a: Array, dtype: DType, casting: str) -> Array:
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
    *operands: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str = "K",
    casting: str = "safe",
    optimize: bool | str | Sequence[object] = False,
) -> Array:
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
        return contract(arrays[0], arrays[1], plain)
    # An axis that broadcasts is dropped: it multiplies by the same number everywhere.
    waiting = [
        (a if a.shape == shape else np.reshape(a, shape), part)
        for a, part, shape in zip(arrays, parts, squeezed, strict=True)
    ]
    leftover = range(len(parts))  # what a path from outside has not contracted
    for step in (*_steps(parts, out, squeezed, optimize), leftover):
        group = [waiting.pop(i) for i in sorted((i for i in step if i < len(waiting)), reverse=True)][::-1]
        while len(group) > 1:
            (x, first), (y, second) = group[0], group[1]
            others = [*waiting, *group[2:]]
            keep = set(out).union(*(part for _, part in others))
            group[:2] = [_pair(x, y, first, second, keep, None if others else out)]
        waiting += group
    ((a, part),) = waiting
    a, part = _reduced(a, part, out)
    turn = order_of(part, out)
    return a if turn is None else np.transpose(a, turn)


def _arrays(given: Sequence[Array], dtype: DTypeLike | None, casting: str) -> list[Array]:
    """The arrays of einsum, all of one dtype: that of their sum, in which Python numbers count for little."""
    if dtype is None:
        first = getattr(given[0], "dtype", None) if given else None
        if isinstance(first, np.dtype) and all(getattr(a, "dtype", 0) == first for a in given):
            return [operand(a) for a in given]
    found = [operand(a) for a in given]
    if dtype is None:
        kinds = [getattr(a, "dtype", a) for a in found]
        dtype = np.result_type(*kinds) if kinds else None
    dtype = np.dtype(dtype)
    return [_cast(a, dtype, casting) if hasattr(a, "dtype") else np.asarray(a, dtype) for a in found]


def einsum_path(*operands: ArrayLike, optimize: bool | str | Sequence[object] = "greedy") -> tuple[list[object], str]:
    """The order in which `einsum` contracts its arrays, and a table of what it costs, as `np.einsum_path`. Only shapes
    matter.

    >>> import numpy as np, tapenet as tn
    >>> tn.einsum_path("ij,jk", tn.tensor(np.ones((2, 3))), np.ones((3, 2)))[0]
    ['einsum_path', (0, 1)]
    """
    subscripts, given = _written(operands)
    arrays = [np.broadcast_to(0.0, np.shape(operand(a))) for a in given]
    path: tuple[list[object], str] = np.einsum_path(subscripts, *arrays, optimize=optimize)
    return path


answer(np.einsum_path, einsum_path)

"""Random orders and choices. Of tensors the result is one, through which gradients flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tapenet import ops
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.random import generator, random_draw
from tapenet.random.distribution import Rng, Size
from tapenet.typing import Array


def permutation(x: ArrayLike, axis: int = 0, rng: Rng = None) -> Array:
    """The parts of `x` along an axis in random order; of a whole number n the numbers 0 to n - 1.

    >>> import tapenet as tn
    >>> sorted(tn.random.permutation(3).tolist())
    [0, 1, 2]
    >>> tn.random.permutation(tn.tensor([1.0, 2.0]), rng=0).sum()
    Tensor(3.)
    """
    check_unmasked(x)
    if isinstance(x, (int, np.integer)):
        found: Array = random_draw(lambda rng: rng.permutation(x), rng)
        return found
    parts = ops.asarray(x) if not hasattr(x, "shape") else x
    length = parts.shape[axis]
    picked: Array = ops.take(parts, random_draw(lambda rng: rng.permutation(length), rng), axis)
    return picked


def choice(
    a: ArrayLike,
    size: Size = None,
    replace: bool = True,
    p: ArrayLike | Sequence[float] | None = None,
    axis: int = 0,
    shuffle: bool = True,
    rng: Rng = None,
) -> Array:
    """Some of the parts of `a` along an axis, or of the numbers below a whole number, as `np.random.Generator.choice`.

    Args:
        a: an array, a tensor or a whole number.
        size: how many, or their shape; None for one.
        replace: whether a part may come more than once.
        p: the probabilities of the parts, which add up to 1; by default all are the same.
        axis: along which the parts are.
        shuffle: without `replace`, whether their order is random too.
        rng: a generator, or an integer to make one from.

    >>> import tapenet as tn
    >>> tn.random.choice(["a", "b"], 3, p=[0.0, 1.0], rng=0).tolist()
    ['b', 'b', 'b']
    >>> tn.random.choice(tn.tensor([5.0, 5.0]), rng=0)
    Tensor(5.)
    """
    for given in (a, p):
        check_unmasked(given)
    if isinstance(a, (int, np.integer)):
        found: Array = random_draw(lambda rng: rng.choice(a, size, replace, p, shuffle=shuffle), rng)
        return found
    parts = a if hasattr(a, "shape") else np.asarray(a)
    length = parts.shape[axis]
    places = random_draw(lambda rng: rng.choice(length, size, replace, p, shuffle=shuffle), rng)
    if isinstance(parts, np.ndarray) and isinstance(places, np.ndarray):
        return np.asarray(np.take(parts, places, axis))
    picked: Array = ops.take(parts, places, axis)
    return picked


def spawn(count: int) -> list[np.random.Generator]:
    """Generators for parts that run side by side, made from the process's generator, independent of it and of each other: after
    `tn.random.seed` they are the same again.

    >>> import tapenet as tn
    >>> tn.random.seed(0)
    >>> first = [rng.random() for rng in tn.random.spawn(2)]
    >>> tn.random.seed(0)
    >>> first == [rng.random() for rng in tn.random.spawn(2)]
    True
    """
    return generator().spawn(count)

"""Colourings of sparse matrices: columns (or rows) of one colour are computed in one go, and told apart afterwards.

A Jacobian's product with the sum of some unit vectors is the sum of these columns. If no two of them have an entry in the same
row, every entry can be read off it. So a matrix costs as many products as there are colours, and not as there are columns.

Source: Gebremedhin, Manne and Pothen, What color is your Jacobian? Graph coloring for computing derivatives, SIAM Review
47(4), 2005; for the symmetric case Powell and Toint, On the estimation of sparse Hessian matrices, SIAM Journal on Numerical
Analysis 16(6), 1979. The best colouring is out of reach (the problem is NP-hard); these are greedy, in two orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.typing import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def columns(pattern: csr_array) -> Array:
    """A colour for each column, such that no row has entries in two columns of one colour.

    Greedy, in the given order or with the columns first that share rows with most others, whichever takes fewer colours. The
    time is proportional to the number of entries.

    >>> from scipy.sparse import csr_array
    >>> tridiagonal = csr_array(np.tri(6, k=1) - np.tri(6, k=-2))
    >>> columns(tridiagonal)
    array([0, 1, 2, 0, 1, 2])
    """
    by_column = pattern.T.tocsr()
    entries = np.diff(pattern.indptr)
    if not pattern.nnz:
        return np.zeros(pattern.shape[1], np.intp)
    crowd = by_column.astype(np.float64) @ entries
    return _best(by_column, crowd, int(entries.max()), _apart)


def symmetric(pattern: csr_array) -> Array:
    """A colour for each column of a symmetric matrix, such that each entry or its mirror image can be read off: a star
    colouring. Neighbours differ, and two neighbours of a column have the same colour only if it is higher than the
    column's. It takes at most as many colours as `columns`.

    The diagonal counts as there.

    >>> from scipy.sparse import csr_array
    >>> arrow = np.eye(6)
    >>> arrow[0] = arrow[:, 0] = 1
    >>> symmetric(csr_array(arrow)), columns(csr_array(arrow))
    (array([0, 1, 1, 1, 1, 1]), array([0, 1, 2, 3, 4, 5]))
    """
    entries = np.diff(pattern.indptr)
    found = _best(pattern, entries, 2, _star)
    if found.max(initial=0) + 1 > entries.max(initial=0):  # which a colouring of columns may reach
        others = columns(pattern)
        if others.max(initial=0) < found.max(initial=0):
            return others
    return found


def mirrored(pattern: csr_array, colors: Array) -> Array:
    """For each entry of a symmetric matrix, in the order of its rows: whether it shares the products of its row's with
    another entry, and has to be read off at its mirror image."""
    row = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    keys = row * (int(colors.max(initial=0)) + 1) + colors[pattern.indices]
    _, back, count = np.unique(keys, return_inverse=True, return_counts=True)
    shared: Array = count[back] > 1
    return shared


def _best(matrix: csr_array, weight: Array, least: int, greedy: Callable[..., Array]) -> Array:
    """The better of the greedy colourings of a matrix's rows in their order and by falling weight."""
    pointers, indices = matrix.indptr.tolist(), matrix.indices.tolist()
    size = max(matrix.shape)
    found = greedy(range(matrix.shape[0]), pointers, indices, size)
    if found.max(initial=0) + 1 > least:
        other = greedy(np.argsort(-weight, kind="stable").tolist(), pointers, indices, size)
        if other.max() < found.max():
            return other
    return found


def _apart(order: Iterable[int], pointers: list[int], indices: list[int], size: int) -> Array:
    """Each row gets the first colour that no row has with which it shares a column. A set of colours is a number's bits."""
    used = [0] * size
    colors = np.zeros(len(pointers) - 1, np.intp)
    for i in order:
        mine = indices[pointers[i] : pointers[i + 1]]
        taken = 0
        for j in mine:
            taken |= used[j]
        bit = ~taken & (taken + 1)
        for j in mine:
            used[j] |= bit
        colors[i] = bit.bit_length() - 1
    return colors


def _star(order: Iterable[int], pointers: list[int], indices: list[int], size: int) -> Array:
    """Each row gets the first colour that none of its neighbours has, nor their neighbours, but those whose colour is higher
    than the one between."""
    own = [0] * size  # the bit of the colour
    around = [0] * size  # the colours of the neighbours
    below = [-1] * size  # the colours lower than the own; all as long as there is none
    colors = np.zeros(len(pointers) - 1, np.intp)
    for i in order:
        mine = indices[pointers[i] : pointers[i + 1]]
        taken = around[i]
        for j in mine:
            if j != i:
                taken |= around[j] & below[j]
        bit = ~taken & (taken + 1)
        own[i], below[i] = bit, bit - 1
        for j in mine:
            if j != i:
                around[j] |= bit
        colors[i] = bit.bit_length() - 1
    return colors

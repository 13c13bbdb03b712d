"""Products of sparse arrays with dense ones, and with each other."""

from __future__ import annotations

from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.scipy.sparse.structure import Structure
from tapenet.typing import Array


@op(
    name="sparse_product",
    vmap=lambda batched, data, x, structure: _lanes(batched, data, x, structure),
    opaque="SciPy multiplies",
    data=lambda g, x, structure: _sampled(g, x, structure),
    x=lambda g, data, structure: _product(data, g, structure=structure.T),
    formula="A x",
    label="sparse product",
)
def product(data: Array, x: Array, *, structure: Structure) -> Array:
    """A x, for a matrix A with `data` at the places of `structure`, and a vector or matrix x."""
    found: Array = structure.filled(data) @ x
    return found


def _product(data: Array, x: Array, structure: Structure) -> Array:
    found: Array = product(data, x, structure=structure)
    return found


def _sampled(g: Array, x: Array, structure: Structure) -> Array:
    """The elements of g xᵀ at the places of a structure."""
    rows, columns = g[structure.rows], x[structure.columns]
    products: Array = rows * columns
    found: Array = products if g.ndim == 1 else products.sum(axis=1)
    return found


def _lanes(batched: set[str], data: Array, x: Array, structure: Structure) -> object:
    """Lanes of x are further columns."""
    if batched != {"x"}:
        return NotImplemented
    columns = np.moveaxis(x, 0, -1)
    found = _product(data, columns.reshape(columns.shape[0], -1), structure=structure)
    made: Array = np.moveaxis(found.reshape((structure.shape[0], *columns.shape[1:])), -1, 0)
    return made


def pairs(a: Tensor, left: Structure, b: Tensor, right: Structure) -> tuple[Tensor, Structure]:
    """The product of two matrices in format "csr": every stored value of the left one times those in the row of the right one
    that its column names, summed place by place.

    Args:
        a, b: the stored values.
        left, right: where they are.

    Returns:
        the stored values of the product, and where they are, in format "csr".
    """
    counts = np.diff(right.second)[left.columns]
    ends = np.cumsum(counts)
    mine = np.repeat(np.arange(left.size), counts)
    theirs = np.arange(mine.size) + np.repeat(right.second[left.columns] - ends + counts, counts)
    width = right.shape[1]
    keys, places = np.unique(left.rows[mine].astype(np.int64) * width + right.columns[theirs], return_inverse=True)
    products = a[mine] * b[theirs]
    data = cast("Tensor", ops.scatter_add(products, places, (keys.size,)))
    rows, columns = np.divmod(keys, width)
    begins = np.searchsorted(rows, np.arange(left.shape[0] + 1))
    kind = left.first.dtype
    return data, Structure("csr", (left.shape[0], width), columns.astype(kind), begins.astype(kind))

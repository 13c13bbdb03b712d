"""Rosenbrock's function, on which optimisers are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def rosen(x: ArrayLike) -> Array:
    """Σ 100 (x[i + 1] - x[i]²)² + (1 - x[i])², along the first axis.

    >>> import numpy as np, tapenet as tn
    >>> tn.optimize.rosen(tn.tensor([1.0, 2.0, 3.0]))
    Tensor(201.)
    >>> tn.optimize.minimize(tn.optimize.rosen, np.zeros(4)).x.round(5)
    Tensor([1., 1., 1., 1.])
    """
    x = array_like(x)
    found: Array = np.sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0, axis=0)
    return found


def rosen_der(x: ArrayLike) -> Array:
    """The gradient of Rosenbrock's function.

    >>> import tapenet as tn
    >>> tn.optimize.rosen_der(tn.tensor([1.0, 2.0]))
    Tensor([-400.,  200.])
    """
    x = array_like(x)
    off, none = x[1:] - x[:-1] ** 2, 0 * x[:1]
    found: Array = np.concatenate([-400 * off * x[:-1] - 2 * (1 - x[:-1]), none]) + np.concatenate([none, 200 * off])
    return found


def rosen_hess(x: ArrayLike) -> Array:
    """The Hessian of Rosenbrock's function of a vector.

    >>> import tapenet as tn
    >>> tn.optimize.rosen_hess(tn.tensor([1.0, 2.0]))
    Tensor([[ 402., -400.],
            [-400.,  200.]])
    """
    x = np.atleast_1d(array_like(x))
    diagonal, beside = _bands(x)
    found: Array = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    return found


def rosen_hess_prod(x: ArrayLike, p: ArrayLike) -> Array:
    """The product of the Hessian of Rosenbrock's function of a vector with a vector.

    >>> import tapenet as tn
    >>> tn.optimize.rosen_hess_prod(tn.tensor([1.0, 2.0]), [1.0, 1.0])
    Tensor([   2., -200.])
    """
    x, p = np.atleast_1d(array_like(x)), array_like(p)
    diagonal, beside = _bands(x)
    none = 0 * x[:1]
    found: Array = diagonal * p + np.concatenate([beside * p[1:], none]) + np.concatenate([none, beside * p[:-1]])
    return found


def _bands(x: Array) -> tuple[Array, Array]:
    """The diagonal of the Hessian and the one beside it."""
    none = 0 * x[:1]
    first = np.concatenate([1200 * x[:-1] ** 2 - 400 * x[1:] + 2, none])
    return first + np.concatenate([none, 200 + 0 * x[1:]]), -400 * x[:-1]

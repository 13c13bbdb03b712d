"""Sparse least squares problems. SciPy iterates; derivatives are those of the normal equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.scipy.sparse.arrays import is_sparse, ours
from tapenet.transforms.implicit.linear import linear_solve
from tapenet.typing import Array


@op(name="least_squares_start", nondiff=("values", "b"), opaque="SciPy iterates")
def _numbers(values: Array, b: Array, *, solve: Callable[[Array, Array], Array]) -> Array:
    return solve(values, b)


def _least(name: str, A: object, b: object, damp: float, options: dict[str, object]) -> tuple[object, ...]:
    """SciPy's results, the first as a tensor. SciPy finds its numbers x₀; one step x₀ + (AᵀA + d²)⁻¹ (Aᵀ(b - A x₀) - d² x₀),
    which changes them by rounding alone, is exact for any A and b, and so are its derivatives."""
    from scipy.sparse import linalg

    method = cast("Callable[..., tuple[Array, ...]]", getattr(linalg, name))
    right = asarray(b)
    matrix = ours(A) if is_sparse(A) else None
    values, structure = (asarray(A), None) if matrix is None else (matrix.data, matrix.structure)
    shape = values.shape if matrix is None else matrix.shape
    if right.shape != shape[:1]:
        raise ValueError(f"{name}: A has shape {shape} and b {right.shape}; b is a vector as long as the columns of A")
    rest: list[tuple[object, ...]] = []

    def solve(data: Array, vector: Array) -> Array:
        a = data if structure is None else structure.filled(data)
        x, *others = method(a, vector, damp=damp, **options)
        rest.append(tuple(others))
        return x

    def times(x: Tensor) -> Tensor:
        return cast("Tensor", values @ x if matrix is None else matrix @ x)

    def back(y: Tensor) -> Tensor:
        return cast("Tensor", values.conj().T @ y if matrix is None else matrix.conj().T @ y)

    start = cast("Tensor", _numbers(values.detach(), right.detach(), solve=solve))
    residual = back(right - times(start)) - damp**2 * start
    step = linear_solve(lambda x: back(times(x)) + damp**2 * x, residual, symmetric=True, positive=True)
    said = [None] * len(rest[0]) if capturing() is not None else rest[0]
    return (start + cast("Tensor", step), *said)


def lsqr(
    A: object,
    b: object,
    damp: float = 0.0,
    atol: float = 1e-6,
    btol: float = 1e-6,
    conlim: float = 1e8,
    iter_lim: int | None = None,
    show: bool = False,
    calc_var: bool = False,
    x0: object = None,
) -> tuple[object, ...]:
    """The x with the least |A x - b|² + damp² |x|², as `scipy.sparse.linalg.lsqr`. A has full column rank, or damp is positive.

    Args:
        A: a sparse or dense matrix.
        b: a vector.
        damp: the weight of |x|.
        atol, btol, conlim, iter_lim, show, calc_var, x0: as SciPy's.

    Returns:
        x, differentiable by A and b, and SciPy's nine numbers about it; in a compiled function these are None.

    Raises:
        ValueError: shapes do not fit; in a derivative, AᵀA is singular.

    >>> import numpy as np, tapenet as tn
    >>> A = tn.scipy.sparse.csr_array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> np.round(tn.scipy.sparse.linalg.lsqr(A, np.array([1.0, 3.0, 5.0]))[0], 9)
    Tensor([1., 2.])
    """
    start = None if x0 is None else asarray(x0).detach().numpy()
    given: dict[str, object] = {
        "atol": atol,
        "btol": btol,
        "conlim": conlim,
        "iter_lim": iter_lim,
        "show": show,
        "calc_var": calc_var,
    }
    return _least("lsqr", A, b, damp, given | {"x0": start})


def lsmr(
    A: object,
    b: object,
    damp: float = 0.0,
    atol: float = 1e-6,
    btol: float = 1e-6,
    conlim: float = 1e8,
    maxiter: int | None = None,
    show: bool = False,
    x0: object = None,
) -> tuple[object, ...]:
    """The x with the least |A x - b|² + damp² |x|², as `scipy.sparse.linalg.lsmr`. Arguments and results are those of `lsqr`,
    with `maxiter` in place of `iter_lim`.

    >>> import numpy as np, tapenet as tn
    >>> A = tn.scipy.sparse.csr_array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> np.round(tn.scipy.sparse.linalg.lsmr(A, np.array([1.0, 3.0, 5.0]))[0], 9)
    Tensor([1., 2.])
    """
    start = None if x0 is None else asarray(x0).detach().numpy()
    given: dict[str, object] = {
        "atol": atol,
        "btol": btol,
        "conlim": conlim,
        "maxiter": maxiter,
        "show": show,
        "x0": start,
    }
    return _least("lsmr", A, b, damp, given)

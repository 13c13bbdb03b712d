"""Linear least squares with bounds, differentiable by the matrix, the right side and the bounds."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.optimize.problems import Asked, Result, Task, find
from tapenet.optimize.residuals import cost_of
from tapenet.optimize.results import result
from tapenet.optimize.unknowns import limits
from tapenet.program.trees import flatten


def _off(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    found: Tensor = ops.matmul(a, x) - b
    return found


def _stated(name: str, a: object, b: object) -> tuple[Tensor, Tensor]:
    full = a.toarray() if hasattr(a, "toarray") else a
    if hasattr(full, "matvec"):
        raise TypeError(f"{name}: A is a {type(a).__name__}, and must be a matrix: its derivatives are by its entries")
    matrix, right = (asarray(v).astype(np.float64) for v in (full, b))
    if matrix.ndim != 2 or right.shape != matrix.shape[:1]:
        raise ValueError(
            f"{name}: A has shape {matrix.shape} and b {right.shape}; give a matrix (m, n) and a vector (m,)"
        )
    return matrix, right


@boundary
def lsq_linear(
    A: object, b: object, bounds: object = (-np.inf, np.inf), method: Literal["trf", "bvls"] = "trf", tol: float = 1e-10,
    lsq_solver: Literal["exact", "lsmr"] | None = None, lsmr_tol: float | Literal["auto"] | None = None,
    max_iter: int | None = None, verbose: int = 0, *, lsmr_maxiter: int | None = None,
) -> Result:  # fmt: skip
    """`scipy.optimize.lsq_linear`: the x between bounds with the least |A x - b|². It is differentiable by `A`, `b` and
    `bounds`.

    Args:
        A, b: a matrix (m, n), full or sparse, and a vector (m,). A sparse matrix is made full.
        bounds: a pair (low, high) of numbers or vectors, or `scipy.optimize.Bounds`.
        method, tol, lsq_solver, lsmr_tol, max_iter, verbose, lsmr_maxiter: as in SciPy.

    Returns:
        SciPy's result; `x`, `fun` (A x - b) and `cost` are tensors.

    Raises:
        ValueError: shapes do not fit, or a lower bound is above the upper one.

    >>> import numpy as np, tapenet as tn
    >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    >>> tn.jacobian(lambda b: tn.optimize.lsq_linear(A, b, (0, 1)).x)(np.array([2.0, 1.0, 1.0])).numpy().round(6) + 0.0
    array([[0. , 0. , 0. ],
           [0. , 0.2, 0.4]])
    """
    name = "tn.optimize.lsq_linear"
    matrix, right = _stated(name, A, b)
    start, structure = [asarray(np.zeros(matrix.shape[1]))], flatten(0.0)[1]

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        found: Result = import_module("scipy.optimize").lsq_linear(
            f.jacobian(asked.start),
            -f.values(asked.start),
            asked.bounds,
            method,
            tol,
            lsq_solver,
            lsmr_tol,
            max_iter,
            verbose,
            lsmr_maxiter=lsmr_maxiter,
        )
        return found

    limited = limits(name, bounds, start, structure, by_element=False)
    task = Task(name, [(_off, (matrix, right))], start, structure, solve, limited, (), cost_of("linear", 1.0))
    return result(find(task), task, number="cost", vector_as="fun")


@boundary
def nnls(A: object, b: object, **options: object) -> tuple[Tensor, Tensor]:
    """`scipy.optimize.nnls`: the x ≥ 0 with the least |A x - b|, and that. Both are differentiable by `A` and `b`.

    Args:
        A, b: a matrix (m, n), and a vector (m,) or a column (m, 1).
        **options: SciPy's: maxiter.

    Raises:
        ValueError: shapes do not fit.
        RuntimeError: as SciPy's.

    >>> import numpy as np, tapenet as tn
    >>> x, rest = tn.optimize.nnls(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([2.0, 1.0, -1.0]))
    >>> x, round(rest.item(), 6)
    (Tensor([1.5, 0. ]), 1.224745)
    """
    name = "tn.optimize.nnls"
    vector = asarray(b)
    matrix, right = _stated(name, A, vector[:, 0] if vector.ndim == 2 and vector.shape[1] == 1 else vector)
    start, structure = [asarray(np.zeros(matrix.shape[1]))], flatten(0.0)[1]

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        optimize = import_module("scipy.optimize")
        made: Result = optimize.OptimizeResult(
            x=optimize.nnls(f.jacobian(asked.start), -f.values(asked.start), **options)[0]
        )
        return made

    limited = limits(name, (0.0, np.inf), start, structure, by_element=False)
    task = Task(name, [(_off, (matrix, right))], start, structure, solve, limited, (), cost_of("linear", 1.0))
    x = find(task).xs[0]
    return x, asarray(np.linalg.norm(_off(x, matrix, right)))

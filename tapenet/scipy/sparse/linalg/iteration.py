"""Sparse systems solved by iteration. SciPy iterates; derivatives are solutions of systems with the same matrix or its
transpose, found in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.sparse.arrays import SparseArray, is_sparse, ours
from tapenet.transforms.implicit.linear import linear_solve
from tapenet.typing import Array

#: A matrix: sparse, dense, or a function of tensors that multiplies a vector by it.
Matrix: TypeAlias = object


class _Method(Protocol):
    def __call__(self, A: object, b: Array, **options: object) -> tuple[Array, int]: ...


def _iterated(
    name: str, A: Matrix, b: object, x0: object, M: object, symmetric: bool, options: dict[str, object]
) -> tuple[Tensor, int]:
    """A solution by a method of SciPy's, and what it says of how it ended."""
    from scipy.sparse import linalg

    method = cast("_Method", getattr(linalg, name))
    right = asarray(b)
    if right.dtype.kind not in "fc":
        right = right.astype(np.float64)
    if right.dtype.kind == "f" and getattr(A, "dtype", right.dtype).kind == "c":
        right = right.astype(np.complex128)
    shape = right.shape
    if shape not in ((right.size,), (right.size, 1)):
        raise ValueError(f"{name}: b has shape {shape}; it takes a vector")
    preconditioner, start = _numbers(M), None if x0 is None else np.ravel(asarray(x0).detach().numpy())
    ended: list[int] = []
    captured = capturing() is not None

    def solve(product: Callable[[Array], Array], vector: Array) -> Array:
        n = vector.size
        times = product
        given: dict[str, object] = {} if ended or start is None else {"x0": start}
        if preconditioner is not None and name == "tfqmr":  # SciPy's tfqmr solves another system then: scipy 1.17, 1.18
            left: Callable[[Array], Array] = linalg.aslinearoperator(cast("Array", preconditioner)).matvec
            times, vector = lambda v: left(product(v)), left(vector)
        elif preconditioner is not None:
            given["M"] = preconditioner
        operator = linalg.LinearOperator((n, n), matvec=times, dtype=vector.dtype)
        x, info = method(operator, vector, **given, **options)
        ended.append(info)
        if info and (captured or len(ended) > 1):
            raise RuntimeError(
                f"{name} did not solve the system of a derivative, or of a compiled program (info = {info}): give it a larger "
                "maxiter, or a preconditioner that fits the transposed matrix too"
            )
        return x

    multiply = _product(A, name, right.size)
    found = linear_solve(multiply, right.reshape(-1), symmetric=symmetric, solve=solve)
    return cast("Tensor", found).reshape(shape), 0 if captured else ended[0]


def _product(A: Matrix, name: str, size: int) -> Callable[[Tensor], Tensor]:
    """What multiplies a vector by a matrix."""
    if is_sparse(A):
        matrix = ours(A)
        shape: tuple[int, ...] = matrix.shape
        multiply: Callable[[Tensor], Tensor] = lambda x: cast("Tensor", matrix @ x)
    elif hasattr(A, "matvec"):
        return cast("Callable[[Tensor], Tensor]", A.matvec)
    elif callable(A):
        return A
    else:
        dense = asarray(A)
        shape = dense.shape
        multiply = lambda x: dense @ x
    if shape != (size, size):
        raise ValueError(
            f"{name}: the matrix has shape {shape} and b {size} elements: it has to be square, and as long"
        )
    return multiply


def _numbers(M: object) -> object:
    """A preconditioner in numbers: it changes how a solution is found, not which one."""
    return M.detach().numpy() if isinstance(M, (SparseArray, Tensor)) else M


class Solver(Protocol):
    """A method of `scipy.sparse.linalg`."""

    def __call__(
        self,
        A: Matrix,
        b: object,
        x0: object = None,
        *,
        rtol: float = 1e-5,
        maxiter: int | None = None,
        M: object = None,
        **options: object,
    ) -> tuple[Tensor, int]: ...


_DOC = """The solution of A x = b by {what}, as `scipy.sparse.linalg.{name}`.

    Args:
        A: the matrix: sparse, dense, or a function of tensors that multiplies by it.
        b: the right side, a vector.
        x0: where to begin.
        rtol: it is done when the residual has at most the norm rtol · |b|.
        maxiter: how many iterations there are at most.
        M: a preconditioner, about the inverse of A. It is used for the transposed systems of derivatives too; no gradient flows
            through it.
        **options: SciPy's others, such as {options}.

    Returns:
        x, differentiable by A and b to the tolerance, and SciPy's number that is 0 if it converged. In a compiled function it
        is 0, and what does not converge raises.

    Raises:
        ValueError: shapes do not fit.
        RuntimeError: the system of a derivative, or in a compiled function any, was not solved.

    >>> import numpy as np, tapenet as tn
    >>> A = tn.scipy.sparse.csr_array([[4.0, 1.0], [1.0, 3.0]])
    >>> x, info = tn.scipy.sparse.linalg.{name}(A, np.array([5.0, 4.0]), rtol=1e-12)
    >>> np.round(x, 9), info
    (Tensor([1., 1.]), 0)
    """


def _solver(name: str, what: str, options: str = "atol", *, symmetric: bool = False) -> Solver:
    def solver(
        A: Matrix,
        b: object,
        x0: object = None,
        *,
        rtol: float = 1e-5,
        maxiter: int | None = None,
        M: object = None,
        **options: object,
    ) -> tuple[Tensor, int]:
        given = options if maxiter is None else {"maxiter": maxiter, **options}
        return _iterated(name, A, b, x0, M, symmetric, {"rtol": rtol, **given})

    solver.__name__ = solver.__qualname__ = name
    solver.__doc__ = _DOC.format(name=name, what=what, options=options)
    return solver


cg = _solver("cg", "conjugate gradients, for a symmetric positive definite matrix", symmetric=True)
minres = _solver("minres", "minimal residuals, for a symmetric matrix", "shift", symmetric=True)
bicgstab = _solver("bicgstab", "stabilised biconjugate gradients")
cgs = _solver("cgs", "squared conjugate gradients")
gmres = _solver("gmres", "generalised minimal residuals", "atol and restart")
lgmres = _solver("lgmres", "generalised minimal residuals with vectors of earlier cycles", "inner_m and outer_k")
gcrotmk = _solver("gcrotmk", "GCROT(m, k), a flexible variant of GMRES", "m and k")
tfqmr = _solver("tfqmr", "quasi-minimal residuals without the transpose")

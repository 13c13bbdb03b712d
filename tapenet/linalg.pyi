# Made by `python -m tests.stubs`.
from collections.abc import Sequence
from numpy.typing import ArrayLike
from numpy.typing import DTypeLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.ops.linalg.norms import Order
from tapenet.typing import Axis
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import overload
import numpy as np

def cholesky(a: ArrayLike, *, upper: bool = False) -> Tensor:
    """The Cholesky factor of Hermitian (real: symmetric) positive definite matrices."""

def cond(x: ArrayLike, p: float | str | None = None) -> Tensor:
    """The condition number of a matrix, or of each in a stack: norm(x) times that of the inverse."""

def cross(x1: ArrayLike, x2: ArrayLike, *, axis: int = -1) -> Tensor:
    """The cross product of vectors in space, along `axis`; the other axes broadcast."""

def det(a: ArrayLike) -> Tensor:
    """The determinant of a square matrix, or of each in a stack."""

def diagonal(x: ArrayLike, *, offset: int = 0) -> Tensor:
    """The diagonals of a stack of matrices."""

class _EigResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor

def eig(a: ArrayLike) -> _EigResult:
    """The eigenvalues and right eigenvectors of square matrices: a @ V = V · Λ."""

class _EighResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor

def eigh(a: ArrayLike, UPLO: str = 'L') -> _EighResult:
    """The eigenvalues and eigenvectors of Hermitian (real: symmetric) matrices: a = V · Λ @ Vᴴ."""

def eigvals(a: ArrayLike) -> Tensor:
    """The eigenvalues of square matrices, in no order."""

def eigvalsh(a: ArrayLike, UPLO: Literal['L', 'U'] = 'L') -> Tensor:
    """The eigenvalues of Hermitian (real: symmetric) matrices, from the smallest to the largest."""

def inv(a: ArrayLike) -> Tensor:
    """The inverse of a square matrix, or of each in a stack."""

def lstsq(a: ArrayLike, b: ArrayLike, rcond: ArrayLike | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The x that makes |b - a @ x| smallest, and the smallest such x where there are several."""

def matmul(x: ArrayLike, y: ArrayLike, *, axes: Sequence[int | tuple[int, ...]] | None = None, axis: int | None = None, keepdims: bool | None = None, **options: Any) -> Tensor:
    """The matrix product x @ y, with vectors and broadcast batches as `np.matmul`."""

def matrix_norm(x: ArrayLike, *, keepdims: bool = False, ord: Order = 'fro') -> Tensor:
    """The norm of a matrix, or of each in a stack: `norm` over the last two axes."""

def matrix_power(a: ArrayLike, n: int) -> Tensor:
    """The n-th power of a square matrix, or of each in a stack, by repeated squaring."""

def matrix_rank(A: ArrayLike, tol: ArrayLike | None = None, hermitian: bool = False, *, rtol: ArrayLike | None = None) -> Tensor:
    """The rank of a matrix, or of each in a stack. Returns a tensor without gradient."""

def matrix_transpose(x: ArrayLike) -> Tensor:
    """The last two axes exchanged."""

def multi_dot(arrays: Sequence[ArrayLike], *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The product of two or more matrices, in the order that takes the fewest multiplications."""

def norm(x: ArrayLike, ord: Order | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The norm of a vector or a matrix, or of each along `axis`."""

def outer(x1: ArrayLike, x2: ArrayLike) -> Tensor:
    """Every element of the vector `x1` times every element of the vector `x2`."""

def pinv(a: ArrayLike, rcond: ArrayLike | None = None, hermitian: bool = False, *, rtol: object | None = None) -> Tensor:
    """The pseudoinverse (Moore and Penrose) of a matrix, or of each in a stack."""

def qr(a: ArrayLike, mode: str = 'reduced') -> Any:
    """The QR factorisation a = Q @ R, with orthonormal columns in Q and R upper triangular."""

class _SlogdetResult(NamedTuple):
    sign: Tensor
    logabsdet: Tensor

def slogdet(a: ArrayLike) -> _SlogdetResult:
    """Sign and logarithm of the determinant of a square matrix, or of each in a stack."""

def solve(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The solution x of a @ x = b, for a square matrix or each in a stack."""

class _SVDResult(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor

@overload
def svd(a: ArrayLike, full_matrices: bool = True, compute_uv: Literal[True] = True, hermitian: bool = False) -> _SVDResult:
    """The singular value decomposition a = U · diag(S) @ Vh."""

@overload
def svd(a: ArrayLike, full_matrices: bool = True, *, compute_uv: Literal[False], hermitian: bool = False) -> Tensor:
    """The singular value decomposition a = U · diag(S) @ Vh."""

@overload
def svd(a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """The singular value decomposition a = U · diag(S) @ Vh."""

def svdvals(x: ArrayLike) -> Tensor:
    """The singular values of matrices, from the largest to the smallest."""

def tensordot(a: ArrayLike, b: ArrayLike, axes: int | Sequence[int | Sequence[int]] = 2) -> Tensor:
    """The sum of products over pairs of axes, as one matrix product."""

def tensorinv(a: ArrayLike, ind: int = 2) -> Tensor:
    """The inverse of an array as a map from its last axes to its first `ind` ones."""

def tensorsolve(a: ArrayLike, b: ArrayLike, axes: Sequence[int] | None = None) -> Tensor:
    """The solution x of the tensor equation a x = b, where all axes of x are summed over."""

def trace(x: ArrayLike, *, offset: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The sums of the diagonals of a stack of matrices."""

def vecdot(x1: ArrayLike, x2: ArrayLike, *, axes: Sequence[int | tuple[int, ...]] | None = None, axis: int | None = None, keepdims: bool | None = None, **options: Any) -> Tensor:
    """The dot products of two stacks of vectors: Σ conj(x1) · x2 over one axis; the other axes broadcast."""

def vector_norm(x: ArrayLike, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    """The norm of the elements over `axis` as one vector."""

# Made by `python -m tests.stubs`.
from collections.abc import Sequence
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.scipy.linalg.banded import cho_solve_banded as cho_solve_banded
from tapenet.scipy.linalg.banded import solve_banded as solve_banded
from tapenet.scipy.linalg.eigenvalues import eig as eig
from tapenet.scipy.linalg.eigenvalues import eig_banded as eig_banded
from tapenet.scipy.linalg.eigenvalues import eigh as eigh
from tapenet.scipy.linalg.eigenvalues import eigh_tridiagonal as eigh_tridiagonal
from tapenet.scipy.linalg.eigenvalues import eigvals as eigvals
from tapenet.scipy.linalg.eigenvalues import eigvalsh as eigvalsh
from tapenet.scipy.linalg.elimination import lu as lu
from tapenet.scipy.linalg.elimination import lu_solve as lu_solve
from tapenet.scipy.linalg.matrix_functions import expm_frechet as expm_frechet
from tapenet.scipy.linalg.matrix_functions import funm as funm
from tapenet.scipy.linalg.orthogonal_factors import null_space as null_space
from tapenet.scipy.linalg.orthogonal_factors import orth as orth
from tapenet.scipy.linalg.orthogonal_factors import qr as qr
from tapenet.scipy.linalg.orthogonal_factors import qr_multiply as qr_multiply
from tapenet.scipy.linalg.orthogonal_factors import rq as rq
from tapenet.scipy.linalg.orthogonal_factors import svd as svd
from tapenet.scipy.linalg.patterned import block_diag as block_diag
from tapenet.scipy.linalg.positive import cho_factor as cho_factor
from tapenet.scipy.linalg.positive import cho_solve as cho_solve
from tapenet.scipy.linalg.pseudoinverses import lstsq as lstsq
from tapenet.scipy.linalg.pseudoinverses import pinv as pinv
from tapenet.scipy.linalg.pseudoinverses import pinvh as pinvh
from tapenet.scipy.linalg.schur_form import hessenberg as hessenberg
from tapenet.scipy.linalg.schur_form import matrix_balance as matrix_balance
from tapenet.scipy.linalg.schur_form import schur as schur
from tapenet.scipy.linalg.toeplitz_systems import matmul_toeplitz as matmul_toeplitz
from tapenet.scipy.linalg.toeplitz_systems import solve_toeplitz as solve_toeplitz

def cdf2rdf(w: ArrayLike, v: ArrayLike) -> tuple[Tensor, ...]:
    """The real block diagonal form of complex eigenvalues and vectors of real matrices, as `scipy.linalg.cdf2rdf`."""

def cholesky(a: ArrayLike, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Tensor:
    """Cholesky's factor of positive definite matrices, as `scipy.linalg.cholesky`."""

def cholesky_banded(ab: ArrayLike, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True) -> Tensor:
    """Cholesky's factor of a positive definite matrix that is a band, as `scipy.linalg.cholesky_banded`."""

def circulant(c: ArrayLike) -> Tensor:
    """Circulant matrices, as `scipy.linalg.circulant`."""

def companion(a: ArrayLike) -> Tensor:
    """The matrix whose characteristic polynomial is given, as `scipy.linalg.companion`."""

def convolution_matrix(a: ArrayLike, n: int, mode: str = 'full') -> Tensor:
    """The matrix whose product with a vector of `n` elements is its convolution with `a`, as `scipy.linalg.convolution_matrix`."""

def coshm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.coshm`: the hyperbolic cosine of square matrices (..., n, n)."""

def cosm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.cosm`: the cosine of square matrices (..., n, n)."""

def det(a: ArrayLike, overwrite_a: bool = False, check_finite: bool = True) -> Tensor:
    """The determinant of square matrices (..., n, n), as `scipy.linalg.det`. The gradient is right for singular ones too."""

def diagsvd(s: ArrayLike, M: int, N: int) -> Tensor:
    """The matrix Σ of a singular value decomposition, as `scipy.linalg.diagsvd`."""

def eigvals_banded(a_band: ArrayLike, lower: bool = False, overwrite_a_band: bool = False, select: str = 'a', select_range: Sequence[float] | None = None, check_finite: bool = True) -> Tensor:
    """The eigenvalues of Hermitian matrices that are bands, as `scipy.linalg.eigvals_banded`."""

def eigvalsh_tridiagonal(d: ArrayLike, e: ArrayLike, select: str = 'a', select_range: ArrayLike | None = None, check_finite: bool = True, tol: float = 0.0, lapack_driver: str = 'auto') -> Tensor:
    """The eigenvalues of symmetric matrices of three diagonals, as `scipy.linalg.eigvalsh_tridiagonal`."""

def expm(A: ArrayLike) -> Tensor:
    """The exponential of square matrices (..., n, n), as `scipy.linalg.expm`."""

def fiedler(a: ArrayLike) -> Tensor:
    """The matrix of abs(a[i] - a[j]), as `scipy.linalg.fiedler`."""

def fiedler_companion(a: ArrayLike) -> Tensor:
    """A matrix of five diagonals whose characteristic polynomial is given, as `scipy.linalg.fiedler_companion`."""

def fractional_matrix_power(A: ArrayLike, t: ArrayLike) -> Tensor:
    """A power of square matrices (..., n, n), as `scipy.linalg.fractional_matrix_power`."""

def hankel(c: ArrayLike, r: ArrayLike | None = None) -> Tensor:
    """A matrix with constant diagonals from the lower left to the upper right, as `scipy.linalg.hankel`."""

def inv(a: ArrayLike, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: str | None = None, lower: bool = False) -> Tensor:
    """The inverse of square matrices (..., n, n), as `scipy.linalg.inv`."""

def khatri_rao(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The product of Kronecker of each column of `a` and of `b`, as `scipy.linalg.khatri_rao`."""

def ldl(A: ArrayLike, lower: bool = True, hermitian: bool = True, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Tensor, ...]:
    """The factors L and D of symmetric or Hermitian matrices L @ D @ Lᴴ, as `scipy.linalg.ldl`."""

def leslie(f: ArrayLike, s: ArrayLike) -> Tensor:
    """The matrix of a population's growth, as `scipy.linalg.leslie`."""

def logm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.logm`: the principal logarithm of square matrices (..., n, n)."""

def lu_factor(a: ArrayLike, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Tensor, ...]:
    """L (its diagonal of ones left out) and U in one array, and the pivots, as `scipy.linalg.lu_factor`."""

def norm(a: ArrayLike, ord: float | str | None = None, axis: int | tuple[int, int] | None = None, keepdims: bool = False, check_finite: bool = True) -> Tensor:
    """The norm of vectors or matrices, as `scipy.linalg.norm`; at kinks as of `tn.linalg.norm`."""

def orthogonal_procrustes(A: ArrayLike, B: ArrayLike, check_finite: bool = True) -> tuple[Tensor, ...]:
    """The orthogonal matrix that brings A closest to B, as `scipy.linalg.orthogonal_procrustes`."""

def polar(a: ArrayLike, side: str = 'right') -> tuple[Tensor, ...]:
    """The polar form of matrices, as `scipy.linalg.polar`."""

def rsf2csf(T: ArrayLike, Z: ArrayLike, check_finite: bool = True) -> tuple[Tensor, ...]:
    """The complex Schur form from the real one, as `scipy.linalg.rsf2csf`."""

def signm(A: ArrayLike) -> Tensor:
    """The sign of square matrices (..., n, n), as `scipy.linalg.signm`: 1 and -1 in place of eigenvalues by the signs of their real parts. On the imaginary axis it has no derivative."""

def sinhm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.sinhm`: the hyperbolic sine of square matrices (..., n, n)."""

def sinm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.sinm`: the sine of square matrices (..., n, n)."""

def solve(a: ArrayLike, b: ArrayLike, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False, check_finite: bool = True, assume_a: ArrayLike | None = None, transposed: bool = False) -> Tensor:
    """The solution x of a @ x = b, as `scipy.linalg.solve`."""

def solve_circulant(c: ArrayLike, b: ArrayLike, singular: str = 'raise', tol: ArrayLike | None = None, caxis: int = -1, baxis: int = 0, outaxis: int = 0) -> Tensor:
    """The solution x of C @ x = b for a circulant matrix C, by Fourier transforms, as `scipy.linalg.solve_circulant`."""

def solve_continuous_are(a: ArrayLike, b: ArrayLike, q: ArrayLike, r: ArrayLike, e: ArrayLike | None = None, s: ArrayLike | None = None, balanced: bool = True) -> Tensor:
    """The solution of the continuous-time algebraic Riccati equation, as `scipy.linalg.solve_continuous_are`."""

def solve_continuous_lyapunov(a: ArrayLike, q: ArrayLike) -> Tensor:
    """The X of a @ X + X @ aᴴ = q, as `scipy.linalg.solve_continuous_lyapunov`, which is also called `solve_lyapunov`."""

def solve_discrete_are(a: ArrayLike, b: ArrayLike, q: ArrayLike, r: ArrayLike, e: ArrayLike | None = None, s: ArrayLike | None = None, balanced: bool = True) -> Tensor:
    """The solution of the discrete-time algebraic Riccati equation, as `scipy.linalg.solve_discrete_are`."""

def solve_discrete_lyapunov(a: ArrayLike, q: ArrayLike, method: ArrayLike | None = None) -> Tensor:
    """The X of a @ X @ aᴴ - X + q = 0, as `scipy.linalg.solve_discrete_lyapunov`."""

def solve_lyapunov(a: ArrayLike, q: ArrayLike) -> Tensor:
    """The X of a @ X + X @ aᴴ = q, as `scipy.linalg.solve_continuous_lyapunov`, which is also called `solve_lyapunov`."""

def solve_sylvester(a: ArrayLike, b: ArrayLike, q: ArrayLike) -> Tensor:
    """The X of a @ X + X @ b = q, as `scipy.linalg.solve_sylvester`."""

def solve_triangular(a: ArrayLike, b: ArrayLike, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False, check_finite: bool = True) -> Tensor:
    """The solution x of a @ x = b for a triangular matrix, as `scipy.linalg.solve_triangular`."""

def solveh_banded(ab: ArrayLike, b: ArrayLike, overwrite_ab: bool = False, overwrite_b: bool = False, lower: bool = False, check_finite: bool = True) -> Tensor:
    """The solution x of a @ x = b for a positive definite matrix that is a band, as `scipy.linalg.solveh_banded`."""

def sqrtm(A: ArrayLike) -> Tensor:
    """The principal square root of square matrices (..., n, n), as `scipy.linalg.sqrtm`."""

def subspace_angles(A: ArrayLike, B: ArrayLike) -> Tensor:
    """The angles between what the columns of two matrices span, from the largest, as `scipy.linalg.subspace_angles`."""

def svdvals(a: ArrayLike, overwrite_a: bool = False, check_finite: bool = True) -> Tensor:
    """The singular values of matrices (..., m, n), as `scipy.linalg.svdvals`; at kinks as of `tn.linalg.svdvals`."""

def tanhm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.tanhm`: the hyperbolic tangent of square matrices (..., n, n)."""

def tanm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.tanm`: the tangent of square matrices (..., n, n)."""

def toeplitz(c: ArrayLike, r: ArrayLike | None = None) -> Tensor:
    """Matrices with constant diagonals, as `scipy.linalg.toeplitz`."""

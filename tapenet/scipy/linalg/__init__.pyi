# Made by `python -m tests.stubs`.
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.scipy.linalg.matrix_functions import expm_frechet as expm_frechet
from tapenet.scipy.linalg.matrix_functions import khatri_rao as khatri_rao

def coshm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.coshm`: the hyperbolic cosine of square matrices (..., n, n)."""

def cosm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.cosm`: the cosine of square matrices (..., n, n)."""

def expm(A: ArrayLike) -> Tensor:
    """The exponential of square matrices (..., n, n), as `scipy.linalg.expm`."""

def fractional_matrix_power(A: ArrayLike, t: ArrayLike) -> Tensor:
    """A power of square matrices (..., n, n), as `scipy.linalg.fractional_matrix_power`."""

def logm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.logm`: the principal logarithm of square matrices (..., n, n)."""

def signm(A: ArrayLike) -> Tensor:
    """The sign of square matrices (..., n, n), as `scipy.linalg.signm`: 1 and -1 in place of eigenvalues by the signs of their real parts. On the imaginary axis it has no derivative."""

def sinhm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.sinhm`: the hyperbolic sine of square matrices (..., n, n)."""

def sinm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.sinm`: the sine of square matrices (..., n, n)."""

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

def sqrtm(A: ArrayLike) -> Tensor:
    """The principal square root of square matrices (..., n, n), as `scipy.linalg.sqrtm`."""

def tanhm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.tanhm`: the hyperbolic tangent of square matrices (..., n, n)."""

def tanm(A: ArrayLike) -> Tensor:
    """`scipy.linalg.tanm`: the tangent of square matrices (..., n, n)."""

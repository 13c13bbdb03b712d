# Made by `python -m tests.stubs`.
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor

def exponential(M: int, center: float | None = None, tau: ArrayLike = 1.0, sym: bool = True) -> Tensor:
    """The window exp(-|n - center|/tau)."""

def gaussian(M: int, std: ArrayLike, sym: bool = True) -> Tensor:
    """The window exp(-n²/(2 std²)), n counted from the middle."""

def general_cosine(M: int, a: ArrayLike, sym: bool = True) -> Tensor:
    """The window Σ a[k] cos(2πkn/N), n counted from the middle."""

def general_gaussian(M: int, p: ArrayLike, sig: ArrayLike, sym: bool = True) -> Tensor:
    """The window exp(-|n/sig|²ᵖ / 2), n counted from the middle."""

def general_hamming(M: int, alpha: ArrayLike, sym: bool = True) -> Tensor:
    """The window alpha - (1 - alpha) cos(2πn/N), n from one end."""

def kaiser(M: int, beta: ArrayLike, sym: bool = True) -> Tensor:
    """Kaiser's window I₀(beta √(1 - (n/half)²)) / I₀(beta), n counted from the middle."""

def tukey(M: int, alpha: ArrayLike = 0.5, sym: bool = True) -> Tensor:
    """Tukey's window: flat but for cosines at the ends, alpha of the whole."""

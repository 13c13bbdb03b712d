# Made by `python -m tests.stubs`.
from collections.abc import Sequence
from numpy.typing import ArrayLike
from numpy.typing import DTypeLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.ops.fft.transforms import Norm
from tapenet.typing import Axis
from typing import Any
import numpy as np

def fft(a: ArrayLike, n: Any = None, axis: Axis = -1, norm: Any = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The discrete Fourier transform along an axis."""

def fft2(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """`fftn` over the last two axes, or two others."""

def fftfreq(n: int, d: ArrayLike = 1.0, device: object | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """The frequencies of the coefficients that `fft` gives, as a tensor: 0 and the positive ones, then the negative ones."""

def fftn(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The discrete Fourier transform along several axes."""

def fftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Tensor:
    """The coefficients of a transform with frequency 0 in the middle."""

def hfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The transform of numbers whose second half mirrors the first, conjugated: it is real."""

def ifft(a: ArrayLike, n: Any = None, axis: Axis = -1, norm: Any = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The inverse discrete Fourier transform along an axis."""

def ifft2(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """`ifftn` over the last two axes, or two others."""

def ifftn(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The inverse discrete Fourier transform along several axes."""

def ifftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`: frequency 0 at the beginning."""

def ihfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The inverse of `hfft`: the first half of numbers whose transform is real."""

def irfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: Norm | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The inverse of `rfft`: real numbers from the first half of their transform. The imaginary parts of the first coefficient, and of that at n/2, count for nothing."""

def irfft2(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """`irfftn` over the last two axes, or two others."""

def irfftn(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The inverse of `rfftn`: real numbers from the first half of their transform."""

def rfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: Norm | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The discrete Fourier transform of real numbers along an axis: the first half, of which the rest is the mirror."""

def rfft2(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] = ..., norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """`rfftn` over the last two axes, or two others."""

def rfftfreq(n: int, d: ArrayLike = 1.0, device: object | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """The frequencies of the coefficients that `rfft` gives, as a tensor; the arguments are those of `fftfreq`."""

def rfftn(a: ArrayLike, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None, *, out: Tensor | np.ndarray[Any, Any] | None = None) -> Tensor:
    """The discrete Fourier transform of real numbers along several axes: along the last of them the first half, of which the rest is the mirror."""

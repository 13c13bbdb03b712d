# Made by `python -m tests.stubs`.
from collections.abc import Sequence
from numpy.typing import ArrayLike
from numpy.typing import DTypeLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.scipy.fft.cosines import Norm
from tapenet.scipy.fft.cosines import Type

def dct(x: ArrayLike, type: Type = 2, n: int | None = None, axis: int = -1, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, orthogonalize: bool | None = None) -> Tensor:
    """The discrete cosine transform along an axis."""

def dctn(x: ArrayLike, type: Type = 2, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, *, orthogonalize: bool | None = None) -> Tensor:
    """The discrete cosine transform along several axes."""

def dst(x: ArrayLike, type: Type = 2, n: int | None = None, axis: int = -1, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, orthogonalize: bool | None = None) -> Tensor:
    """The discrete sine transform along an axis."""

def dstn(x: ArrayLike, type: Type = 2, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, *, orthogonalize: bool | None = None) -> Tensor:
    """The discrete sine transform along several axes."""

def fft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The discrete Fourier transform along an axis."""

def fft2(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] = ..., norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The discrete Fourier transform along two axes."""

def fftfreq(n: int, d: ArrayLike = 1.0, device: object | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """The frequencies of the coefficients that `fft` gives, as a tensor: 0 and the positive ones, then the negative ones."""

def fftn(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The discrete Fourier transform along several axes."""

def fftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Tensor:
    """The coefficients of a transform with frequency 0 in the middle."""

def fht(a: ArrayLike, dln: ArrayLike, mu: ArrayLike, offset: ArrayLike = 0.0, bias: ArrayLike = 0.0) -> Tensor:
    """The Hankel transform ∫ a(r) J_mu(k r) k dr of numbers along the last axis, at logarithmically spaced points."""

def fhtoffset(dln: ArrayLike, mu: ArrayLike, initial: ArrayLike = 0.0, bias: ArrayLike = 0.0) -> Tensor:
    """An offset near `initial` with which `fht` rings least; its arguments are those of `fht`."""

def hfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The real transform of numbers that mirror themselves along an axis."""

def hfft2(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] = ..., norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The real transform of numbers that mirror themselves along two axes."""

def hfftn(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The real transform of numbers that mirror themselves along several axes."""

def idct(x: ArrayLike, type: Type = 2, n: int | None = None, axis: int = -1, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, orthogonalize: bool | None = None) -> Tensor:
    """The inverse discrete cosine transform along an axis."""

def idctn(x: ArrayLike, type: Type = 2, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, *, orthogonalize: bool | None = None) -> Tensor:
    """The inverse discrete cosine transform along several axes."""

def idst(x: ArrayLike, type: Type = 2, n: int | None = None, axis: int = -1, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, orthogonalize: bool | None = None) -> Tensor:
    """The inverse discrete sine transform along an axis."""

def idstn(x: ArrayLike, type: Type = 2, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: Norm | None = None, overwrite_x: bool = False, workers: int | None = None, *, orthogonalize: bool | None = None) -> Tensor:
    """The inverse discrete sine transform along several axes."""

def ifft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse discrete Fourier transform along an axis."""

def ifft2(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] = ..., norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse discrete Fourier transform along two axes."""

def ifftn(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse discrete Fourier transform along several axes."""

def ifftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`: frequency 0 at the beginning."""

def ifht(A: ArrayLike, dln: ArrayLike, mu: ArrayLike, offset: ArrayLike = 0.0, bias: ArrayLike = 0.0) -> Tensor:
    """The inverse of `fht`, whose arguments it has."""

def ihfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse of the transform of numbers that mirror themselves along an axis."""

def ihfft2(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] = ..., norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse of the transform of numbers that mirror themselves along two axes."""

def ihfftn(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse of the transform of numbers that mirror themselves along several axes."""

def irfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse of the transform of real numbers along an axis."""

def irfft2(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] = ..., norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse of the transform of real numbers along two axes."""

def irfftn(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The inverse of the transform of real numbers along several axes."""

def rfft(x: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The discrete Fourier transform of real numbers, its first half along an axis."""

def rfft2(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] = ..., norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The discrete Fourier transform of real numbers, its first half along two axes."""

def rfftfreq(n: int, d: ArrayLike = 1.0, device: object | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """The frequencies of the coefficients that `rfft` gives, as a tensor; the arguments are those of `fftfreq`."""

def rfftn(x: ArrayLike, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: str | None = None, overwrite_x: bool = False, workers: int | None = None, *, plan: None = None) -> Tensor:
    """The discrete Fourier transform of real numbers, its first half along several axes."""

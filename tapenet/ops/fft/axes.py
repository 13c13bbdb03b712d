"""Discrete Fourier transforms over several axes: those along one axis, one after another, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.fft.transforms import complex_normal, fft, ifft, irfft, rfft
from tapenet.ops.registry import Samples, sample
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    pass


def _normal(r: np.random.Generator, shape: Shape) -> Array:
    return r.normal(size=shape)


def _several(array: Callable[[np.random.Generator, Shape], Array]) -> Samples:
    """Calls of a transform along several axes."""
    return lambda r: [
        sample(array(r, (2, 3))),
        sample(array(r, (2, 1, 3)), axes=(0, -1), norm="ortho"),
        sample(array(r, (2, 3)), (-1, 2), (1, 0)),
        sample(array(r, (2, 2)), [3], axes=[0], norm="forward"),
        sample(array(r, (3,)), axes=(0, 0)),
    ]


def _two(array: Callable[[np.random.Generator, Shape], Array]) -> Samples:
    """Calls of a transform along two axes."""
    return lambda r: [
        sample(array(r, (2, 3))),
        sample(array(r, (2, 1, 2)), (3, 1), (0, 2), "ortho"),
        sample(array(r, (2, 3)), norm="forward"),
    ]


def _lengths(a: Array, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int | None, int]]:
    """The length and the axis of each transform.

    Raises:
        ValueError: not as many axes as lengths.
        IndexError: no such axis.
    """
    shape = a.shape
    if axes is None:
        axes = range(len(shape)) if s is None else range(-len(s), 0)
    elif s is not None and len(s) != len(axes):
        raise ValueError(f"a transform over axes={axes} has as many lengths, not s={s}")
    try:
        if s is None:
            return [(shape[i], i) for i in axes]
        return [(shape[i] if n == -1 else n, i) for n, i in zip(s, axes, strict=True)]
    except IndexError:
        raise IndexError(f"a has shape {shape}; axes= is a tuple of its axes, one or more, not {axes}") from None


def _last(
    a: Array, s: Sequence[int] | None, axes: Sequence[int] | None
) -> tuple[list[tuple[int | None, int]], int | None, int]:
    """The length and the axis of each transform, those of the last one apart, which is of real numbers."""
    found = _lengths(a, s, axes)
    if not found:
        raise IndexError(f"a has shape {a.shape}; axes= is a tuple of its axes, one or more, not {axes}")
    *others, (n, axis) = found
    return others, n, axis


@derived(
    numpy=np.fft.fftn,
    samples=lambda r: [*_several(complex_normal)(r), sample(r.normal(size=(2, 3))), sample(r.normal(size=()))],
)
def fftn(a: Array, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """The discrete Fourier transform along several axes.

    Args:
        a: an array, complex or real.
        s: the lengths of the transforms, by default those of the axes; -1 is that of the axis.
            `a` is cut to them, or filled up with zeros.
        axes: the axes to transform, by default all, or as many of the last as `s` has lengths.
        norm: as for `fft`; n is the product of the lengths.

    Raises:
        ValueError: not as many axes as lengths in `s`, or another norm.
        IndexError: no such axis.

    >>> import tapenet as tn
    >>> tn.fft.fftn(tn.tensor([[1.0, 2.0]]))
    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)
    """
    a = array_like(a)
    for n, axis in reversed(_lengths(a, s, axes)):
        a = fft(a, n, axis, norm)
    return a


@derived(numpy=np.fft.fft2, samples=_two(complex_normal))
def fft2(a: Array, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """`fftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `fftn`.

    >>> import tapenet as tn
    >>> tn.fft.fft2(tn.tensor([[1.0, 2.0]]))
    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)
    """
    return fftn(a, s, axes, norm)


@derived(
    numpy=np.fft.ifftn,
    samples=lambda r: [*_several(complex_normal)(r), sample(r.normal(size=(2, 3))), sample(r.normal(size=()))],
)
def ifftn(
    a: Array, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Array:
    """The inverse discrete Fourier transform along several axes.

    Args:
        a, s, axes, norm: as for `fftn`.

    Raises:
        ValueError: not as many axes as lengths in `s`, or another norm.
        IndexError: no such axis.

    >>> import tapenet as tn
    >>> tn.fft.ifftn(tn.tensor([[3.0, -1.0]]))
    Tensor([[1.+0.j, 2.+0.j]], dtype=complex128)
    """
    a = array_like(a)
    for n, axis in reversed(_lengths(a, s, axes)):
        a = ifft(a, n, axis, norm)
    return a


@derived(numpy=np.fft.ifft2, samples=_two(complex_normal))
def ifft2(a: Array, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """`ifftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `ifftn`.

    >>> import tapenet as tn
    >>> tn.fft.ifft2(tn.tensor([[3.0, -1.0]]))
    Tensor([[1.+0.j, 2.+0.j]], dtype=complex128)
    """
    return ifftn(a, s, axes, norm)


@derived(numpy=np.fft.rfftn, samples=_several(_normal))
def rfftn(
    a: Array, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Array:
    """The discrete Fourier transform of real numbers along several axes: along the last of them the first half, of which the
    rest is the mirror.

    Args:
        a: an array of real numbers.
        s, axes, norm: as for `fftn`.

    Raises:
        ValueError: not as many axes as lengths in `s`, or another norm.
        IndexError: no such axis.

    >>> import tapenet as tn
    >>> tn.fft.rfftn(tn.tensor([[1.0, 2.0]]))
    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)
    """
    a = array_like(a)
    others, last, end = _last(a, s, axes)
    a = rfft(a, last, end, norm)
    for n, axis in reversed(others):
        a = fft(a, n, axis, norm)
    return a


@derived(numpy=np.fft.rfft2, samples=_two(_normal))
def rfft2(a: Array, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """`rfftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `rfftn`.

    >>> import tapenet as tn
    >>> tn.fft.rfft2(tn.tensor([[1.0, 2.0]]))
    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)
    """
    return rfftn(a, s, axes, norm)


@derived(numpy=np.fft.irfftn, samples=lambda r: [*_several(complex_normal)(r), sample(r.normal(size=(2, 3)))])
def irfftn(
    a: Array, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Array:
    """The inverse of `rfftn`: real numbers from the first half of their transform.

    Args:
        a: an array, complex or real.
        s: the lengths of the transforms, by default those of the axes, along the last one 2 (m - 1) for m
            coefficients; -1 is that of the axis. `a` is cut to them, or filled up with zeros.
        axes, norm: as for `fftn`.

    Raises:
        ValueError: not as many axes as lengths in `s`, or another norm.
        IndexError: no such axis.

    >>> import tapenet as tn
    >>> tn.fft.irfftn(tn.tensor([[3.0, -1.0]]))
    Tensor([[1., 2.]])
    """
    a = array_like(a)
    others, last, end = _last(a, s, axes)
    for n, axis in others:
        a = ifft(a, n, axis, norm)
    found: Array = irfft(a, None if s is None else last, end, norm)
    return found


@derived(numpy=np.fft.irfft2, samples=_two(complex_normal))
def irfft2(a: Array, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Array:
    """`irfftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `irfftn`.

    >>> import tapenet as tn
    >>> tn.fft.irfft2(tn.tensor([[3.0, -1.0]]))
    Tensor([[1., 2.]])
    """
    return irfftn(a, s, axes, norm)

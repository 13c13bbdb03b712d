"""Discrete Fourier transforms over several axes, made of those along one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.fft.transforms import complex_normal, fft, ifft, irfft, rfft
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, sample


def _lengths(name: str, shape: Any, s: Any, axes: Any) -> list[tuple[int | None, int]]:
    """The length and the axis of each transform; None for a length that the transform knows by itself."""
    if axes is None:
        axes = range(len(shape)) if s is None else range(-len(s), 0)
    axes = [int(i) for i in axes]
    if any(not -len(shape) <= i < len(shape) for i in axes):
        raise ValueError(f"{name}: axes {tuple(axes)} are not all axes of shape {shape}")
    lengths = [None] * len(axes) if s is None else list(s)
    if len(lengths) != len(axes):
        raise ValueError(f"{name}: as many lengths as axes, not s={tuple(lengths)} with axes={tuple(axes)}")
    return [(shape[axis] if n == -1 else n, axis) for n, axis in zip(lengths, axes, strict=True)]


def _real_lengths(name: str, shape: Any, s: Any, axes: Any) -> tuple[list[tuple[int | None, int]], Any]:
    """The same, with the last one apart: along it the numbers are real."""
    found = _lengths(name, shape, s, axes)
    if not found:
        raise ValueError(f"{name}: give one axis or more")
    return found[:-1], found[-1]


def _along(transform: Op, a: Any, lengths: list[tuple[int | None, int]], norm: Any) -> Any:
    """A transform along several axes, the last first."""
    for n, axis in reversed(lengths):
        a = transform(a, n, axis, norm)
    return a


def _several(r: np.random.Generator) -> list[Sample]:
    """Calls of a transform along several axes."""
    return [
        sample(complex_normal(r, (2, 3))),
        sample(complex_normal(r, (2, 1, 3)), axes=(0, -1), norm="ortho"),
        sample(complex_normal(r, (2, 3)), (-1, 2), (1, 0)),
        sample(complex_normal(r, (2, 2)), [3], axes=[0], norm="forward"),
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=())),
        sample(complex_normal(r, (3,)), axes=(0, 0)),
    ]


def _two(r: np.random.Generator) -> list[Sample]:
    """Calls of a transform along two axes."""
    return [
        sample(complex_normal(r, (2, 3))),
        sample(complex_normal(r, (2, 1, 2)), (3, 1), (0, 2), "ortho"),
        sample(r.normal(size=(2, 3)), norm="forward"),
    ]


@derived(
    numpy=np.fft.fftn,
    samples=_several,
)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The discrete Fourier transform along several axes.

    Args:
        a: an array, complex or real.
        s: the lengths of the transforms, by default those of the axes; -1 is that of the axis.
            `a` is cut to them, or filled up with zeros.
        axes: the axes to transform, by default all, or as many of the last as `s` has lengths.
        norm: as for `fft`; n is the product of the lengths.

    Raises:
        ValueError: no such axes, not as many as lengths in `s`, or another norm.

    >>> import tapenet as tn
    >>> tn.fft.fftn(tn.tensor([[1.0, 2.0]]))
    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)
    """
    a = array_like(a)
    return _along(fft, a, _lengths("fftn", a.shape, s, axes), norm)


@derived(
    numpy=np.fft.fft2,
    samples=_two,
)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
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
    samples=_several,
)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The inverse discrete Fourier transform along several axes.

    Args:
        a: an array, complex or real.
        s: the lengths of the transforms, by default those of the axes; -1 is that of the axis.
            `a` is cut to them, or filled up with zeros.
        axes: the axes to transform, by default all, or as many of the last as `s` has lengths.
        norm: as for `fft`; n is the product of the lengths.

    Raises:
        ValueError: no such axes, not as many as lengths in `s`, or another norm.

    >>> import tapenet as tn
    >>> tn.fft.ifftn(tn.tensor([[3.0, -1.0]]))
    Tensor([[1.+0.j, 2.+0.j]], dtype=complex128)
    """
    a = array_like(a)
    return _along(ifft, a, _lengths("ifftn", a.shape, s, axes), norm)


@derived(
    numpy=np.fft.ifft2,
    samples=_two,
)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    """`ifftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `ifftn`.

    >>> import tapenet as tn
    >>> tn.fft.ifft2(tn.tensor([[3.0, -1.0]]))
    Tensor([[1.+0.j, 2.+0.j]], dtype=complex128)
    """
    return ifftn(a, s, axes, norm)


@derived(
    numpy=np.fft.rfftn,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 1, 3)), axes=(0, -1), norm="ortho"),
        sample(r.normal(size=(2, 3)), (-1, 2), (1, 0)),
        sample(r.normal(size=(2, 2)), [3], axes=[0], norm="forward"),
        sample(r.normal(size=(2, 3))),
    ],
)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The discrete Fourier transform of real numbers along several axes: along the last of them the first half, of which the
    rest is the mirror.

    Args:
        a: an array of real numbers.
        s: the lengths of the transforms, by default those of the axes; -1 is that of the axis.
            `a` is cut to them, or filled up with zeros.
        axes: the axes to transform, by default all, or as many of the last as `s` has lengths.
        norm: as for `fft`; n is the product of the lengths.

    Raises:
        ValueError: no such axes, not as many as lengths in `s`, or another norm.

    >>> import tapenet as tn
    >>> tn.fft.rfftn(tn.tensor([[1.0, 2.0]]))
    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)
    """
    a = array_like(a)
    others, (n, axis) = _real_lengths("rfftn", a.shape, s, axes)
    return _along(fft, rfft(a, n, axis, norm), others, norm)


@derived(
    numpy=np.fft.rfft2,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 1, 2)), (3, 1), (0, 2), "ortho"),
        sample(r.normal(size=(2, 3)), norm="forward"),
    ],
)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    """`rfftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `rfftn`.

    >>> import tapenet as tn
    >>> tn.fft.rfft2(tn.tensor([[1.0, 2.0]]))
    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)
    """
    return rfftn(a, s, axes, norm)


@derived(
    numpy=np.fft.irfftn,
    samples=lambda r: [
        sample(complex_normal(r, (2, 3))),
        sample(complex_normal(r, (2, 1, 3)), axes=(0, -1), norm="ortho"),
        sample(complex_normal(r, (2, 3)), (-1, 2), (1, 0)),
        sample(complex_normal(r, (2, 2)), [3], axes=[0], norm="forward"),
        sample(r.normal(size=(2, 3))),
    ],
)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    """The inverse of `rfftn`: real numbers from the first half of their transform.

    Args:
        a: an array, complex or real.
        s: the lengths of the transforms, by default those of the axes, along the last one 2 (m - 1) for m
            coefficients; -1 is that of the axis. `a` is cut to them, or filled up with zeros.
        axes: the axes to transform, by default all, or as many of the last as `s` has lengths.
        norm: as for `fft`; n is the product of the lengths.

    Raises:
        ValueError: no such axes, not as many as lengths in `s`, or another norm.

    >>> import tapenet as tn
    >>> tn.fft.irfftn(tn.tensor([[3.0, -1.0]]))
    Tensor([[1., 2.]])
    """
    a = array_like(a)
    others, (n, axis) = _real_lengths("irfftn", a.shape, s, axes)
    return irfft(_along(ifft, a, others[::-1], norm), n, axis, norm)


@derived(
    numpy=np.fft.irfft2,
    samples=lambda r: [
        sample(complex_normal(r, (2, 3))),
        sample(complex_normal(r, (2, 1, 2)), (3, 1), (0, 2), "ortho"),
        sample(r.normal(size=(2, 2)), (2, 3), norm="forward"),
    ],
)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    """`irfftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `irfftn`.

    >>> import tapenet as tn
    >>> tn.fft.irfft2(tn.tensor([[3.0, -1.0]]))
    Tensor([[1., 2.]])
    """
    return irfftn(a, s, axes, norm)

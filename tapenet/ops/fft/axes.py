"""Discrete Fourier transforms over several axes.

Four ops, as along one axis. Where an axis is named twice, it is transformed twice, by those along one axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.fft.transforms import complex_normal, fft, fitted, ifft, irfft, of_dtype, rfft, swapped, weighed
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array, DType, Shape

Lengths: TypeAlias = Sequence[int] | None
Axes: TypeAlias = Sequence[int] | None
if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


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


def _real(r: np.random.Generator) -> list[Sample]:
    """Calls of a transform of real numbers along several axes."""
    return [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 1, 3)), axes=(0, -1), norm="ortho"),
        sample(r.normal(size=(2, 3)), (-1, 2), (1, 0)),
        sample(r.normal(size=(2, 2)), [3], axes=[0], norm="forward"),
    ]


def _half(r: np.random.Generator) -> list[Sample]:
    """Calls of a transform to real numbers along several axes."""
    return [
        sample(complex_normal(r, (2, 3))),
        sample(complex_normal(r, (2, 1, 3)), axes=(0, -1), norm="ortho"),
        sample(complex_normal(r, (2, 3)), (-1, 2), (1, 0)),
        sample(complex_normal(r, (2, 2)), [3], axes=[0], norm="forward"),
        sample(r.normal(size=(2, 3))),
    ]


# -- ops ---------------------------------------------------------------------------------------------------------


def _places(ndim: int, s: Lengths, axes: Axes) -> list[int]:
    """The axes that are transformed, from 0 on."""
    if axes is None:
        return list(range(0 if s is None else ndim - len(s), ndim))
    return [i % ndim for i in axes]


def _fitted(a: Array, shape: tuple[int, ...], places: list[int]) -> Array:
    """An array cut, or filled up with zeros, to a shape along some axes."""
    for i in places:
        a = fitted(a, shape[i], i)
    return a


def _hint(a: Array, s: Lengths, axes: Axes, norm: str | None) -> str:
    return (
        f"a has shape {np.shape(a)}; axes= is a tuple of its axes, one or more, s= has as many lengths, 1 or more or -1 for "
        "that of the axis, norm= is None, 'backward', 'ortho' or 'forward'"
    )


def _op(
    forward: Callable[..., Array], along: Op, what: str, gradient: str, example: str, samples: Samples,
    rule: Callable[..., Array] | None = None,
) -> Op:  # fmt: skip
    """What transforms over several axes as `along` does along one; with the rule of a symmetric matrix if none is given."""
    name = f"{along.name}_axes"

    def symmetric(g: Array, a_shape: Shape, a_dtype: DType, s: Lengths, axes: Axes, norm: str | None) -> Array:
        places = _places(len(a_shape), s, axes)
        return of_dtype(a_dtype, _fitted(made(g, None, places, norm), a_shape, places))

    made: Op = op(
        lambda a, s=None, axes=None, norm=None: forward(a, s, axes, norm),
        name=name,
        label=along.name,
        a=rule or symmetric,
        gradients=f"a: {gradient}",
        doc=f"""{what[0].upper()}{what[1:]}: what `{along.name}n` is for axes that are named once.

    Args:
        a, s, axes, norm: as for `{along.name}n`.

    >>> import tapenet as tn
    >>> from tapenet.ops.fft.axes import {name}
    >>> {name}(tn.tensor({example}
    """,
        samples=samples,
        hint=_hint,
    )
    made.__module__ = __name__
    return made


def _rfft_rule(g: Array, a_shape: Shape, s: Lengths, axes: Axes, norm: str | None) -> Array:
    places = _places(len(a_shape), s, axes)
    last = places[-1]
    n = a_shape[last] if s is None or s[-1] in (-1, None) else s[-1]
    lengths = [*(g.shape[i] for i in places[:-1]), n]
    return _fitted(irfft_axes(weighed(g, n, last, 0.5), lengths, places, swapped(norm)), a_shape, places)


def _irfft_rule(g: Array, a_shape: Shape, a_dtype: DType, s: Lengths, axes: Axes, norm: str | None) -> Array:
    places = _places(len(a_shape), s, axes)
    last = places[-1]
    made = weighed(rfft_axes(g, None, places, swapped(norm)), g.shape[last], last, 2.0)
    return of_dtype(a_dtype, _fitted(made, a_shape, places))


fft_axes: Op = _op(
    np.fft.fftn,
    fft,
    "fft along several axes",
    "fft along several axes of g",
    "[[1.0, 2.0]]))\n    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)",
    lambda r: _several(r)[:-1],
)
ifft_axes: Op = _op(
    np.fft.ifftn,
    ifft,
    "ifft along several axes",
    "ifft along several axes of g",
    "[[3.0, -1.0]]))\n    Tensor([[1.+0.j, 2.+0.j]], dtype=complex128)",
    lambda r: _several(r)[:-1],
)
rfft_axes: Op = _op(
    np.fft.rfftn,
    rfft,
    "rfft along the last of several axes, fft along the others",
    "Re Σₖ gₖ e^(−2πijk/n), over all of the axes",
    "[[1.0, 2.0]]))\n    Tensor([[ 3.+0.j, -1.+0.j]], dtype=complex128)",
    _real,
    _rfft_rule,
)
irfft_axes: Op = _op(
    np.fft.irfftn,
    irfft,
    "ifft along all of several axes but the last, then irfft",
    "cₖ Σⱼ gⱼ e^(2πijk/n) / n, over all of the axes",
    "[[3.0, -1.0]]))\n    Tensor([[1., 2.]])",
    _half,
    _irfft_rule,
)

# -- functions ---------------------------------------------------------------------------------------------------


def _read(ndim: int, s: Lengths, axes: Axes) -> tuple[Lengths, Any, bool]:
    """Lengths and axes as tuples, and whether an axis is among them twice."""
    s = s if s is None else tuple(s)
    if axes is None:
        return s, None, False
    axes = tuple(map(index, axes))
    return s, axes, len(axes) > 1 and len({i + ndim if i < 0 else i for i in axes}) < len(axes)


def _along(transform: Op, a: Array, s: Sequence[int], axes: Sequence[int], norm: str | None) -> Array:
    """A transform along some axes, the last first; of lengths that are those given, or of the axes."""
    for n, axis in reversed(list(zip(s, axes, strict=True))):
        a = transform(a, n, axis, norm)
    return a


def _lengths(shape: Shape, s: Lengths, axes: Sequence[int]) -> list[int]:
    """As many lengths as axes."""
    s = (-1,) * len(axes) if s is None else s
    if len(s) != len(axes):
        raise ValueError(f"a transform over axes={axes} has as many lengths, not s={s}")
    return [shape[i] if n == -1 else n for n, i in zip(s, axes, strict=True)]


@derived(
    numpy=np.fft.fftn,
    samples=_several,
)
def fftn(a: ArrayLike, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
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
    s, axes, twice = _read(a.ndim, s, axes)
    return _along(fft, a, _lengths(a.shape, s, axes), axes, norm) if twice else fft_axes(a, s, axes, norm)


@derived(
    numpy=np.fft.fft2,
    samples=_two,
)
def fft2(a: ArrayLike, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
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
def ifftn(a: Array, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
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
    s, axes, twice = _read(a.ndim, s, axes)
    return _along(ifft, a, _lengths(a.shape, s, axes), axes, norm) if twice else ifft_axes(a, s, axes, norm)


@derived(
    numpy=np.fft.ifft2,
    samples=_two,
)
def ifft2(a: ArrayLike, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
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
    samples=lambda r: [*_real(r), sample(r.normal(size=3), axes=(0, 0))],
)
def rfftn(a: Array, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
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
    s, axes, twice = _read(a.ndim, s, axes)
    if not twice:
        return rfft_axes(a, s, axes, norm)
    *others, last = _lengths(a.shape, s, axes)
    return _along(fft, rfft(a, last, axes[-1], norm), others, axes[:-1], norm)


@derived(
    numpy=np.fft.rfft2,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 1, 2)), (3, 1), (0, 2), "ortho"),
        sample(r.normal(size=(2, 3)), norm="forward"),
    ],
)
def rfft2(a: ArrayLike, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
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
    samples=lambda r: [*_half(r), sample(complex_normal(r, (3,)), axes=(0, 0))],
)
def irfftn(a: Array, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Array:
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
    s, axes, twice = _read(a.ndim, s, axes)
    if not twice:
        return irfft_axes(a, s, axes, norm)
    *others, last = _lengths(a.shape, s, axes)
    if s is None:
        last = 2 * (last - 1)
    return irfft(_along(ifft, a, others[::-1], axes[-2::-1], norm), last, axes[-1], norm)


@derived(
    numpy=np.fft.irfft2,
    samples=lambda r: [
        sample(complex_normal(r, (2, 3))),
        sample(complex_normal(r, (2, 1, 2)), (3, 1), (0, 2), "ortho"),
        sample(r.normal(size=(2, 2)), (2, 3), norm="forward"),
    ],
)
def irfft2(a: ArrayLike, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Array:
    """`irfftn` over the last two axes, or two others.

    Args:
        a, s, axes, norm: as for `irfftn`.

    >>> import tapenet as tn
    >>> tn.fft.irfft2(tn.tensor([[3.0, -1.0]]))
    Tensor([[1., 2.]])
    """
    return irfftn(a, s, axes, norm)

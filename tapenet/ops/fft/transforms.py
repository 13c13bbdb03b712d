"""Discrete Fourier transforms along one axis.

Four ops, two of complex numbers and two of real ones; all other transforms are made of them.
A transform of complex numbers is a symmetric matrix, so its gradient is the same transform. Those of real numbers are
each other's adjoint but for the weights of the coefficients that stand for two: all but the first, and the last where the
length is even.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.complex import conjugate, real
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.ops.shapes.reshaping import along_axis
from tapenet.program.low import real_of
from tapenet.typing import Array, DType, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

Norm: TypeAlias = Literal["backward", "ortho", "forward"] | None

_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def swapped(norm: str | None) -> str:
    """The norm of the inverse transform that undoes none of the scaling of this one, but repeats it."""
    if norm not in _SWAPPED:
        raise ValueError(f'norm is None, "backward", "ortho" or "forward", not {norm!r}')
    return _SWAPPED[norm]


def fitted(a: Array, length: int, axis: int) -> Array:
    """An array cut, or filled up with zeros, to a length along an axis: the gradient of what a transform does first."""
    have = a.shape[axis]
    axis = normalize_axis_index(axis, a.ndim)
    if have > length:
        return a[along_axis(axis, slice(0, length))]
    if have < length:
        missing = np.zeros((*a.shape[:axis], length - have, *a.shape[axis + 1 :]), a.dtype)
        return np.concatenate([a, missing], axis)
    return a


def of_dtype(dtype: DType, g: Array) -> Array:
    """A gradient for an input of a dtype: of a real one only the real part counts."""
    if dtype.kind == "c":
        return g
    return np.asarray(g.real, order="C") if type(g) is np.ndarray else real(g)  # not a view with gaps


def _weighed_a(g: Array, n: int, axis: int, weight: float) -> Array:
    return weighed(g, n, axis, weight)


def _weighed(a: Array, n: int, axis: int, weight: float) -> Array:
    """The same without views. A product with 1j would make nan of the real part where the imaginary one is infinite."""
    factors = np.ones(a.shape[axis], real_of(a.dtype))
    factors[1 : (n + 1) // 2] = weight
    behind = a.ndim - 1 - normalize_axis_index(axis, a.ndim)
    factors = factors.reshape(-1, *(1,) * behind)
    real, imag = np.real(a) * factors, np.imag(a) * -factors
    up, down, unknown = (a.dtype.type(complex(0, part)) for part in (math.inf, -math.inf, math.nan))
    infinite = np.where(imag > 0, up, np.where(imag < 0, down, unknown))
    return real + np.where(np.isfinite(imag), imag * 1j, infinite)


@op(
    label="conj · weights",
    a=_weighed_a,
    lower=_weighed,
    formula="wₖ conj(aₖ), w = 1 at 0 and n/2, else weight",
    gradients="a: wₖ conj(gₖ)",
    vmap="axis",
    samples=lambda r: [
        sample(complex_normal(r, (3, 2)), 4, 0, 0.5),
        sample(complex_normal(r, (2, 3)), 5, -1, 2.0),
    ],
)
def weighed(a: Array, n: int, axis: int, weight: float) -> Array:
    """The conjugates of the first half of the coefficients of n real numbers, those times `weight` that stand for two: with
    n - k for k. It serves the gradients of transforms of real numbers.

    Args:
        a: coefficients, n // 2 + 1 of them along the axis.
        n: how many real numbers there are.
        axis: where the coefficients are.
        weight: by what to multiply.

    >>> import tapenet as tn
    >>> from tapenet.ops.fft.transforms import weighed
    >>> weighed(tn.tensor([1.0, 2.0 + 1.0j, 3.0]), 4, 0, 0.5)
    Tensor([1.-0.j , 1.-0.5j, 3.-0.j ], dtype=complex128)
    """
    found = np.conjugate(a, order="C")
    first, stop = 1, (n + 1) // 2
    # As pairs of real numbers, which are multiplied in a third of the time, and of which one may be infinite.
    parts = found.view(found.real.dtype)
    if (axis := normalize_axis_index(axis, a.ndim)) == a.ndim - 1:
        first, stop = 2, 2 * stop
    parts[along_axis(axis, slice(first, stop))] *= weight
    return found


def _hint(a: Array, n: int | None = None, axis: int = -1, norm: str | None = None) -> str:
    return (
        f"a has shape {np.shape(a)}; axis= names one of its axes, n= is 1 or more, norm= is None, 'backward', 'ortho' or "
        "'forward'"
    )


_ARGS = """
    Args:
        a: {a}.
        n: {n}. `a` is cut to that, or filled up with zeros.
        axis: the axis to transform.
        norm: which direction is divided by n: "backward" (None) the inverse, "forward" the other; "ortho" divides both by
            √n.

    Returns:
        {out}.

    Raises:
        ValueError: n below 1, or another norm.
        IndexError: no such axis.

    >>> import tapenet as tn
    >>> tn.fft.{example}
    """


def complex_normal(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Complex numbers with normal parts."""
    return r.normal(size=shape) + 1j * r.normal(size=shape)


def _complex_samples(r: np.random.Generator) -> list[Sample]:
    def array(*shape: int) -> Array:
        return complex_normal(r, shape)

    return [
        sample(array(4)),
        sample(array(3, 2), axis=0),
        sample(array(2, 3), 2, norm="ortho"),
        sample(array(2, 3), n=5, norm="forward"),
        sample(array(3, 1), 4, -2, "backward"),
        sample(array(0, 2)),
        sample(r.normal(size=5)),
        sample(r.normal(size=(3, 2)), 4, 0),
    ]


def _transform(forward: Callable[..., Array], name: str, example: str, sign: str) -> Op:
    def rule(g: Array, a_shape: Shape, a_dtype: DType, axis: int, norm: str | None) -> Array:
        return of_dtype(a_dtype, fitted(made(g, None, axis, norm), a_shape[axis], axis))

    made: Op = op(
        lambda a, n=None, axis=-1, norm=None: forward(a, n, axis, norm),
        name=name,
        numpy=forward,
        a=rule,
        doc=f"The {'inverse ' * (sign == '+')}discrete Fourier transform along an axis.\n"
        + _ARGS.format(
            a="an array, complex or real",
            n="the length of the transform, by default that of the axis",
            out="a complex array, n long along the axis",
            example=example,
        ),
        vmap="axis",
        samples=_complex_samples,
        hint=_hint,
    )
    made.__module__ = __name__
    return made


fft = _transform(
    np.fft.fft,
    "fft",
    "fft(tn.tensor([1.0, 2.0]))\n    Tensor([ 3.+0.j, -1.+0.j], dtype=complex128)",
    "-",
)
ifft = _transform(
    np.fft.ifft,
    "ifft",
    "ifft(tn.tensor([3.0, -1.0]))\n    Tensor([1.+0.j, 2.+0.j], dtype=complex128)",
    "+",
)


def _rfft_a(g: Array, a_shape: Shape, n: int, axis: int, norm: str | None) -> Array:
    n = a_shape[axis] if n is None else n
    return fitted(irfft(weighed(g, n, axis, 0.5), n, axis, swapped(norm)), a_shape[axis], axis)


def _irfft_a(g: Array, a_shape: Shape, a_dtype: DType, axis: int, norm: str | None) -> Array:
    made = weighed(rfft(g, None, axis, swapped(norm)), g.shape[axis], axis, 2.0)
    return of_dtype(a_dtype, fitted(made, a_shape[axis], axis))


@op(
    numpy=np.fft.rfft,
    a=_rfft_a,
    gradients="a: Re Σₖ gₖ e^(−2πijk/n)",
    vmap="axis",
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=5)),
        sample(r.normal(size=(3, 2)), axis=0),
        sample(r.normal(size=(2, 4)), 3, norm="ortho"),
        sample(r.normal(size=(2, 3)), n=6, norm="forward"),
        sample(r.normal(size=(3, 1)), 1, -2, "backward"),
        sample(r.normal(size=(0, 2))),
    ],
    hint=_hint,
)
def rfft(a: Array, n: int | None = None, axis: int = -1, norm: Norm = None) -> Array:
    """The discrete Fourier transform of real numbers along an axis: the first half, of which the rest is the mirror.

    Args:
        a: an array of real numbers.
        n: the length of the transform, by default that of the axis. `a` is cut to that, or filled up with zeros.
        axis: the axis to transform.
        norm: which direction is divided by n: "backward" (None) the inverse, "forward" the other; "ortho" divides both by
            √n.

    Returns:
        a complex array, n // 2 + 1 long along the axis.

    Raises:
        ValueError: n below 1, or another norm.
        IndexError: no such axis.

    >>> import tapenet as tn
    >>> tn.fft.rfft(tn.tensor([1.0, 2.0]))
    Tensor([ 3.+0.j, -1.+0.j], dtype=complex128)
    """
    return np.fft.rfft(a, n, axis, norm)


@op(
    numpy=np.fft.irfft,
    a=_irfft_a,
    formula="Re Σₖ cₖ aₖ e^(2πijk/n) / n, c = 1 at 0 and n/2, else 2",
    gradients="a: cₖ Σⱼ gⱼ e^(2πijk/n) / n",
    vmap="axis",
    samples=lambda r: [
        sample(complex_normal(r, (3,))),
        sample(complex_normal(r, (3,)), 5),
        sample(complex_normal(r, (3, 2)), axis=0),
        sample(complex_normal(r, (2, 4)), 3, norm="ortho"),
        sample(complex_normal(r, (2, 2)), n=6, norm="forward"),
        sample(complex_normal(r, (2, 1)), 1, -2, "backward"),
        sample(r.normal(size=4)),
        sample(r.normal(size=(0, 2)) + 0j),
    ],
    hint=_hint,
)
def irfft(a: Array, n: int | None = None, axis: int = -1, norm: Norm = None) -> Array:
    """The inverse of `rfft`: real numbers from the first half of their transform. The imaginary parts of the first
    coefficient, and of that at n/2, count for nothing.

    Args:
        a: an array, complex or real.
        n: the length of the result, by default the even 2 (m - 1) for an axis m long. `a` is cut to that, or filled up with
            zeros.
        axis: the axis to transform.
        norm: which direction is divided by n: "backward" (None) the inverse, "forward" the other; "ortho" divides both by
            √n.

    Returns:
        an array of real numbers, n long along the axis.

    Raises:
        ValueError: n below 1, or another norm.
        IndexError: no such axis.

    >>> import tapenet as tn
    >>> tn.fft.irfft(tn.tensor([3.0, -1.0]))
    Tensor([1., 2.])
    """
    if n is not None and a.size == 0 and a.shape[axis] == 0:
        a = fitted(a, 1, axis)  # without one coefficient NumPy reads what lies behind the array
    return np.fft.irfft(a, n, axis, norm)


@derived(
    numpy=np.fft.hfft,
    samples=lambda r: [
        sample(complex_normal(r, (3,))),
        sample(complex_normal(r, (3, 2)), 5, 0, "ortho"),
        sample(r.normal(size=3)),
    ],
)
def hfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The transform of numbers whose second half mirrors the first, conjugated: it is real.

    Args:
        a: the first half, complex or real.
        n: the length of the result, by default 2 (m - 1) for an axis m long.
        axis: the axis to transform.
        norm: as for `fft`.

    >>> import tapenet as tn
    >>> tn.fft.hfft(tn.tensor([1.0, 2.0]))
    Tensor([ 3., -1.])
    """
    return irfft(conjugate(array_like(a)), n, axis, swapped(norm))


@derived(
    numpy=np.fft.ihfft,
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=(3, 2)), 5, 0, "ortho"),
        sample(r.normal(size=(2, 3)), norm="forward"),
    ],
)
def ihfft(a: ArrayLike, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of `hfft`: the first half of numbers whose transform is real.

    Args:
        a: an array of real numbers.
        n: the length of the transform, by default that of the axis.
        axis: the axis to transform.
        norm: as for `fft`.

    >>> import tapenet as tn
    >>> tn.fft.ihfft(tn.tensor([3.0, -1.0]))
    Tensor([1.-0.j, 2.-0.j], dtype=complex128)
    """
    return conjugate(rfft(array_like(a), n, axis, swapped(norm)))


# -- the order of frequencies ------------------------------------------------------------------------------------


def _shifted(x: ArrayLike, axes: int | Sequence[int] | None, shift: Callable[[int], int]) -> Array:
    x = array_like(x)
    axes = range(x.ndim) if axes is None else (axes,) if isinstance(axes, (int, np.integer)) else axes
    axes = tuple(int(i) for i in axes)
    return np.roll(x, tuple(shift(x.shape[i]) for i in axes), axes)


_SHIFTS: Samples = lambda r: [
    sample(r.normal(size=5)),
    sample(r.normal(size=(2, 3))),
    sample(complex_normal(r, (3, 2)), axes=0),
    sample(r.normal(size=(2, 1, 3)), (0, -1)),
    sample(r.normal(size=(0, 2))),
]


@derived(numpy=np.fft.fftshift, samples=_SHIFTS)
def fftshift(x: ArrayLike, axes: int | Sequence[int] | None = None) -> Array:
    """The coefficients of a transform with frequency 0 in the middle.

    Args:
        x: an array.
        axes: an axis or several; None for all.

    >>> import tapenet as tn
    >>> tn.fft.fftshift(tn.tensor([0.0, 1.0, -1.0]))
    Tensor([-1.,  0.,  1.])
    """
    return _shifted(x, axes, lambda n: n // 2)


@derived(numpy=np.fft.ifftshift, samples=_SHIFTS)
def ifftshift(x: Array, axes: int | Sequence[int] | None = None) -> Array:
    """The inverse of `fftshift`: frequency 0 at the beginning.

    Args:
        x: an array.
        axes: an axis or several; None for all.

    >>> import tapenet as tn
    >>> tn.fft.ifftshift(tn.tensor([-1.0, 0.0, 1.0]))
    Tensor([ 0.,  1., -1.])
    """
    return _shifted(x, axes, lambda n: -(n // 2))

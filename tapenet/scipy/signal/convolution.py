"""Convolution and correlation, whole, along some axes, and of images with their borders.

What is convolved with an array goes back through the valid part of a convolution with that array reversed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tapenet.ops.elementwise.complex import conjugate
from tapenet.ops.fft.transforms import complex_normal, of_dtype
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Samples, sample
from tapenet.scipy.followed import followed, scipys
from tapenet.typing import Array, DType, Shape

Mode = Literal["full", "valid", "same"]
Method = Literal["auto", "direct", "fft"]
Axes = int | Sequence[int] | None


def summed_to(g: Array, shape: Shape) -> Array:
    """A gradient summed over the axes along which an array of a shape with as many was repeated."""
    axes = tuple(i for i, (n, m) in enumerate(zip(g.shape, shape, strict=True)) if n != m)
    return np.sum(g, axes, keepdims=True) if axes else g


def _in_full(g: Array, shape: Shape, other: Shape, mode: str, axes: Sequence[int]) -> Array:
    """The gradient by a part of a convolution of arrays of two shapes as that by the whole: with zeros around it."""
    around = [(0, 0)] * g.ndim
    for i in axes:
        start = {"full": 0, "same": (other[i] - 1) // 2, "valid": min(shape[i], other[i]) - 1}[mode]
        around[i] = (start, shape[i] + other[i] - 1 - start - g.shape[i])
    return np.pad(g, around) if any(map(any, around)) else g


def _convolved_back(
    g: Array, in1_shape: Shape, other: Array, in1_dtype: DType, mode: str, method: str, first: bool
) -> Array:
    """The gradient of a convolution by one array, the other one given: by the `first`, whose shape "same" is, or the second."""
    if not other.ndim:
        return of_dtype(in1_dtype, g * other)
    shapes = (in1_shape, other.shape) if first else (other.shape, in1_shape)
    whole = _in_full(g, shapes[0], shapes[1], mode, range(g.ndim))
    return of_dtype(in1_dtype, convolve(whole, np.flip(other), "valid", method))


def _pairs(r: np.random.Generator) -> Samples:
    real = r.normal
    return lambda r: [
        sample(real(size=5), real(size=3)),
        sample(real(size=4), real(size=3), "same"),
        sample(real(size=3), real(size=4), mode="valid", method="direct"),
        sample(real(size=(3, 4)), real(size=(2, 2)), "same", "fft"),
        sample(complex_normal(r, (4,)), complex_normal(r, (2,)), "valid"),
        sample(real(size=4), complex_normal(r, (2,)), "full", "direct"),
    ]


_SAMPLES: Samples = lambda r: _pairs(r)(r)


@op(
    in1=lambda g, in1_shape, in1_dtype, in2, mode, method: _convolved_back(
        g, in1_shape, in2, in1_dtype, mode, method, True
    ),
    in2=lambda g, in2_shape, in2_dtype, in1, mode, method: _convolved_back(
        g, in2_shape, in1, in2_dtype, mode, method, False
    ),
    gradients="in1: g * reversed in2; in2: g * reversed in1",
    samples=_SAMPLES,
)
def convolve(in1: Array, in2: Array, mode: Mode = "full", method: Method = "auto") -> Array:
    """The convolution of two arrays with as many axes.

    Args:
        in1, in2: the arrays.
        mode: "full"; "valid", where one lies within the other; or "same", of the shape of `in1`.
        method: "direct", "fft", or "auto", the one that takes less time.

    Raises:
        ValueError: neither lies within the other with "valid", another number of axes, or another mode.

    >>> import tapenet as tn
    >>> tn.scipy.signal.convolve(tn.tensor([1.0, 2.0, 3.0]), tn.tensor([1.0, 10.0]))
    Tensor([ 1., 12., 23., 30.])
    """
    found: Array = _convolve(in1, in2, mode, method)  # type: ignore[assignment]
    return found


def _correlated_1(
    g: Array, in1_shape: Shape, in1_dtype: DType, in2: Array, mode: str, method: str
) -> Array:  # of convolve(in1, conj(flip(in2)))
    return _convolved_back(g, in1_shape, np.flip(conjugate(in2)), in1_dtype, mode, method, True)


def _correlated_2(g: Array, in1: Array, in2_shape: Shape, in2_dtype: DType, mode: str, method: str) -> Array:
    kind = np.result_type(in2_dtype, g.dtype)
    return of_dtype(in2_dtype, conjugate(np.flip(_convolved_back(g, in2_shape, in1, kind, mode, method, False))))


@op(
    in1=_correlated_1, in2=_correlated_2, samples=_SAMPLES,
    gradients="in1: g convolved with conj(in2); in2: g correlated with in1",
)  # fmt: skip
def correlate(in1: Array, in2: Array, mode: Mode = "full", method: Method = "auto") -> Array:
    """The cross-correlation Σ in1[l] conj(in2[l - k]) of two arrays with as many axes; the arguments are those of `convolve`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.correlate(tn.tensor([1.0, 2.0, 3.0]), tn.tensor([1.0, 10.0]))
    Tensor([10., 21., 32.,  3.])
    """
    found: Array = _correlate(in1, in2, mode, method)  # type: ignore[assignment]
    return found


_convolve, _correlate = scipys("signal.convolve"), scipys("signal.correlate")


def _axes(axes: Axes, ndim: int) -> tuple[int, ...]:
    return tuple(range(-ndim, 0)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)


def _by_fourier(name: str, words: str) -> Op:
    theirs = scipys(f"signal.{name}")

    def back(g: Array, shape: Shape, other: Array, dtype: DType, mode: str, axes: Axes, first: bool) -> Array:
        along = [i % g.ndim for i in _axes(axes, g.ndim)]
        shapes = (shape, other.shape) if first else (other.shape, shape)
        whole = _in_full(g, shapes[0], shapes[1], mode, along)
        if not along:
            return of_dtype(dtype, summed_to(whole * other, shape))
        found = made(whole, np.flip(other, tuple(along)), "valid", tuple(i - g.ndim for i in along))
        return of_dtype(dtype, summed_to(found, shape))

    def lanes(batched: frozenset[str], in1: Array, in2: Array, mode: str, axes: Axes) -> Array:  # other axes broadcast
        ndim = max(in1.ndim - ("in1" in batched), in2.ndim - ("in2" in batched))
        in1, in2 = (x if n in batched else x[np.newaxis] for n, x in (("in1", in1), ("in2", in2)))
        found: Array = made(in1, in2, mode, tuple(i % ndim - ndim for i in _axes(axes, ndim)))
        return found

    def forward(in1: Array, in2: Array, mode: Mode = "full", axes: Axes = None) -> object:
        return theirs(in1, in2, mode, axes)

    made: Op = op(
        forward,
        name=name,
        in1=lambda g, in1_shape, in1_dtype, in2, mode, axes: back(g, in1_shape, in2, in1_dtype, mode, axes, True),
        in2=lambda g, in2_shape, in2_dtype, in1, mode, axes: back(g, in2_shape, in1, in2_dtype, mode, axes, False),
        vmap=lanes,
        gradients="in1: g * reversed in2; in2: g * reversed in1",
        doc=f"""The convolution of two arrays along some axes by {words}. The others broadcast.

    Args:
        in1, in2: the arrays, of as many axes.
        mode: as for `convolve`.
        axes: all of them by default.

    Raises:
        ValueError: shapes that do not fit, or another mode.

    >>> import tapenet as tn
    >>> tn.scipy.signal.{name}(tn.tensor([1.0, 2.0, 3.0]), tn.tensor([1.0, 10.0])).round(9)
    Tensor([ 1., 12., 23., 30.])
    """,
        samples=lambda r: [
            sample(r.normal(size=5), r.normal(size=3)),
            sample(r.normal(size=(2, 4)), r.normal(size=(1, 3)), "same", axes=1),
            sample(r.normal(size=(1, 3, 2)), r.normal(size=(2, 2, 2)), "valid", axes=(1, 2)),
            sample(complex_normal(r, (4,)), r.normal(size=2), "valid"),
        ],
    )
    return made


fftconvolve = _by_fourier("fftconvolve", "Fourier transforms")
oaconvolve = _by_fourier("oaconvolve", "Fourier transforms of blocks, whose results overlap and are added")

_BOUNDARIES = {"fill": "constant", "pad": "constant", "wrap": "wrap", "circular": "wrap", "symm": "symmetric"}
_BOUNDARIES["symmetric"] = "symmetric"


def _bordered(
    in1: Array, in2_shape: Shape, mode: str, boundary: str, fillvalue: complex, correlated: bool = False
) -> Array:
    """An image with as much of its surroundings as a convolution or correlation meets."""
    if mode == "valid":
        return in1
    less = [m - 1 if mode == "full" else (m - 1) // 2 for m in in2_shape]
    more = less if mode == "full" else [m // 2 for m in in2_shape]
    around = list(zip(less, more, strict=True) if correlated else zip(more, less, strict=True))
    if _BOUNDARIES[boundary] == "constant":
        return np.pad(in1, around, constant_values=fillvalue)
    return np.pad(in1, around, _BOUNDARIES[boundary])  # type: ignore[call-overload,no-any-return]


_IMAGES: Samples = lambda r: [
    sample(r.normal(size=(3, 4)), r.normal(size=(2, 3))),
    sample(r.normal(size=(3, 4)), r.normal(size=(2, 2)), "same", "symm"),
    sample(r.normal(size=(4, 3)), r.normal(size=(3, 2)), "same", "wrap"),
    sample(r.normal(size=(3, 3)), r.normal(size=(2, 2)), "full", "fill", 0.5),
    sample(r.normal(size=(2, 2)), r.normal(size=(3, 2)), "valid"),
    sample(complex_normal(r, (3, 3)), complex_normal(r, (2, 2)), "same"),
]


@followed("signal.convolve2d", "in1", "in2", samples=_IMAGES, gradients="in1: g * reversed in2; in2: g * reversed in1")
def convolve2d(in1: Array, in2: Array, mode: Mode = "full", boundary: str = "fill", fillvalue: complex = 0) -> Array:
    """The convolution of two images.

    Args:
        in1, in2: arrays with two axes.
        mode: as for `convolve`.
        boundary: what is around `in1`: "fill" (`fillvalue`), "wrap", or "symm" (its mirror image).
        fillvalue: a number.

    Raises:
        ValueError: arrays with other than two axes, or another mode or boundary.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.convolve2d(tn.tensor(np.eye(2)), np.ones((2, 2)), "same", "wrap")
    Tensor([[2., 2.],
            [2., 2.]])
    """
    found: Array = convolve(_bordered(in1, in2.shape, mode, boundary, fillvalue), in2, "valid", "direct")
    return found


@followed(
    "signal.correlate2d", "in1", "in2", samples=_IMAGES, gradients="in1: g * conj(in2); in2: g correlated with in1"
)
def correlate2d(in1: Array, in2: Array, mode: Mode = "full", boundary: str = "fill", fillvalue: complex = 0) -> Array:
    """The cross-correlation of two images; the arguments are those of `convolve2d`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.correlate2d(tn.tensor(np.eye(2)), np.ones((2, 2)), "valid")
    Tensor([[2.]])
    """
    found: Array = convolve(
        _bordered(in1, in2.shape, mode, boundary, fillvalue, True), np.flip(conjugate(in2)), "valid", "direct"
    )
    return found


#: Lags up to which products are added one by one; beyond, Fourier transforms are quicker.
_FEW = 64


@op(
    whole=lambda g, x: fftconvolve(x, g[np.newaxis], axes=-1),
    x=lambda g, whole: fftconvolve(whole, np.flip(g)[np.newaxis], "valid", axes=-1),
    gradients="whole: x convolved with g; x: whole correlated with g",
    samples=lambda r: [sample(r.normal(size=(2, 5)), r.normal(size=(2, 3)))],
)
def lag_products(whole: Array, x: Array) -> Array:
    """Σ whole_{r, n+j} x_{r, n} over rows and columns, for each lag j that lies within `whole`."""
    n = x.shape[-1]
    count = whole.shape[-1] - n + 1
    if count > _FEW:
        found: Array = _fftconvolve(whole, np.flip(x, -1), "valid", -1).sum(0)  # type: ignore[attr-defined]
        return found
    return np.array([np.einsum("rn,rn->", whole[:, j : j + n], x) for j in range(count)], np.result_type(whole, x))


_fftconvolve = scipys("signal.fftconvolve")

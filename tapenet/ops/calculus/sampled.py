"""Differences, integrals and convolution of sampled functions.

Rules are stated: derived ones, where the forward can be read, take 1.3 to 2.5 times as long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapenet.ops.calculus.slopes import along
from tapenet.ops.derived import array_like, array_or_number, derived
from tapenet.ops.layers.convolution.family import conv1d
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import along_axis
from tapenet.typing import Array, Axis, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

# -- differences -------------------------------------------------------------------------------------------------


def part(a: Array, axis: int, where: slice) -> Array:
    """A slice of `a` along one axis."""
    return a[along_axis(axis, where)]


def _differences_a(g: Array, a_shape: Shape, n: int, axis: int) -> Array:
    if n >= a_shape[axis]:  # there are none
        return np.zeros(a_shape, g.dtype)
    nothing = np.zeros((*a_shape[:axis], n, *a_shape[axis + 1 :]), g.dtype)
    g = np.concatenate([nothing, g, nothing], axis)
    for _ in range(n):
        g = part(g, axis, slice(None, -1)) - part(g, axis, slice(1, None))
    return g


@op(
    label="diff",
    a=_differences_a,
    gradients="a: g[i − 1] − g[i], n times over, with zeros around g",
    samples=lambda r: [
        sample(r.normal(size=4), 1, 0),
        sample(r.normal(size=(4, 2)), 2, 0),
        sample(r.normal(size=(2, 3)), 3, 1),
        sample(r.normal(size=(2, 2)), 5, 1),
        sample(np.array([True, False, False]), 1, 0),
    ],
)
def differences(a: Array, n: int, axis: int) -> Array:
    """The differences of neighbours along an axis, of which `diff` is made.

    Args:
        a: an array of one axis or more.
        n: how often, once or more.
        axis: the axis, counted from the front.

    >>> import tapenet as tn
    >>> from tapenet.ops.calculus.sampled import differences
    >>> differences(tn.tensor([1.0, 4.0, 9.0]), 1, 0)
    Tensor([3., 5.])
    """
    return np.diff(a, n, axis)


@derived(
    numpy=np.diff,
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=(2, 4)), 2),
        sample(r.normal(size=(3, 2)), 1, 0),
        sample(r.normal(size=(2, 3)), n=0),
        sample(r.normal(size=(2, 2)), 5, -1),
        sample(r.normal(size=(2, 3)), 1, 1, r.normal(size=(2, 2)), r.normal(size=())),
        sample(r.normal(size=3), 2, -1, r.normal(size=()), r.normal(size=1)),
        sample(np.array([True, False, False])),
    ],
)
def diff(
    a: ArrayLike, n: int = 1, axis: int = -1, prepend: Array | None = None, append: ArrayLike | None = None
) -> Array:
    """The differences of neighbours along an axis, a[i+1] - a[i], taken n times over.

    Args:
        a: an array of one axis or more. Of booleans the difference says whether they differ.
        n: how often.
        axis: the axis along which.
        prepend, append: what to put before and after `a` first: a number, or an array of its shape but for the axis.
            The gradient reaches them too.

    Returns:
        an array whose axis is n shorter, after what was put around.

    Raises:
        ValueError: `n` is negative, or `a` has no axis.

    >>> import tapenet as tn
    >>> tn.diff(tn.tensor([1.0, 4.0, 9.0]))
    Tensor([3., 5.])
    """
    if n < 0:
        raise ValueError(f"diff: n must be 0 or more, not {n}")
    a = array_like(a)
    if n == 0:
        return a
    shape = a.shape
    if not shape:
        raise ValueError("diff: a number has no differences: a must have one axis or more")
    axis = normalize_axis_index(axis, len(shape))
    if prepend is not None or append is not None:
        one = (*shape[:axis], 1, *shape[axis + 1 :])
        before, after = (None if v is None else array_like(v) for v in (prepend, append))
        parts = (v if v is None or v.shape else np.broadcast_to(v, one) for v in (before, a, after))
        a = np.concatenate([v for v in parts if v is not None], axis)
    return differences(a, n, axis)


@derived(
    numpy=np.ediff1d,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=3), r.normal(size=2), r.normal(size=())),
        sample(r.normal(size=2), None, r.normal(size=(1, 2))),
        sample(r.normal(size=0)),
        sample(r.normal(size=())),
    ],
)
def ediff1d(ary: ArrayLike, to_end: Array | None = None, to_begin: ArrayLike | None = None) -> Array:
    """The differences of neighbours in the flattened array, with other values put around them.

    Args:
        ary: an array.
        to_end, to_begin: what to put after and before the differences, flattened.

    Returns:
        an array of one axis and the dtype of `ary`.

    Raises:
        TypeError: the dtype of what is put around does not fit that of `ary`.

    >>> import tapenet as tn
    >>> tn.ediff1d(tn.tensor([1.0, 4.0, 9.0]), to_begin=0.0)
    Tensor([0., 3., 5.])
    """
    ary = np.reshape(array_like(ary), (-1,))
    parts = [ary[1:] - ary[:-1]]
    for name, given, at in (("to_end", to_end, 1), ("to_begin", to_begin, 0)):
        if given is not None:
            given = array_like(given)
            if not np.can_cast(given.dtype, ary.dtype, "same_kind"):
                raise TypeError(
                    f"ediff1d: {name} is {given.dtype}, which does not fit ary of {ary.dtype}; convert it first"
                )
            parts.insert(at, np.reshape(given, (-1,)).astype(ary.dtype))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


@derived(
    numpy=np.gradient,
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3)), r.uniform(0.5, 1, ())),
        sample(r.normal(size=(2, 3)), np.array([0.0, 0.7]), 0.5),
        sample(r.normal(size=4), np.array([0.0, 0.5, 1.5, 1.8]), edge_order=2),
        sample(r.normal(size=(3, 2)), 0.3, axis=0, edge_order=2),
        sample(r.normal(size=(2, 3)), 2.0, np.array([0.0, 1.0, 1.5]), axis=(0, -1)),
    ],
)
def gradient(f: ArrayLike, *varargs: ArrayLike, axis: Axis = None, edge_order: int = 1) -> Array | tuple[Array, ...]:
    """The derivative of a sampled function along its axes: central differences of second order inside, one-sided ones of
    order `edge_order` at the edges.

    Args:
        f: the samples.
        *varargs: nothing (a spacing of 1), one spacing for all axes, or for each axis a spacing or the coordinates of
            its samples. The gradient reaches these too.
        axis: an axis or several; None for all.
        edge_order: 1 or 2.

    Returns:
        an array of the shape of `f`; a tuple of them for several axes.

    Raises:
        ValueError: coordinates that do not fit their axis, too few samples, or another `edge_order`.
        TypeError: neither one spacing nor one for each axis.

    >>> import tapenet as tn
    >>> tn.gradient(tn.tensor([1.0, 4.0, 9.0, 16.0]))
    Tensor([3., 4., 6., 7.])
    """
    f = array_like(f)
    shape = f.shape
    axes = tuple(range(len(shape))) if axis is None else normalize_axis_tuple(axis, len(shape))
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, not {edge_order}")
    given: list[Any] = [v if np.ndim(v) == 0 else array_like(v) for v in varargs]
    if not given:
        given = [1.0]
    if len(given) == 1 and np.ndim(given[0]) == 0:
        given = given * len(axes)
    if len(given) != len(axes):
        raise TypeError(
            f"gradient: {len(varargs)} spacings for {len(axes)} axes; give none, one number, or one for each"
        )
    dtype = f.dtype if f.dtype.kind in "fc" else np.float64
    if f.dtype.kind in "iu":
        f = f.astype(dtype)
    found = []
    for at, h in zip(axes, given, strict=True):
        if shape[at] <= edge_order:
            raise ValueError(
                f"gradient: axis {at} of shape {shape} is too short: edge_order={edge_order} takes {edge_order + 1} samples"
            )
        if np.ndim(h) and h.shape != (shape[at],):
            raise ValueError(f"gradient: axis {at} of shape {shape} takes {shape[at]} coordinates, not shape {h.shape}")
        out = along(f, h, at, edge_order)
        found.append(out if out.dtype == dtype else out.astype(dtype))
    return found[0] if len(axes) == 1 else tuple(found)


def _even_area_y(g: Array, y_shape: Shape, axis: int) -> Array:
    g = np.expand_dims(g, axis)
    n = y_shape[axis]
    if n < 2:
        return np.zeros(y_shape, g.dtype)
    half = g / 2
    inside = np.broadcast_to(g, (*y_shape[:axis], n - 2, *y_shape[axis + 1 :]))
    return np.concatenate([half, inside, half], axis)


@op(
    label="trapezoid",
    y=_even_area_y,
    formula="Σ (y[i] + y[i+1])/2",
    gradients="y: g, half of it at both ends",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), 1),
        sample(r.normal(size=(2, 3)), 0),
        sample(r.normal(size=1), 0),
        sample(r.normal(size=(0, 2)), 0),
    ],
)
def even_area(y: Array, axis: int) -> Array:
    """What `trapezoid` gives for samples at a distance of 1.

    Args:
        y: the samples.
        axis: the axis, counted from the front.

    >>> import tapenet as tn
    >>> from tapenet.ops.calculus.sampled import even_area
    >>> even_area(tn.tensor([0.0, 1.0, 4.0]), 0)
    Tensor(3.)
    """
    found: Array = np.sum(part(y, axis, slice(1, None)) + part(y, axis, slice(None, -1)), axis) / 2.0
    return found


@derived(
    numpy=np.trapezoid,
    samples=lambda r: [
        sample(r.normal(size=4)),
        sample(r.normal(size=(2, 3)), None, 0.5, 0),
        sample(r.normal(size=(2, 3)), np.array([0.0, 1.0, 2.5])),
        sample(r.normal(size=(2, 3)), np.array([0.0, 1.5]), axis=0),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), axis=-1),
        sample(r.normal(size=(2, 2, 3)), r.normal(size=(1, 3)), axis=-1),
        sample(r.normal(size=(2, 3)), None, r.uniform(0.5, 1, 2)),
        sample(r.normal(size=(2, 3)), None, r.uniform(0.5, 1, ())),
        sample(r.normal(size=0)),
    ],
)
def trapezoid(y: ArrayLike, x: ArrayLike | None = None, dx: ArrayLike = 1.0, axis: int = -1) -> Array:
    """The integral of a sampled function along an axis, by the trapezoidal rule.

    Args:
        y: the samples.
        x: their coordinates: along the axis, or in a shape that broadcasts with that of `y`. By default the spacing is
            `dx`.
        dx: the spacing, or spacings that broadcast with the pairs of neighbours.
        axis: the axis to integrate along.

    >>> import tapenet as tn
    >>> tn.trapezoid(tn.tensor([0.0, 1.0, 4.0]), dx=0.5)
    Tensor(1.5)
    """
    y = array_like(y)
    ndim = len(y.shape)
    own = normalize_axis_index(axis, ndim)
    if x is None and type(dx) in (int, float) and y.dtype.kind in "fc":
        found: Array = even_area(y, own)
        return found if dx == 1 else found * dx
    if x is not None:
        x = array_like(x)
        if len(x.shape) == 1:
            if y.dtype.kind in "fc" and x.dtype.kind in "fc" and x.shape[0] == y.shape[own]:
                # Each sample counts for half of the way between its neighbours.
                weights = np.concatenate([x[1:], x[-1:]]) - np.concatenate([x[:1], x[:-1]])
                found = np.sum(y * _down(weights, ndim - own), own) / 2.0
                return found
            dx = _down(np.diff(x), ndim - own)
        else:
            dx = np.diff(x, axis=axis)
    dx = array_or_number(dx)
    later, earlier = part(y, own, slice(1, None)), part(y, own, slice(None, -1))
    found = np.sum(dx * (later + earlier), axis) / 2.0
    return found


def _down(a: Array, ndim: int) -> Array:
    """An array of one axis as the first of `ndim` axes."""
    return a if ndim == 1 else np.reshape(a, (-1, *(1,) * (ndim - 1)))


# -- convolution -------------------------------------------------------------------------------------------------

_MODES = ("valid", "same", "full")


def _mode(mode: str | int) -> str:
    """The name of a mode, which may be given by its number."""
    return _MODES[mode] if isinstance(mode, (int, np.integer)) else mode


def convolve_rule(g: Array, other: Array, shape: tuple[int, ...], mode: str) -> Array:
    """The gradient by one of two convolved arrays, of the given shape."""
    other = np.flip(np.reshape(other, (-1,)))
    own, length, mode = math.prod(shape), other.shape[0], _mode(mode)
    if mode == "same":  # the middle of the full result
        short = min(own, length)
        before = short - 1 - short // 2
        after = own + length - 1 - g.shape[0] - before
        g = np.concatenate([np.zeros(before, g.dtype), g, np.zeros(after, g.dtype)])
    if mode == "valid":
        found = np.convolve(g, other, "full" if own >= length else "valid")
    else:
        found = np.convolve(g, other, "valid")
    return np.reshape(found, shape)


def _products(a_shape: tuple[int, ...], v_shape: tuple[int, ...], out_shape: tuple[int, ...], mode: str) -> int:
    n, m = sorted((math.prod(a_shape), math.prod(v_shape)))
    return n * (math.prod(out_shape) if _mode(mode) == "valid" else m)


def _hint(a: Array, v: Array, mode: str) -> str:
    return (
        f"a and v must have one axis and an element or more, not {np.shape(a)} and {np.shape(v)}; mode is full, same or "
        "valid"
    )


def _convolve_lanes(batched: frozenset[str], lanes: int, a: Array, v: Array, mode: str) -> object:
    """One convolution of rows: with lanes of the shorter one as kernels, of the longer one as channels or a batch."""
    if not all(getattr(x, "dtype", np.dtype(int)).kind == "f" for x in (a, v)) or a.dtype != v.dtype:
        return NotImplemented
    rows = [np.reshape(x, (lanes if n in batched else 1, -1)) for n, x in (("a", a), ("v", v))]
    long, short = sorted(rows, key=lambda x: -x.shape[1])
    width = short.shape[1]
    borders = {"full": (width - 1, width - 1), "same": (width // 2, width - 1 - width // 2), "valid": (0, 0)}[
        _mode(mode)
    ]
    kernels, groups = np.flip(short, 1)[:, None], 1
    if len(short) > 1:
        long, groups = long[None], len(long)
    else:
        long = long[:, None]
    return np.reshape(conv1d(long, kernels, None, 1, (borders,), 1, groups), (lanes, -1))


def _correlate_lanes(batched: frozenset[str], lanes: int, a: Array, v: Array, mode: str) -> object:
    """That of real numbers is a convolution with the shorter one turned round, and of swapped ones turned round too."""
    if not np.ndim(a) or not np.ndim(v):
        return NotImplemented
    if np.shape(v)[-1] <= np.shape(a)[-1]:
        return _convolve_lanes(batched, lanes, a, np.flip(v, -1), mode)
    swapped = frozenset({"a": "v", "v": "a"}[n] for n in batched)
    found: Any = _convolve_lanes(swapped, lanes, v, np.flip(a, -1), mode)
    return found if found is NotImplemented else np.flip(found, -1)


@op(
    numpy=np.convolve,
    a=lambda g, a_shape, v, mode: convolve_rule(g, v, a_shape, mode),
    v=lambda g, a, v_shape, mode: convolve_rule(g, a, v_shape, mode),
    multiply_adds=lambda a_shape, v_shape, out_shape, mode: _products(a_shape, v_shape, out_shape, mode),
    gradients="a: g convolved with v reversed; v: g convolved with a reversed",
    vmap=_convolve_lanes,
    samples=lambda r: [
        *(sample(r.normal(size=n), r.normal(size=m), mode) for mode in _MODES for n, m in ((4, 2), (2, 3), (3, 3))),
        sample(r.normal(size=3), r.normal(size=4)),
        sample(r.normal(size=()), r.normal(size=2)),
    ],
    hint=_hint,
)
def convolve(a: Array, v: Array, mode: Literal["full", "same", "valid"] = "full") -> Array:
    """The discrete convolution of two sequences, as the product of two polynomials has it.

    Args:
        a: (n,).
        v: (m,).
        mode: "full" gives all n + m - 1 sums, "same" the middle max(n, m) of them, "valid" those without a missing
            term, max(n, m) - min(n, m) + 1.

    Raises:
        ValueError: one of them is empty or has several axes, or another mode.

    >>> import tapenet as tn
    >>> tn.convolve(tn.tensor([1.0, 2.0, 3.0]), [0.0, 1.0, 0.5])
    Tensor([0. , 1. , 2.5, 4. , 1.5])
    """
    return np.convolve(a, v, mode)


def _correlate_g(g: Array, a_shape: tuple[int, ...], v_shape: tuple[int, ...], mode: str) -> tuple[Array, str]:
    """The gradient by a correlation and its mode, as those of the convolution that it is."""
    if _mode(mode) != "same" or a_shape[0] >= v_shape[0]:
        return g, mode
    before = a_shape[0] // 2  # the middle is here half an element further right than a convolution's
    after = a_shape[0] - 1 - before
    return np.concatenate([np.zeros(before, g.dtype), g, np.zeros(after, g.dtype)]), "full"


def _correlate_a(g: Array, a_shape: tuple[int, ...], v: Array, mode: str) -> Array:
    g, mode = _correlate_g(g, a_shape, np.shape(v), mode)
    return convolve_rule(g, np.flip(np.conj(v)), a_shape, mode)


def _correlate_v(g: Array, a: Array, v_shape: tuple[int, ...], mode: str) -> Array:
    g, mode = _correlate_g(g, np.shape(a), v_shape, mode)
    return np.conj(np.flip(convolve_rule(g, a, v_shape, mode)))


@op(
    numpy=np.correlate,
    a=_correlate_a,
    v=_correlate_v,
    multiply_adds=lambda a_shape, v_shape, out_shape, mode: _products(a_shape, v_shape, out_shape, mode),
    gradients="a: g convolved with conj(v); v: conj(g correlated with a)",
    vmap=_correlate_lanes,
    samples=lambda r: [
        *(
            sample(r.normal(size=n), r.normal(size=m), mode)
            for mode in _MODES
            for n, m in ((4, 2), (2, 5), (3, 4), (3, 3))
        ),
        sample(r.normal(size=3), r.normal(size=2)),
    ],
    hint=_hint,
)
def correlate(a: Array, v: Array, mode: Literal["full", "same", "valid"] = "valid") -> Array:
    """The correlation of two sequences, out[k] = Σⱼ a[j + k] · conj(v[j]).

    Args:
        a: (n,).
        v: (m,).
        mode: which k, as for `convolve`.

    Raises:
        ValueError: one of them is empty or does not have one axis, or another mode.

    >>> import tapenet as tn
    >>> tn.correlate(tn.tensor([1.0, 2.0, 3.0]), [0.0, 1.0, 0.5])
    Tensor([3.5])
    """
    return np.correlate(a, v, mode)

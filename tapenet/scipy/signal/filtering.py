"""Recursive filters: forward, with states, and forward and backward.

A filter run over the reversed gradient is the transpose of that filter. Its states are the gradients of what is behind the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.ops.fft.transforms import of_dtype
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.signal.convolution import convolve, lag_products, summed_to
from tapenet.scipy.signal.extension import Extension, extended, part
from tapenet.typing import Array, DType, Shape

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor
    from tapenet.typing import ArrayLike

_lfilter, _sosfilt, _sosfiltfilt = map(scipys, ("signal.lfilter", "signal.sosfilt", "signal.sosfiltfilt"))


def _writable(sos: Array) -> Array:
    """Sections as SciPy's code takes them, though it does not write."""
    return np.require(sos, requirements="W")


def _long(c: Array, length: int) -> Array:
    """Coefficients, filled up with zeros."""
    return c if len(c) == length else np.pad(c, (0, length - len(c)))


def _gradients(
    g: Array, of_state: Array | None, wanted: frozenset[str], b: Array, a: Array, x: Array, y: Array, zi_shape: Shape,
    zi_dtype: DType, axis: int,
) -> dict[str, Array]:  # fmt: skip
    """The gradients of a filtered signal and, if any, of its last states."""
    found: dict[str, Array] = {}
    if of_state is None and "x" in wanted:  # by one run
        found["x"] = of_dtype(x.dtype, np.flip(lfilter_only(b, a, np.flip(g, axis), axis), axis))
        wanted -= {"x"}
    if not wanted:
        return found
    g, x, y = (np.moveaxis(v, axis, -1) for v in (g, x, y))
    lead, order = a[0], max(len(a), len(b)) - 1
    b_long, a_long = _long(b, order + 1) / lead, _long(a, order + 1) / lead
    # The gradient by what comes out of each step, and behind the end by the states: y_n = ... - Σ a_j y_{n-j}.
    reverse, one = np.flip(g, -1), np.ones(1, a.dtype)
    if of_state is None:
        behind = np.zeros((*g.shape[:-1], order), g.dtype)
        through = lfilter_only(one, a_long, reverse)
    else:
        behind = np.moveaxis(of_state, axis, -1)
        ahead = np.arange(order)[:, np.newaxis] + np.arange(order) + 1
        mixed = np.where(ahead <= order, a_long[np.minimum(ahead, order)], 0)
        through, _ = lfilter_on(one, a_long, reverse, -(behind @ mixed))
    whole = np.concatenate([np.flip(through, -1), behind], -1)
    if "x" in wanted:
        back = np.flip(lfilter_only(b_long, one, np.flip(whole, -1)), -1)[..., : x.shape[-1]]
        found["x"] = of_dtype(x.dtype, np.moveaxis(back, -1, axis))
    if "zi" in wanted:
        found["zi"] = of_dtype(zi_dtype, summed_to(np.moveaxis(whole[..., :order], -1, axis), zi_shape))
    by_b = _lagged(whole, x)
    by_a = -_lagged(whole, y)[1:]
    if "b" in wanted:
        found["b"] = of_dtype(b.dtype, (by_b / lead)[: len(b)])
    if "a" in wanted:
        by_lead = -np.sum(by_b * b_long, keepdims=True) - np.sum(by_a * a_long[1:], keepdims=True)
        found["a"] = of_dtype(a.dtype, np.concatenate([by_lead, by_a[: len(a) - 1]]) / lead)
    return found


def _lagged(whole: Array, x: Array) -> Array:
    """Σ x_n whole_{n+j}, over all signals, for each j."""
    n = x.shape[-1]
    rows = x.size // n
    found: Array = lag_products(whole.reshape(rows, whole.shape[-1]), x.reshape(rows, n))
    return found


def _only_gradients(
    g: Array, wanted: frozenset[str], b: Array, a: Array, x: Array, out: Array, axis: int
) -> dict[str, Array]:
    return _gradients(g, None, wanted, b, a, x, out, (), x.dtype, axis)


def _on_gradients(
    g: tuple[Array, Array], wanted: frozenset[str], b: Array, a: Array, x: Array, out: tuple[Array, Array],
    zi_shape: Shape, zi_dtype: DType, axis: int,
) -> dict[str, Array]:  # fmt: skip
    return _gradients(g[0], g[1], wanted, b, a, x, out[0], zi_shape, zi_dtype, axis)


def _lanes(batched: frozenset[str], b: Array, a: Array, x: Array, axis: int) -> Array:
    found: Array = lfilter_only(b, a, x, axis) if batched == {"x"} else NotImplemented
    return found


@op(
    name="lfilter",
    joint=_only_gradients,
    gradients="x: the filter over the reversed g; b, a: its products with x and y, lag by lag",
    vmap=_lanes,
    samples=lambda r: [
        sample(np.array([1.0, 0.5]), np.array([2.0, -0.3, 0.2]), r.normal(size=5)),
        sample(np.array([1.0, 0.5, 0.2]), np.array([1.0]), r.normal(size=(5, 2)), -2),
        sample(np.array([1.0, 0.5]) + 1j, np.array([1.0, -0.5j]), r.normal(size=4)),
    ],
)
def lfilter_only(b: Array, a: Array, x: Array, axis: int = -1) -> Array:
    """`lfilter` of a signal at rest, along an axis counted from the end."""
    found: Array = _lfilter(b, a, x, axis)  # type: ignore[assignment]
    return found


@op(
    name="lfilter",
    joint=_on_gradients,
    outputs=2,
    gradients="x: the filter over the reversed g; b, a: its products with x and y, lag by lag; zi: its last values",
    samples=lambda r: [
        sample(np.array([1.0, 0.5]), np.array([2.0, -0.3, 0.2]), r.normal(size=5), r.normal(size=2)),
        sample(np.array([1.0, 0.5, 0.2]), np.array([1.0]), r.normal(size=(5, 2)), r.normal(size=(2, 1)), -2),
        sample(np.array([1.0, 0.5]), np.array([1.0, -0.3, 0.2, 0.1]), r.normal(size=2), r.normal(size=3)),
    ],
)
def lfilter_on(b: Array, a: Array, x: Array, zi: Array, axis: int = -1) -> tuple[Array, Array]:
    """`lfilter` of a signal that goes on from a state, and the state behind it."""
    found: tuple[Array, Array] = _lfilter(b, a, x, axis, zi)  # type: ignore[assignment]
    return found


def _from_end(axis: int, x: ArrayLike) -> int:
    return axis if axis < 0 else axis - array_like(x).ndim


@overload
def lfilter(b: ArrayLike, a: ArrayLike, x: ArrayLike, axis: int = ..., zi: None = ...) -> Tensor: ...
@overload
def lfilter(b: ArrayLike, a: ArrayLike, x: ArrayLike, axis: int = ..., *, zi: ArrayLike) -> tuple[Tensor, Tensor]: ...
@overload
def lfilter(b: ArrayLike, a: ArrayLike, x: ArrayLike, axis: int, zi: ArrayLike) -> tuple[Tensor, Tensor]: ...
def lfilter(
    b: ArrayLike, a: ArrayLike, x: ArrayLike, axis: int = -1, zi: ArrayLike | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """Filter signals by the difference equation a₀ yₙ = Σ bⱼ xₙ₋ⱼ - Σ aⱼ yₙ₋ⱼ.

    Differentiable, any number of times, by the coefficients, the signals and the states.

    Args:
        b, a: the coefficients, of one axis each.
        x: the signals.
        axis: along which to filter.
        zi: the states at the beginning, max(len(a), len(b)) - 1 along the axis: then those at the end are returned too.

    Raises:
        ValueError: states of another shape, a₀ = 0, or coefficients with more than one axis.

    >>> import tapenet as tn
    >>> a = tn.tensor([1.0, -0.5], requires_grad=True)
    >>> y = tn.scipy.signal.lfilter([1.0], a, [1.0, 0.0, 0.0])
    >>> y.sum().backward()
    >>> y.detach(), a.grad
    (Tensor([1.  , 0.5 , 0.25]), Tensor([-2.75, -2.  ]))
    """
    b, a = (np.atleast_1d(array_like(c)) for c in (b, a))
    axis = _from_end(axis, x)
    return lfilter_only(b, a, x, axis) if zi is None else lfilter_on(b, a, x, zi, axis)  # type: ignore[return-value]


@followed(
    "signal.lfilter_zi", "b", "a",
    samples=lambda r: [
        sample(np.array([1.0, 0.5]), np.array([2.0, -0.3, 0.2])),
        sample(np.array([1.0, 0.5, 0.3]), np.array([1.0, -0.3])),
    ],
)  # fmt: skip
def lfilter_zi(b: Array, a: Array) -> Array:
    """The states of a filter whose input is 1 and always was: its answer to a step has settled.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lfilter_zi(tn.tensor([1.0]), tn.tensor([1.0, -0.5]))
    Tensor([1.])
    """
    n = max(len(a), len(b))
    if n == 1:
        return np.zeros(0, np.result_type(b.dtype, a.dtype))
    b, a = _long(b, n) / a[0], _long(a, n) / a[0]
    rest = b[1:] - a[1:] * b[0]
    first = np.sum(rest) / np.sum(a)
    found: Array = np.cumsum(a)[:-1] * first - np.concatenate([np.zeros(1, rest.dtype), np.cumsum(rest)[:-1]])
    return found


@followed(
    "signal.lfiltic", "b", "a", "y", "x",
    samples=lambda r: [
        sample(np.array([1.0, 0.5, 0.3]), np.array([2.0, -0.3]), r.normal(size=1), r.normal(size=2)),
        sample(np.array([1.0]), np.array([1.0, -0.3, 0.2]), r.normal(size=2)),
    ],
)  # fmt: skip
def lfiltic(b: Array, a: Array, y: Array, x: Array | None = None) -> Array:
    """The states of a filter that had given `y` of `x`, both the last one first.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lfiltic([1.0], [1.0, -0.5], tn.tensor([2.0]))
    Tensor([1.])
    """
    order = max(len(a), len(b)) - 1
    ahead = np.arange(order)[:, np.newaxis] + np.arange(order) + 1

    def mixed(c: Array, past: Array) -> Array:
        past = _long(past[: len(c) - 1], order)
        return np.where(ahead < len(c), _long(c, order + 1)[np.minimum(ahead, order)], 0) @ past

    found: Array = -mixed(a, y) / a[0]
    return found if x is None else found + mixed(b, x) / a[0]


@followed(
    "signal.sosfilt_zi", "sos",
    samples=lambda r: [sample(_sections(r))],
)  # fmt: skip
def sosfilt_zi(sos: Array) -> Array:
    """The states of a cascade whose input is 1 and always was, of shape (sections, 2).

    >>> import tapenet as tn
    >>> tn.scipy.signal.sosfilt_zi(tn.tensor([[1.0, 0.0, 0.0, 1.0, -0.5, 0.0]]))
    Tensor([[1., 0.]])
    """
    found, scale = [], 1.0
    for section in range(len(sos)):
        b, a = sos[section, :3], sos[section, 3:]
        found.append(scale * lfilter_zi(b, a))
        scale = scale * (np.sum(b) / np.sum(a))
    return np.stack(found)


def _sections(r: np.random.Generator) -> Array:
    return np.array([[1.0, 0.5, 0.2, 1.0, -0.3, 0.2], [0.7, 0.1, 0.4, 1.0, 0.4, 0.1]]) + r.normal(size=(2, 6)) * [
        0.1, 0.1, 0.1, 0.0, 0.1, 0.1
    ]  # fmt: skip


@followed(
    lambda sos, x, axis: _sosfilt(_writable(sos), x, axis), "sos", "x", name="sosfilt",
    samples=lambda r: [sample(_sections(r), r.normal(size=6)), sample(_sections(r), r.normal(size=(5, 2)), -2)],
)  # fmt: skip
def sosfilt_only(sos: Array, x: Array, axis: int = -1) -> Array:
    """`sosfilt` of a signal at rest, along an axis counted from the end."""
    for section in range(len(sos)):
        x = lfilter_only(sos[section, :3], sos[section, 3:], x, axis)
    return x


@followed(
    lambda sos, x, zi, axis: _sosfilt(_writable(sos), x, axis, zi), "sos", "x", "zi", name="sosfilt", outputs=2,
    samples=lambda r: [
        sample(_sections(r), r.normal(size=6), r.normal(size=(2, 2))),
        sample(_sections(r), r.normal(size=(5, 2)), r.normal(size=(2, 2, 2)), -2),
    ],
)  # fmt: skip
def sosfilt_on(sos: Array, x: Array, zi: Array, axis: int = -1) -> tuple[Array, Array]:
    """`sosfilt` of a signal that goes on from states, and the states behind it."""
    states = []
    for section in range(len(sos)):
        x, state = lfilter_on(sos[section, :3], sos[section, 3:], x, zi[section], axis)
        states.append(state)
    return x, np.stack(states)


@overload
def sosfilt(sos: ArrayLike, x: ArrayLike, axis: int = ..., zi: None = ...) -> Tensor: ...
@overload
def sosfilt(sos: ArrayLike, x: ArrayLike, axis: int = ..., *, zi: ArrayLike) -> tuple[Tensor, Tensor]: ...
@overload
def sosfilt(sos: ArrayLike, x: ArrayLike, axis: int, zi: ArrayLike) -> tuple[Tensor, Tensor]: ...
def sosfilt(
    sos: ArrayLike, x: ArrayLike, axis: int = -1, zi: ArrayLike | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """Filter signals by a cascade of sections of second order.

    Args:
        sos: the coefficients b₀ b₁ b₂ 1 a₁ a₂ of each section.
        x: the signals.
        axis: along which to filter.
        zi: the states at the beginning, of shape (sections, ..., 2, ...): then those at the end are returned too.

    Raises:
        ValueError: coefficients or states of another shape, or a₀ other than 1.

    >>> import tapenet as tn
    >>> sos = tn.tensor([[1.0, 0.0, 0.0, 1.0, -0.5, 0.0]], requires_grad=True)
    >>> tn.scipy.signal.sosfilt(sos, [1.0, 0.0, 0.0]).detach()
    Tensor([1.  , 0.5 , 0.25])
    """
    found: Tensor | tuple[Tensor, Tensor]
    if zi is None:
        found = sosfilt_only(sos, x, _from_end(axis, x))
    else:
        found = sosfilt_on(sos, x, zi, _from_end(axis, x))
    return found


_PAIRS = {"b": np.array([0.5, 0.3]), "a": np.array([1.0, -0.4, 0.1])}


def _padded(x: Array, padtype: Extension, padlen: int | None, taps: int, axis: int) -> tuple[Array, int]:
    """A signal with its extension at both ends, and how long that is."""
    edge = 0 if padtype is None else taps * 3 if padlen is None else padlen
    return extended(x, edge, padtype, axis), edge


def _middle(x: Array, edge: int, axis: int) -> Array:
    return part(x, slice(edge, x.shape[axis] - edge), axis) if edge else x


@followed(
    "signal.filtfilt", "b", "a", "x",
    samples=lambda r: [
        sample(*_PAIRS.values(), r.normal(size=12)),
        sample(*_PAIRS.values(), r.normal(size=(6, 2)), 0, "even", 3),
        sample(*_PAIRS.values(), r.normal(size=5), padtype=None),
    ],
)  # fmt: skip
def filtfilt(
    b: Array, a: Array, x: Array, axis: int = -1, padtype: Extension = "odd", padlen: int | None = None,
    method: Literal["pad", "gust"] = "pad", irlen: int | None = None,
) -> Array:  # fmt: skip
    """Filter signals forward and backward, which leaves their phases as they are.

    Args:
        b, a, x, axis: as for `lfilter`.
        padtype: how signals go on beyond their ends: "odd", "even", "constant" or None.
        padlen: how far; 3 max(len(a), len(b)) by default.
        method: "pad"; "gust" gives values alone.
        irlen: of "gust".

    Raises:
        ValueError: a signal that is shorter than `padlen`, or an unknown option.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.filtfilt([0.5, 0.5], [1.0], tn.tensor(np.arange(8.0)))[2:5].round(9)
    Tensor([2., 3., 4.])
    """
    if method != "pad":
        raise NotImplementedError(f"filtfilt has no derivative with method={method!r}: use method='pad'")
    x, edge = _padded(x, padtype, padlen, max(len(a), len(b)), axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    zi = lfilter_zi(b, a).reshape(shape)
    from_end = axis if axis < 0 else axis - x.ndim
    for _ in range(2):
        x, _ = lfilter_on(b, a, x, zi * part(x, slice(0, 1), axis), from_end)
        x = np.flip(x, axis)
    return _middle(x, edge, axis)


@followed(
    lambda sos, x, *options: _sosfiltfilt(_writable(sos), x, *options), "sos", "x", name="sosfiltfilt",
    samples=lambda r: [
        sample(_sections(r), r.normal(size=17), -1, "odd", 15),
        sample(_sections(r), r.normal(size=(6, 2)), 0, "constant", 3),
    ],
)  # fmt: skip
def sosfiltfilt_by(sos: Array, x: Array, axis: int, padtype: Extension, padlen: int) -> Array:
    """`sosfiltfilt` with all of its options."""
    x, edge = _padded(x, padtype, padlen, 0, axis)
    zi = sosfilt_zi(sos)
    shape = [1] * x.ndim
    shape[axis] = 2
    from_end = axis if axis < 0 else axis - x.ndim
    for _ in range(2):
        x, _ = sosfilt_on(sos, x, zi.reshape([-1, *shape]) * part(x, slice(0, 1), axis), from_end)
        x = np.flip(x, axis)
    return _middle(x, edge, axis)


def sosfiltfilt(
    sos: ArrayLike, x: ArrayLike, axis: int = -1, padtype: Extension = "odd", padlen: int | None = None
) -> Tensor:
    """Filter signals by a cascade forward and backward; the arguments are those of `sosfilt` and `filtfilt`.

    Raises:
        ValueError: a signal that is shorter than `padlen`; or no `padlen` for coefficients that a compiled program computes:
            the default depends on how many of them are 0.

    >>> import numpy as np, tapenet as tn
    >>> sos = [[0.5, 0.5, 0.0, 1.0, 0.0, 0.0]]
    >>> tn.scipy.signal.sosfiltfilt(sos, tn.tensor(np.arange(8.0)))[2:5].round(9)
    Tensor([2., 3., 4.])
    """
    sos = array_like(sos)
    if padlen is None:
        values = known(sos)
        if values is None:
            raise ValueError(
                "sosfiltfilt: padlen= depends on which coefficients are 0, and these are computed in a compiled program: "
                f"give padlen=, such as {6 * len(sos) + 3}"
            )
        zeros = np.sum(np.asarray(values)[:, [2, 5]] == 0, axis=0)
        padlen = 3 * (2 * len(sos) + 1 - int(min(zeros)))
    found: Tensor = sosfiltfilt_by(sos, x, axis, padtype, padlen)
    return found


def deconvolve(signal: ArrayLike, divisor: ArrayLike) -> tuple[Tensor, Tensor]:
    """The quotient and the rest of a signal by another one: signal = convolve(divisor, quotient) + rest.

    Args:
        signal, divisor: arrays with one axis; the divisor begins with another number than 0.

    Raises:
        ValueError: arrays with other axes, or without numbers.

    >>> import tapenet as tn
    >>> tn.scipy.signal.deconvolve(tn.tensor([1.0, 12.0, 20.0]), [1.0, 10.0])
    (Tensor([1., 2.]), Tensor([0., 0., 0.]))
    """
    num, den = np.atleast_1d(array_like(signal)), np.atleast_1d(array_like(divisor))
    for name, value in (("signal", num), ("divisor", den)):
        if value.ndim != 1 or not value.size:
            raise ValueError(f"Parameter {name} must be non-empty 1d array, but its shape is {value.shape}!")
    if len(den) > len(num):
        return num[:0], num  # type: ignore[return-value]
    unit = np.zeros(len(num) - len(den) + 1)
    unit[0] = 1
    quotient = lfilter(num, den, unit)
    return quotient, num - convolve(den, quotient)

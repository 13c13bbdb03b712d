"""Peaks of signals: where they are by SciPy's search, and how high, prominent and wide they are with derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.scipy.followed import scipys
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

#: A limit of a property: the least, or the least and the most.
Limit = float | Array | tuple[float | Array | None, float | Array | None] | None


def _values(name: str, x: Array) -> Array:
    found = known(x)
    if found is None:
        raise ValueError(
            f"{name}: how many peaks there are, and where, depends on the values of x, which are computed in a compiled "
            "program: call it outside, or compile around it"
        )
    return np.asarray(found)


def _samples(peaks: ArrayLike) -> Array:
    """The samples of peaks, which SciPy has checked."""
    return np.asarray(known(array_like(peaks))).astype(np.intp)


def _wide(x: ArrayLike) -> Array:
    """A signal in the type that SciPy computes with."""
    found: Array = array_like(x).astype(np.float64)
    return found


def _told(name: str, *args: object) -> Sequence[Array]:
    """What a function of SciPy's finds."""
    return cast("Sequence[Array]", scipys(f"signal.{name}")(*args))


def _prominences(x: Array, peaks: Array, left: Array, right: Array) -> Array:
    found: Array = x[peaks] - np.maximum(x[left], x[right])
    return found


def _crossings(x: Array, values: Array, height: Array, found: Array, peaks: Array, side: int) -> Array:
    """Where, beside peaks, a signal crosses a height, between the sample that is lower and its neighbour."""
    low = (np.floor(found) if side < 0 else np.ceil(found)).astype(np.intp)
    # A crossing that is at a sample of the height itself is in no interval.
    between = (values[low] < np.asarray(known(height))) & (low != peaks)
    inner = np.where(between, low - side, low)
    step = np.where(between, x[inner] - x[low], 1.0)
    found_at: Array = low - side * np.where(between, (height - x[low]) / step, 0.0)
    return found_at


def peak_prominences(x: ArrayLike, peaks: ArrayLike, wlen: float | None = None) -> tuple[Array, Array, Array]:
    """How far peaks stand out, and the samples at the foot of each. There are gradients by the signal.

    Args:
        x: the signal, of one axis.
        peaks: the samples of the peaks.
        wlen: how many samples around each count.

    >>> import tapenet as tn
    >>> tn.scipy.signal.peak_prominences(tn.tensor([0.0, 3.0, 1.0, 2.0, 0.0]), [1, 3])[0]
    Tensor([3., 1.])
    """
    x = _wide(x)
    _, left, right = _told("peak_prominences", _values("peak_prominences", x), known(array_like(peaks)), wlen)
    return _prominences(x, _samples(peaks), left, right), left, right


def peak_widths(
    x: ArrayLike, peaks: ArrayLike, rel_height: float = 0.5, prominence_data: tuple[Array, Array, Array] | None = None,
    wlen: float | None = None,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """How wide peaks are, at which height, and where the signal crosses this to the left and to the right. There are gradients
    by the signal.

    Args:
        x: the signal, of one axis.
        peaks: the samples of the peaks.
        rel_height: at which part of their prominence, from above.
        prominence_data: what `peak_prominences` gives.
        wlen: as for `peak_prominences`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.peak_widths(tn.tensor([0.0, 3.0, 1.0, 2.0, 0.0]), [1])[0]
    Tensor([1.25])
    """
    x = _wide(x)
    values = _values("peak_widths", x)
    given = None if prominence_data is None else tuple(known(part) for part in prominence_data)
    _, _, first, last = _told("peak_widths", values, known(array_like(peaks)), rel_height, given, wlen)
    at = _samples(peaks)
    if prominence_data is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of peaks that have no prominence
            prominence_data = peak_prominences(x, at, wlen)
    prominences = prominence_data[0]
    height = x[at] - prominences * rel_height
    start, end = (_crossings(x, values, height, found, at, side) for found, side in ((first, -1), (last, 1)))
    return end - start, height, start, end


def find_peaks(
    x: ArrayLike, height: Limit = None, threshold: Limit = None, distance: float | None = None, prominence: Limit = None,
    width: Limit = None, wlen: int | None = None, rel_height: float = 0.5, plateau_size: Limit = None,
) -> tuple[Array, dict[str, Array]]:  # fmt: skip
    """The samples at which a signal has peaks, and their properties. By these there are gradients; the arguments are SciPy's.

    Returns:
        the samples; and, of what is limited, "peak_heights", "left_thresholds", "right_thresholds", "prominences", "widths",
        "width_heights", "left_ips", "right_ips", which are differentiable by `x`, and the samples of bases and plateaus.

    Raises:
        ValueError: a signal of several axes; one that a compiled program computes.

    >>> import tapenet as tn
    >>> x = tn.tensor([0.0, 3.0, 1.0, 2.0, 0.5], requires_grad=True)
    >>> peaks, told = tn.scipy.signal.find_peaks(x, prominence=0.5)
    >>> told["prominences"].sum().backward()
    >>> peaks, x.grad
    (array([1, 3]), Tensor([ 0.,  1., -1.,  1., -1.]))
    """
    x = _wide(x)
    peaks, properties = _told(
        "find_peaks",
        _values("find_peaks", x),
        height,
        threshold,
        distance,
        prominence,
        width,
        wlen,
        rel_height,
        plateau_size,
    )
    told = dict(cast("Mapping[str, Array]", properties))
    if "peak_heights" in told:
        told["peak_heights"] = x[peaks]
    if "left_thresholds" in told:
        told["left_thresholds"], told["right_thresholds"] = x[peaks] - x[peaks - 1], x[peaks] - x[peaks + 1]
    if "prominences" in told:
        bases = told["left_bases"], told["right_bases"]
        told["prominences"] = _prominences(x, peaks, *bases)
        if "widths" in told:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # SciPy has warned of peaks that have no prominence
                found = peak_widths(x, peaks, rel_height, (told["prominences"], *bases))
            told |= zip(("widths", "width_heights", "left_ips", "right_ips"), found, strict=True)
    return peaks, told

"""Signals of a given form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like, known
from tapenet.special import exprel
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

Sweep = Literal["linear", "lin", "li", "quadratic", "quad", "q", "logarithmic", "log", "lo", "hyperbolic", "hyp"]


def _slowed(u: Array) -> Array:
    """-log|1 - u| / u, by its series near 0."""
    small = abs(u) < 1e-4
    safe = np.where(small, 0.5, u)
    series = 1 + u * (1 / 2 + u * (1 / 3 + u * (1 / 4 + u / 5)))
    return np.where(small, series, -np.log(abs(1 - safe)) / safe)


def chirp(
    t: ArrayLike, f0: ArrayLike, t1: ArrayLike, f1: ArrayLike, method: Sweep = "linear", phi: ArrayLike = 0.0,
    vertex_zero: bool = True, *, complex: bool = False,
) -> Array:  # fmt: skip
    """A cosine whose frequency sweeps from `f0` at time 0 to `f1` at time `t1`. There are gradients by times, frequencies and
    phase.

    Args:
        t: the times.
        f0, t1, f1: frequencies, and the time of the second one.
        method: how the frequency changes: "linear", "quadratic", "logarithmic" or "hyperbolic".
        phi: the phase at time 0, in degrees.
        vertex_zero: of "quadratic": whether the vertex is at time 0, else at `t1`.
        complex: whether to return exp(i phase), else its real part.

    Raises:
        ValueError: a method that is none; frequencies that are 0 or, for "logarithmic", differ in sign.

    >>> import tapenet as tn
    >>> tn.scipy.signal.chirp(tn.tensor([0.0, 0.5]), 1.0, 1.0, 2.0).round(6)
    Tensor([ 1.      , -0.707107])
    """
    t, f0, t1, f1, phi = (array_like(v) for v in (t, f0, t1, f1, phi))
    first, last = known(f0), known(f1)
    given = first is not None and last is not None
    if method in ("linear", "lin", "li"):
        turns = f0 * t + 0.5 * (f1 - f0) / t1 * t**2
    elif method in ("quadratic", "quad", "q"):
        bend = (f1 - f0) / t1**2
        turns = f0 * t + bend * t**3 / 3 if vertex_zero else f1 * t + bend * ((t1 - t) ** 3 - t1**3) / 3
    elif method in ("logarithmic", "log", "lo"):
        if given and np.any(first * last <= 0):
            raise ValueError("chirp: for a logarithmic sweep f0 and f1 must be nonzero and have the same sign")
        turns = f0 * t * exprel(np.log(f1 / f0) * t / t1)
    elif method in ("hyperbolic", "hyp"):
        if given and np.any((first == 0) | (last == 0)):
            raise ValueError("chirp: for a hyperbolic sweep f0 and f1 must be nonzero")
        turns = f0 * t * _slowed(t * (f1 - f0) / (f1 * t1))
    else:
        raise ValueError(f"chirp: method is 'linear', 'quadratic', 'logarithmic' or 'hyperbolic', not {method!r}")
    phase = 2 * math.pi * turns + math.pi / 180 * phi
    found: Array = ops.exp(ops.multiply(1j, phase)) if complex else np.cos(phase)
    return found


def _part(t: Array) -> Array:
    """Where in a period of 2π times are."""
    found: Array = np.mod(t, 2 * math.pi)
    return found


def sawtooth(t: ArrayLike, width: ArrayLike = 1.0) -> Array:
    """A sawtooth or triangle of period 2π, which rises from -1 to 1 in the part `width` of a period and falls in the rest.
    There are gradients by times and width.

    >>> import tapenet as tn
    >>> tn.scipy.signal.sawtooth(tn.tensor([0.0, 1.5707963267948966]), 0.5).round(9)
    Tensor([-1.,  0.])
    """
    t, width = array_like(t), array_like(width)
    at = _part(t)
    rises = at < width * 2 * math.pi
    up = at / (math.pi * np.where(width > 0, width, 1.0)) - 1
    down = (math.pi * (width + 1) - at) / (math.pi * np.where(width < 1, 1 - width, 1.0))
    return np.where((width < 0) | (width > 1), np.nan, np.where(rises, up, down))


def square(t: ArrayLike, duty: ArrayLike = 0.5) -> Array:
    """A wave of period 2π that is 1 in the part `duty` of a period, and -1 in the rest. Its derivatives are 0.

    >>> import tapenet as tn
    >>> tn.scipy.signal.square(tn.tensor([0.0, 4.0]))
    Tensor([ 1., -1.])
    """
    t, duty = array_like(t), array_like(duty)
    wave = np.where(_part(t) < duty * 2 * math.pi, 1.0, -1.0)
    return np.where((duty < 0) | (duty > 1), np.nan, wave)


def gausspulse(
    t: ArrayLike, fc: ArrayLike = 1000.0, bw: ArrayLike = 0.5, bwr: ArrayLike = -6.0, tpr: float = -60.0,
    retquad: bool = False, retenv: bool = False,
) -> Array | tuple[Array, ...]:  # fmt: skip
    """A cosine in a Gaussian envelope. There are gradients by times, frequency and bandwidth.

    Args:
        t: the times.
        fc: the frequency.
        bw: the bandwidth, as a part of the frequency, at the level `bwr` in decibels.
        tpr: of no effect: it is of SciPy's t="cutoff".
        retquad, retenv: whether to return the sine, and the envelope, too.

    Raises:
        ValueError: a frequency below 0, a bandwidth or a level that is none.

    >>> import tapenet as tn
    >>> tn.scipy.signal.gausspulse(tn.tensor([0.0, 0.1]), fc=5.0).round(6)
    Tensor([ 1.      , -0.799918])
    """
    if isinstance(t, str):
        raise ValueError("gausspulse: t='cutoff' gives a time: call scipy.signal.gausspulse for it")
    t, fc, bw, bwr = (array_like(v) for v in (t, fc, bw, bwr))
    values = [known(v) for v in (fc, bw, bwr)]
    if all(v is not None for v in values) and (
        np.any(values[0] < 0) or np.any(values[1] <= 0) or np.any(values[2] >= 0)
    ):
        raise ValueError(
            f"gausspulse: fc={values[0]}, bw={values[1]}, bwr={values[2]}: fc is at least 0, bw above 0, bwr below 0 decibels"
        )
    rate = -((math.pi * fc * bw) ** 2) / (4 * (math.log(10) / 20) * bwr)
    envelope = np.exp(-rate * t * t)
    made = [envelope * np.cos(2 * math.pi * fc * t)]
    if retquad:
        made.append(envelope * np.sin(2 * math.pi * fc * t))
    if retenv:
        made.append(envelope)
    return tuple(made) if len(made) > 1 else made[0]

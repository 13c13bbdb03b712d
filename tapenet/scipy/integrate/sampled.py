"""Integrals of functions that are known at some points: rules that are sums of the samples, differentiable by all."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import known
from tapenet.ops.tracebacks import boundary
from tapenet.program.low import is_inexact
from tapenet.scipy.integrate.values import library, value_by_scipy
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _last(y: object, axis: int, name: str) -> Tensor:
    """Samples along the last axis, as floats."""
    made = asarray(y)
    if not made.ndim or not -made.ndim <= axis < made.ndim:
        raise ValueError(f"{name}: `axis={axis}` is not valid for `y` with `y.ndim={made.ndim}`.")
    moved: Tensor = ops.moveaxis(made if is_inexact(made.dtype) else made.astype(np.float64), axis, -1)
    return moved


def _steps(y: Tensor, x: object, dx: object, axis: int, name: str) -> Tensor:
    """The distances of the samples: a number, or an array along the last axis, one for each interval."""
    if x is None:
        step = asarray(dx)
        return step if step.ndim == 0 else ops.moveaxis(step, axis, -1)
    at = asarray(x)
    if at.ndim not in (1, y.ndim):
        raise ValueError(f"{name}: If given, shape of x must be 1-D or the same as y.")
    if at.ndim > 1:
        at = ops.moveaxis(at, axis, -1)
    if at.shape[-1] != y.shape[-1]:
        raise ValueError(f"{name}: If given, length of x along axis must be the same as y.")
    found: Tensor = ops.diff(at)
    return found


@boundary
def trapezoid(y: ArrayLike, x: ArrayLike | None = None, dx: ArrayLike = 1.0, axis: int = -1) -> Tensor:
    """The integral by the trapezoidal rule, `scipy.integrate.trapezoid`: Σ (y[i] + y[i + 1]) / 2 · (x[i + 1] - x[i]).

    Args:
        y: the samples.
        x: where they are: along the axis, or of y's shape. None: `dx` apart.
        dx: their distance.
        axis: along which to integrate.

    Raises:
        ValueError: the shape of x does not fit.

    >>> import tapenet as tn
    >>> tn.scipy.integrate.trapezoid([1.0, 4.0, 9.0], x=[1.0, 2.0, 3.0])
    Tensor(9.)
    """
    if (value := value_by_scipy("trapezoid", y, x, dx, axis)) is not None:
        return value
    samples = _last(y, axis, "trapezoid")
    step = _steps(samples, x, dx, axis, "trapezoid")
    found: Tensor = (step * (samples[..., 1:] + samples[..., :-1]) / 2.0).sum(-1)
    return found


@boundary
def cumulative_trapezoid(
    y: ArrayLike, x: ArrayLike | None = None, dx: ArrayLike = 1.0, axis: int = -1, initial: float | None = None
) -> Tensor:
    """The integrals up to each sample but the first by the trapezoidal rule, `scipy.integrate.cumulative_trapezoid`.

    Args:
        y, x, dx, axis: as for `trapezoid`.
        initial: 0 to begin with a 0 for the first sample.

    Raises:
        ValueError: the shape of x does not fit; `initial` is something else.

    >>> import tapenet as tn
    >>> tn.scipy.integrate.cumulative_trapezoid([1.0, 4.0, 9.0], initial=0)
    Tensor([0. , 2.5, 9. ])
    """
    if (value := value_by_scipy("cumulative_trapezoid", y, x, dx, axis, initial)) is not None:
        return value
    samples = _last(y, axis, "cumulative_trapezoid")
    if not samples.shape[-1]:
        raise ValueError("At least one point is required along `axis`.")
    if initial is not None and initial != 0:
        raise ValueError("`initial` must be `None` or `0`.")
    step = _steps(samples, x, dx, axis, "cumulative_trapezoid")
    found = ops.cumsum(step * (samples[..., 1:] + samples[..., :-1]) / 2.0, axis=-1)
    return _begun(found, None if initial is None else asarray(0.0), axis)


def _begun(found: Tensor, initial: Tensor | None, axis: int) -> Tensor:
    """Running integrals with what they begin with, along the user's axis."""
    if initial is not None:
        begin = ops.broadcast_to(initial, (*found.shape[:-1], 1))
        found = ops.concatenate([begin.astype(found.dtype), found + begin], axis=-1)
    moved: Tensor = ops.moveaxis(found, -1, axis)
    return moved


@boundary
def simpson(y: ArrayLike, x: ArrayLike | None = None, *, dx: ArrayLike = 1.0, axis: int = -1) -> Tensor:
    """The integral by Simpson's rule, `scipy.integrate.simpson`: of parabolas through three samples each. With an even number
    of samples the last interval has that through the last three (Cartwright, J. Math. Sci. Math. Educ. 12 (2017)).

    Args:
        y, x, dx, axis: as for `trapezoid`.

    Raises:
        ValueError: the shape of x does not fit.

    >>> import numpy as np, tapenet as tn
    >>> x = np.array([0.0, 1.0, 3.0])
    >>> tn.scipy.integrate.simpson(x**2, x)
    Tensor(9.)
    >>> tn.grad(lambda a: tn.scipy.integrate.simpson(a * x**2, x))(2.0)
    Tensor(9.)
    """
    if (value := value_by_scipy("simpson", y, x, dx=dx, axis=axis)) is not None:
        return value
    samples = _last(y, axis, "simpson")
    step = _steps(samples, x, dx, axis, "simpson")
    n = samples.shape[-1]
    if n < 3:
        found: Tensor = (step * (samples[..., 1:] + samples[..., :-1]) / 2.0).sum(-1)
        return found
    even = n % 2 == 0
    whole = n - 1 if even else n
    a, b, c = samples[..., 0 : whole - 2 : 2], samples[..., 1:whole:2], samples[..., 2:whole:2]
    ends = samples[..., -1], samples[..., -2], samples[..., -3]
    if x is None:  # equal steps, which may be 0
        total: Tensor = (step / 3.0 * (a + 4.0 * b + c)).sum(-1)
        last = step / 12.0 * (5.0 * samples[..., -1:] + 8.0 * samples[..., -2:-1] - samples[..., -3:-2])
        return total + last.sum(-1) if even else total
    step = ops.broadcast_to(step, (*step.shape[:-1], n - 1))
    first, second = step[..., 0 : whole - 1 : 2], step[..., 1:whole:2]
    both, ratio = first + second, _quotient(first, second)
    sides = a * (2.0 - _quotient(1.0, ratio)) + c * (2.0 - ratio)
    total = (both / 6.0 * (sides + b * (both * _quotient(both, first * second)))).sum(-1)
    if even:
        h0, h1 = step[..., -2], step[..., -1]
        total = total + _quotient(2.0 * h1**2 + 3.0 * h0 * h1, 6.0 * (h1 + h0)) * ends[0]
        total = total + _quotient(h1**2 + 3.0 * h0 * h1, 6.0 * h0) * ends[1]
        total = total - _quotient(h1**3, 6.0 * h0 * (h0 + h1)) * ends[2]
    return total


def _quotient(a: Tensor | float, b: Tensor) -> Tensor:
    """a / b, and 0 where b is 0: of samples at one point."""
    zero = b == 0
    found: Tensor = ops.where(zero, 0.0, a / ops.where(zero, 1.0, b))
    return found


@boundary
def cumulative_simpson(
    y: ArrayLike, *, x: ArrayLike | None = None, dx: ArrayLike = 1.0, axis: int = -1, initial: ArrayLike | None = None
) -> Tensor:
    """The integrals up to each sample but the first by Simpson's rule, `scipy.integrate.cumulative_simpson`: each interval has
    the parabola through its two samples and the next, or the one before (Cartwright, as for `simpson`).

    Args:
        y, x, dx, axis: as for `trapezoid`; x rises.
        initial: what to begin with: it stands for the first sample, and is added to all.

    Raises:
        ValueError: shapes do not fit; x does not rise.

    >>> import tapenet as tn
    >>> tn.scipy.integrate.cumulative_simpson([0.0, 1.0, 4.0, 9.0], initial=0.0)
    Tensor([0.        , 0.33333333, 2.66666667, 9.        ])
    """
    name = "cumulative_simpson"
    if (value := value_by_scipy(name, y, x=x, dx=dx, axis=axis, initial=initial)) is not None:
        return value
    samples = _last(y, axis, name)
    step = _steps(samples, x, dx, axis, name)
    n = samples.shape[-1]
    start = None if initial is None else asarray(initial)
    if start is not None and start.ndim:
        start = ops.moveaxis(start, axis, -1)
    if n < 3:
        return _begun(ops.cumsum(step * (samples[..., 1:] + samples[..., :-1]) / 2.0, axis=-1), start, axis)
    before, middle, after = samples[..., :-2], samples[..., 1:-1], samples[..., 2:]
    if x is None:  # equal steps, which may be 0
        ahead = step / 12.0 * (5.0 * before + 8.0 * middle - after)
        behind = step / 12.0 * (5.0 * after + 8.0 * middle - before)
    else:
        step = ops.broadcast_to(step, (*samples.shape[:-1], n - 1))
        ahead = _parabola(before, middle, after, step[..., :-1], step[..., 1:])
        behind = _parabola(after, middle, before, step[..., 1:], step[..., :-1])
    # Of intervals 0, 2, 4 ... the parabola with the sample after, of 1, 3, 5 ... that with the one before, and so of the last.
    pairs = ops.reshape(ops.stack([ahead, behind], axis=-1), (*ahead.shape[:-1], -1))
    places = [2 * i if i % 2 == 0 and i < n - 2 else 2 * (i - 1) + 1 for i in range(n - 1)]
    return _begun(ops.cumsum(pairs[..., places], axis=-1), start, axis)


def _parabola(a: Tensor, b: Tensor, c: Tensor, h: Tensor, k: Tensor) -> Tensor:
    """The integral from a to b of the parabola through a, b and c, which are h and k apart."""
    found: Tensor = (
        h
        / 6.0
        * ((3.0 - h / (h + k)) * a + (3.0 + h * h / (k * (h + k)) + h / (h + k)) * b - h * h / (k * (h + k)) * c)
    )
    return found


@boundary
def romb(y: ArrayLike, dx: ArrayLike = 1.0, axis: int = -1, show: bool | Sequence[int] = False) -> Tensor:
    """The integral by Romberg's extrapolation, `scipy.integrate.romb`, of 2**k + 1 samples at equal distances.

    Args:
        y, dx, axis: as for `trapezoid`.
        show: print the table of the extrapolation, where nothing but the value is wanted.

    Raises:
        ValueError: another number of samples.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.integrate.romb(np.linspace(0, 1, 5) ** 4, dx=0.25)
    Tensor(0.2)
    """
    if (value := value_by_scipy("romb", y, dx, axis, show)) is not None:
        return value
    samples = _last(y, axis, "romb")
    count = samples.shape[-1] - 1
    if count < 1 or count & (count - 1):
        raise ValueError("Number of samples must be one plus a non-negative power of 2.")
    weights = _romberg(count)
    found: Tensor = (samples @ weights) * dx
    return found


@lru_cache(maxsize=32)
def _romberg(count: int) -> Array:
    """What Romberg's extrapolation multiplies each sample with."""
    row: list[Array] = []
    step = count
    while step:
        trapezoids = np.zeros(count + 1)
        trapezoids[::step] = step
        trapezoids[[0, -1]] /= 2
        new = [trapezoids]
        for j, before in enumerate(row, 1):
            new.append(new[-1] + (new[-1] - before) / (4**j - 1))
        row, step = new, step // 2
    row[-1].flags.writeable = False
    return row[-1]


@boundary
def fixed_quad(
    func: Callable[..., object], a: ArrayLike, b: ArrayLike, args: Sequence[object] = (), n: int = 5
) -> tuple[Tensor, None]:
    """The integral by Gauss and Legendre's rule with n points, `scipy.integrate.fixed_quad`: exact for polynomials of degree
    2n - 1.

    Args:
        func: func(x, *args) gives the values at an array of points, along the last axis.
        a, b: finite limits.
        args: further arguments.
        n: how many points.

    Returns:
        the integral, and None.

    Raises:
        ValueError: a limit is infinite.

    >>> import tapenet as tn
    >>> tn.grad(lambda b: tn.scipy.integrate.fixed_quad(lambda x: x**3, 0.0, b)[0])(2.0)
    Tensor(8.)
    """
    low, high = asarray(a), asarray(b)
    if not all(np.isfinite(end).all() for end in map(known, (low, high)) if end is not None):
        raise ValueError("Gaussian quadrature is only available for finite limits.")
    points, weights = importlib.import_module("scipy.special").roots_legendre(n)
    y = (high - low) * (np.real(points) + 1.0) / 2.0 + low
    found: Tensor = (high - low) / 2.0 * ops.sum(weights * func(y, *args), axis=-1)
    return found, None


@boundary
def newton_cotes(rn: object, equal: int = 0) -> tuple[Tensor, float]:
    """The weights of a rule of Newton and Cotes, and its error coefficient, `scipy.integrate.newton_cotes`: of points at rn,
    from 0 to N, or of N + 1 equal ones.

    The weights of points of your own have derivatives by these: they solve Σ w[i] rn[i]**k = N**(k + 1) / (k + 1).

    Args:
        rn: the points, or N.
        equal: 1 to take the points as equal.

    Returns:
        the weights, and the error coefficient.

    Raises:
        ValueError: the points do not begin with 0 and end with N.

    >>> import tapenet as tn
    >>> tn.scipy.integrate.newton_cotes(2)
    (Tensor([0.33333333, 1.33333333, 0.33333333]), -0.011111111111111112)
    """
    points = asarray(rn)
    weights, error = library().newton_cotes(int(points.item()) if points.ndim == 0 else points._data, equal)
    if equal or points.ndim == 0 or points._node is None:
        return Tensor._of(weights), float(error)
    n = points.size - 1
    powers = np.arange(n + 1)
    centred = 2.0 * points / n - 1.0
    matrix = centred[None, :] ** powers[:, None]
    moments = np.where(powers % 2 == 0, 2.0 / (powers + 1), 0.0)
    return asarray(np.linalg.solve(matrix, moments) * (n / 2.0)), float(error)

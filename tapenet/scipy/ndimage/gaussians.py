"""Gaussian filters, and the derivatives of images that they give."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.scipy.ndimage.borders import as_output, axes_of, axis_of, for_each, numbers_for_each, output_dtype
from tapenet.scipy.ndimage.correlation import correlate1d
from tapenet.scipy.ndimage.measurements import root
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor
    from tapenet.typing import ArrayLike, DTypeLike

Width = "float | Tensor"
#: Along each axis of an image: the axis, and how its derivative is made.
Step = Callable[[Array, int, str], Array]


def _radius(name: str, sigma: ArrayLike, truncate: float, radius: int | None) -> int:
    """How far a filter reaches.

    Raises:
        ValueError: a width that a compiled program computes, and no radius; or a negative one.
    """
    if radius is None:
        width = known(sigma)
        if width is None:
            raise ValueError(
                f"{name}: how far the filter reaches depends on sigma=, which is computed in a compiled program: give radius="
            )
        radius = int(truncate * float(width) + 0.5)
    if radius < 0 or radius != int(radius):
        raise ValueError("Radius must be a nonnegative integer.")
    return int(radius)


def _kernel(sigma: float | Array, order: int, radius: int) -> Array:
    """A normal density at whole numbers, of sum 1, or its derivative of an order: q(x) times the density."""
    if order < 0:
        raise ValueError("order must be non-negative")
    x = np.arange(-radius, radius + 1)
    variance = sigma * sigma
    density: Array = np.exp(-0.5 / variance * x**2)
    density = density / np.sum(density)
    if not order:
        return density
    # q' - x q / variance, again and again, as a matrix on the coefficients of q
    powers = np.arange(order + 1)
    step = np.diag(powers[1:].astype(float), 1) + np.diag(np.ones(order), -1) / -variance
    q: Array = np.eye(order + 1)[0]
    for _ in range(order):
        q = step @ q
    found: Array = (x[:, np.newaxis] ** powers) @ q * density
    return found


def _weights(sigma: float | Array, order: int, radius: int) -> Array:
    """The weights of a correlation with it."""
    return np.flip(_kernel(sigma, order, radius))


_cached = functools.lru_cache(256)(_weights)


def gaussian_filter1d(
    input: ArrayLike, sigma: ArrayLike, axis: int = -1, order: int = 0, output: DTypeLike | None = None, mode: str = "reflect",
    cval: float = 0.0, truncate: float = 4.0, *, radius: int | None = None,
) -> Tensor:  # fmt: skip
    """An image smoothed along an axis by a normal density, or a derivative of it.

    Args:
        input: an array.
        sigma: the standard deviation, by which there are gradients too.
        axis: along which.
        order: of the derivative; 0 to smooth.
        output, mode, cval: as for `correlate1d`.
        truncate: how far the filter reaches, in standard deviations.
        radius: how far it reaches, in numbers: gradients by sigma hold for a fixed reach.

    Raises:
        ValueError: a negative order or radius; or no radius for a sigma that a compiled program computes.

    >>> import tapenet as tn
    >>> sigma = tn.tensor(1.0, requires_grad=True)
    >>> y = tn.scipy.ndimage.gaussian_filter1d([0.0, 0.0, 1.0, 0.0, 0.0], sigma, mode="constant")
    >>> y[2].backward()
    >>> y.detach().round(3), sigma.grad.round(3)
    (Tensor([0.054, 0.242, 0.399, 0.242, 0.054]), Tensor(-0.399))
    """
    reach = _radius("gaussian_filter1d", sigma, truncate, radius)
    weights = (_cached if type(sigma) is float else _weights)(sigma, order, reach)  # type: ignore[arg-type]
    return correlate1d(input, weights, axis, output, mode, cval)


def gaussian_filter(
    input: ArrayLike, sigma: ArrayLike, order: int | Sequence[int] = 0, output: DTypeLike | None = None,
    mode: str | Sequence[str] = "reflect", cval: float = 0.0, truncate: float = 4.0, *,
    radius: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """An image smoothed by a normal density.

    Args:
        input: an array.
        sigma: the standard deviation, or one for each axis. There are gradients by it too.
        order: of a derivative; one for each axis, or one for all.
        output, mode, cval, truncate, radius: as for `gaussian_filter1d`; one for each axis, or one for all.
        axes: along which, by default all.

    Raises:
        ValueError: as for `gaussian_filter1d`.
        RuntimeError: another number of options than axes.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.gaussian_filter(tn.tensor(np.eye(3)), 0.5).round(3)[0]
    Tensor([0.809, 0.179, 0.012])
    """
    input = array_like(input)
    along = axes_of(axes, input.ndim)
    sigmas = numbers_for_each(sigma, len(along))
    dtype = output_dtype("gaussian_filter", output)
    options = [for_each(option, len(along)) for option in (order, mode, radius)]
    found: Array = input
    for axis, width, order_, mode_, radius_ in zip(along, sigmas, *options, strict=True):
        value = known(width)
        if value is None or float(value) > 1e-15:
            found = gaussian_filter1d(  # type: ignore[assignment]
                found, width, axis, order_, dtype, mode_, cval, truncate, radius=radius_
            )
    return as_output(found, dtype)  # type: ignore[return-value]


def _summed(
    input: ArrayLike, output: DTypeLike | None, mode: str | Sequence[str], axes: int | Sequence[int] | None, name: str,
    step: Step, squared: bool = False,
) -> Array:  # fmt: skip
    """The sum over axes of what a step gives along each, or the root of the sum of squares."""
    input = array_like(input)
    dtype = output_dtype(name, output)
    along = axes_of(axes, input.ndim)
    if not along:
        return as_output(input, dtype)
    parts = [step(input, axis, each) for axis, each in zip(along, for_each(mode, len(along)), strict=True)]
    if squared:
        return as_output(root(functools.reduce(np.add, [part * part for part in parts])), parts[0].dtype)
    return functools.reduce(np.add, parts)


def laplace(
    input: ArrayLike, output: DTypeLike | None = None, mode: str | Sequence[str] = "reflect", cval: float = 0.0, *,
    axes: int | Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """The sum of the second differences of an image.

    Args:
        input, output, mode, cval, axes: as for `gaussian_filter`.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.laplace(tn.tensor([0.0, 1.0, 4.0, 9.0]))
    Tensor([ 1.,  2.,  2., -5.])
    """

    def second(x: Array, axis: int, mode: str) -> Array:
        return correlate1d(x, [1, -2, 1], axis, output, mode, cval)  # type: ignore[return-value]

    return _summed(input, output, mode, axes, "laplace", second)  # type: ignore[return-value]


def gaussian_laplace(
    input: ArrayLike, sigma: ArrayLike, output: DTypeLike | None = None, mode: str | Sequence[str] = "reflect",
    cval: float = 0.0, *, axes: int | Sequence[int] | None = None, truncate: float = 4.0, radius: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum of the second derivatives of a smoothed image.

    Args:
        input, sigma, output, mode, cval, axes, truncate, radius: as for `gaussian_filter`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.gaussian_laplace(tn.tensor(np.eye(3)), 1.0).shape
    (3, 3)
    """
    return _derived(input, sigma, output, mode, cval, axes, truncate, radius, 2, "gaussian_laplace")  # type: ignore[return-value]


def gaussian_gradient_magnitude(
    input: ArrayLike, sigma: ArrayLike, output: DTypeLike | None = None, mode: str | Sequence[str] = "reflect",
    cval: float = 0.0, *, axes: int | Sequence[int] | None = None, truncate: float = 4.0, radius: int | None = None,
) -> Tensor:  # fmt: skip
    """The length of the gradient of a smoothed image. Where that is 0 its gradient is 0.

    Args:
        input, sigma, output, mode, cval, axes, truncate, radius: as for `gaussian_filter`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.gaussian_gradient_magnitude(tn.tensor(np.eye(3)), 1.0).shape
    (3, 3)
    """
    return _derived(input, sigma, output, mode, cval, axes, truncate, radius, 1, "gaussian_gradient_magnitude")  # type: ignore[return-value]


def _derived(
    input: ArrayLike, sigma: ArrayLike, output: DTypeLike | None, mode: str | Sequence[str], cval: float,
    axes: int | Sequence[int] | None, truncate: float, radius: int | None, order: int, name: str,
) -> Array:  # fmt: skip
    """The derivatives of a smoothed image of an order, along one axis each, put together."""
    input = array_like(input)
    along = axes_of(axes, input.ndim)
    widths: list[ArrayLike] = [0.0] * input.ndim
    for axis, width in zip(along, numbers_for_each(sigma, len(along)), strict=True):
        widths[axis] = width

    def derivative(x: Array, axis: int, mode: str) -> Array:
        orders = [order if i == axis else 0 for i in range(x.ndim)]
        given = widths if order == 2 else list(numbers_for_each(sigma, x.ndim))
        return gaussian_filter(  # type: ignore[return-value]
            x,
            given,  # type: ignore[arg-type]
            orders,
            output,
            mode,
            cval,
            truncate,
            radius=radius,
        )

    return _summed(input, output, mode, axes, name, derivative, squared=order == 1)


def _edges(
    input: ArrayLike, axis: int, output: DTypeLike | None, mode: str | Sequence[str], cval: float, across: Sequence[int],
    name: str,
) -> Array:  # fmt: skip
    """Differences along one axis, smoothed along the others."""
    found = array_like(input)
    dtype = output_dtype(name, output)
    axis = axis_of(axis, found.ndim)
    modes = for_each(mode, found.ndim)
    for i in [axis, *(i for i in range(found.ndim) if i != axis)]:
        found = correlate1d(found, [-1, 0, 1] if i == axis else across, i, dtype, modes[i], cval)  # type: ignore[assignment]
    return found


def prewitt(
    input: ArrayLike,
    axis: int = -1,
    output: DTypeLike | None = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
) -> Tensor:
    """Prewitt's filter: differences along an axis, and sums of three along the others.

    Args:
        input, output, mode, cval: as for `gaussian_filter`.
        axis: along which the differences are.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.prewitt(tn.tensor(np.eye(3)))[0]
    Tensor([-1., -2., -1.])
    """
    return _edges(input, axis, output, mode, cval, (1, 1, 1), "prewitt")  # type: ignore[return-value]


def sobel(
    input: ArrayLike,
    axis: int = -1,
    output: DTypeLike | None = None,
    mode: str | Sequence[str] = "reflect",
    cval: float = 0.0,
) -> Tensor:
    """Sobel's filter: differences along an axis, and sums with weights 1, 2, 1 along the others.

    Args:
        input, output, mode, cval, axis: as for `prewitt`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.sobel(tn.tensor(np.eye(3)))[0]
    Tensor([-2., -3., -1.])
    """
    return _edges(input, axis, output, mode, cval, (1, 2, 1), "sobel")  # type: ignore[return-value]

"""Maximum likelihood: SciPy's fit, made exact with the gradient, and differentiable by the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.stats.distribution import plain
from tapenet.transforms.gradients import grad
from tapenet.transforms.implicit.roots import root
from tapenet.transforms.jacobians import jacobian
from tapenet.typing import Array


def _exponential(x: Tensor, loc: float | None, scale: float | None) -> tuple[object, object]:
    low = ops.min(x) if loc is None else loc
    return low, ops.mean(x) - low if scale is None else scale


def _uniform(x: Tensor, loc: float | None, scale: float | None) -> tuple[object, object]:
    low, high = ops.min(x), ops.max(x)
    if scale is None:
        return (low, high - low) if loc is None else (loc, high - loc)
    return (low + high - scale) / 2 if loc is None else loc, scale


def _laplace(x: Tensor, loc: float | None, scale: float | None) -> tuple[object, object]:
    middle = ops.median(x) if loc is None else loc
    return middle, ops.mean(abs(x - middle)) if scale is None else scale


#: The loc and scale of those whose likelihood is greatest at an end of what is allowed, or at a kink, by the data and what is
#: held.
_CLOSED = {"expon": _exponential, "uniform": _uniform, "laplace": _laplace}


def fit(
    name: str,
    parameters: Sequence[str],
    log_density: Callable[..., Tensor],
    scipys_fit: Callable[..., Sequence[float]],
    data: object,
    args: Sequence[object],
    kwds: Mapping[str, object],
) -> tuple[Tensor, ...]:
    """The parameters at which data are most likely.

    Args:
        name: of the distribution.
        parameters: the names of its parameters: the shapes, loc and scale.
        log_density: of data and the parameters.
        scipys_fit: SciPy's method.
        data, args, kwds: what it is called with.

    Raises:
        TypeError: the data need a gradient, and the maximum is at an end of what is allowed, at a kink, or not of the
            likelihood.
    """
    known = plain(data)
    start = np.array(scipys_fit(known, *map(plain, args), **{n: plain(v) for n, v in kwds.items()}), float)
    held = {n: i for i, p in enumerate(parameters) for n in (f"f{i}", f"f{p}", f"fix_{p}")}
    free = [i for i in range(len(parameters)) if i not in {held[n] for n in kwds if n in held}]

    mine = isinstance(data, Tensor) and data.requires_grad
    by_likelihood = str(kwds.get("method", "MLE")).lower() == "mle"
    if name in _CLOSED and by_likelihood:
        ends = (None if i in free else float(start[i]) for i in range(2))
        return tuple(map(asarray, _CLOSED[name](asarray(data), *ends)))

    def among(some: Tensor) -> list[object]:
        at = {i: k for k, i in enumerate(free)}
        return [some[at[i]] if i in at else float(start[i]) for i in range(len(parameters))]

    def slope(some: Tensor, x: Tensor) -> Tensor:
        def likelihood(v: Tensor) -> Tensor:
            return log_density(x, *among(v)).mean()

        gradient: Callable[[Tensor], Tensor] = grad(likelihood)
        return gradient(some)

    try:
        if not by_likelihood:
            raise RuntimeError
        best = root(slope, start[free], asarray(data), tol=1e-12)
        found = asarray(plain(best))
        likely = [log_density(known, *among(asarray(v))).sum().item() for v in (found, start[free])]
        if not likely[0] >= likely[1] - 1e-9 * abs(likely[1]):
            raise RuntimeError
        if mine and not _is_curved(jacobian(lambda v: -slope(v, asarray(known)))(found).numpy()):
            raise RuntimeError
    except RuntimeError:
        if mine:
            why = (
                "the gradient of the likelihood is not 0 at what SciPy found, or the likelihood has a kink there, so that the "
                "result has no derivative by the data: hold a parameter that is at an end, as by floc=,"
                if by_likelihood
                else "only of method='MLE' there are derivatives by the data: leave it out,"
            )
            raise TypeError(f"tn.scipy.stats.{name}.fit: {why} or give the data detached") from None
        return tuple(asarray(v) for v in start)
    return tuple(asarray(v) for v in among(cast("Tensor", best)))


def _is_curved(matrix: Array) -> bool:
    """Whether second derivatives of minus the likelihood are positive definite, in whatever units parameters are."""
    units = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    return bool((units > 0).all() and np.linalg.eigvalsh(matrix / np.outer(units, units))[0] > 1e-10)

"""Maximum likelihood: SciPy's fit, made exact with the gradient, and differentiable by the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.stats.distribution import plain
from tapenet.transforms.gradients import grad
from tapenet.transforms.implicit.roots import root


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
        TypeError: the data need a gradient, and the maximum is at an end of what is allowed, or not of the likelihood.
    """
    known = plain(data)
    start = np.array(scipys_fit(known, *map(plain, args), **{n: plain(v) for n, v in kwds.items()}), float)
    held = {n: i for i, p in enumerate(parameters) for n in (f"f{i}", f"f{p}", f"fix_{p}")}
    free = [i for i in range(len(parameters)) if i not in {held[n] for n in kwds if n in held}]

    def among(some: Tensor) -> list[object]:
        at = {i: k for k, i in enumerate(free)}
        return [some[at[i]] if i in at else float(start[i]) for i in range(len(parameters))]

    def slope(some: Tensor, x: Tensor) -> Tensor:
        def likelihood(v: Tensor) -> Tensor:
            return log_density(x, *among(v)).mean()

        gradient: Callable[[Tensor], Tensor] = grad(likelihood)
        return gradient(some)

    try:
        if str(kwds.get("method", "MLE")).lower() != "mle":
            raise RuntimeError
        best = root(slope, start[free], asarray(data), tol=1e-12)
        likely = [log_density(known, *among(asarray(v))).sum().item() for v in (plain(best), start[free])]
        if not likely[0] >= likely[1] - 1e-9 * abs(likely[1]):
            raise RuntimeError
    except RuntimeError:
        if isinstance(data, Tensor) and data.requires_grad:
            raise TypeError(
                f"tn.scipy.stats.{name}.fit: the gradient of the likelihood is not 0 at what SciPy found, so that the result "
                "has no derivative by the data: hold a parameter that is at an end, as by floc=, or give the data detached"
            ) from None
        return tuple(asarray(v) for v in start)
    return tuple(asarray(v) for v in among(cast("Tensor", best)))

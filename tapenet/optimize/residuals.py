"""Least squares of functions of nested parameters, by SciPy's solvers with exact Jacobians; curves fitted to data."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.elementwise.elementary import where
from tapenet.ops.tracebacks import boundary
from tapenet.optimize.functions import around
from tapenet.optimize.problems import Asked, Result, Task, find
from tapenet.optimize.results import Given, callback_of, differences, result, tupled
from tapenet.optimize.sharpening import sharpened
from tapenet.optimize.unknowns import flat, limits, unknowns
from tapenet.program.trees import Structure, flatten
from tapenet.transforms.gradients import elementwise_grad
from tapenet.transforms.implicit.linear import specs_of
from tapenet.transforms.jacobians import jacobian
from tapenet.typing import Array

#: How much a squared residual counts (SciPy's ρ), by name.
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda z: z,
    "soft_l1": lambda z: 2 * (ops.sqrt(1 + z) - 1),
    "huber": lambda z: where(z <= 1, z, 2 * ops.sqrt(where(z <= 1, 1.0, z)) - 1),
    "cauchy": ops.log1p,
    "arctan": ops.arctan,
}
#: The name of a loss, or a function that gives it and its first two derivatives.
LossKind = str | Callable[..., Sequence[object]]
#: A loss, and the scale of the residuals that it takes.
Loss = tuple[LossKind, float]


def cost_of(loss: LossKind, scale: float) -> Callable[[Tensor], Tensor]:
    """Half the sum of the squared residuals, each counted by a loss."""

    def cost(r: Tensor) -> Tensor:
        if loss == "linear":
            return 0.5 * (r * r).sum()
        z = (r / scale) ** 2
        rho = asarray(loss(z)[0]) if callable(loss) else LOSSES[loss](z)
        return 0.5 * scale**2 * rho.sum()

    return cost


def weights_of(loss: LossKind, scale: float) -> Callable[[Array], Array] | None:
    """What residuals count by a loss, beside their squares; None if as much as these."""
    if loss == "linear":
        return None

    return lambda r: _derivatives(loss, asarray((r / scale) ** 2))[0].numpy()


def _derivatives(loss: LossKind, z: Tensor) -> tuple[Tensor, Tensor]:
    """The first two derivatives of a loss."""
    if callable(loss):
        rho = loss(z)
        return asarray(rho[1]), asarray(rho[2])
    first: Callable[[Tensor], Tensor] = elementwise_grad(LOSSES[loss])
    second: Callable[[Tensor], Tensor] = elementwise_grad(first)
    return first(z), second(z)


@boundary
def least_squares(
    fun: Callable[..., object],
    x0: object,
    jac: Given | None = None,
    bounds: object = None,
    method: Literal["trf", "dogbox", "lm"] = "trf",
    ftol: float | None = 1e-8,
    xtol: float | None = 1e-8,
    gtol: float | None = 1e-8,
    x_scale: object = None,
    loss: LossKind = "linear",
    f_scale: float = 1.0,
    diff_step: object = None,
    tr_solver: Literal["exact", "lsmr"] | None = None,
    tr_options: Mapping[str, object] | None = None,
    jac_sparsity: object = None,
    max_nfev: int | None = None,
    verbose: int = 0,
    args: object = (),
    kwargs: Mapping[str, object] | None = None,
    callback: Callable[..., object] | None = None,
    workers: object = None,
) -> Result:
    """`scipy.optimize.least_squares` of a function of nested parameters, with its Jacobian: exact, compiled, and a sparse
    matrix where most of it is 0 and the method takes one.

    The result is differentiable by all that the problem depends on: `args`, `kwargs`, tensors that the function closes over,
    and bounds. These derivatives take all second derivatives of the residuals, so that they hold for large residuals too.

    Args:
        fun: a function of the parameters, `args` and `kwargs` that gives the residuals, nested in any way.
        x0: where to begin: a vector, or a nested structure of arrays of floats.
        jac: None for the exact Jacobian, which is also used where a function is given; "2-point", "3-point" or "cs" ask SciPy
            for differences.
        bounds: a pair (low, high) of numbers or arrays, or `scipy.optimize.Bounds`; in nested parameters one of these in the
            place of each leaf.
        x_scale: as in SciPy: "jac", numbers, or such structured as `x0`.
        method, ftol, xtol, gtol, loss, f_scale, tr_solver, tr_options, max_nfev, verbose: as in SciPy. A function as `loss`
            takes and gives tensors.
        diff_step, jac_sparsity, workers: as in SciPy, for differences.
        callback: as in SciPy; it gets the parameters as `fun` does.

    Returns:
        SciPy's result; `x` is a tensor, or structured as `x0`, `fun` the vector of all residuals, `cost` a tensor.

    Raises:
        TypeError: x0 holds no real numbers.
        RuntimeError: a derivative is asked for of what a solver found that did not converge.

    >>> import numpy as np, tapenet as tn
    >>> t = np.arange(5.0)
    >>> def residuals(p, data):
    ...     return p["scale"] * np.exp(-p["rate"] * t) - data
    >>> start = {"scale": 1.0, "rate": 1.0}
    >>> found = tn.optimize.least_squares(residuals, start, args=(3 * np.exp(-0.5 * t),))
    >>> {name: round(v.item(), 6) for name, v in found.x.items()}
    {'scale': 3.0, 'rate': 0.5}
    """
    name = "tn.optimize.least_squares"
    xs, structure = unknowns(name, x0)
    limited = None if bounds is None else limits(name, bounds, xs, structure, by_element=False)
    if isinstance(loss, str) and loss not in LOSSES:
        raise ValueError(f"{name}: loss={loss!r}; give a function, or one of {', '.join(map(repr, LOSSES))}")
    nested = callback_of(callback, specs_of(xs), structure)
    given: dict[str, object] = {
        "method": method, "ftol": ftol, "xtol": xtol, "gtol": gtol, "f_scale": f_scale, "max_nfev": max_nfev,
        "verbose": verbose, "loss": _of_arrays(loss) if callable(loss) else loss, "tr_solver": tr_solver,
        "tr_options": dict(tr_options or {}),
    }  # fmt: skip
    if x_scale is not None:
        given["x_scale"] = x_scale if isinstance(x_scale, str) else flat([np.asarray(t) for t in flatten(x_scale)[0]])
    further = {"callback": nested, "diff_step": diff_step, "jac_sparsity": jac_sparsity, "workers": workers}
    given |= {key: value for key, value in further.items() if value is not None}  # some are new in SciPy
    cost = cost_of(loss, f_scale)
    sparse, weight = method != "lm" and tr_solver != "exact", weights_of(loss, f_scale)

    def solve(asked: Asked) -> Result:
        f = asked.functions[0]
        if asked.bounds is not None:
            given["bounds"] = asked.bounds
        matrix = f.sparse_jacobian if sparse else f.jacobian
        given["jac"] = differences(jac) or matrix
        found: Result = import_module("scipy.optimize").least_squares(f.values, asked.start, **given)
        x = sharpened(f, found.x, asked.bounds, weight) if found.success else found.x
        if x is not found.x:
            found.x, found.fun = x, f.values(x)
            found.cost = float(cost(asarray(found.fun)))
            if weight is None:  # else both are scaled by it, at a point that is as good
                found.jac = matrix(x)
                found.grad = found.jac.T @ found.fun
        return found

    f = functools.partial(fun, **kwargs) if kwargs else fun
    task = Task(name, [(f, tupled(args))], xs, structure, solve, limited, (), cost)
    return result(find(task), task, number="cost", vector_as="fun")


def _of_arrays(loss: Callable[..., object]) -> Callable[[Array], Array]:
    """A user's loss as one that takes and gives arrays."""

    def of_arrays(z: Array) -> Array:
        return np.asarray(loss(asarray(z)))

    return of_arrays


# -- curves ------------------------------------------------------------------------------------------------------


@boundary
def curve_fit(
    f: Callable[..., object],
    xdata: object,
    ydata: object,
    p0: object = None,
    sigma: object = None,
    absolute_sigma: bool = False,
    check_finite: bool | None = None,
    bounds: object = None,
    method: Literal["lm", "trf", "dogbox"] | None = None,
    jac: Given | None = None,
    *,
    full_output: bool = False,
    nan_policy: Literal["raise", "omit"] | None = None,
    **kwargs: object,
) -> tuple[Any, ...]:
    """`scipy.optimize.curve_fit` with exact Jacobians; parameters may be nested.

    What is found, and its covariance, is differentiable by `xdata`, `ydata`, `sigma`, `bounds` and by tensors that the function
    closes over.

    Args:
        f: the curve, f(xdata, ...). A vector of parameters is given as SciPy gives it, a number each: f(xdata, a, b). A dict is
            given by name, f(xdata, **p), a tuple or list with arrays in it as f(xdata, *p), another structure as f(xdata, p).
        xdata, ydata: where the curve was measured, and what.
        p0: where to begin. None for numbers that SciPy would choose, one for each further argument of `f`.
        sigma: standard deviations of `ydata`, or their covariance matrix.
        bounds: a pair (low, high) of numbers or arrays; in nested parameters such a pair in the place of each leaf.
        jac: None for the exact Jacobian, which is also used where a function is given; "2-point", "3-point" or "cs" ask SciPy
            for differences (which "lm" takes by itself).
        absolute_sigma, check_finite, method, full_output, nan_policy, **kwargs: as in SciPy.

    Returns:
        the parameters (a vector, or structured as `p0`), and their covariance matrix, a row for each number of all parameters;
        with `full_output` also infodict, mesg and ier.

    Raises:
        RuntimeError: the solver did not converge.
        ValueError: `ydata` or `xdata` holds nan or infinity; as of SciPy's.

    >>> import numpy as np, tapenet as tn
    >>> x = np.linspace(0, 4, 9)
    >>> y = 2.5 * np.exp(-1.3 * x) + 0.01 * np.cos(5 * x)
    >>> popt, pcov = tn.optimize.curve_fit(lambda x, a, b: a * np.exp(-b * x), x, y)
    >>> popt.numpy().round(3), np.sqrt(np.diag(pcov)).numpy().round(3)
    (array([2.507, 1.305]), array([0.007, 0.007]))
    >>> popt, _ = tn.optimize.curve_fit(lambda x, a, b: a * np.exp(-b * x), x, y, p0={"a": 1.0, "b": 1.0})
    >>> round(popt["b"].item(), 3)
    1.305
    """
    name = "tn.optimize.curve_fit"
    xs, structure = unknowns(name, _beginning(name, f, bounds) if p0 is None else p0)
    limited = None if bounds is None else limits(name, bounds, xs, structure, by_element=False)
    if limited is not None and not any(np.isfinite(t._data).any() for side in limited for t in side):
        limited = None
    x, y, deviations = _data(name, xdata, ydata, sigma, check_finite, nan_policy)
    residuals = _residuals(f, structure, None if deviations is None else deviations.ndim)
    loss = cast("Loss", (kwargs.get("loss", "linear"), kwargs.get("f_scale", 1.0)))
    cost, weight = cost_of(*loss), weights_of(*loss)
    given = {"method": method, "absolute_sigma": absolute_sigma, "check_finite": False, **kwargs}
    words = differences(jac)
    size, minpack = y.size, method == "lm" or (method is None and limited is None)  # which takes differences by itself

    def solve(asked: Asked) -> Result:
        r = asked.functions[0]
        settings = dict(given)
        if asked.bounds is not None:
            settings["bounds"] = asked.bounds
        optimize = import_module("scipy.optimize")
        found = optimize.curve_fit(
            lambda x, *p: r.values(np.array(p)),
            0.0,
            np.zeros(size),
            asked.start,
            jac=(lambda x, *p: r.jacobian(np.array(p))) if words is None else None if minpack else words,
            full_output=True,
            **settings,
        )
        popt, pcov, *told = found
        x = sharpened(r, popt, asked.bounds, weight)
        if np.isfinite(pcov).all():
            values, matrix = r.values_and_jacobian(x)
            pcov = covariance_of(asarray(matrix), asarray(values), absolute_sigma, *loss)._data
        made: Result = optimize.OptimizeResult(x=x, success=True, pcov=pcov, told=told)
        return made

    args = (x, y) if deviations is None else (x, y, deviations)
    task = Task(name, [(residuals, args)], xs, structure, solve, limited, (), cost)
    found = find(task)
    popt = structure.build(found.xs)
    if found.result is not None and not (found.in_graph and np.isfinite(found.result.pcov).all()):
        pcov = asarray(found.result.pcov)
    else:
        pcov = covariance(residuals, args, found.xs, structure, absolute_sigma, loss)
    if not full_output:
        return popt, pcov
    if found.result is None:
        raise TypeError(f"{name}: full_output=True tells of a run of the solver, which a compiled step makes later")
    return popt, pcov, *found.result.told


def _beginning(name: str, f: Callable[..., object], bounds: object) -> Array:
    """Where SciPy would begin."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(p.kind in kinds for p in inspect.signature(f).parameters.values()) - 1
    if count < 1:
        raise ValueError(f"{name}: unable to determine number of fit parameters: give p0, where to begin")
    start = np.ones(count)
    if bounds is None:
        return start
    low, high = (
        np.concatenate([t._data for t in side])
        for side in limits(name, bounds, [asarray(start)], flatten(start)[1], by_element=False)
    )
    start = np.where(np.isfinite(low), low + 1, np.where(np.isfinite(high), high - 1, start))
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(low) & np.isfinite(high), 0.5 * (low + high), start)


def _data(
    name: str, xdata: object, ydata: object, sigma: object, check_finite: bool | None, nan_policy: str | None
) -> tuple[object, Tensor, Tensor | None]:
    """The data as arrays of floats, checked."""
    x: object = xdata
    if isinstance(xdata, (list, tuple)):
        tensors = any(isinstance(part, Tensor) for part in xdata)
        x = ops.stack([asarray(part) for part in xdata]) if tensors else np.asarray(xdata, np.float64)
    elif isinstance(xdata, np.ndarray):
        x = np.asarray(xdata, np.float64)
    y = asarray(ydata).astype(np.float64)
    deviations = None if sigma is None else asarray(sigma).astype(np.float64)
    if not y.size:
        raise ValueError(f"{name}: ydata must not be empty")
    if deviations is not None and not (deviations.size == 1 or deviations.shape in ((y.size,), (y.size, y.size))):
        raise ValueError(
            f"{name}: sigma has shape {deviations.shape}, and ydata {y.shape}: give a number for each, or a matrix"
        )
    if deviations is not None and deviations.size == 1:
        deviations = deviations.reshape(())
    if capturing() is None and deviations is not None and deviations.ndim == 2:
        try:
            np.linalg.cholesky(deviations._data)
        except np.linalg.LinAlgError:
            raise ValueError(f"{name}: sigma must be positive definite") from None
    if nan_policy not in (None, "raise", "omit"):
        raise ValueError(
            f"{name}: `nan_policy={nan_policy!r}` is not supported by this function. "
            "nan_policy must be one of {None, 'raise', 'omit'}"
        )
    if capturing() is not None:  # values are known later
        return x, y, deviations
    known = x._data if isinstance(x, Tensor) else x
    arrays = {"ydata": y._data, "xdata": known} if isinstance(known, np.ndarray) else {"ydata": y._data}
    if check_finite or (check_finite is None and nan_policy is None):
        for what, array in arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: {what} must not contain infs or NaNs")
    missing = np.isnan(y._data)
    if "xdata" in arrays:
        in_x = np.isnan(arrays["xdata"])
        missing = missing | in_x.any(axis=tuple(range(in_x.ndim - 1)))
    if nan_policy is None or not missing.any():
        return x, y, deviations
    if nan_policy == "raise":
        raise ValueError(f"{name}: The input contains nan values")
    if deviations is not None and deviations.ndim:
        deviations = deviations[~missing] if deviations.ndim == 1 else deviations[~missing][:, ~missing]
    if isinstance(x, (Tensor, np.ndarray)):
        x = x[..., ~missing]
    return x, y[~missing], deviations


def _residuals(f: Callable[..., object], structure: Structure, weights: int | None) -> Callable[..., Tensor]:
    """How far a curve is from the data, in standard deviations. The same function for the same curve, so that programs are
    found again.

    Args:
        f: the curve.
        structure: of the parameters.
        weights: how many axes the standard deviations have; None without.
    """

    def curve(p: object, x: object) -> object:
        if structure.kind is None:
            return f(x, *cast("Tensor", p))
        if isinstance(p, dict):
            return f(x, **p)
        return f(x, *p) if isinstance(p, (list, tuple)) else f(x, p)

    def residuals(p: object, x: object, y: Tensor, sigma: Tensor | None = None) -> Tensor:
        off = asarray(curve(p, x)) - y
        if sigma is None:
            return off
        if weights == 2:
            return asarray(np.linalg.solve(np.linalg.cholesky(sigma), off))
        return off / sigma

    return around(f, ("curve", structure, weights), residuals)


def covariance(
    residuals: Callable[..., Tensor],
    args: tuple[object, ...],
    found: Sequence[Tensor],
    structure: Structure,
    absolute_sigma: bool,
    loss: Loss,
) -> Tensor:
    """The covariance matrix, differentiable."""
    specs = specs_of(found)
    v = ops.concatenate([t.reshape(-1).astype(np.float64) for t in found])

    def of_vector(v: Tensor) -> Tensor:
        leaves, begin = [], 0
        for shape, dtype in specs:
            size = int(np.prod(shape))
            leaves.append(v[begin : begin + size].reshape(shape).astype(dtype))
            begin += size
        return residuals(structure.build(leaves), *args).reshape(-1)

    return covariance_of(jacobian(of_vector)(v), of_vector(v), absolute_sigma, *loss)


def covariance_of(j: Tensor, r: Tensor, absolute_sigma: bool, loss: LossKind, scale: float) -> Tensor:
    """(Jᵀ J)⁻¹, by the factor R of J; unless deviations are absolute, times the variance of the residuals. With a loss J is
    scaled as SciPy does, by the root of ρ' + 2 z ρ''."""
    if loss != "linear":
        z = (r / scale) ** 2
        first, second = _derivatives(loss, z)
        weights = ops.maximum(first + 2 * z * second, float(np.finfo(np.float64).eps))
        j = j * ops.sqrt(weights)[:, None]
    inverse = np.linalg.inv(np.linalg.qr(j, mode="r"))
    made = asarray(inverse @ inverse.T)
    if absolute_sigma:
        return made
    count, size = j.shape[1], r.size
    return made * (2 * cost_of(loss, scale)(r) / (size - count) if size > count else np.inf)

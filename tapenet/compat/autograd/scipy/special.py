"""`scipy.special`: its functions, those that are here with gradients.

Derivatives by the order of a function, as by `a` of `gammainc`, have no closed form: a tensor there is an error.
"""

from __future__ import annotations

import importlib
import math

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.values import Function, Value, functions_of, holds_tensor
from tapenet.ops.op import flat, op
from tapenet.typing import Array

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2 * math.pi)


def _scipy(name: str) -> Value:
    return getattr(importlib.import_module("scipy.special"), name)


__getattr__ = functions_of("scipy.special", __name__)


def _special(name: str, forward: Function, **options: Value) -> Function:
    made: Function = op(forward, name=name, doc=f"`scipy.special.{name}`.", broadcasts=True, **options)
    return made


def _of_one(name: str, slope: Function) -> Function:
    """SciPy's function of one array, with its derivative."""
    return _special(name, lambda x: _scipy(name)(x), x=lambda g, x: g * slope(x))


def _of_order(name: str, slope: Function) -> Function:
    """SciPy's function of an order and an array, with its derivative by the array."""
    return _special(name, lambda n, x: _scipy(name)(n, x), x=lambda g, n, x: g * slope(n, x))


def _of_two(name: str, by_a: Function, by_b: Function) -> Function:
    """SciPy's function of two arrays, with its derivatives."""
    a, b = (lambda g, a, b: g * by_a(a, b)), (lambda g, a, b: g * by_b(a, b))
    return _special(name, lambda a, b: _scipy(name)(a, b), a=a, b=b)


# -- gamma and beta ------------------------------------------------------------------------------------------------

polygamma: Function = _of_order("polygamma", lambda n, x: polygamma(n + 1, x))
psi: Function = _of_one("psi", lambda x: polygamma(1, x))
digamma = psi
gamma: Function = _of_one("gamma", lambda x: gamma(x) * psi(x))
gammaln: Function = _of_one("gammaln", lambda x: psi(x))
rgamma: Function = _of_one("rgamma", lambda x: -psi(x) * rgamma(x))
gammasgn: Function = _special("gammasgn", lambda x: _scipy("gammasgn")(x), x=flat)
gammainc: Function = _of_order("gammainc", lambda a, x: np.exp((a - 1) * np.log(x) - x - gammaln(a)))
gammaincc: Function = _of_order("gammaincc", lambda a, x: -np.exp((a - 1) * np.log(x) - x - gammaln(a)))
betaln: Function = _of_two("betaln", lambda a, b: psi(a) - psi(a + b), lambda a, b: psi(b) - psi(a + b))
beta: Function = _of_two(
    "beta", lambda a, b: beta(a, b) * (psi(a) - psi(a + b)), lambda a, b: beta(a, b) * (psi(b) - psi(a + b))
)
betainc: Function = _special(
    "betainc",
    lambda a, b, x: _scipy("betainc")(a, b, x),
    x=lambda g, a, b, x: g * np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b)),
)


def multigammaln(a: Array, d: int) -> Value:
    """The logarithm of the multivariate gamma function, element by element of `a`."""
    shifts = [gammaln(a - j / 2) for j in range(d)]
    return sum(shifts, d * (d - 1) / 4 * math.log(math.pi))


# -- Bessel functions ----------------------------------------------------------------------------------------------

j0: Function = _of_one("j0", lambda x: -j1(x))
j1: Function = _of_one("j1", lambda x: (j0(x) - jn(2, x)) / 2)
y0: Function = _of_one("y0", lambda x: -y1(x))
y1: Function = _of_one("y1", lambda x: (y0(x) - yn(2, x)) / 2)
jn: Function = _of_order("jn", lambda n, x: (jn(n - 1, x) - jn(n + 1, x)) / 2)
yn: Function = _of_order("yn", lambda n, x: (yn(n - 1, x) - yn(n + 1, x)) / 2)
i0: Function = _of_one("i0", lambda x: i1(x))
i1: Function = _of_one("i1", lambda x: (i0(x) + iv(2, x)) / 2)
iv: Function = _of_order("iv", lambda n, x: (iv(n - 1, x) + iv(n + 1, x)) / 2)
ive: Function = _of_order("ive", lambda n, x: (n / x - np.sign(x)) * ive(n, x) + ive(n + 1, x))

# -- distributions and the logistic function -------------------------------------------------------------------------

erf: Function = _of_one("erf", lambda x: 2 / _ROOT_PI * np.exp(-(x**2)))
erfc: Function = _of_one("erfc", lambda x: -2 / _ROOT_PI * np.exp(-(x**2)))
erfinv: Function = _of_one("erfinv", lambda x: _ROOT_PI / 2 * np.exp(erfinv(x) ** 2))
erfcinv: Function = _of_one("erfcinv", lambda x: -_ROOT_PI / 2 * np.exp(erfcinv(x) ** 2))
ndtr: Function = _of_one("ndtr", lambda x: np.exp(-(x**2) / 2) / _ROOT_2PI)
log_ndtr: Function = _of_one("log_ndtr", lambda x: np.exp(-(x**2) / 2 - log_ndtr(x)) / _ROOT_2PI)
stdtr: Function = _of_order(
    "stdtr",
    lambda n, x: (
        np.exp(gammaln((n + 1) / 2) - gammaln(n / 2) - (n + 1) / 2 * np.log1p(x**2 / n)) / np.sqrt(n * math.pi)
    ),
)
logit: Function = _of_one("logit", lambda x: 1 / (x * (1 - x)))
expit: Function = _of_one("expit", lambda x: expit(x) * expit(-x))


def logsumexp(x: Value, axis: int | tuple[int, ...] | None = None, b: Value = 1.0, keepdims: bool = False) -> Value:
    """log(Σ b exp(x)) over axes, all of them if None.

    >>> from tapenet.compat.autograd import grad
    >>> import numpy as np
    >>> grad(logsumexp)(np.log([1.0, 3.0]))
    array([0.25, 0.75])
    """
    if not holds_tensor((x, b)):
        return _scipy("logsumexp")(x, axis=axis, b=b, keepdims=keepdims)
    if np.ndim(b) == 0 and not holds_tensor(b):
        total = ops.logsumexp(x, axis=axis, keepdims=keepdims)
        return total if b == 1 else total + np.log(b)
    shift = ops.stop_gradient(ops.max(x, axis=axis, keepdims=True))
    total = np.log(ops.sum(b * np.exp(x - shift), axis=axis, keepdims=keepdims))
    return total + (shift if keepdims else np.reshape(shift, total.shape))

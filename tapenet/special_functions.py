"""What `tn.special` holds: the ufuncs of `scipy.special` as ops. SciPy says what they compute; here are their derivatives, in
terms of these ops themselves, so that there are derivatives of every order. By orders and degrees of freedom there are none in
closed form: a gradient that is asked by them is an error.

References: NIST Digital Library of Mathematical Functions, chapters 5 to 10 and 19; SciPy's documentation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NoReturn, cast

import numpy as np

from tapenet import ops
from tapenet.ops.op import Op, op
from tapenet.typing import Array

Rule = Callable[..., object]

_ROOT = math.sqrt(math.pi)
_DEGREE = math.pi / 180


@functools.cache
def scipys(name: str) -> np.ufunc:
    """A ufunc of SciPy's, which it wraps where it follows the array API standard."""
    import scipy.special

    found = getattr(scipy.special, name)
    return cast("np.ufunc", getattr(found, "__wrapped__", found))


def _none(name: str, argument: str) -> Rule:
    """The rule by an argument that has no derivative in closed form."""

    def rule(g: Array) -> NoReturn:
        raise TypeError(
            f"tn.special.{name} has no derivative by its argument {argument}, an order or a number of degrees of freedom: "
            "give it as a number, or detached"
        )

    return rule


def _special(name: str, formula: str, *, fixed: str = "", **rules: Rule) -> Op:
    """The op of a function of SciPy's.

    Args:
        name: SciPy's name.
        formula: the derivatives, in words for the documentation.
        fixed: the arguments by which there is none.
        **rules: those by the others.
    """
    ufunc = scipys(name)
    found: Op = op(
        ufunc,
        name=name,
        numpy=(ufunc,),
        doc=f"`scipy.special.{name}`, element by element. Its derivative: {formula}.",
        **rules,
        **{argument: _none(name, argument) for argument in fixed},
    )
    found.module = found.__module__ = __name__
    return found


def _over(numerator: Array, x: Array, limit: float) -> Array:
    """numerator / x, and its limit where x = 0."""
    return np.where(x == 0, limit, numerator / np.where(x == 0, 1, x)).astype(numerator.dtype)


# -- the error function and the normal distribution ----------------------------------------------------------------

erf = _special("erf", "2/√π exp(-x²)", x=lambda g, x: g * (2 / _ROOT) * np.exp(-x * x))
erfc = _special("erfc", "-2/√π exp(-x²)", x=lambda g, x: g * (-2 / _ROOT) * np.exp(-x * x))
erfcx = _special("erfcx", "2x out - 2/√π", x=lambda g, out, x: g * (2 * x * out - 2 / _ROOT))
erfi = _special("erfi", "2/√π exp(x²)", x=lambda g, x: g * (2 / _ROOT) * np.exp(x * x))
erfinv = _special("erfinv", "√π/2 exp(out²)", x=lambda g, out: g * (_ROOT / 2) * np.exp(out * out))
erfcinv = _special("erfcinv", "-√π/2 exp(out²)", x=lambda g, out: g * (-_ROOT / 2) * np.exp(out * out))
dawsn = _special("dawsn", "1 - 2x out", x=lambda g, out, x: g * (1 - 2 * x * out))
ndtr = _special("ndtr", "exp(-x²/2) / √(2π)", x=lambda g, x: g * np.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi)))
ndtri = _special("ndtri", "√(2π) exp(out²/2)", x=lambda g, out: g * math.sqrt(2 * math.pi) * np.exp(out * out / 2))
log_ndtr = _special(
    "log_ndtr", "exp(-x²/2 - out) / √(2π)",
    x=lambda g, out, x: g * np.exp(-x * x / 2 - out) * (1 / math.sqrt(2 * math.pi)),
)  # fmt: skip

# -- exponentials and logarithms -----------------------------------------------------------------------------------

expit = _special("expit", "out (1 - out)", x=lambda g, out: g * out * (1 - out))
log_expit = _special("log_expit", "expit(-x)", x=lambda g, x: g * expit(-x))
logit = _special("logit", "1 / (x (1 - x))", x=lambda g, x: g / (x * (1 - x)))
exp10 = _special("exp10", "ln 10 · out", x=lambda g, out: g * out * math.log(10))
exp2 = _special("exp2", "ln 2 · out", x=lambda g, out: g * out * math.log(2))
cbrt = _special("cbrt", "1 / (3 out²)", x=lambda g, out: g / (3 * out * out))
exprel = _special("exprel", "(exp(x) - out) / x", x=lambda g, out, x: g * _over(np.exp(x) - out, x, 0.5))
entr = _special("entr", "-ln x - 1", x=lambda g, x: g * (-np.log(x) - 1))
xlogy = _special("xlogy", "ln y; x/y", x=lambda g, y: g * np.log(y), y=lambda g, x, y: g * x / y)
xlog1py = _special("xlog1py", "ln(1 + y); x/(1 + y)", x=lambda g, y: g * np.log1p(y), y=lambda g, x, y: g * x / (1 + y))
rel_entr = _special(
    "rel_entr", "ln(x/y) + 1; -x/y", x=lambda g, x, y: g * (np.log(x / y) + 1), y=lambda g, x, y: -g * x / y
)
kl_div = _special("kl_div", "ln(x/y); 1 - x/y", x=lambda g, x, y: g * np.log(x / y), y=lambda g, x, y: g * (1 - x / y))
cosm1 = _special("cosm1", "-sin x", x=lambda g, x: -g * np.sin(x))
cosdg: Op = _special("cosdg", "-π/180 sin(x°)", x=lambda g, x: -g * _DEGREE * sindg(x))
sindg: Op = _special("sindg", "π/180 cos(x°)", x=lambda g, x: g * _DEGREE * cosdg(x))
tandg = _special("tandg", "π/180 (1 + out²)", x=lambda g, out: g * _DEGREE * (1 + out * out))
cotdg = _special("cotdg", "-π/180 (1 + out²)", x=lambda g, out: -g * _DEGREE * (1 + out * out))
huber = _special(
    "huber", "by the limit x: |y| - x beyond it, else 0; y within the limit, else x sign y",
    x=lambda g, x, y: g * np.maximum(np.abs(y) - x, 0), y=lambda g, x, y: g * np.clip(y, -x, x),
)  # fmt: skip
pseudo_huber = _special(
    "pseudo_huber", "with s = √(1 + (y/x)²): 2x (s - 1) - y²/(x s); y/s",
    x=lambda g, x, y: g * (2 * x * (np.sqrt(1 + (y / x) ** 2) - 1) - y * y / (x * np.sqrt(1 + (y / x) ** 2))),
    y=lambda g, x, y: g * y / np.sqrt(1 + (y / x) ** 2),
)  # fmt: skip


def _by_power(log: Array, power: Array, lam: Array) -> Array:
    """The derivative of (power - 1) / lam by lam, where power = exp(lam · log)."""
    return np.where(lam == 0, log * log / 2, (power * (lam * log - 1) + 1) / np.where(lam == 0, 1, lam) ** 2)


def _by_root(x: Array, lam: Array) -> Array:
    """The derivative of ln(1 + lam · x) / lam by lam."""
    one = np.where(lam == 0, 1, lam)
    return np.where(lam == 0, -x * x / 2, x / (one * (1 + lam * x)) - np.log1p(lam * x) / one**2)


boxcox = _special(
    "boxcox", "x^(y - 1); that of (x^y - 1)/y",
    x=lambda g, x, y: g * x ** (y - 1), y=lambda g, x, y: g * _by_power(np.log(x), x**y, y),
)  # fmt: skip
boxcox1p = _special(
    "boxcox1p", "(1 + x)^(y - 1); that of ((1 + x)^y - 1)/y",
    x=lambda g, x, y: g * (1 + x) ** (y - 1), y=lambda g, x, y: g * _by_power(np.log1p(x), (1 + x) ** y, y),
)  # fmt: skip
inv_boxcox = _special(
    "inv_boxcox", "out / (1 + x y); that of (1 + x y)^(1/y)",
    x=lambda g, out, x, y: g * out / (1 + x * y), y=lambda g, out, x, y: g * out * _by_root(x, y),
)  # fmt: skip
inv_boxcox1p = _special(
    "inv_boxcox1p", "(1 + out) / (1 + x y); that of (1 + x y)^(1/y)",
    x=lambda g, out, x, y: g * (1 + out) / (1 + x * y), y=lambda g, out, x, y: g * (1 + out) * _by_root(x, y),
)  # fmt: skip

# -- gamma and beta functions --------------------------------------------------------------------------------------


@op(
    x=_none("zeta", "x"),
    q=lambda g, x, q: _zeta_slope(g, x, q),
    broadcasts=True,
    vmap="leading",
    doc="`scipy.special.zeta`, Hurwitz's, element by element. Its derivative: by q: -x zeta(x + 1, q).",
)
def zeta(x: Array, q: Array) -> Array:
    return cast("Array", scipys("zeta")(x, q))


def _zeta_slope(g: Array, x: Array, q: Array) -> Array:
    return cast("Array", -g * x * zeta(x + 1, q))


def polygamma(n: int, x: Array) -> Array:
    """`scipy.special.polygamma`: the n-th derivative of `psi`, element by element; `n` is a whole number of 0 or more.

    >>> import tapenet as tn
    >>> tn.special.polygamma(1, tn.tensor([1.0]))
    Tensor([1.64493407])
    """
    return psi(x) if n == 0 else (-1.0) ** (n + 1) * math.factorial(n) * zeta(float(n + 1), x)


psi: Op = _special("psi", "polygamma(1, x)", x=lambda g, x: g * zeta(2.0, x))
digamma = psi
gamma = _special("gamma", "out psi(x)", x=lambda g, out, x: g * out * psi(x))
gammaln = _special("gammaln", "psi(x)", x=lambda g, x: g * psi(x))
loggamma = _special("loggamma", "psi(x)", x=lambda g, x: g * psi(x))
rgamma = _special("rgamma", "-out psi(x)", x=lambda g, out, x: -g * out * psi(x))
gammasgn = _special("gammasgn", "0", x=lambda g: 0 * g)
beta = _special(
    "beta", "out (psi(x) - psi(x + y)); the same by y",
    x=lambda g, out, x, y: g * out * (psi(x) - psi(x + y)), y=lambda g, out, x, y: g * out * (psi(y) - psi(x + y)),
)  # fmt: skip
betaln = _special(
    "betaln", "psi(x) - psi(x + y); the same by y",
    x=lambda g, x, y: g * (psi(x) - psi(x + y)), y=lambda g, x, y: g * (psi(y) - psi(x + y)),
)  # fmt: skip
binom = _special(
    "binom", "out (psi(x + 1) - psi(x - y + 1)); out (psi(x - y + 1) - psi(y + 1))",
    x=lambda g, out, x, y: g * out * (psi(x + 1) - psi(x - y + 1)),
    y=lambda g, out, x, y: g * out * (psi(x - y + 1) - psi(y + 1)),
)  # fmt: skip
poch = _special(
    "poch", "out (psi(x + y) - psi(x)); out psi(x + y)",
    x=lambda g, out, x, y: g * out * (psi(x + y) - psi(x)), y=lambda g, out, x, y: g * out * psi(x + y),
)  # fmt: skip


def multigammaln(a: Array, d: int) -> Array:
    """`scipy.special.multigammaln`: the logarithm of the multivariate gamma function, of `d` dimensions, element by element.

    >>> import tapenet as tn
    >>> tn.special.multigammaln(tn.tensor([2.0]), 1)
    Tensor([0.])
    """
    return cast("Array", ops.add(sum(gammaln(a - j / 2) for j in range(d)), d * (d - 1) / 4 * math.log(math.pi)))


def _gamma_density(a: Array, x: Array) -> Array:
    found: Array = np.exp((a - 1) * np.log(x) - x - gammaln(a))
    return found


def _beta_density(a: Array, b: Array, x: Array) -> Array:
    found: Array = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b))
    return found


gammainc = _special("gammainc", "by y: y^(x - 1) exp(-y) / Γ(x)", fixed="x", y=lambda g, x, y: g * _gamma_density(x, y))
gammaincc = _special(
    "gammaincc", "by y: -y^(x - 1) exp(-y) / Γ(x)", fixed="x", y=lambda g, x, y: -g * _gamma_density(x, y)
)
gammaincinv = _special(
    "gammaincinv", "by y: 1 / that of gammainc", fixed="x", y=lambda g, out, x: g / _gamma_density(x, out)
)
gammainccinv = _special(
    "gammainccinv", "by y: 1 / that of gammaincc", fixed="x", y=lambda g, out, x: -g / _gamma_density(x, out)
)
betainc = _special(
    "betainc", "by z: the density of Beta(x, y)", fixed="xy", z=lambda g, x, y, z: g * _beta_density(x, y, z)
)
betaincc = _special(
    "betaincc", "by z: -the density of Beta(x, y)", fixed="xy", z=lambda g, x, y, z: -g * _beta_density(x, y, z)
)
betaincinv = _special(
    "betaincinv", "by z: 1 / that of betainc", fixed="xy", z=lambda g, out, x, y: g / _beta_density(x, y, out)
)

# -- distributions -------------------------------------------------------------------------------------------------


def _chi_square_density(v: Array, x: Array) -> Array:
    return _gamma_density(v / 2, x / 2) / 2


def _t_density(v: Array, t: Array) -> Array:
    found: Array = np.exp(-(v + 1) / 2 * np.log1p(t * t / v) - betaln(v / 2, np.full_like(v, 0.5))) / np.sqrt(v)
    return found


def _f_density(a: Array, b: Array, x: Array) -> Array:
    found: Array = np.exp(
        a / 2 * np.log(a / b) + (a / 2 - 1) * np.log(x) - (a + b) / 2 * np.log1p(a / b * x) - betaln(a / 2, b / 2)
    )
    return found


chdtr = _special("chdtr", "by y: the density of χ²(x)", fixed="x", y=lambda g, x, y: g * _chi_square_density(x, y))
chdtrc = _special("chdtrc", "by y: -the density of χ²(x)", fixed="x", y=lambda g, x, y: -g * _chi_square_density(x, y))
chdtri = _special("chdtri", "by y: 1 / that of chdtrc", fixed="x", y=lambda g, out, x: -g / _chi_square_density(x, out))
stdtr = _special("stdtr", "by y: the density of t(x)", fixed="x", y=lambda g, x, y: g * _t_density(x, y))
stdtrit = _special("stdtrit", "by y: 1 / that of stdtr", fixed="x", y=lambda g, out, x: g / _t_density(x, out))
fdtr = _special("fdtr", "by z: the density of F(x, y)", fixed="xy", z=lambda g, x, y, z: g * _f_density(x, y, z))
fdtrc = _special("fdtrc", "by z: -the density of F(x, y)", fixed="xy", z=lambda g, x, y, z: -g * _f_density(x, y, z))
fdtri = _special("fdtri", "by z: 1 / that of fdtr", fixed="xy", z=lambda g, out, x, y: g / _f_density(x, y, out))

# -- integrals -----------------------------------------------------------------------------------------------------

exp1 = _special("exp1", "-exp(-x)/x", x=lambda g, x: -g * np.exp(-x) / x)
expi = _special("expi", "exp(x)/x", x=lambda g, x: g * np.exp(x) / x)
expn: Op = _special("expn", "by y: -expn(x - 1, y)", fixed="x", y=lambda g, x, y: -g * expn(x - 1, y))
spence = _special(
    "spence", "ln x / (1 - x)", x=lambda g, x: g * np.where(x == 1, -1, np.log(x) / np.where(x == 1, 1, 1 - x))
)
ellipe = _special(
    "ellipe", "(out - ellipk(x)) / (2x)", x=lambda g, out, x: g * _over(out - ellipk(x), 2 * x, -math.pi / 8)
)
ellipk: Op = _special(
    "ellipk", "(ellipe(x) / (1 - x) - out) / (2x)",
    x=lambda g, out, x: g * _over(ellipe(x) / (1 - x) - out, 2 * x, math.pi / 8),
)  # fmt: skip
ellipkm1 = _special(
    "ellipkm1", "-(ellipe(1 - x) / x - out) / (2 (1 - x))",
    x=lambda g, out, x: -g * _over(ellipe(1 - x) / x - out, 2 * (1 - x), math.pi / 8),
)  # fmt: skip

# -- Bessel functions ----------------------------------------------------------------------------------------------

i0: Op = _special("i0", "i1(x)", x=lambda g, x: g * i1(x))
i1: Op = _special("i1", "i0(x) - out/x", x=lambda g, out, x: g * (i0(x) - _over(out, x, 0.5)))
i0e = _special("i0e", "i1e(x) - sign(x) out", x=lambda g, out, x: g * (i1e(x) - np.sign(x) * out))
i1e: Op = _special(
    "i1e", "i0e(x) - (sign(x) + 1/x) out", x=lambda g, out, x: g * (i0e(x) - np.sign(x) * out - _over(out, x, 0.5))
)
k0 = _special("k0", "-k1(x)", x=lambda g, x: -g * k1(x))
k1: Op = _special("k1", "-k0(x) - out/x", x=lambda g, out, x: -g * (k0(x) + out / x))
k0e = _special("k0e", "out - k1e(x)", x=lambda g, out, x: g * (out - k1e(x)))
k1e: Op = _special("k1e", "out - k0e(x) - out/x", x=lambda g, out, x: g * (out - k0e(x) - out / x))
j0 = _special("j0", "-j1(x)", x=lambda g, x: -g * j1(x))
j1: Op = _special("j1", "j0(x) - out/x", x=lambda g, out, x: g * (j0(x) - _over(out, x, 0.5)))
y0 = _special("y0", "-y1(x)", x=lambda g, x: -g * y1(x))
y1: Op = _special("y1", "y0(x) - out/x", x=lambda g, out, x: g * (y0(x) - out / x))

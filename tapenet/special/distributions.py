"""Distribution functions of statistics, and their inverses by any argument."""

from __future__ import annotations

import math

import numpy as np

from tapenet.special.beta_distribution import beta_by_shapes, beta_density
from tapenet.special.definition import special
from tapenet.special.error_functions import ndtri
from tapenet.special.fisher_distribution import (
    fisher_by_degrees,
    fisher_density,
    student_by_degrees,
    student_density,
)
from tapenet.special.gamma_distribution import gamma_by_shape, gamma_density
from tapenet.special.laws import Law
from tapenet.typing import Array

_FORMULA = "by the quantile the density, by the parameters the integral of its derivative by them"
_BY_P = "by p a density, as it is an incomplete beta function"

CHI_SQUARE = Law(
    {"v": lambda v, x: gamma_by_shape(v / 2, x / 2) / 2, "x": lambda v, x: gamma_density(v / 2, x / 2) / 2},
    {"v": "quadrature"},
)
chdtr = CHI_SQUARE.function("chdtr", _FORMULA)
chdtrc = CHI_SQUARE.function("chdtrc", f"less {_FORMULA}", -1)
chdtri = CHI_SQUARE.inverse("chdtri", "v value", -1)
chdtriv = CHI_SQUARE.inverse("chdtriv", "value x")

#: Of shape b, and x times a.
GAMMA = Law(
    {
        "a": lambda a, b, x: x * gamma_density(b, a * x),
        "b": lambda a, b, x: gamma_by_shape(b, a * x),
        "x": lambda a, b, x: a * gamma_density(b, a * x),
    },
    {"b": "quadrature"},
)
gdtr = GAMMA.function("gdtr", _FORMULA)
gdtrc = GAMMA.function("gdtrc", f"less {_FORMULA}", -1)
gdtria = GAMMA.inverse("gdtria", "value b x")
gdtrib = GAMMA.inverse("gdtrib", "a value x")
gdtrix = GAMMA.inverse("gdtrix", "a b value")

#: A function of a continuous k.
POISSON = Law(
    {"k": lambda k, m: -gamma_by_shape(k + 1, m), "m": lambda k, m: -gamma_density(k + 1, m)}, {"k": "quadrature"}
)
pdtr = POISSON.function("pdtr", "by y less the probability of x", whole="k")
pdtrc = POISSON.function("pdtrc", "by y the probability of x", -1, whole="k")
pdtri = POISSON.inverse("pdtri", "k value", whole="k")
pdtrik = POISSON.inverse("pdtrik", "value m")


def _binomial_by_k(k: Array, n: Array, p: Array) -> Array:
    a, b, q = k + 1, n - k, 1 - p
    found: Array = beta_by_shapes(a, b, p, q, 0, 1) - beta_by_shapes(a, b, p, q, 1, 0)
    return found


#: Functions of continuous k and n.
BINOMIAL = Law(
    {
        "k": _binomial_by_k,
        "n": lambda k, n, p: -beta_by_shapes(k + 1, n - k, p, 1 - p, 0, 1),
        "p": lambda k, n, p: -beta_density(k + 1, n - k, p, 1 - p),
    },
    {"k": "quadrature", "n": "quadrature"},
)
bdtr = BINOMIAL.function("bdtr", _BY_P, whole="k n")
bdtrc = BINOMIAL.function("bdtrc", _BY_P, -1, whole="k n")
bdtri = BINOMIAL.inverse("bdtri", "k n value", whole="k n")
bdtrik = BINOMIAL.inverse("bdtrik", "value n p")
bdtrin = BINOMIAL.inverse("bdtrin", "k value p")

NEGATIVE_BINOMIAL = Law(
    {
        "k": lambda k, n, p: beta_by_shapes(n, k + 1, p, 1 - p, 0, 1),
        "n": lambda k, n, p: beta_by_shapes(n, k + 1, p, 1 - p, 1, 0),
        "p": lambda k, n, p: beta_density(n, k + 1, p, 1 - p),
    },
    {"k": "quadrature", "n": "quadrature"},
)
nbdtr = NEGATIVE_BINOMIAL.function("nbdtr", _BY_P, whole="k n")
nbdtrc = NEGATIVE_BINOMIAL.function("nbdtrc", _BY_P, -1, whole="k n")
nbdtri = NEGATIVE_BINOMIAL.inverse("nbdtri", "k n value", whole="k n")
nbdtrik = NEGATIVE_BINOMIAL.inverse("nbdtrik", "value n p")
nbdtrin = NEGATIVE_BINOMIAL.inverse("nbdtrin", "k value p")

FISHER = Law(
    {
        "n": lambda n, d, x: fisher_by_degrees(n, d, x, 1, 0),
        "d": lambda n, d, x: fisher_by_degrees(n, d, x, 0, 1),
        "x": fisher_density,
    },
    {"n": "quadrature", "d": "quadrature"},
)
fdtr = FISHER.function("fdtr", _FORMULA)
fdtrc = FISHER.function("fdtrc", f"less {_FORMULA}", -1)
fdtri = FISHER.inverse("fdtri", "n d value")
fdtridfd = FISHER.inverse("fdtridfd", "n value x")

STUDENT = Law({"v": student_by_degrees, "t": student_density}, {"v": "quadrature"})
stdtr = STUDENT.function("stdtr", _FORMULA)
stdtrit = STUDENT.inverse("stdtrit", "v value")
stdtridf = STUDENT.inverse("stdtridf", "value t")

nrdtrimn = special(
    "nrdtrimn", "of z - y ndtri(x)",
    x=lambda g, x, y: -g * y * _normal_quantile_slope(x), y=lambda g, x: -g * ndtri(x), z=lambda g: g,
)  # fmt: skip
nrdtrisd = special(
    "nrdtrisd", "of (z - x) / ndtri(y)",
    x=lambda g, y: -g / ndtri(y), y=lambda g, out, y: -g * out / ndtri(y) * _normal_quantile_slope(y),
    z=lambda g, y: g / ndtri(y),
)  # fmt: skip


def _normal_quantile_slope(p: Array) -> Array:
    """That of ndtri."""
    found: Array = math.sqrt(2 * math.pi) * np.exp(ndtri(p) ** 2 / 2)
    return found

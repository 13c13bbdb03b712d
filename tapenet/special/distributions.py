"""Distribution functions of statistics, and their inverses."""

from __future__ import annotations

import numpy as np

from tapenet.special.definition import special
from tapenet.special.gamma_distribution import gamma_density
from tapenet.special.gamma_functions import betaln
from tapenet.typing import Array


def _chi_square_density(v: Array, x: Array) -> Array:
    return gamma_density(v / 2, x / 2) / 2


def _t_density(v: Array, t: Array) -> Array:
    found: Array = np.exp(-(v + 1) / 2 * np.log1p(t * t / v) - betaln(v / 2, np.full_like(v, 0.5))) / np.sqrt(v)
    return found


def _f_density(a: Array, b: Array, x: Array) -> Array:
    found: Array = np.exp(
        a / 2 * np.log(a / b) + (a / 2 - 1) * np.log(x) - (a + b) / 2 * np.log1p(a / b * x) - betaln(a / 2, b / 2)
    )
    return found


chdtr = special("chdtr", "by y: the density of χ²(x)", fixed="x", y=lambda g, x, y: g * _chi_square_density(x, y))
chdtrc = special("chdtrc", "by y: -the density of χ²(x)", fixed="x", y=lambda g, x, y: -g * _chi_square_density(x, y))
chdtri = special("chdtri", "by y: 1 / that of chdtrc", fixed="x", y=lambda g, out, x: -g / _chi_square_density(x, out))
stdtr = special("stdtr", "by y: the density of t(x)", fixed="x", y=lambda g, x, y: g * _t_density(x, y))
stdtrit = special("stdtrit", "by y: 1 / that of stdtr", fixed="x", y=lambda g, out, x: g / _t_density(x, out))
fdtr = special("fdtr", "by z: the density of F(x, y)", fixed="xy", z=lambda g, x, y, z: g * _f_density(x, y, z))
fdtrc = special("fdtrc", "by z: -the density of F(x, y)", fixed="xy", z=lambda g, x, y, z: -g * _f_density(x, y, z))
fdtri = special("fdtri", "by z: 1 / that of fdtr", fixed="xy", z=lambda g, out, x, y: g / _f_density(x, y, out))

"""Where the distributions are tried: parameters, quantiles, and derivatives of SciPy's values there.

`python -m tests.scipy.stats.points NAME...` writes the derivatives of these distributions to `derivatives.json`, of all if
none is named: central differences of the sixth order of SciPy's own values, whose error is about 1e-9 where SciPy's values are
exact.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

FILE = Path(__file__).with_name("derivatives.json")
LOC, SCALE = 0.3, 1.7
#: The shape parameters that each distribution is tried with.
SHAPES: dict[str, tuple[float, ...]] = {
    "alpha": (3.57,), "anglit": (), "arcsine": (), "argus": (1.3,), "beta": (2.31, 1.63), "betaprime": (5, 6),
    "bradford": (0.3,), "burr": (10.5, 4.3), "burr12": (10, 4), "cauchy": (), "chi": (3.3,), "chi2": (5.5,), "cosine": (),
    "crystalball": (2.0, 4.5), "dgamma": (1.6,), "dpareto_lognorm": (0.3, 0.4, 4.5, 2.0), "dweibull": (2.07,),
    "erlang": (4.0,), "expon": (), "exponnorm": (1.5,), "exponpow": (2.7,), "exponweib": (2.89, 1.95), "f": (29, 18),
    "fatiguelife": (1.5,), "fisk": (5.1,), "foldcauchy": (1.7,), "foldnorm": (1.95,), "gamma": (1.99,),
    "gausshyper": (1.76, 3.12, 2.51, 5.15), "genexpon": (9.13, 16.2, 3.28), "genextreme": (-0.1,), "gengamma": (4.4, 3.1),
    "genhalflogistic": (0.77,), "genhyperbolic": (0.5, 1.5, -0.5), "geninvgauss": (2.3, 1.5), "genlogistic": (0.41,),
    "gennorm": (1.3,), "genpareto": (0.1,), "gibrat": (), "gompertz": (0.95,), "gumbel_l": (), "gumbel_r": (),
    "halfcauchy": (), "halfgennorm": (0.67,), "halflogistic": (), "halfnorm": (), "hypsecant": (), "invgamma": (4.07,),
    "invgauss": (0.145,), "invweibull": (10.6,), "irwinhall": (5,), "jf_skew_t": (8, 4), "johnsonsb": (4.3, 3.2),
    "johnsonsu": (2.55, 2.25), "kappa3": (4.0,), "kappa4": (0.5, 0.2), "ksone": (20,), "kstwo": (20,), "kstwobign": (),
    "landau": (), "laplace": (), "laplace_asymmetric": (1.5,), "levy": (), "levy_l": (), "levy_stable": (1.6, -0.4),
    "loggamma": (0.41,), "logistic": (), "loglaplace": (3.25,), "lognorm": (0.95,), "loguniform": (0.1, 1.25),
    "lomax": (4.5,), "maxwell": (), "mielke": (10.4, 4.6), "moyal": (), "nakagami": (4.97,), "ncf": (27, 27, 0.416),
    "nct": (14, 0.24), "ncx2": (21, 1.06), "norm": (), "norminvgauss": (1.25, 0.5), "pareto": (5.6,), "pearson3": (0.7,),
    "powerlaw": (1.66,), "powerlognorm": (2.14, 0.45), "powernorm": (4.45,), "rayleigh": (), "rdist": (1.6,),
    "recipinvgauss": (0.63,), "reciprocal": (0.1, 1.25), "rel_breitwigner": (2.0,), "rice": (0.775,), "semicircular": (),
    "skewcauchy": (0.5,), "skewnorm": (4.0,), "studentized_range": (3.0, 10.0), "t": (5.74,), "trapezoid": (0.3, 0.8),
    "triang": (0.3,), "truncexpon": (4.69,), "truncnorm": (-1.1, 2.7), "truncpareto": (2.0, 5.3),
    "truncweibull_min": (2.5, 0.25, 1.75), "tukeylambda": (3.1,), "uniform": (), "vonmises": (3.99,),
    "vonmises_line": (3.99,), "wald": (), "weibull_max": (2.87,), "weibull_min": (1.79,), "wrapcauchy": (0.031,),
    "bernoulli": (0.3,), "betabinom": (10, 2.3, 0.63), "betanbinom": (5, 9.3, 1.0), "binom": (10, 0.4),
    "boltzmann": (1.4, 19), "dlaplace": (0.8,), "geom": (0.5,), "hypergeom": (30, 12, 6), "logser": (0.6,),
    "nbinom": (5.5, 0.5), "nchypergeom_fisher": (140, 80, 60, 0.5), "nchypergeom_wallenius": (40, 20, 15, 0.7),
    "nhypergeom": (50, 15, 8), "planck": (0.51,), "poisson": (3.6,), "randint": (7, 31), "skellam": (5.0, 8.0),
    "yulesimon": (11.0,), "zipf": (6.6,), "zipfian": (1.25, 10),
}  # fmt: skip
#: The quantiles.
Q = np.array([0.12, 0.83])
#: Methods without a variable.
PLAIN = ("entropy", "mean", "var")
METHODS = ("logpdf", "pdf", "cdf", "sf", "logcdf", "logsf", "ppf", "isf", *PLAIN)
MASS = ("logpmf", "pmf", "cdf", "sf", "logcdf", "logsf", *PLAIN)
#: Methods that take SciPy so long that they are not tried.
LONG = {n: {"sf", "logcdf", "logsf", "isf", *PLAIN} for n in ("levy_stable", "studentized_range")}


def discrete(name: str) -> bool:
    """Whether a distribution is discrete."""
    return isinstance(getattr(stats, name), stats.rv_discrete)


def arguments(name: str, method: str) -> list[np.ndarray]:
    """The arguments of a call: a variable, the shapes, loc and scale (of discrete distributions 0 is loc)."""
    shapes = SHAPES[name]
    rest = (0.0,) if discrete(name) else (LOC, SCALE)
    first = []
    if method not in PLAIN:
        first = [Q if method in ("ppf", "isf") else getattr(stats, name).ppf(Q, *shapes, *rest)]
    return [np.asarray(v, float) for v in (*first, *shapes, *rest)]


def difference(f: Callable[..., np.ndarray], args: list[np.ndarray], i: int, h: np.ndarray) -> np.ndarray:
    """The derivative by an argument."""
    found = np.zeros(())
    for k, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
        ends = [f(*args[:i], args[i] + sign * k * h, *args[i + 1 :]) for sign in (1, -1)]
        found = found + weight * (ends[0] - ends[1])
    return found / (60 * h)


def derivatives(name: str, fixed: frozenset[str]) -> dict[str, dict[str, list[float]]]:
    """The derivatives of the methods of a distribution by the parameters, but for some."""
    scipys = getattr(stats, name)
    shapes = [] if not scipys.shapes else scipys.shapes.split(", ")
    found: dict[str, dict[str, list[float]]] = {}
    for method in MASS if discrete(name) else METHODS:
        if method in LONG.get(name, ()):
            continue
        args = arguments(name, method)
        first = [] if method in PLAIN else ["q" if method in ("ppf", "isf") else "x"]
        by = found[method] = {}
        for i, parameter in enumerate([*first, *shapes, *(["loc"] if discrete(name) else ["loc", "scale"])]):
            if parameter in fixed or (discrete(name) and parameter in ("x", "loc")):
                continue
            h = 3e-3 * np.where(args[i] == 0, 1.0, np.abs(args[i]))
            if parameter == "q":
                h = 0.03 * np.minimum(Q, 1 - Q)
            elif parameter in ("x", "loc"):
                h = np.full(args[i].shape, 2e-2 * float(np.abs(np.diff(scipys.ppf([0.45, 0.55], *SHAPES[name])))[0]))
            with np.errstate(all="ignore"):
                value = difference(lambda *a, m=method: np.asarray(getattr(scipys, m)(*a)), args, i, h)
            by[parameter] = [float(f"{v:.10g}") for v in np.atleast_1d(value)]
    return found


if __name__ == "__main__":
    from tapenet.scipy import stats as ours

    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    for given in sys.argv[1:] or SHAPES:
        print(given, flush=True)
        known[given] = derivatives(given, getattr(ours, given).integers)
        FILE.write_text("{\n" + ",\n".join(f'"{n}": {json.dumps(known[n])}' for n in sorted(known)) + "\n}\n")

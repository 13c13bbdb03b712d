"""What the functions of the native backend should give, and how far off they may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import scipy.special

mp.mp.prec = 200
TINY = 2.0**-13
INF = float("inf")
Array = Any


class Piece(NamedTuple):
    """A range of |x|, start <= |x| < stop, and a float64 reference there. Only every `step`-th float32 is compared."""

    start: float
    stop: float
    reference: Callable[[Array], Array]
    step: int = 1


class Function(NamedTuple):
    """A function of one argument: the largest errors in ulp, for float32 and float64, its parity (1 even, -1 odd, 0
    neither), what it is in float64, to much better than a float32, and what it is exactly."""

    bounds: tuple[float, float]
    parity: int
    pieces: list[Piece]
    exact: Callable[[Any], Any]


def _plain(f: Callable[[Array], Array], bounds: tuple[float, float], exact: Any, parity: int = 0) -> Function:
    return Function(bounds, parity, [Piece(0.0, INF, f)], exact)


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def _erf_tiny(x: Array) -> Array:
    return x * (2 / np.sqrt(np.pi)) * (1 - x * x / 3)


def _real(f: Callable[[Any], Any], low: float, high: float) -> Callable[[Any], Any]:
    """nan outside the real domain, where mpmath goes on with complex numbers."""
    return lambda x: f(x) if low <= x <= high else mp.nan


def _erfc(x: Any) -> Any:
    return mp.erfc(x) if abs(x) < 1000 else mp.mpf(0 if x > 0 else 2)


def _circular(f: Callable[[Array], Array], tiny: Callable[[Array], Array]) -> list[Piece]:
    # Far out even the float64 function takes long.
    return [Piece(0.0, TINY, tiny), Piece(TINY, 2.0**24, f), Piece(2.0**24, INF, f, 64)]


_ERF = [Piece(0.0, TINY, _erf_tiny), Piece(TINY, 6.0, scipy.special.erf), Piece(6.0, INF, np.sign)]
_ERFC = [
    Piece(0.0, TINY, lambda x: 1 - _erf_tiny(x)),
    Piece(TINY, 28.0, scipy.special.erfc),
    Piece(28.0, INF, lambda x: np.where(x < 0, 2.0, 0.0)),
]

FUNCTIONS: dict[str, Function] = {
    "exp": _plain(np.exp, (1.0, 1.0), mp.exp),
    "exp2": _plain(np.exp2, (1.1, 1.0), lambda x: mp.mpf(2) ** x),
    "expm1": _plain(np.expm1, (1.6, 1.6), mp.expm1),
    "sigmoid": _plain(_sigmoid, (2.3, 2.3), lambda x: 1 / (1 + mp.exp(-x))),
    "tanh": _plain(np.tanh, (1.8, 1.8), mp.tanh, -1),
    "sinh": _plain(np.sinh, (1.7, 1.7), mp.sinh, -1),
    "cosh": _plain(np.cosh, (1.5, 1.5), mp.cosh, 1),
    "log": _plain(np.log, (1.0, 1.0), _real(mp.log, 0, INF)),
    "log2": _plain(np.log2, (1.7, 1.7), _real(lambda x: mp.log(x, 2), 0, INF)),
    "log10": _plain(np.log10, (1.8, 1.8), _real(mp.log10, 0, INF)),
    "log1p": _plain(np.log1p, (1.5, 1.5), _real(mp.log1p, -1, INF)),
    "arcsinh": _plain(np.arcsinh, (0.51, 2.0), mp.asinh, -1),
    "arccosh": _plain(np.arccosh, (0.51, 2.0), _real(mp.acosh, 1, INF)),
    "arctanh": _plain(np.arctanh, (0.51, 2.0), _real(mp.atanh, -1, 1), -1),
    "cbrt": _plain(np.cbrt, (0.51, 1.2), lambda x: mp.sign(x) * mp.cbrt(abs(x)), -1),
    "erf": Function((1.2, 1.2), -1, _ERF, mp.erf),
    "erfc": Function((0.51, 5.5), 0, _ERFC, _erfc),
    "sin": Function((1.6, 1.0), -1, _circular(np.sin, lambda x: x * (1 - x * x / 6)), mp.sin),
    "cos": Function((1.6, 1.0), 1, _circular(np.cos, lambda x: 1 - x * x / 2), mp.cos),
    "tan": Function((0.51, 1.0), -1, _circular(np.tan, lambda x: x * (1 + x * x / 3)), mp.tan),
    "arctan": _plain(np.arctan, (1.8, 1.8), mp.atan, -1),
    "arcsin": _plain(np.arcsin, (2.3, 2.3), _real(mp.asin, -1, 1), -1),
    "arccos": _plain(np.arccos, (1.2, 1.2), _real(mp.acos, -1, 1)),
}

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
    """A range of |x|, start <= |x| < stop (or <= inf), and a float64 reference there. In the full test only every
    `step`-th float32 is compared."""

    start: float
    stop: float
    reference: Callable[[Array], Array]
    step: int = 1


class Function(NamedTuple):
    """A function of one argument.

    Attributes:
        bounds: the largest errors in ulp, for float32 and float64.
        pieces: what it is in float64, to much better than a float32.
        exact: what it is exactly.
        parity: 1 if it is even, -1 if it is odd.
        negative: whether there are results for x < 0.
        least: results below it are no more exact than it.
    """

    bounds: tuple[float, float]
    pieces: list[Piece]
    exact: Callable[[Any], Any]
    parity: int = 0
    negative: bool = True
    least: float = 0.0


def _pieces(
    f: Callable[[Array], Array],
    tiny: Callable[[Array], Array] | None = None,
    far: tuple[float, Callable[[Array], Array]] = (INF, np.copy),
    step: int = 1,
) -> list[Piece]:
    """f everywhere, or something cheaper where x is tiny and far out."""
    found = [] if tiny is None else [Piece(0.0, TINY, tiny)]
    found.append(Piece(0.0 if tiny is None else TINY, far[0], f))
    return found if far[0] == INF else [*found, Piece(far[0], INF, far[1], step)]


def _steps(below: float, above: float) -> Callable[[Array], Array]:
    return lambda x: np.where(x < 0, below, above)


def _nan(x: Array) -> Array:
    return np.full(x.shape, np.nan)


def _odd(cubic: float) -> Callable[[Array], Array]:
    """x + cubic x^3, the beginning of an odd function."""
    return lambda x: x * (1 + cubic * (x * x))


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def _erf_tiny(x: Array) -> Array:
    return x * (2 / np.sqrt(np.pi)) * (1 - x * x / 3)


def _real(f: Callable[[Any], Any], low: float, high: float) -> Callable[[Any], Any]:
    """nan outside the real domain, where mpmath goes on with complex numbers."""
    return lambda x: f(x) if low <= x <= high else mp.nan


def _erfc(x: Any) -> Any:
    return mp.erfc(x) if abs(x) < 1000 else mp.mpf(0 if x > 0 else 2)


# Far out NumPy's functions take long.
_SPARSE = 64

FUNCTIONS: dict[str, Function] = {
    "exp": Function((1.0, 1.0), _pieces(np.exp, None, (256.0, _steps(0, INF))), mp.exp),
    "exp2": Function((1.1, 1.0), _pieces(np.exp2, None, (256.0, _steps(0, INF))), lambda x: mp.mpf(2) ** x),
    "expm1": Function((1.6, 1.5), _pieces(np.expm1, None, (256.0, _steps(-1, INF))), mp.expm1),
    "sigmoid": Function((2.5, 2.5), _pieces(_sigmoid, None, (256.0, _steps(0, 1))), lambda x: 1 / (1 + mp.exp(-x))),
    "tanh": Function((1.8, 1.8), _pieces(np.tanh, _odd(-1 / 3), (32.0, np.sign)), mp.tanh, -1),
    "sinh": Function((1.7, 1.7), _pieces(np.sinh, _odd(1 / 6), (256.0, _steps(-INF, INF))), mp.sinh, -1),
    "cosh": Function((1.5, 1.5), _pieces(np.cosh, lambda x: 1 + x * x / 2, (256.0, _steps(INF, INF))), mp.cosh, 1),
    "log": Function((1.0, 1.0), _pieces(np.log), _real(mp.log, 0, INF), negative=False),
    "log2": Function((1.7, 1.7), _pieces(np.log2), _real(lambda x: mp.log(x, 2), 0, INF), negative=False),
    "log10": Function((1.8, 1.8), _pieces(np.log10), _real(mp.log10, 0, INF), negative=False),
    "log1p": Function((1.6, 1.5), _pieces(np.log1p), _real(mp.log1p, -1, INF)),
    "arcsinh": Function((0.51, 2.0), _pieces(np.arcsinh, _odd(-1 / 6)), mp.asinh, -1),
    "arccosh": Function((0.51, 2.2), _pieces(np.arccosh, _nan), _real(mp.acosh, 1, INF), negative=False),
    "arctanh": Function((0.51, 2.0), _pieces(np.arctanh, _odd(1 / 3), (2.0, _nan)), _real(mp.atanh, -1, 1), -1),
    "cbrt": Function((0.51, 1.2), _pieces(np.cbrt), lambda x: mp.sign(x) * mp.cbrt(abs(x)), -1),
    "erf": Function((1.2, 1.2), _pieces(scipy.special.erf, _erf_tiny, (6.0, np.sign)), mp.erf, -1),
    "erfc": Function((0.51, 5.5), _pieces(scipy.special.erfc, lambda x: 1 - _erf_tiny(x), (28.0, _steps(2, 0))), _erfc),
    "normal_cdf": Function(
        (2.3, 2.1),
        _pieces(scipy.special.ndtr, None, (40.0, _steps(0, 1))),
        lambda x: _erfc(-x / mp.sqrt(2)) / 2,
        least=0.5,
    ),
    "sin": Function((1.6, 1.0), _pieces(np.sin, _odd(-1 / 6), (2.0**24, np.sin), _SPARSE), mp.sin, -1),
    "cos": Function((1.6, 1.0), _pieces(np.cos, lambda x: 1 - x * x / 2, (2.0**24, np.cos), _SPARSE), mp.cos, 1),
    "tan": Function((0.51, 1.0), _pieces(np.tan, _odd(1 / 3), (2.0**24, np.tan), _SPARSE), mp.tan, -1),
    "arctan": Function((2.0, 1.8), _pieces(np.arctan, _odd(-1 / 3)), mp.atan, -1),
    "arcsin": Function((2.4, 2.3), _pieces(np.arcsin, _odd(1 / 6), (2.0, _nan)), _real(mp.asin, -1, 1), -1),
    "arccos": Function(
        (1.2, 1.2), _pieces(np.arccos, lambda x: np.pi / 2 - x - x * x * x / 6, (2.0, _nan)), _real(mp.acos, -1, 1)
    ),
}


class Pair(NamedTuple):
    """A function of two arguments.

    Attributes:
        bounds: the largest errors in ulp, for float32 and float64.
        exact: what it is exactly.
    """

    bounds: tuple[float, float]
    exact: Callable[[Any, Any], Any]


PAIRS: dict[str, Pair] = {
    "power": Pair((0.51, 1.0), lambda a, b: a**b),
    "hypot": Pair((0.51, 1.5), mp.hypot),
    "arctan2": Pair((0.51, 2.5), mp.atan2),
    "logaddexp": Pair((2.0, 2.0), lambda a, b: max(a, b) + mp.log1p(mp.exp(-abs(a - b)))),
}

#: What NumPy has under another name, SciPy alone, or not at all.
_ELSEWHERE: dict[str, Callable[..., Array]] = {
    "sigmoid": _sigmoid,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "normal_cdf": scipy.special.ndtr,
}


def numpys(name: str) -> Callable[..., Array]:
    """A function as users of NumPy and SciPy have it."""
    found: Callable[..., Array] = _ELSEWHERE.get(name) or getattr(np, name)
    return found

"""The Statistical Reference Datasets of NIST for nonlinear regression: 27 problems with certified values.

They are a work of the United States government, in the public domain: https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

#: Where the files are, as NIST gives them.
FOLDER = Path(__file__).parent / "nist"


class Problem(NamedTuple):
    """A problem.

    Attributes:
        x, y: the data; of two predictors x has two rows.
        starts: where to begin, far away and near.
        values, deviations: the certified parameters and their standard deviations.
    """

    x: np.ndarray[Any, Any]
    y: np.ndarray[Any, Any]
    starts: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
    values: np.ndarray[Any, Any]
    deviations: np.ndarray[Any, Any]


def read(name: str) -> Problem:
    """A problem of a name."""
    lines = (FOLDER / f"{name}.dat").read_text(encoding="ascii").splitlines()
    parameters = [line.partition("=")[2].split() for line in lines[40:58] if line.strip().startswith("b")]
    table = np.array(parameters, np.float64)
    data = np.array([line.split() for line in lines[60:] if line.strip()], np.float64).T
    y, x = data[0], data[1] if len(data) == 2 else data[1:]
    if name == "Nelson":
        y = np.log(y)
    return Problem(x, y, (table[:, 0], table[:, 1]), table[:, 2], table[:, 3])


def _gauss(x: Any, a: Any, b: Any, *peaks: Any) -> Any:
    found = a * np.exp(-b * x)
    for height, centre, width in zip(peaks[::3], peaks[1::3], peaks[2::3], strict=True):
        found = found + height * np.exp(-((x - centre) ** 2) / width**2)
    return found


def _decays(x: Any, *p: Any) -> Any:
    return sum(a * np.exp(-b * x) for a, b in zip(p[::2], p[1::2], strict=True))


def _cubic(x: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> Any:
    return (a + b * x + c * x**2 + d * x**3) / (1 + e * x + f * x**2 + g * x**3)


def _chwirut(x: Any, a: Any, b: Any, c: Any) -> Any:
    return np.exp(-a * x) / (b + c * x)


def _saturation(x: Any, a: Any, b: Any) -> Any:
    return a * (1 - np.exp(-b * x))


def _oscillation(x: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any) -> Any:
    found = a
    for period, of_cos, of_sin in ((12.0, b, c), (d, e, f), (g, h, i)):
        found = found + of_cos * np.cos(2 * np.pi * x / period) + of_sin * np.sin(2 * np.pi * x / period)
    return found


MODELS: dict[str, Callable[..., Any]] = {
    "Bennett5": lambda x, a, b, c: a * (b + x) ** (-1 / c),
    "BoxBOD": _saturation,
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda x, a, b: a * x**b,
    "ENSO": _oscillation,
    "Eckerle4": lambda x, a, b, c: (a / b) * np.exp(-0.5 * ((x - c) / b) ** 2),
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "Gauss3": _gauss,
    "Hahn1": _cubic,
    "Kirby2": lambda x, a, b, c, d, e: (a + b * x + c * x**2) / (1 + d * x + e * x**2),
    "Lanczos1": _decays,
    "Lanczos2": _decays,
    "Lanczos3": _decays,
    "MGH09": lambda x, a, b, c, d: a * (x**2 + x * b) / (x**2 + x * c + d),
    "MGH10": lambda x, a, b, c: a * np.exp(b / (x + c)),
    "MGH17": lambda x, a, b, c, d, e: a + b * np.exp(-x * d) + c * np.exp(-x * e),
    "Misra1a": _saturation,
    "Misra1b": lambda x, a, b: a * (1 - (1 + b * x / 2) ** (-2)),
    "Misra1c": lambda x, a, b: a * (1 - (1 + 2 * b * x) ** (-0.5)),
    "Misra1d": lambda x, a, b: a * b * x * (1 + b * x) ** (-1),
    "Nelson": lambda x, a, b, c: a - b * x[0] * np.exp(-c * x[1]),
    "Rat42": lambda x, a, b, c: a / (1 + np.exp(b - c * x)),
    "Rat43": lambda x, a, b, c, d: a / ((1 + np.exp(b - c * x)) ** (1 / d)),
    "Roszman1": lambda x, a, b, c, d: a - b * x - np.arctan(c / (x - d)) / np.pi,
    "Thurber": _cubic,
}


def digits(found: Any, certified: Any) -> float:
    """How many decimal digits of all of the values are right: of each as NIST counts them, at most 11, which is what NIST
    gives."""
    off = np.abs(np.asarray(found) - certified) / np.abs(certified)
    return float(np.min(np.minimum(11.0, -np.log10(np.maximum(off, 1e-30)))))

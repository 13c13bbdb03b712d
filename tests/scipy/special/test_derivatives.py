"""The derivatives of special functions against mpmath's, at points all over their domains (`cases.py`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.scipy.special import cases

NAMES = sorted(path.stem for path in cases.REFERENCES.glob("*.txt"))
EPS = np.finfo(float).eps
Function = Callable[..., Any]


def _slope(f: Function, i: int) -> Function:
    """The derivative of a function, element by element, by its argument i: as numbers, not as a gradient."""

    def slope(*args: Any) -> Any:
        out = f(*args)
        if not np.iscomplexobj(out):
            return tn.grad(lambda *a: f(*a).sum(), i)(*args)
        real = tn.grad(lambda *a: np.real(f(*a)).sum(), i)(*args)
        if np.iscomplexobj(args[i]):
            return np.conj(real)
        return real + 1j * tn.grad(lambda *a: np.imag(f(*a)).sum(), i)(*args)

    return slope


def _real(row: cases.Row) -> bool:
    return not any(isinstance(x, complex) for x in row.point)


class Compared:
    """The references of one output of a function as arrays, and the function: of points in the reals, or of others."""

    def __init__(self, name: str, output: int, real: bool) -> None:
        references = cases.read(name)
        rows = [row for row in references.rows if row.output == output and _real(row) == real]
        self.allowed = references.first, references.second
        self.args = cases.columns([row.point for row in rows])
        self.by = references.by
        self.first = dict(zip(self.by, np.array([row.first for row in rows]).T, strict=True))
        self.second = dict(zip(cases.pairs(self.by), np.array([row.second for row in rows]).T, strict=True))
        op = getattr(tn.special, name)

        def f(*args: Any) -> Any:
            out = op(*args)
            return out[output] if isinstance(out, tuple) else out

        self.f = f
        value = np.array([row.value for row in rows])
        self.scale = 1 + np.abs(value)
        with np.errstate(all="ignore"):
            error = np.abs(f(*map(tn.tensor, self.args)).numpy() - value) / np.abs(value)
        #: SciPy's own error: ten times it is allowed, as derivatives are made of values.
        self.own = np.where(np.isfinite(error), 10 * error, 0.0)

    def agree(self, got: Any, expected: Any, allowed: float, rounding: Any = 0.0) -> None:
        """That derivatives are those of mpmath's: to a relative error, and to what rounding the arguments does."""
        got = got.numpy()
        error = np.abs(got - expected)
        rounding = np.maximum(rounding, np.where(expected == 0, 0.01 * allowed * self.scale, 0))
        bad = ~(error <= np.maximum(allowed, self.own) * np.abs(expected) + rounding)
        if bad.any():
            with np.errstate(all="ignore"):
                relative = error / np.abs(expected)
            lines = [
                f"at {tuple(a[k].item() for a in self.args)}: {got[k]} for {expected[k]}, error {relative[k]:.1e}"
                for k in np.flatnonzero(bad)
            ]
            pytest.fail(f"{bad.sum()} of {bad.size} points\n" + "\n".join(lines), pytrace=False)


@functools.cache
def _outputs(name: str) -> list[Compared]:
    kinds = {(row.output, _real(row)) for row in cases.read(name).rows}
    return [Compared(name, *kind) for kind in sorted(kinds)]


@pytest.mark.parametrize("name", NAMES)
def test_first(name: str) -> None:
    assert cases.continuous(name) == cases.read(name).by, "write its references anew"
    for compared in _outputs(name):
        for i in compared.by:
            second = [np.abs(compared.args[j] * compared.second[min(i, j), max(i, j)]) for j in compared.by]
            got = _slope(compared.f, i)(*compared.args)
            compared.agree(got, compared.first[i], compared.allowed[0], 4 * EPS * sum(second))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_second(name: str) -> None:
    for compared in _outputs(name):
        for i, j in cases.pairs(compared.by):
            got = _slope(_slope(compared.f, i), j)(*compared.args)
            compared.agree(got, compared.second[i, j], compared.allowed[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_references_are_mpmaths(name: str) -> None:
    """At one point of each function, whose file has what the cases say."""
    pytest.importorskip("mpmath")
    case, references = cases.cases()[name], cases.read(name)
    assert list(dict.fromkeys(row.point for row in references.rows)) == case.arguments()
    assert (case.first, case.second) == (references.first, references.second)
    point = references.rows[len(references.rows) // 2].point
    written = [row for row in references.rows if row.point == point]
    for old, new in zip(written, cases.compute(case, point, references.by), strict=True):
        found, again = ([row.value, *row.first, *row.second] for row in (old, new))
        np.testing.assert_allclose(found, np.array(again, complex), rtol=1e-9, atol=1e-24 * (1 + abs(old.value)))

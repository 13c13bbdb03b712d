"""The derivatives of inverse functions, by what they are to cancel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import tapenet as tn

P = np.array([1e-6, 0.03, 0.4, 0.9, 0.999])
MIDDLE = np.array([0.4, 0.45, 0.5, 0.42, 0.38])
SMALL = np.array([0.2, 0.7, 1.5, 0.4, 3.0])
LARGE = np.array([3.0, 40.0, 200.0, 1.5, 12.0])
INSIDE = np.array([0.1, 0.35, 0.6, 0.8, 0.02])
#: Degrees of freedom for which SciPy's inverses of the noncentral F distribution find the solution.
FEW = np.array([1.7, 2.5, 1.4])
OF_F = scipy.special.ncfdtr(FEW, FEW + 2, FEW - 1, FEW + 3)

#: Of each inverse its arguments, p among them, and the function that gives p back: with what is found in the place of p.
INVERSES: dict[str, tuple[list[np.ndarray], str]] = {
    "gammaincinv": ([LARGE, P], "gammainc"),
    "gammainccinv": ([SMALL, P], "gammaincc"),
    "betaincinv": ([SMALL, LARGE, P], "betainc"),
    "betainccinv": ([SMALL, LARGE, P], "betaincc"),
    "btdtria": ([P, LARGE, INSIDE], "betainc"),
    "btdtrib": ([SMALL, P, INSIDE], "betainc"),
    "chdtri": ([LARGE, P], "chdtrc"),
    "chdtriv": ([P, LARGE], "chdtr"),
    "fdtri": ([SMALL, LARGE, P], "fdtr"),
    "gdtria": ([P, SMALL, LARGE], "gdtr"),
    "gdtrib": ([SMALL, P, LARGE], "gdtr"),
    "gdtrix": ([LARGE, SMALL, P], "gdtr"),
    "stdtrit": ([LARGE, P], "stdtr"),
    "chndtrix": ([MIDDLE, SMALL, SMALL], "chndtr"),
    "chndtridf": ([SMALL + 3, MIDDLE, SMALL], "chndtr"),
    "chndtrinc": ([SMALL + 3, SMALL, MIDDLE], "chndtr"),
    "ncfdtri": ([FEW, FEW + 2, FEW - 1, OF_F], "ncfdtr"),
    "ncfdtridfn": ([OF_F, FEW + 2, FEW - 1, FEW + 3], "ncfdtr"),
    "ncfdtridfd": ([FEW, OF_F, FEW - 1, FEW + 3], "ncfdtr"),
    "ncfdtrinc": ([FEW, FEW + 2, OF_F, FEW + 3], "ncfdtr"),
    "nctdtrit": ([SMALL, SMALL, MIDDLE], "nctdtr"),
    "nctdtrinc": ([SMALL, MIDDLE, SMALL], "nctdtr"),
}


def _round_trip(name: str) -> tuple[Any, list[np.ndarray], int]:
    """p -> inverse -> p, as a function of the arguments; these; and which is p."""
    args, back = INVERSES[name]
    at = next(i for i, a in enumerate(args) if a is P or a is MIDDLE or a is OF_F)

    def f(*given: Any) -> Any:
        found = getattr(tn.special, name)(*given)
        return getattr(tn.special, back)(*(found if i == at else a for i, a in enumerate(given)))

    return f, args, at


@pytest.mark.parametrize("name", INVERSES)
def test_the_function_of_its_inverse_is_p(name: str) -> None:
    f, args, at = _round_trip(name)
    slopes = tn.grad(lambda *given: f(*given).sum(), tuple(range(len(args))))(*args)
    for i, (slope, arg) in enumerate(zip(slopes, args, strict=True)):
        np.testing.assert_allclose(slope.numpy() * arg, arg if i == at else 0, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("name", INVERSES)
def test_so_its_second_derivatives_are_0(name: str) -> None:
    f, args, _ = _round_trip(name)
    every = tuple(range(len(args)))
    for i in every:

        def slope(*given: Any, i: int = i) -> Any:
            return tn.grad(lambda *inner: f(*inner).sum(), i)(*given).sum()

        for j, second in enumerate(tn.grad(slope, every)(*args)):
            np.testing.assert_allclose(second.numpy() * args[i] * args[j], 0, atol=1e-8, err_msg=f"{i}, {j}")

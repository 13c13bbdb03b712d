"""The derivatives of inverse functions, by what they are to cancel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn

P = np.array([1e-6, 0.03, 0.4, 0.9, 0.999])
SMALL = np.array([0.2, 0.7, 1.5, 0.4, 3.0])
LARGE = np.array([3.0, 40.0, 200.0, 1.5, 12.0])
INSIDE = np.array([0.1, 0.35, 0.6, 0.8, 0.02])

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
}


def _round_trip(name: str) -> tuple[Any, list[np.ndarray], int]:
    """p -> inverse -> p, as a function of the arguments; these; and which is p."""
    args, back = INVERSES[name]
    at = next(i for i, a in enumerate(args) if a is P)

    def f(*given: Any) -> Any:
        found = getattr(tn.special, name)(*given)
        return getattr(tn.special, back)(*(found if i == at else a for i, a in enumerate(given)))

    return f, args, at


@pytest.mark.parametrize("name", INVERSES)
def test_the_function_of_its_inverse_is_p(name: str) -> None:
    f, args, at = _round_trip(name)
    slopes = tn.grad(lambda *given: f(*given).sum(), tuple(range(len(args))))(*args)
    for i, (slope, arg) in enumerate(zip(slopes, args, strict=True)):
        np.testing.assert_allclose(slope.numpy() * arg, P if i == at else 0, rtol=1e-9, atol=1e-11)


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

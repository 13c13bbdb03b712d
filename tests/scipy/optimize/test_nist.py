"""The 27 problems of NIST's reference datasets for nonlinear regression: ten digits of each certified parameter."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tests.scipy.optimize.strd import MODELS, Problem, digits, read

#: From the first start MINPACK's method runs to where the curve is flat: the rate grows until the exponentials are 0 at every
#: point, or two of them become the same. `scipy.optimize.curve_fit` ends there too; "trf" does not.
ASTRAY = {("BoxBOD", 0), ("MGH17", 0)}
#: The residuals of Lanczos1 are the rounding of its data, 1e-13 of their size: of these deviations no digits can be computed in
#: double precision.
ROUNDING = {"Lanczos1"}


def fitted(name: str, start: int, **options: object) -> tuple[Problem, float, float]:
    """The digits of the parameters and of their standard deviations, with the settings that users get."""
    problem = read(name)
    popt, pcov = tn.optimize.curve_fit(MODELS[name], problem.x, problem.y, p0=problem.starts[start], **options)
    return problem, digits(popt, problem.values), digits(np.sqrt(np.diag(pcov)), problem.deviations)


@pytest.mark.parametrize("name", ["Misra1a", pytest.param("Bennett5", marks=pytest.mark.slow)])
def test_the_usual_method(name: str) -> None:
    for start in (0, 1):
        _, values, deviations = fitted(name, start, maxfev=20_000)
        assert values >= 10
        assert deviations >= 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", MODELS)
def test_all_problems(name: str, start: int) -> None:
    """By "trf", which converges from all starts; by "lm" from all but two."""
    for method, options in (("trf", {"x_scale": "jac", "max_nfev": 20_000}), ("lm", {"maxfev": 20_000})):
        if method == "lm" and (name, start) in ASTRAY:
            continue
        _, values, deviations = fitted(name, start, method=method, **options)
        assert values >= 10
        assert name in ROUNDING or deviations >= 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "start"), sorted(ASTRAY))
def test_where_scipy_goes_astray_too(name: str, start: int) -> None:
    from scipy import optimize

    problem = read(name)
    popt, _ = optimize.curve_fit(MODELS[name], problem.x, problem.y, p0=problem.starts[start], maxfev=20_000)
    assert digits(popt, problem.values) < 1
    assert fitted(name, start, maxfev=20_000)[1] < 1


def test_that_wrong_values_are_seen() -> None:
    certified = read("Misra1a").values
    assert digits(certified, certified) == 11
    assert 2.9 < digits(certified * [1, 1.001], certified) < 3.1


def test_that_nested_parameters_are_found_as_well() -> None:
    problem = read("Misra1a")
    popt, pcov = tn.optimize.curve_fit(
        lambda x, size, rate: MODELS["Misra1a"](x, size, rate), problem.x, problem.y, p0={"size": 250.0, "rate": 5e-4}
    )
    assert digits([popt["size"].item(), popt["rate"].item()], problem.values) >= 10
    assert digits(np.sqrt(np.diag(pcov)), problem.deviations) >= 10

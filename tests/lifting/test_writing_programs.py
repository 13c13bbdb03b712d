"""Random programs that write in place have NumPy's values in lifted form, recorded and compiled, and the right gradients."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tapenet as tn
from tests.lifting.writing_programs import defined, text, total

X = np.array([0.3137, -0.7211, 1.1093])


def check(seed: int, compiled: bool) -> bool:
    """Compare a program with NumPy. Whether NumPy can run it."""
    f = defined(text(seed), f"program {seed}")
    expected_x = X.copy()
    try:
        expected = f(expected_x)
        differences = np.array([(total(f(X + h)) - total(f(X - h))) / 2e-6 for h in np.eye(3) * 1e-6])
    except (ValueError, TypeError, IndexError, AttributeError, RuntimeError):
        return False
    if not np.isfinite(differences).all() or np.abs(differences).max() > 1e4:  # at a jump
        return False
    x = tn.tensor(X, requires_grad=True)
    y = x * 1
    found = tn.lift(f)(y)
    loss = total(found)
    if isinstance(loss, tn.Tensor) and loss.requires_grad:
        loss.backward()
    gradient = np.zeros(3) if x.grad is None else x.grad.numpy()
    message = text(seed)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(_array(one), other, rtol=1e-12, atol=1e-12, err_msg=message)
    np.testing.assert_allclose(y.detach(), expected_x, rtol=1e-12, err_msg=message)
    np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-4, err_msg=message)
    if compiled:
        given = X.copy()
        for one, other in zip(tn.compile(f, lift=True, backend="numpy")(given), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10, err_msg=message)
        np.testing.assert_allclose(given, expected_x, rtol=1e-10, err_msg=message)
        if isinstance(loss, tn.Tensor) and loss.requires_grad:
            again = tn.grad(tn.compile(lambda x: total(tn.lift(f)(x)), backend="numpy"))(X)
            np.testing.assert_allclose(again, gradient, rtol=1e-8, atol=1e-8, err_msg=message)
    return True


def _array(value: object) -> object:
    return value.detach() if isinstance(value, tn.Tensor) else value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", [0, 20])
def test_they_have_numpys_values_and_the_right_gradients(first: int) -> None:
    with np.errstate(all="ignore"):
        ran = sum(check(seed, compiled=seed % 5 == 0) for seed in range(first, first + 20))
    assert ran >= 12


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(1000, 1400, 50))
def test_many_have_numpys_values_and_the_right_gradients(first: int) -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        ran = sum(check(seed, compiled=seed % 5 == 0) for seed in range(first, first + 50))
    assert ran >= 30

"""Distribution functions at the ends of their domains, compiled, and over lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import tapenet as tn


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("gammainc", (2.0, 0.0), (0.0, 0.0)),
        ("gammainc", (1.0, 0.0), (0.0, 1.0)),
        ("gammainc", (2.0, np.inf), (0.0, 0.0)),
        ("gammainc", (0.0, 1.0), (-0.21938393439552, 0.0)),  # by a -E1(x)
        ("gammainc", (-1.0, 2.0), (np.nan, np.nan)),
        ("betainc", (2.0, 3.0, 0.0), (0.0, 0.0, 0.0)),
        ("betainc", (1.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        ("betainc", (2.0, 3.0, 1.0), (0.0, 0.0, 0.0)),
        ("betainc", (2.0, 3.0, -1.0), (np.nan, np.nan, np.nan)),
        ("stdtr", (3.0, 0.0), (0.0, 0.36755259694786)),
    ],
)
def test_at_an_end(name: str, at: tuple[float, ...], expected: tuple[float, ...]) -> None:
    slopes = tn.grad(getattr(tn.special, name), tuple(range(len(at))))(*at)
    np.testing.assert_allclose([d.item() for d in slopes], expected, rtol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_shapes_in_compiled_programs(backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")

    def f(a: Any, x: Any) -> Any:
        return (tn.special.betaincinv(a, 2.0, x) * tn.special.gammainc(a, x) + tn.special.stdtr(a, x)).sum()

    a, x = np.array([0.4, 3.0]), np.array([0.2, 0.7])
    expected = tn.grad(f, (0, 1))(a, x)
    for got, d in zip(tn.compile(tn.grad(f, (0, 1)), backend=backend)(a, x), expected, strict=True):
        np.testing.assert_allclose(got.numpy(), d.numpy(), rtol=1e-13)
    lanes = tn.vmap(tn.grad(f))(a, x)
    np.testing.assert_allclose(lanes.numpy(), expected[0].numpy(), rtol=1e-13)
    _, along = tn.jvp(lambda a: tn.special.gammainc(a, x), (a,), (np.ones(2),))
    np.testing.assert_allclose(along.numpy(), tn.grad(lambda a: tn.special.gammainc(a, x).sum())(a).numpy())


@pytest.mark.parametrize("noncentrality", [50.0, 4e3, 1e6, 1e9])
def test_far_from_central(noncentrality: float) -> None:
    """A mixture of many terms is a sum over some of them: the density is that by a Bessel function."""
    degrees, x = 3.0, noncentrality + np.sqrt(noncentrality)
    z = np.sqrt(noncentrality * x)
    density = (
        0.5 * np.exp(-((np.sqrt(x) - np.sqrt(noncentrality)) ** 2) / 2) * (x / noncentrality) ** (degrees / 4 - 0.5)
    )
    expected = density * scipy.special.ive(degrees / 2 - 1, z)
    found = tn.grad(tn.special.chndtr)(x, degrees, noncentrality)
    np.testing.assert_allclose(found.item(), expected, rtol=1e-13 * max(noncentrality, 1e3) ** 0.5)
    by_degrees = tn.grad(tn.special.chndtr, 1)(x, degrees, noncentrality).item()
    assert abs(by_degrees / expected + 1) < 0.05  # about what a mean that moves by 1 makes


def test_without_end() -> None:
    for x, noncentrality in ((1e300, 1.0), (1.0, 1e300), (1e300, 1e300), (3.0, -20.0), (np.inf, 1.0)):
        slopes = tn.grad(lambda *a: tn.special.chndtr(*a).sum(), (0, 1, 2))(
            np.array([x, 3.0]), np.array([8.0, 8.0]), np.array([noncentrality, 0.5])
        )
        np.testing.assert_allclose(slopes[0].numpy()[1], tn.grad(tn.special.chndtr)(3.0, 8.0, 0.5).item(), rtol=1e-13)

"""Distribution functions at the ends of their domains, compiled, and over lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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

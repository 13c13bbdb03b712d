"""Kernels of formulas that read parts of an argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.program import split_rows
from tests.kernels.beside import agree, both, lift

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


def _three(x: Any) -> Any:
    return np.tanh(x[:, 20:30]) * x[:, :10] + x[:, 10:20]


def _crossed(x: Any) -> Any:
    """A part that is used twice, and one that is not used."""
    return x[..., 3:6] * np.exp(-x[..., 3:6] * x[..., :3])


FORMULAS = {
    "glu": (lambda x: tn.glu(x), (40, 10)),
    "glu of first axis": (lambda x: tn.glu(x, 0), (10, 40)),
    "glu of middle axis": (lambda x: tn.glu(x, 1), (3, 10, 4)),
    "glu of one row": (lambda x: tn.glu(x), (400,)),
    "three parts": (tn.op(_three, name="three_parts"), (7, 30, 2)),
    "parts left out": (tn.op(_crossed, name="crossed_parts"), (5, 4, 9)),
}


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", FORMULAS)
def test_same_as_numpy(monkeypatch: pytest.MonkeyPatch, name: str, turned: bool, dtype: str) -> None:
    lift(monkeypatch)
    f, shape = FORMULAS[name]
    x = R.normal(size=shape)
    agree(*both(f, np.asfortranarray(x) if turned else x, dtype=dtype), dtype, 2e-6 if dtype == "f" else 4e-15)


def test_forward_and_gradient_are_a_kernel_each(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    kernel = split_rows.SplitKernel
    monkeypatch.setattr(split_rows, "SplitKernel", lambda *args: made.append(kernel(*args)) or made[-1])
    glu = tn.glu.replace(name="fresh_glu")
    x = tn.tensor(R.normal(size=(100, 200)), requires_grad=True)
    glu(x).sum().backward()
    assert len(made) == 2
    with kernels.switched(False):
        expected = tn.grad(lambda x: tn.glu(x).sum())(x)
    np.testing.assert_allclose(x.grad.data, expected.data, rtol=1e-13)

"""Normalisation in machine code beside the same in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.ops.layers.normalization import machine

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels for work of any size."""
    monkeypatch.setattr(machine, "WORTH", 0)


def batch_last(x: Any) -> Any:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)


def batch_norm(x: Any, *params: Any, eps: float) -> Any:
    """With all three results in the loss."""
    out, mean, var = tn.batch_norm_train(x, *(params or (None, None)), eps)
    return tn.concatenate([out.ravel(), 3.0 * mean, var])


CASES: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "layer": (lambda x, *p, eps: tn.layer_norm(x, x.shape[-1], *p, eps), (5, 3, 37), (37, 37)),
    "layer without bias": (lambda x, w, eps: tn.layer_norm(x, x.shape[-1], w, None, eps), (4, 16), (16,)),
    "layer alone": (lambda x, eps: tn.layer_norm(x, x.shape[-1], eps=eps), (4, 3), ()),
    "layer of one": (lambda x, *p, eps: tn.layer_norm(x, 1, *p, eps), (4, 1), (1, 1)),
    "rms": (lambda x, w, eps: tn.rms_norm(x, x.shape[-1], w, eps), (5, 3, 37), (37,)),
    "rms alone": (lambda x, eps: tn.rms_norm(x, x.shape[-1], None, eps), (5, 20), ()),
    "batch": (batch_norm, (4, 3, 5, 5), (3, 3)),
    "batch alone": (batch_norm, (4, 3, 17), ()),
}


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
@pytest.mark.parametrize("case", CASES)
def test_same_as_numpy(case: str, order: Any, dtype: str) -> None:
    f, shape, lengths = CASES[case]
    data = [order(R.normal(2.0, 1.0, shape)), *(R.normal(size=n) for n in lengths)]
    g: Any = None
    results = []
    for on, kind in ((True, dtype), (False, "d")):
        with kernels.switched(on):
            t = [tn.tensor(a.astype(kind), requires_grad=True) for a in data]
            out = f(*t, eps=1e-3)
            g = R.normal(size=out.shape) if g is None else g
            out.backward(g.astype(kind))
            results.append([out.data, *(x.grad.data for x in t)])
    for mine, numpys in zip(*results, strict=True):
        assert mine.dtype == np.dtype(dtype)
        error = 3e-5 if dtype == "f" else 1e-13  # of float32: a mean of 2 is taken off before the variance
        assert abs(mine - numpys).max() <= error * max(1.0, abs(numpys).max())


def test_a_large_mean_costs_no_accuracy() -> None:
    """The variance is that of what is centred."""
    x = R.normal(size=(64, 128)).astype("f") + np.float32(1000)
    with kernels.switched(False):
        expected = tn.layer_norm(x.astype("d"), 128)
    np.testing.assert_allclose(tn.layer_norm(x, 128), expected, atol=1e-3)


def test_what_is_not_for_kernels_is_left_to_numpy() -> None:
    x = np.ones((4, 6), "f")
    assert machine.kernel(x) is not None
    assert machine.kernel(x, np.ones(6)) is None
    assert machine.kernel(x.T) is None
    assert machine.kernel(x.astype("e")) is None
    with kernels.switched(False):
        assert machine.kernel(x) is None

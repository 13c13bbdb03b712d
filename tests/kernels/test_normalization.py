"""Normalisation in machine code beside the same in NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tests.kernels.beside import agree, batch_last, both

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


def batch_norm(x: Any, *params: Any, eps: float) -> Any:
    """With all three results in the loss."""
    out, mean, var = tn.batch_norm_train(x, *(params or (None, None)), eps)
    return tn.concatenate([out.ravel(), 3.0 * mean, var])


def group_norm(groups: int) -> Callable[..., Any]:
    """With all three results in the loss."""

    def f(x: Any, *params: Any, eps: float) -> Any:
        out, mean, var = tn.group_norm_statistics(x, groups, *(params or (None, None)), eps)
        return tn.concatenate([out.ravel(), 3.0 * mean.ravel(), var.ravel()])

    return f


CASES: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "layer": (lambda x, *p, eps: tn.layer_norm(x, x.shape[-1], *p, eps), (5, 3, 37), (37, 37)),
    "layer without bias": (lambda x, w, eps: tn.layer_norm(x, x.shape[-1], w, None, eps), (4, 16), (16,)),
    "layer alone": (lambda x, eps: tn.layer_norm(x, x.shape[-1], eps=eps), (4, 3), ()),
    "layer of one": (lambda x, *p, eps: tn.layer_norm(x, 1, *p, eps), (4, 1), (1, 1)),
    "rms": (lambda x, w, eps: tn.rms_norm(x, x.shape[-1], w, eps), (5, 3, 37), (37,)),
    "rms alone": (lambda x, eps: tn.rms_norm(x, x.shape[-1], None, eps), (5, 20), ()),
    "batch": (batch_norm, (4, 3, 5, 5), (3, 3)),
    "batch alone": (batch_norm, (4, 3, 17), ()),
    "batch of 2 x 2": (batch_norm, (29, 301, 2, 2), (301, 301)),
    "batch of 4 x 4": (batch_norm, (30, 70, 4, 4), (70, 70)),
    "group": (group_norm(2), (3, 6, 5, 7), (6, 6)),
    "group alone": (group_norm(1), (21, 3, 4), ()),
    "group of many samples": (group_norm(3), (83, 6, 3), (6, 6)),
    "group of one channel": (group_norm(4), (40, 4, 2, 3), (4, 4)),
    "group without positions": (group_norm(2), (5, 8), (8, 8)),
    "instance": (tn.instance_norm, (5, 3, 4, 4), (3, 3)),
}


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
@pytest.mark.parametrize("case", CASES)
def test_same_as_numpy(case: str, order: Any, dtype: str) -> None:
    f, shape, lengths = CASES[case]
    data = [order(R.normal(2.0, 1.0, shape)), *(R.normal(size=n) for n in lengths)]
    error = 5e-6 if dtype == "f" else 2e-14  # of float32: a mean of 2 is taken off before the variance
    agree(*both(functools.partial(f, eps=1e-3), *data, dtype=dtype), dtype, error)


def test_a_large_mean_costs_no_accuracy() -> None:
    """The variance is that of what is centred."""
    x = R.normal(size=(64, 128)).astype("f") + np.float32(1000)
    with kernels.switched(False):
        expected = tn.layer_norm(x.astype("d"), 128)
    np.testing.assert_allclose(tn.layer_norm(x, 128), expected, atol=1e-3)


@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
@pytest.mark.parametrize("g_order", [np.ascontiguousarray, batch_last, lambda g: np.broadcast_to(g[:, :, :1], g.shape)])
def test_gradients_in_another_memory_order(order: Any, g_order: Any) -> None:
    data, g = R.normal(size=(20, 6, 5)), g_order(R.normal(size=(20, 6, 5)))
    found = []
    for on in (True, False):
        with kernels.switched(on):
            x = tn.tensor(order(data), requires_grad=True)
            tn.group_norm(x, 3).backward(g)
            found.append(x.grad.data)
    np.testing.assert_allclose(*found, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
def test_a_large_mean_costs_no_accuracy_of_groups(order: Any) -> None:
    x = order(R.normal(size=(16, 4, 32)).astype("f") + np.float32(1000))
    with kernels.switched(False):
        expected = tn.group_norm(x.astype("d"), 2)
    np.testing.assert_allclose(tn.group_norm(x, 2), expected, atol=1e-3)


def test_nan_stays_in_its_group() -> None:
    x = R.normal(size=(20, 4, 6))
    x[3, 1, 2] = np.nan
    for order in (np.ascontiguousarray, batch_last):
        wrong = np.isnan(tn.group_norm(order(x), 2))
        assert wrong[3, :2].all()
        assert wrong.sum() == 12

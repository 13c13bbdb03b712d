"""Losses of classes in machine code beside NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.program import row_code, split_rows
from tests.kernels.beside import agree, batch_last, both

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips that do not hold all positions."""
    monkeypatch.setattr(row_code, "STRIP", 16)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "weights": {"weight": True},
    "ignored": {"ignore_index": 1, "reduction": "none"},
    "smoothed": {"label_smoothing": 0.2},
    "all": {"weight": True, "ignore_index": 0, "label_smoothing": 0.3},
}


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((7, 3), np.ascontiguousarray),
        ((5, 33), np.ascontiguousarray),
        ((3, 150), np.ascontiguousarray),
        ((40,), np.ascontiguousarray),
        ((2, 5, 3, 7), np.ascontiguousarray),
        ((19, 4, 3), batch_last),
        ((4, 3, 1), np.ascontiguousarray),
    ],
)
def test_same_as_numpy(shape: Any, order: Any, options: str, soft: bool, dtype: str) -> None:
    data = order(R.normal(size=shape) * 3)
    positions = shape[:1] + shape[2:] if len(shape) > 1 else ()
    count = shape[1] if len(shape) > 1 else shape[0]
    if soft:
        target = R.uniform(size=shape)
    else:
        target = np.asarray(R.integers(0, count, positions))
    given = dict(OPTIONS[options])
    weight = R.uniform(0.5, 2, count) if given.pop("weight", False) else None

    def f(x: Any) -> Any:
        to = target.astype(x.dtype) if soft else target
        return tn.cross_entropy(x, to, None if weight is None else weight.astype(x.dtype), **given)

    agree(*both(f, data, dtype=dtype), dtype, 2e-6 if dtype == "f" else 4e-15)


@pytest.mark.parametrize("width", [6, 40])
def test_special_values(width: int) -> None:
    """Scores of -inf, rows of nothing else, nan, and scores whose exponentials overflow."""
    x = R.normal(size=(5, width)).astype("f")
    x[0, 1], x[1], x[2, width - 1], x[3] = -np.inf, -np.inf, np.nan, 1000 * x[3]
    target = np.array([1, 2, 0, int(x[3].argmin()), 0])
    found = []
    for rows in (x, np.repeat(x[:, :, None], 3, 2)):
        each = target if rows.ndim == 2 else np.repeat(target[:, None], 3, 1)
        for on in (True, False):
            with kernels.switched(on):
                t = tn.tensor(rows, requires_grad=True)
                loss = tn.cross_entropy(t, each, reduction="none")
                loss.backward(np.ones_like(loss.data))
                found.append((loss.data, t.grad.data))
    for kernel, numpys in (found[:2], found[2:]):
        for mine, other in zip(kernel, numpys, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    assert np.isnan(found[0][0]).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(("loss", "kernels_made"), [(tn.cross_entropy, 2), (tn.nll_loss, 1)])
@pytest.mark.parametrize("shape", [(9, 3), (7, 7), (2, 5, 3, 7)])
def test_forward_and_gradient_are_a_kernel_each(
    monkeypatch: pytest.MonkeyPatch, loss: Any, kernels_made: int, shape: Any
) -> None:
    """The forward of nll_loss, which reads little of its input, is NumPy's."""
    made = []
    kernel = split_rows.RowKernel
    monkeypatch.setattr(split_rows, "RowKernel", lambda *args: made.append(kernel(*args)) or made[-1])
    x = tn.tensor(R.normal(size=shape), requires_grad=True)
    fresh = loss.replace(name=f"{loss.name}_again")  # under its own name it would take its place
    fresh(x, R.integers(shape[1], size=shape[:1] + shape[2:]), R.uniform(size=shape[1])).backward()
    assert len(made) == kernels_made


@pytest.mark.parametrize("loss", [tn.cross_entropy, tn.nll_loss, tn.multi_margin_loss])
def test_classes_out_of_range_are_errors_in_kernels_too(loss: Any) -> None:
    for wrong in (3, -1, -(2**40), 2**40):
        with pytest.raises(IndexError, match=f"target holds class {wrong}, but input has 3 classes"):
            loss(np.zeros((4, 3)), np.array([0, wrong, 1, 2]))

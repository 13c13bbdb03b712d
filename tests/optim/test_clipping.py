"""Clipping of gradients, against PyTorch and at its edges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tests.optim.problems import give, gradients, tensors


def pairs(dtype: Any = np.float64) -> tuple[list[tn.Tensor], list[Any]]:
    torch = pytest.importorskip("torch")
    ours = tensors(dtype)
    grads = gradients(1, dtype)
    give(ours, grads)
    ours[0].grad = np.copy(ours[0].grad.data, order="F")
    theirs = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in ours]
    for q, g in zip(theirs, grads, strict=True):
        q.grad = None if g is None else torch.from_numpy(g.copy())
    return ours, theirs


def assert_same(ours: list[tn.Tensor], theirs: list[Any], rtol: float = 1e-12) -> None:
    for p, q in zip(ours, theirs, strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=rtol)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_norm_equals_torch(norm_type: float, max_norm: float) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pairs()
    norm = optim.clip_grad_norm(ours, max_norm, norm_type)
    assert isinstance(norm, float)
    assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type).item(), rel=1e-12)
    assert_same(ours, theirs)


def test_value_equals_torch() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pairs()
    optim.clip_grad_value(ours, 0.4)
    torch.nn.utils.clip_grad_value_(theirs, 0.4)
    assert_same(ours, theirs, rtol=0)


def test_gradients_are_changed_in_place_and_stay_float32() -> None:
    ours, theirs = pairs(np.float32)
    torch = pytest.importorskip("torch")
    before = [None if p.grad is None else (p.grad, p.grad.data) for p in ours]
    optim.clip_grad_norm(ours, 1.0)
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    assert_same(ours, theirs, rtol=1e-6)
    optim.clip_grad_value(ours, 0.1)
    for p, b in zip(ours, before, strict=True):
        if b is not None:
            assert p.grad is b[0]
            assert p.grad.data is b[1]
            assert p.grad.dtype == np.float32


def test_a_gradient_inside_a_graph_is_replaced_by_its_scaled_self() -> None:
    w = tn.tensor([3.0], requires_grad=True)
    (w**3).sum().backward(create_graph=True)
    first = w.grad
    norm = optim.clip_grad_norm([w], 2.7)
    assert norm == 27.0
    clipped, w.grad = w.grad, None
    assert first.item() == 27.0
    clipped.sum().backward()
    assert w.grad.item() == pytest.approx(18 * 0.1, rel=1e-6)


def test_a_graph_that_needs_the_unclipped_gradient_is_told() -> None:
    w = tn.tensor([3.0], requires_grad=True)
    v = tn.tensor([1.0], requires_grad=True)
    (w * w).sum().backward()
    loss = (v * w.grad).sum()
    optim.clip_grad_norm([w], 1.0)
    with pytest.raises(RuntimeError, match="changed in place by clip_grad_norm"):
        loss.backward()


class Net:
    def __init__(self) -> None:
        self.weight, self.bias = (tn.tensor(np.ones(n), requires_grad=True) for n in (3, 2))
        self.weight.grad, self.bias.grad = np.full(3, 4.0), np.full(2, 3.0)

    def named_parameters(self) -> Iterator[tuple[str, tn.Tensor]]:
        yield "fc.weight", self.weight
        yield "fc.bias", self.bias

    def parameters(self) -> Iterator[tn.Tensor]:
        return (p for _, p in self.named_parameters())


@pytest.mark.parametrize("clip", [lambda p: optim.clip_grad_norm(p, 1.0), lambda p: optim.clip_grad_value(p, 1.0),
                                  lambda p: optim.clip_grad_norm(p, 1.0, math.inf),
                                  lambda p: optim.clip_grad_norm(p, 1.0, 1.0)])  # fmt: skip
@pytest.mark.parametrize(
    ("bad", "text"),
    [(np.nan, "1 nan and 0 infinite of 2"), (np.inf, "0 nan and 1 inf"), (-np.inf, "1 infinite")],
)
def test_a_gradient_that_is_not_finite_names_its_parameter_and_changes_nothing(
    clip: Any, bad: float, text: str
) -> None:
    net = Net()
    net.bias.grad.data[1] = bad
    for params, name in [
        (net, "fc.bias"),
        (net.named_parameters(), "fc.bias"),
        (net.parameters(), r"parameter 1 of shape \(2,\)"),
        (list(net.parameters()), r"parameter 1 of shape \(2,\)"),
    ]:
        with pytest.raises(FloatingPointError, match=f"the gradient of {name} is not finite: .*{text}"):
            clip(params)
        np.testing.assert_array_equal(net.weight.grad.data, 4.0)
        np.testing.assert_array_equal(net.bias.grad.data, [3.0, bad])
    net.weight.grad.data[0] = np.nan
    with pytest.raises(FloatingPointError, match=r"fc.weight \(and 1 more parameters\)"):
        clip(net)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
def test_large_finite_gradients_do_not_overflow(norm_type: float) -> None:
    a, b = (tn.tensor(np.ones(2, np.float32), requires_grad=True) for _ in range(2))
    a.grad, b.grad = np.array([3e30, 0.0]), np.array([0.0, 4e30])
    expected = float(np.linalg.norm([3.0, 4.0], norm_type)) * 1e30
    assert optim.clip_grad_norm([a, b], 1.0, norm_type) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(a.grad.data[0], 3e30 / expected, rtol=1e-6)
    c = tn.tensor([1.0], requires_grad=True)
    c.grad = np.array([1e300])
    assert optim.clip_grad_norm([c], 1.0, norm_type) == pytest.approx(1e300)


def test_the_norm_of_small_numbers_in_16_bits() -> None:
    w = tn.tensor(np.ones(3000), "float16", requires_grad=True)
    w.grad = tn.tensor(np.full(3000, 1e-3), "float16")  # whose third powers float16 does not have
    assert optim.clip_grad_norm([w], 1e-2, 3.0) == pytest.approx(1e-3 * 3000 ** (1 / 3), rel=1e-3)
    assert w.grad[0].item() == pytest.approx(1e-2 / 3000 ** (1 / 3), rel=1e-2)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
def test_parameters_without_elements_in_a_compiled_step(norm_type: float) -> None:
    params = [tn.tensor(np.ones(shape), requires_grad=True) for shape in ((0,), (3,))]

    @tn.compile
    def norm() -> Any:
        sum((p * p).sum() for p in params).backward()
        return optim.clip_grad_norm(params, 0.1, norm_type)

    assert norm().item() == pytest.approx(np.linalg.norm([2.0, 2.0, 2.0], norm_type))


def test_edges() -> None:
    w = tn.tensor(np.ones((2, 0)), requires_grad=True)
    v = tn.tensor(1.0, requires_grad=True)
    assert optim.clip_grad_norm([w, v], 1.0) == 0.0  # no gradients yet
    w.grad, v.grad = np.ones((2, 0)), np.zeros(())
    for norm_type in (1.0, 2.0, math.inf):
        assert optim.clip_grad_norm([w, v], 1.0, norm_type) == 0.0
    assert v.grad.item() == 0.0
    with pytest.raises(ValueError, match="clip_grad_norm got no parameters"):
        optim.clip_grad_norm([], 1.0)
    with pytest.raises(ValueError, match=r"max_norm=0 and norm_type=2.0 must be above 0"):
        optim.clip_grad_norm([v], 0)
    with pytest.raises(ValueError, match="norm_type=-1"):
        optim.clip_grad_norm([v], 1.0, -1)
    with pytest.raises(ValueError, match="value=-1 must be above 0"):
        optim.clip_grad_value([v], -1)
    with pytest.raises(TypeError, match="got one tensor: put it in a list"):
        optim.clip_grad_value(v, 1.0)

"""Limits on gradients under PyTorch's names, beside PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

torch = pytest.importorskip("torch")

R = np.random.default_rng(0)
GRADS = [R.normal(size=(3, 2)), R.normal(size=4), None]


def parameters(library: Any) -> list[Any]:
    """Three parameters of a library, two with gradients."""
    made = [library.tensor(np.ones((3, 2)), requires_grad=True), library.tensor(np.ones(4), requires_grad=True),
            library.tensor(np.ones(2), requires_grad=True)]  # fmt: skip
    for p, grad in zip(made, GRADS, strict=True):
        p.grad = None if grad is None else library.tensor(grad)
    return made


def same(ours: list[Any], theirs: list[Any]) -> None:
    for p, q in zip(ours, theirs, strict=True):
        if q.grad is None:
            assert p.grad is None
        else:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3, math.inf])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_norms_are_clipped_as_in_torch(norm_type: float, limit: float) -> None:
    ours, theirs = parameters(tn), parameters(torch)
    norm = nn.utils.clip_grad_norm_(ours, limit, norm_type, foreach=False)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit, norm_type)
    assert isinstance(norm, tn.Tensor)
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=1e-12)
    same(ours, theirs)
    grads = [[p.grad for p in made if p.grad is not None] for made in (ours, theirs)]
    np.testing.assert_allclose(
        nn.utils.get_total_norm(grads[0], norm_type).item(),
        torch.nn.utils.get_total_norm(grads[1], norm_type).item(),
        rtol=1e-12,
    )


def test_values_and_known_norms_are_clipped_as_in_torch() -> None:
    ours, theirs = parameters(tn), parameters(torch)
    for m, made in ((nn, ours), (torch.nn, theirs)):
        m.utils.clip_grad_value_(made, 0.4)
        m.utils.clip_grads_with_norm_(made, 0.3, 2.0 if m is nn else torch.tensor(2.0, dtype=torch.float64))
        m.utils.clip_grad_norm_(made[1], 0.01)  # one alone
    same(ours, theirs)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_not_finite_is_clipped_unless_it_is_to_raise() -> None:
    for bad in (np.nan, np.inf):
        ours, theirs = parameters(tn), parameters(torch)
        for made in (ours, theirs):
            made[1].grad.data[0] = bad
        expected = torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        np.testing.assert_equal(nn.utils.clip_grad_norm_(ours, 1.0).item(), expected.item())
        same(ours, theirs)
        ours = parameters(tn)
        ours[0].grad.data[0] = bad
        with pytest.raises(FloatingPointError, match="is not finite"):
            nn.utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
        with pytest.raises(FloatingPointError, match="the norm is"):
            nn.utils.get_total_norm([ours[0].grad], error_if_nonfinite=True)
    large = [tn.tensor(np.full(3, 1e200))]
    np.testing.assert_allclose(nn.utils.get_total_norm(large).item(), 1e200 * math.sqrt(3), rtol=1e-12)
    assert nn.utils.get_total_norm([]).item() == 0.0


def test_they_are_part_of_a_compiled_step() -> None:
    w = tn.tensor([3.0, 4.0], requires_grad=True)

    @tn.compile(keep_grads=True)
    def step(x: Any) -> Any:
        w.grad = None
        (w * x).sum().backward()
        total = nn.utils.get_total_norm([w.grad])
        return total, nn.utils.clip_grad_norm_([w], 1.0)

    for scale in (1.0, 5.0):
        total, norm = step(np.array([3.0, 4.0]) * scale)
        np.testing.assert_allclose([total.item(), norm.item()], 5.0 * scale, rtol=1e-12)
        np.testing.assert_allclose(w.grad.numpy(), [0.6, 0.8], rtol=1e-6)

"""Small batches that come to a large one, and groups by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

R = np.random.default_rng(0)
X, Y = R.normal(size=(10, 3)), R.integers(0, 4, size=10)


def network() -> nn.Module:
    tn.random.seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).astype(np.float64)


def test_parts_come_to_the_whole() -> None:
    whole, cut = network(), network()
    loss = F.cross_entropy(whole(X), Y)
    loss.backward()
    for parts in (1, 3, 10):
        cut.zero_grad()
        found = optim.accumulate(lambda x, y: F.cross_entropy(cut(x), y), parts, X, Y)
        assert found.item() == pytest.approx(loss.item(), rel=1e-12)
        assert found.node is None
        for p, q in zip(whole.parameters(), cut.parameters(), strict=True):
            np.testing.assert_allclose(q.grad.data, p.grad.data, rtol=1e-12, atol=1e-15)


def test_compiled_it_is_the_large_batch() -> None:
    nets = [network() for _ in range(3)]
    opts = [optim.Adam(net.parameters(), lr=0.1) for net in nets]

    def whole(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(nets[0](x), y)
        opts[0].zero_grad()
        loss.backward()
        opts[0].step()
        return loss

    @tn.compile
    def in_one(x: Any, y: Any) -> Any:
        opts[1].zero_grad()
        loss = optim.accumulate(lambda x, y: F.cross_entropy(nets[1](x), y), 4, x, y)
        opts[1].step()
        return loss

    @tn.compile(keep_grads=True)
    def piece(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(nets[2](x), y) / 2
        loss.backward()
        return loss

    for _ in range(5):
        expected = whole(X, Y).item()
        assert in_one(X, Y).item() == pytest.approx(expected, rel=1e-9)
        opts[2].zero_grad()
        assert piece(X[:5], Y[:5]).item() + piece(X[5:], Y[5:]).item() == pytest.approx(expected, rel=1e-9)
        opts[2].step()
    for p, *others in zip(*(net.parameters() for net in nets), strict=True):
        for q in others:
            np.testing.assert_allclose(q.data, p.data, rtol=1e-8)


@pytest.mark.parametrize(("parts", "batch"), [(0, (X,)), (11, (X,)), (2, (X, Y[:5])), (1, ())])
def test_parts_that_cannot_be_cut(parts: int, batch: Any) -> None:
    with pytest.raises(ValueError, match=r"accumulate: .* give arrays of one length"):
        optim.accumulate(lambda *a: a[0].mean(), parts, *batch)


# -- groups by name ----------------------------------------------------------------------------------------------


def test_options_of_all_patterns_that_fit_are_joined() -> None:
    named = [(name, tn.tensor(np.zeros(s), requires_grad=True)) for name, s in
             [("a.weight", (2, 2)), ("a.bias", (2,)), ("b.weight", (2, 2)), ("b.bias", (2,))]]  # fmt: skip
    groups = optim.param_groups(
        named, {"a.*": {"lr": 0.5, "weight_decay": 0.5}, "*.bias": {"weight_decay": 0.0}, "?.weight": {}}
    )
    found = [({n for n, _ in g["params"]}, {k: v for k, v in g.items() if k != "params"}) for g in groups]
    assert found == [
        ({"a.weight"}, {"lr": 0.5, "weight_decay": 0.5}),
        ({"a.bias"}, {"lr": 0.5, "weight_decay": 0.0}),
        ({"b.weight"}, {}),
        ({"b.bias"}, {"weight_decay": 0.0}),
    ]
    opt = optim.SGD(groups, lr=0.1)
    assert [slot.name for slot in opt.slots] == [name for name, _ in named]
    assert len(optim.param_groups(named, {})) == 1


def test_no_decay_for_biases_and_norms_is_torchs_two_groups() -> None:
    torch = pytest.importorskip("torch")
    net = network()
    theirs = [torch.nn.Parameter(torch.from_numpy(p.numpy().copy())) for p in net.parameters()]
    opt = optim.AdamW(
        optim.param_groups(net, {lambda name, p: p.ndim < 2: {"weight_decay": 0.0}}), lr=0.1, weight_decay=0.5
    )
    other = torch.optim.AdamW(
        [{"params": theirs[::2]}, {"params": theirs[1::2], "weight_decay": 0.0}], lr=0.1, weight_decay=0.5
    )
    for step in range(5):
        for p, q in zip(net.parameters(), theirs, strict=True):
            g = np.random.default_rng(step).normal(size=p.shape)
            p.grad, q.grad = g, torch.from_numpy(g)
        opt.step()
        other.step()
    for p, q in zip(net.parameters(), theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12)


def test_a_pattern_that_fits_nothing_is_a_mistake() -> None:
    with pytest.raises(
        ValueError, match=r"no parameter fits 'encoder.\*'; the names are 0.weight, 0.bias, 2.weight, 2.bias"
    ):
        optim.param_groups(network(), {"encoder.*": {"lr": 0.1}})
    with pytest.raises(ValueError, match="param_groups got no parameters"):
        optim.param_groups([], {})

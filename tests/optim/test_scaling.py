"""Loss scaling, and master weights of parameters that are stored in 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

ml_dtypes = pytest.importorskip("ml_dtypes")
LOW = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
lows = pytest.mark.parametrize("low", LOW)
R = np.random.default_rng(0)
X = R.normal(size=(8, 6)).astype(np.float32)
LABELS = R.integers(0, 4, 8)


def make() -> Any:
    tn.random.seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4))


def wide(t: Any) -> Any:
    return t.data.astype(np.float32)


# -- loss scaling ------------------------------------------------------------------------------------------------


def test_scaling_divides_what_it_multiplied() -> None:
    w = nn.Parameter(np.array([1.0, 2.0], np.float32))
    opt, scaler = optim.SGD([w], lr=0.5), optim.GradScaler(init_scale=1024.0)
    loss = (w**2).sum()
    assert scaler.scale(loss).item() == 5 * 1024
    scaler.scale(loss).backward()
    np.testing.assert_array_equal(w.grad.data, [2048, 4096])
    scaler.unscale_(opt)
    np.testing.assert_array_equal(w.grad.data, [2, 4])
    assert optim.clip_grad_norm([w], 1.0) == pytest.approx(20**0.5)
    assert scaler.step(opt) is True
    np.testing.assert_allclose(w.data, np.array([1, 2]) - 0.5 * np.array([2, 4]) / 20**0.5, rtol=1e-5)
    scaler.update()


@pytest.mark.parametrize("bad", [np.inf, np.nan, -np.inf])
def test_a_step_with_infinite_gradients_is_left_out(bad: float) -> None:
    w, v = nn.Parameter(np.ones(2, np.float32)), nn.Parameter(np.ones(2, np.float32))
    opt, scaler = optim.Adam([w, v], lr=0.1), optim.GradScaler(init_scale=8.0, growth_interval=2)
    scales = []
    for multiplier in (1.0, bad, 1.0, 1.0, 1.0):
        opt.zero_grad()
        scaler.scale((w * v * np.array([1.0, multiplier], np.float32)).sum()).backward()
        before = w.data.copy()
        scaler.unscale_(opt)
        optim.clip_grad_norm([w, v], 1.0)
        taken = scaler.step(opt)
        assert taken == np.isfinite(multiplier) == (w.data != before).all()
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [8.0, 4.0, 4.0, 8.0, 8.0]
    assert opt.state_dict()["state"][0]["step"] == 4


def test_scaling_beside_pytorchs() -> None:
    """Factors over many steps, with infinite gradients here and there."""
    torch = pytest.importorskip("torch")
    options = {"init_scale": 64.0, "growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 3}
    w = nn.Parameter(np.ones(1, np.float32))
    tw = torch.nn.Parameter(torch.ones(1))
    opt, scaler = optim.SGD([w], lr=0.01), optim.GradScaler(**options)
    topt, peer = torch.optim.SGD([tw], lr=0.01), torch.amp.GradScaler("cpu", **options)
    for i in range(20):
        factor = float("inf") if i in (4, 5, 11) else 1.0
        opt.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.step(opt)
        scaler.update()
        topt.zero_grad()
        peer.scale((tw * factor).sum()).backward()
        peer.step(topt)
        peer.update()
        assert scaler.get_scale() == peer.get_scale()
        np.testing.assert_allclose(w.data, tw.detach().numpy(), rtol=1e-6)
    assert scaler.state_dict() == pytest.approx(peer.state_dict())


def test_the_scaler_s_state_goes_on() -> None:
    a, b = optim.GradScaler(init_scale=16.0, growth_interval=2), optim.GradScaler()
    w = nn.Parameter(np.ones(1, np.float32))
    opt = optim.SGD([w], lr=0.1)
    a.scale(w.sum()).backward()
    a.step(opt)
    a.update()
    b.load_state_dict(a.state_dict())
    assert b.state_dict() == a.state_dict()
    assert b.state_dict()["_growth_tracker"] == 1
    with pytest.raises(ValueError, match="it needs scale, growth_factor"):
        b.load_state_dict({"scale": 1.0})


def test_two_optimizers_are_scaled_by_one() -> None:
    w, v = nn.Parameter(np.ones(1, np.float32)), nn.Parameter(np.ones(1, np.float32))
    a, b, scaler = optim.SGD([w], lr=1.0), optim.SGD([v], lr=1.0), optim.GradScaler(init_scale=4.0)
    (scaled,) = scaler.scale([(w * 0.25 + v * np.float32("inf")).sum()])
    scaled.backward()
    assert (scaler.step(a), scaler.step(b)) == (True, False)
    scaler.update()
    assert (w.item(), v.item(), scaler.get_scale()) == (0.75, 1.0, 2.0)


def test_scaling_that_is_off_or_misused() -> None:
    w = nn.Parameter(np.ones(1, np.float32))
    opt, off = optim.SGD([w], lr=1.0), optim.GradScaler(enabled=False)
    loss = w.sum()
    assert off.scale(loss) is loss
    loss.backward()
    off.unscale_(opt)
    assert off.step(opt)
    off.update()
    assert w.item() == 0.0
    assert off.get_scale() == 1.0
    scaler = optim.GradScaler()
    with pytest.raises(RuntimeError, match="nothing was unscaled"):
        scaler.update()
    scaler.unscale_(opt)
    with pytest.raises(RuntimeError, match="unscale_ was called for this optimizer already"):
        scaler.unscale_(opt)
    scaler.step(opt)
    with pytest.raises(RuntimeError, match="step was called for this optimizer already"):
        scaler.step(opt)
    for options in ({"init_scale": 0.0}, {"growth_factor": 1.0}, {"backoff_factor": 1.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            optim.GradScaler(**options)
    with pytest.raises(tn.CaptureError, match=r"GradScaler\.scale while a step is being captured"):
        tn.compile(lambda x: optim.GradScaler().scale((w * x).sum()), backend="numpy")(np.ones(1, np.float32))


@pytest.mark.parametrize(("gradient", "start", "end"), [(np.nan, 2.0**-120, 2.0**-126), (0.0, 2.0**120, 2.0**127)])
def test_the_factor_stays_a_number_of_float32(gradient: float, start: float, end: float) -> None:
    w = tn.tensor(np.ones(2, np.float32), requires_grad=True)
    opt, scaler = optim.SGD([w], lr=0.1), optim.GradScaler(start, growth_interval=1)
    for _ in range(20):
        w.grad = tn.tensor(np.full(2, gradient, np.float32))
        assert scaler.step(opt) == np.isfinite(gradient)
        scaler.update()
    assert scaler.get_scale() == end
    with pytest.raises(ValueError, match=r"GradScaler.update: new_scale=0 must be above 0"):
        scaler.update(0)


def test_a_loss_in_float16_is_scaled_in_float32() -> None:
    loss = tn.tensor(3.0, "float16", requires_grad=True)
    assert optim.GradScaler().scale(loss).item() == 3 * 65536


# -- master weights ----------------------------------------------------------------------------------------------


@lows
def test_optimizers_refuse_low_parameters(low: str) -> None:
    with pytest.raises(TypeError, match=rf"SGD: 0\.weight is {low}, .* optim\.MasterWeights\(optim\.SGD, params"):
        optim.SGD(make().to(low).named_parameters(), lr=0.1)
    net = make()
    opt = optim.SGD(net, lr=0.1)
    net.to(low)
    F.cross_entropy(net(X), LABELS).backward()
    before = net[0].weight.numpy().copy()
    for _ in range(2):
        with pytest.raises(TypeError, match=rf"SGD: 0\.weight is {low}"):
            opt.step()
    np.testing.assert_array_equal(net[0].weight.numpy(), before)
    net.float()
    opt.step()
    assert (net[0].weight.numpy() != before).any()


@lows
def test_master_weights_are_updated_as_float32_parameters_are(low: str) -> None:
    stored, full = make().to(low), make()
    for p, q in zip(stored.parameters(), full.parameters(), strict=True):
        q.data = p.data
    opt, peer = optim.MasterWeights(optim.Adam, stored, lr=1e-4), optim.Adam(full.parameters(), lr=1e-4)
    for _ in range(20):
        opt.zero_grad()
        F.cross_entropy(stored(X), LABELS).backward()
        grads = [wide(p.grad) for p in stored.parameters()]
        for q, g in zip(full.parameters(), grads, strict=True):
            q.grad = g
        opt.step()
        peer.step()
    for p, m, q in zip(stored.parameters(), opt.masters(), full.parameters(), strict=True):
        np.testing.assert_array_equal(m.data, q.data)
        np.testing.assert_array_equal(p.data, q.data.astype(LOW[low]))
    other = make().to(low)
    again = optim.MasterWeights(optim.Adam, other, lr=1.0)
    again.load_state_dict(opt.state_dict())
    assert again.lr == 1e-4
    for p, q in zip(other.parameters(), stored.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    with pytest.raises(ValueError, match="master weights of shapes"):
        again.load_state_dict(opt.optimizer.state_dict())


@lows
def test_master_weights_follow_weights_that_were_loaded(low: str) -> None:
    net, loaded = make().to(low), make()
    opt = optim.MasterWeights(optim.SGD, net, lr=1e-5)
    net.load_state_dict(loaded.state_dict())
    net[0].bias.data[0] = 7.0  # also in place
    before = {name: wide(p) for name, p in net.named_parameters()}
    for state in (opt.state_dict()["master"], [m.numpy() for m in opt.masters()]):
        for value, master in zip(before.values(), state, strict=True):
            np.testing.assert_array_equal(value, master)
    for _ in range(3):  # updates that 16 bits would lose
        opt.zero_grad()
        F.cross_entropy(net(X), LABELS).backward()
        opt.step()
    moved = [abs(m.numpy() - value).max() for value, m in zip(before.values(), opt.masters(), strict=True)]
    assert 0 < max(moved) < 1e-3


def test_master_weights_in_groups() -> None:
    net = make().half()
    groups = optim.param_groups(net, {lambda name, p: p.ndim < 2: {"weight_decay": 0.0}})
    opt = optim.MasterWeights(optim.AdamW, groups, lr=1e-3)
    assert [(len(g["params"]), g["weight_decay"]) for g in opt.optimizer.groups] == [(2, 0.01), (2, 0.0)]
    assert [m.shape for m in opt.masters()] == [p.shape for g in groups for _, p in g["params"]]
    with pytest.raises(ValueError, match=r"0\.weight was given already, as 0\.weight"):
        optim.MasterWeights(optim.SGD, [*groups, {"params": [("0.weight", net[0].weight)]}], lr=0.1)


def test_master_weights_scaling_and_clipping() -> None:
    """A gradient that float16 cannot hold without scaling."""
    w = nn.Parameter(np.ones(1, np.float16))
    opt, scaler = optim.MasterWeights(optim.SGD, [w], lr=1e7), optim.GradScaler(init_scale=2.0**15)
    tiny = np.float32(2.0**-27)
    scaler.scale((w.astype(np.float32) * tiny).sum()).backward()
    assert w.grad.item() == 2.0**-12
    scaler.unscale_(opt)
    assert w.grad is None
    assert optim.clip_grad_norm(opt.masters(), 1.0) == pytest.approx(2.0**-27)
    scaler.step(opt)
    assert w.item() == pytest.approx(1 - 1e7 * 2.0**-27, rel=1e-3)
    assert "master weights of 1 parameters under SGD" in repr(opt)


def test_master_weights_answer_what_other_optimizers_do() -> None:
    net = make().half()
    plain, masters = optim.SGD(make(), lr=0.5), optim.MasterWeights(optim.SGD, net, lr=0.5)
    for opt in (plain, masters):
        opt.groups[0]["lr"] = lambda step: 0.25 / (step + 1)
        assert opt.rates() == [0.25]
        assert opt.bound
        assert len(opt.slots) == len(opt.groups[0]["params"])
    F.cross_entropy(net(X), LABELS).backward()
    masters.gather()
    assert all(param.grad is not None for param in masters.groups[0]["params"])

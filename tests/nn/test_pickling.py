"""Modules, optimizers and compiled steps on their way to other processes, and copies of them."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.nn.utils import parametrizations

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


class Shared(nn.Module):
    """Two names for one parameter, a buffer, a frozen parameter, parts in lists and dicts, an attribute that is data."""

    def __init__(self) -> None:
        self.first = nn.Linear(6, 6)
        self.parts = [self.first, {"norm": nn.BatchNorm1d(6)}]
        self.tied = self.first.weight
        self.frozen = nn.Parameter(np.ones(6, np.float32), requires_grad=False)
        self.seen = nn.Buffer(np.zeros(1))
        self.options = {"gain": 2.0}

    def forward(self, x: Any) -> Any:
        x = self.parts[1]["norm"](self.parts[0](x))
        return (x @ self.tied * self.frozen).sum(axis=-1) * self.options["gain"]


def _weight_norm() -> Any:
    return parametrizations.weight_norm(nn.Linear(6, 2))


MODULES: dict[str, Callable[[], Any]] = {
    "shared": Shared,
    "sequential": lambda: nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Dropout(0.5), nn.LayerNorm(3)),
    "parametrized": _weight_norm,
    "transformer": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.TransformerEncoderLayer(3, 1, 4, batch_first=True)
    ),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.MaxPool1d(2)
    ),
    "float64": lambda: nn.Linear(6, 2).double(),
}


def _sent(value: Any) -> Any:
    """As another process gets it, whose buffers are bytes."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return pickle.loads(head, buffers=[bytes(buffer.raw()) for buffer in buffers])


def _trained(net: Any, opt: Any, steps: int = 3) -> list[float]:
    """Losses of some steps, from a seed."""
    tn.random.seed(1)
    losses = []
    for _ in range(steps):
        loss = (net(X) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


WAYS = pytest.mark.parametrize(
    "way", [copy.deepcopy, _sent, lambda v: pickle.loads(pickle.dumps(v))], ids=["deepcopy", "by buffers", "pickled"]
)


@WAYS
@pytest.mark.parametrize("name", MODULES)
def test_a_model_and_its_optimizer_go_on_as_the_original(name: str, way: Callable[[Any], Any]) -> None:
    net = MODULES[name]()
    opt = optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.1)
    _trained(net, opt)
    twin, other = way((net, opt))
    assert {id(p) for group in other.groups for p in group["params"]} <= {id(p) for p in twin.parameters()}
    assert not {id(p) for p in net.parameters()} & {id(p) for p in twin.parameters()}
    assert [(n, p.requires_grad, p._kind) for n, p in net.named_parameters()] == [
        (n, p.requires_grad, p._kind) for n, p in twin.named_parameters()
    ]
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
    before = {n: a.copy() for n, a in net.state_dict().items()}
    losses = _trained(twin, other)
    for n, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[n])  # the original is another
    assert _trained(net, opt) == losses
    for n, a in net.state_dict().items():
        np.testing.assert_array_equal(a, twin.state_dict()[n])


@WAYS
def test_modes_attributes_and_sharing_come_along(way: Callable[[Any], Any]) -> None:
    net = Shared().eval()
    net.parts[1]["norm"].train()
    twin = way(net)
    assert [m.training for m in twin.modules()] == [m.training for m in net.modules()]
    assert twin.tied is twin.first.weight
    assert twin.parts[0] is twin.first
    assert twin.options == {"gain": 2.0}
    assert [n for n, _ in twin.named_buffers()] == [n for n, _ in net.named_buffers()]


@WAYS
def test_hooks_of_calls_stay_with_the_original(way: Callable[[Any], Any]) -> None:
    net = nn.Linear(6, 2)
    calls: list[str] = []
    net.register_forward_hook(lambda *_: calls.append("hook"))
    way(net)(X)
    assert not calls
    net(X)
    assert calls == ["hook"]


@WAYS
@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: optim.NAdam(p),
        lambda p: optim.Adafactor(p, lr=0.1),
        lambda p: optim.LAMB(p, lr=0.1),
        lambda p: optim.MasterWeights(optim.Adam, p, lr=0.1),
        lambda p: optim.SGD([{"params": p[:1]}, {"params": p[1:], "lr": 0.3}], lr=optim.Plateau(0.1)),
    ],
    ids=["SGD", "NAdam", "Adafactor", "LAMB", "MasterWeights", "groups"],
)
def test_every_kind_of_optimizer_goes_on(make: Any, way: Callable[[Any], Any]) -> None:
    net = nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 1))
    opt = make(list(net.parameters()))
    _trained(net, opt)
    twin, other = way((net, opt))
    np.testing.assert_equal(other.state_dict(), opt.state_dict())
    assert _trained(twin, other) == _trained(net, opt)
    np.testing.assert_equal(other.state_dict(), opt.state_dict())
    other.load_state_dict(opt.state_dict())


@WAYS
def test_an_optimizer_without_parameters_and_averages(way: Callable[[Any], Any]) -> None:
    assert not way(optim.SGD(lr=0.1)).bound
    net = nn.Linear(6, 1)
    mean = optim.Averaged(net, decay=0.5)
    mean.update()
    twin, other = way((net, mean))
    for model, average in ((net, mean), (twin, other)):
        model.weight.data = np.ones((1, 6))
        average.update()
    np.testing.assert_equal(other.state_dict(), mean.state_dict())


def test_a_schedule_made_by_a_function_is_not_pickled() -> None:
    opt = optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=optim.cosine(0.1, 10))
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"local object.*cosine"):
        pickle.dumps(opt)


# -- in other processes ------------------------------------------------------------------------------------------


@tn.compile
def doubled(x: Any) -> Any:
    return x * 2


class Unknown:
    """Makes classes that other processes cannot find."""

    @staticmethod
    def make() -> Any:
        class Local(nn.Module):
            def forward(self, x: Any) -> Any:
                return x

        return Local()


def work(net: Any, opt: Any, step: Any) -> tuple[Any, list[float], float]:
    """What a process does with what it is sent."""
    losses = _trained(net, opt)
    compiled = tn.compile(net)
    net.eval()
    np.testing.assert_allclose(compiled(X).numpy(), net(X).numpy(), rtol=1e-5, atol=1e-6)
    assert compiled(X).numpy() is not None
    return net, losses, step(np.float32(3)).item()


def test_models_go_to_other_processes_and_come_back() -> None:
    net = Shared()
    opt = optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.1)
    _trained(net, opt)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        back, losses, number = pool.submit(work, net, opt, doubled).result()
    assert _trained(net, opt) == losses
    assert number == 6.0
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], array)
    assert not back.training
    assert F.mse_loss(back(X), net.eval()(X)).item() == 0.0


def test_a_class_that_nobody_can_find_is_told() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"local object.*Local"):
        pickle.dumps(Unknown.make())

"""Averages of parameters beside PyTorch's, eager and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.autodiff.observe.tape import CaptureError

DECAYS: dict[str, Any] = {"mean": None, "ema": 0.9, "function": lambda n: min(0.9, (1 + n) / (10 + n))}


def network(dtype: Any = np.float64) -> nn.Module:
    tn.random.seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).astype(dtype)


def batches(count: int) -> list[tuple[Any, Any]]:
    r = np.random.default_rng(0)
    return [(r.normal(size=(8, 3)), r.normal(size=(8, 2))) for _ in range(count)]


def train(net: Any, opt: optim.Optimizer, x: Any, y: Any) -> tn.Tensor:
    loss = ((net(x) - y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss


def torch_average(torch: Any, net: Any, decay: Any, use_buffers: bool) -> Any:
    swa = torch.optim.swa_utils
    if decay is None:
        return swa.AveragedModel(net, use_buffers=use_buffers)

    def average(a: Any, p: Any, n: Any) -> Any:
        d = decay(int(n)) if callable(decay) else decay
        return a * d + p * (1 - d) if a.is_floating_point() else p

    return swa.AveragedModel(net, avg_fn=average, use_buffers=use_buffers)


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS)
def test_follows_torch(decay: Any, use_buffers: bool) -> None:
    torch = pytest.importorskip("torch")
    net = network()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    ).double()
    opt = optim.SGD(net.parameters(), lr=0.5)
    average = optim.Averaged(net, decay, use_buffers=use_buffers)
    other = torch_average(torch, theirs, decay, use_buffers)
    for x, y in batches(20):
        train(net, opt, x, y)
        average.update()
        theirs.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in net.state_dict().items()})
        other.update_parameters(theirs)
    assert average.count == 20
    expected = {
        name.removeprefix("module."): v.numpy() for name, v in other.state_dict().items() if name != "n_averaged"
    }
    assert average.values.keys() == expected.keys()
    for name, value in average.values.items():
        if use_buffers and name.endswith("num_batches_tracked"):  # an average of integers, cut
            continue
        np.testing.assert_allclose(value, expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS)
def test_compiled_is_eager(decay: Any, dtype: Any) -> None:
    eager, compiled = network(dtype), network(dtype)
    opts = [optim.SGD(net.parameters(), lr=0.5) for net in (eager, compiled)]
    averages = [optim.Averaged(net, decay, use_buffers=True) for net in (eager, compiled)]

    @tn.compile
    def step(x: Any, y: Any) -> Any:
        loss = train(compiled, opts[1], x, y)
        averages[1].update()
        return loss

    for x, y in batches(12):
        train(eager, opts[0], x.astype(dtype), y.astype(dtype))
        averages[0].update()
        step(x.astype(dtype), y.astype(dtype))
    assert [average.count for average in averages] == [12, 12]
    for name, value in averages[0].values.items():
        other = averages[1].values[name]
        assert other.dtype == value.dtype
        np.testing.assert_allclose(other, value, rtol=1e-9 if dtype == np.float64 else 1e-4, atol=1e-6, err_msg=name)
    assert len(step.variants) == 1


def test_a_step_that_cannot_be_captured_counts_nothing() -> None:
    w = tn.tensor([1.0], requires_grad=True)
    average = optim.Averaged([w])

    def step(x: Any) -> Any:
        average.update()
        return float(x)

    with pytest.raises(CaptureError):
        tn.compile(step)(np.ones(()))
    assert average.count == 0


def test_values_are_swapped_in_and_out() -> None:
    net = network()
    x, y = batches(1)[0]
    opt = optim.SGD(net.parameters(), lr=0.5)
    average = optim.Averaged(net, 0.5)
    for _ in range(3):
        train(net, opt, x, y)
        average.update()
    before = net.state_dict()

    def look() -> None:
        with average.applied():
            for name, value in net.state_dict().items():
                np.testing.assert_array_equal(value, average.values[name])
            net.eval()(x)
            raise KeyError

    with pytest.raises(KeyError):
        look()
    np.testing.assert_equal(net.state_dict(), before)
    train(net.train(), opt, x, y)  # the optimizer still has them
    with pytest.raises(CaptureError, match=r"Averaged.applied .* outside of the compiled function"):
        tn.compile(lambda x: average.applied().__enter__())(x)
    average.copy_to()
    np.testing.assert_equal(net.state_dict(), {name: average.values[name] for name in before})
    other = network()
    average.copy_to(other)
    np.testing.assert_equal(other.state_dict(), net.state_dict())
    with pytest.raises(ValueError, match=r"the target differs from what was averaged in 0.bias, 0.weight, 1.bias"):
        average.copy_to(nn.Linear(4, 2))


def test_state_goes_on_elsewhere() -> None:
    w, v = (tn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    first, second = optim.Averaged([("w", w)]), optim.Averaged([("w", v)])
    for k in range(3):
        w.data = [k, k * k]
        first.update()
    second.load_state_dict(first.state_dict())
    v.data = w.data = [7.0, 8.0]
    first.update()
    second.update()
    np.testing.assert_array_equal(first.values["w"], second.values["w"])
    with pytest.raises(ValueError, match="does not fit in w, v"):
        optim.Averaged([("v", v)]).load_state_dict(first.state_dict())
    for state, what in (({}, "w"), ({"values": first.state_dict()["values"]}, "count")):
        with pytest.raises(ValueError, match=f"does not fit in {what}"):
            second.load_state_dict(state)
    assert repr(first) == "mean of 1 tensors over 4 updates"
    assert repr(optim.Averaged([v], 0.5)) == "moving average with decay 0.5 of 1 tensors over 0 updates"


def test_the_average_of_16_bits_is_finer() -> None:
    w = tn.tensor(np.ones(2, np.float16), requires_grad=True)
    average = optim.Averaged(iter([w]), 0.999)
    average.update()
    w.data = np.full(2, 2.0, np.float16)
    average.update()
    (value,) = average.values.values()
    np.testing.assert_allclose(value, 1.001, rtol=1e-6)
    with average.applied():
        assert w.dtype == np.float16
        assert w.data[0] == np.float16(1.001)


def test_a_decay_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"Averaged: decay=1 must be in \[0, 1\)"):
        optim.Averaged([tn.tensor([1.0])], 1)
    with pytest.raises(ValueError, match="Averaged got no parameters"):
        optim.Averaged([])


# -- running statistics ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", [False, True])
def test_update_bn_follows_torch(pairs: bool) -> None:
    torch = pytest.importorskip("torch")
    net = network()
    net[1].momentum = 0.3
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    ).double()
    theirs.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in net.state_dict().items()})
    data = batches(5)
    net.eval()
    net[0].train()
    net(data[0][0])
    optim.update_bn(data if pairs else [x for x, _ in data], net)
    torch.optim.swa_utils.update_bn([torch.from_numpy(x) for x, _ in data], theirs)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(net.state_dict()[name], value.numpy(), rtol=1e-12, err_msg=name)
    assert net[1].momentum == 0.3
    assert [module.training for module in net.modules()] == [False, True, False, False, False]
    optim.update_bn(iter(()), nn.Linear(2, 2))  # nothing to estimate


def test_update_bn_puts_back_what_it_changed_when_a_batch_fails() -> None:
    net = nn.BatchNorm1d(2).eval()
    with pytest.raises(ValueError, match="takes"):
        optim.update_bn([np.ones((3, 3))], net)
    assert net.momentum == 0.1
    assert not net.training

"""Ops whose kernels a program calls by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.ops.layers.convolution import kernel_dispatch
from tapenet.program.native import launches
from tapenet.typing import Array
from tests.kernels import beside

pytest.importorskip("llvmlite")
X = np.random.default_rng(0).normal(size=(16, 3, 20, 20)).astype("f")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """As many threads as before."""
    yield
    tn.set_num_threads(None)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return beside.plans(monkeypatch)


def _step() -> tuple[Callable[[Array, Array], Any], nn.Module]:
    """A training step: direct sums, gathered columns, Winograd's algorithm, strides, depthwise, and their gradients."""
    r = np.random.default_rng(1)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 64, 3, stride=2), nn.ReLU(), nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 3, groups=64, padding=1), nn.Flatten(), nn.Linear(64 * 49, 5),
    )  # fmt: skip
    for p in net.parameters():
        p.data = (r.normal(size=p.shape) * 0.1).astype("f")
    opt = optim.SGD(net.parameters(), lr=0.01)

    def step(x: Array, y: Array) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step, net


@pytest.mark.parametrize("gradient", [True, False])
def test_convolutions_share_a_copy_of_their_images(
    gradient: bool, plans: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the batch innermost, as a convolution and its gradient by the weights read them; one alone makes its own."""
    copies = beside.returned(monkeypatch, launches, "innermost")
    weight = np.random.default_rng(1).normal(size=(16, 3, 3, 3)).astype("f")

    def loss(weight: Any, x: Any) -> Any:
        return (F.conv2d(x, weight, padding=1) ** 2).sum()

    function = tn.grad(loss) if gradient else loss
    compiled = tn.compile(function, backend="native")
    for _ in range(2):
        np.testing.assert_allclose(compiled(weight, X), function(weight, X), rtol=1e-4, atol=1e-2)
    assert len(copies) == gradient
    assert None not in copies
    assert plans
    assert any("put" in launch.code._name for plan in plans for launch in plan.launches) == (not gradient)


def test_a_step_of_convolutions_calls_no_python(plans: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.arange(16) % 5
    eager, net = _step()
    expected = [eager(X, y).item() for _ in range(4)]
    step, compiled = _step()
    step = tn.compile(step, backend="native")
    found = [step(X, y).item()]
    assert plans
    assert None not in plans

    def no(*args: object) -> None:
        raise AssertionError("Python was called")

    for name in ("conv", "input_grad", "weight_grad"):
        monkeypatch.setattr(kernel_dispatch, name, no)
    found += [step(X, y).item() for _ in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for p, q in zip(net.parameters(), compiled.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [20, 8])
def test_products_by_blas_are_recorded(size: int, plans: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """1x1 convolutions of one image; of 64 places the gradient by the weights too. In blocks where there are threads."""
    r = np.random.default_rng(1)
    x, w, b = (r.normal(size=s).astype("f") for s in ((1, 64, size, size), (96, 64, 1, 1), (96,)))
    x = x.transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2)

    def both(x: Array, w: Array, b: Array) -> Any:
        out, pull = tn.vjp(tn.conv2d, x, w, b)
        return (out, *pull(out))

    expected = both(x, w, b)
    monkeypatch.setattr("tapenet.kernels.linear.wide", lambda: False)  # else they are products in panels
    monkeypatch.setattr("tapenet.llvm.sharing.PART", 1)
    monkeypatch.setattr("tapenet.llvm.sharing.BYTE", 0)
    f = tn.compile(both, backend="native")
    f(x, w, b)
    for name in ("conv", "input_grad", "weight_grad"):
        monkeypatch.setattr(kernel_dispatch, name, None)
    for threads in (1, 2):
        tn.set_num_threads(threads)
        for found, value in zip(f(x, w, b), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-3)
    assert plans
    assert None not in plans
    names = {launch.code.symbol().split("_")[0] for plan in plans for launch in plan.launches}
    assert "product" in names


def test_results_are_the_same_for_any_number_of_threads() -> None:
    tn.set_num_threads(2)
    f = tn.compile(lambda x, w: tn.conv2d(x, w, padding=1), backend="native")
    w = np.random.default_rng(1).normal(size=(32, 3, 3, 3)).astype("f")
    expected = [f(X, w).numpy() for _ in range(2)][1]
    for count in (1, 3, 70):  # more than when it was compiled too
        tn.set_num_threads(count)
        assert np.array_equal(f(X, w).numpy(), expected)
    np.testing.assert_allclose(expected, tn.conv2d(X, w, padding=1), rtol=1e-4, atol=1e-5)


def test_loops_with_large_convolutions_are_native(plans: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    w = (np.random.default_rng(1).normal(size=(32, 32, 3, 3)) * 0.05).astype("f")
    x = np.random.default_rng(2).normal(size=(16, 32, 16, 16)).astype("f")
    f = tn.compile(lambda x, w: tn.fori(0, 3, lambda i, x: np.tanh(tn.conv2d(x, w, padding=1)), x), backend="native")
    expected = x
    for _ in range(3):
        expected = np.tanh(tn.conv2d(expected, w, padding=1))
    f(x, w)
    monkeypatch.setattr(kernel_dispatch, "conv", None)
    np.testing.assert_allclose(f(x, w), expected, rtol=1e-4, atol=1e-5)
    assert plans
    assert None not in plans


@pytest.mark.parametrize("wrong", ["writes", "gives", "moves", "fails"])
def test_what_numpy_does_stays_a_call(wrong: str, plans: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A forward that writes by NumPy, gives kernels what NumPy made, or has its result elsewhere is not recorded."""
    conv = kernel_dispatch.conv

    def changed(x: Array, weight: Array, *rest: Any) -> Any:
        if wrong == "gives":
            return conv(x, weight * 2, *rest)
        found = conv(x, weight, *rest)
        assert found is not None
        if wrong == "writes":
            found *= 2
        if wrong == "moves":
            found = found * 2
        if wrong == "fails" and not x.flags.writeable:
            raise ValueError
        return found

    monkeypatch.setattr(kernel_dispatch, "conv", changed)
    w = np.random.default_rng(1).normal(size=(32, 3, 3, 3)).astype("f")
    f = tn.compile(lambda x, w: tn.conv2d(x, w), backend="native")
    first = f(X, w).numpy()
    np.testing.assert_allclose(f(2 * X, w), 2 * first, rtol=1e-5, atol=1e-5)
    assert plans == [None]


@pytest.mark.filterwarnings("error")
def test_what_is_recorded_gives_no_warnings(monkeypatch: pytest.MonkeyPatch, plans: list[Any]) -> None:
    """NumPy computes with whatever is in the memory."""
    infinite = launches._stand_in

    def stand_in(*args: Any) -> Array:
        found = infinite(*args)
        found = np.full_like(found, np.inf)
        found.flags.writeable = False
        return found

    monkeypatch.setattr(launches, "_stand_in", stand_in)
    monkeypatch.setattr(kernel_dispatch, "conv", lambda x, *rest: warned.append(x.ravel()[:1] - x.ravel()[:1]))
    warned: list[Array] = []
    f = tn.compile(lambda x, w: tn.conv2d(x, w), backend="native")
    f(X, np.ones((4, 3, 3, 3), "f"))
    assert plans == [None]
    assert any(np.isnan(w).all() for w in warned)


def test_weights_of_a_frozen_program_are_transformed_once(plans: list[Any]) -> None:
    net = nn.Sequential(nn.Conv2d(32, 64, 3), nn.ReLU()).eval()
    x = np.random.default_rng(2).normal(size=(32, 32, 14, 14)).astype("f")
    f = tn.compile(net, frozen=True, backend="native")
    f(x)
    np.testing.assert_allclose(f(x), net(x).numpy(), rtol=1e-3, atol=1e-4)
    for plan in plans:
        assert plan is not None
        assert not any("kernels" in launch.code.symbol() for launch in plan.launches)


R = np.random.default_rng(3)


def _lstm() -> tuple[nn.Module, Array]:
    return nn.LSTM(24, 40), R.normal(size=(9, 12, 24)).astype("f")


def _gru() -> tuple[nn.Module, Array]:
    return nn.GRU(24, 40, bidirectional=True, num_layers=2), R.normal(size=(9, 12, 24)).astype("f")


def _rnn() -> tuple[nn.Module, Array]:
    return nn.RNN(40, 72, bias=False), R.normal(size=(9, 12, 40)).astype("f")


class _Attention(nn.Module):
    """Heads of self-attention, without projections."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 192)

    def forward(self, x: Any) -> Any:
        q, k, v = (np.swapaxes(a.reshape(4, 96, 4, 16), 1, 2) for a in np.split(self.linear(x), 3, -1))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _attention() -> tuple[nn.Module, Array]:
    return _Attention(), R.normal(size=(4, 96, 64)).astype("f")


class _Masked(_Attention):
    """With a mask, a gradient by another one, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(np.random.default_rng(1).normal(size=(4, 4, 96, 96)).astype("f"))

    def forward(self, x: Any) -> Any:
        q, k, v = (np.swapaxes(a.reshape(4, 96, 4, 16), 1, 2) for a in np.split(self.linear(x), 3, -1))
        keys = np.arange(96) < np.array([96, 40, 7, 1])[:, None, None, None]
        out = F.scaled_dot_product_attention(q, k, v, keys, 0.1)
        return F.scaled_dot_product_attention(out, k, v, self.bias, is_causal=True)


def _masked() -> tuple[nn.Module, Array]:
    return _Masked(), R.normal(size=(4, 96, 64)).astype("f")


def _pooled() -> tuple[nn.Module, Array]:
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(16, 16, 1), nn.MaxPool2d(3, 1))
    return net, X


def _pooled_apart() -> tuple[nn.Module, Array]:
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Conv2d(16, 64, 3, padding=1), nn.MaxPool2d((2, 3))
    )
    return net, X


def _small_maps() -> tuple[nn.Module, Array]:
    """Of nine taps one sees more than border."""
    net = nn.Sequential(
        nn.Conv2d(48, 40, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(40, 160, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(160, 7, 3, padding=1),
    )
    return net, R.normal(size=(64, 48, 1, 1)).astype("f")


def _convolutional() -> tuple[nn.Module, Array]:
    """Of which large products are cut by the number of threads, but for `tn.deterministic`."""
    net = nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48 * 49, 10),
    )  # fmt: skip
    return net, R.normal(size=(64, 1, 28, 28)).astype("f")


@pytest.mark.parametrize(
    "make", [_lstm, _gru, _rnn, _attention, _masked, _pooled, _pooled_apart, _small_maps, _convolutional]
)
def test_a_training_step_calls_no_python(make: Callable[[], tuple[nn.Module, Array]], plans: list[Any]) -> None:
    """Its losses and parameters are the same for any number of threads in tn.deterministic(), and those of eager mode."""

    def trained(threads: int, backend: str = "") -> list[Array]:
        tn.random.seed(0)
        tn.set_num_threads(threads)
        net, _ = make()
        opt = optim.SGD(net.parameters(), lr=0.1)

        def step(x: Array) -> Any:
            out = net(x)
            loss = ((out[0] if isinstance(out, tuple) else out) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        run = tn.compile(step, backend=backend) if backend else step
        losses = [run(x).numpy() for _ in range(4)]
        if backend:
            told = str(run.explain())  # type: ignore[attr-defined]
            assert "run without Python, by kernels or C functions of their own: " in told
            assert "called as they are" not in told
        return [*losses, *(np.array(p.numpy()) for p in net.parameters())]

    x = make()[1]
    with tn.deterministic():
        eager, once, *others = trained(1), *(trained(n, "native") for n in (1, 2, 7))
    assert plans
    assert None not in plans
    for other in others:
        for a, b in zip(once, other, strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(once, eager, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_pools_apart_are_called_only_where_the_places_of_the_largest_are_used(plans: list[Any]) -> None:
    def pool(x: Array) -> Any:
        return tn.max_pool2d(x, 2)

    def gradient(x: Array) -> Any:
        out, pull = tn.vjp(pool, x)
        return pull(out)

    def turns(x: Array) -> Any:
        return tn.fori(0, 2, lambda i, x: gradient(x), x)

    def step(x: Array) -> Any:  # whose rules are read by themselves
        w = tn.tensor(x, requires_grad=True)
        pool(w * 2).sum().backward()
        return w.grad

    for f, called in ((pool, 0), (turns, 0), (gradient, 2), (step, 2)):
        plans.clear()
        expected, run = f(X), tn.compile(f, backend="native")
        run(X)
        np.testing.assert_array_equal(run(X), expected)
        assert len(plans) == called


def test_long_sequences_of_lengths_that_are_given_stay_calls(plans: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the layer does then depends on numbers."""
    monkeypatch.setattr("tapenet.ops.layers.recurrent.layers.WITH_LENGTHS", 0)
    net = nn.LSTM(24, 40)
    h = np.zeros((12, 40), "f")
    x = R.normal(size=(9, 12, 24)).astype("f")

    def f(x: Array, lengths: Array) -> Any:
        return tn.lstm(x, h, h, net.weight_ih_l0, net.weight_hh_l0, lengths=lengths)[0]

    compiled = tn.compile(f, backend="native")
    for lengths in (np.arange(12) % 9 + 1, np.arange(12) % 4 + 1, np.full(12, 9)):
        np.testing.assert_allclose(compiled(x, lengths).numpy(), f(x, lengths).numpy(), rtol=1e-5, atol=1e-6)
    assert plans == [None]
    assert "called as they are:\n  lstm: " in str(compiled.explain())

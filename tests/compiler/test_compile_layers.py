"""Models of all kinds of layers train as they do uncompiled: images, sequences, tokens, what layers draw and keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.nn.utils import parametrizations
from tests.optim.test_capture import MAKERS, parameters
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

STEPS = 8


class Case(NamedTuple):
    """A model, what it is given in each step, its loss, and how it is trained."""

    net: Callable[[], nn.Module]
    given: Callable[[np.random.Generator, int], tuple[Any, ...]]
    loss: Callable[..., Any]
    opt: Callable[[Any], Any] = lambda net: optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    step: Callable[..., Any] | None = None
    rtol: float = 1e-5


def labels(r: np.random.Generator, n: int) -> Any:
    return r.integers(0, 4, n)


def images(r: np.random.Generator, n: int) -> tuple[Any, ...]:
    return r.normal(size=(n, 2, 8, 8)).astype(np.float32), labels(r, n)


def sequences(r: np.random.Generator, n: int) -> tuple[Any, ...]:
    return r.normal(size=(n, 6, 4)).astype(np.float32), labels(r, n)


def of_any_length(r: np.random.Generator, n: int) -> tuple[Any, ...]:
    return (*sequences(r, n), np.sort(r.integers(1, 7, n))[::-1].copy())


def tokens(r: np.random.Generator, n: int) -> tuple[Any, ...]:
    return r.integers(0, 11, (n, 6)), labels(r, n)


def transcripts(r: np.random.Generator, n: int) -> tuple[Any, ...]:
    x = r.normal(size=(7, n, 4)).astype(np.float32)
    return x, r.integers(1, 5, (n, 3)), r.integers(6, 8, n), r.integers(1, 4, n)


def classified(net: Any, x: Any, y: Any, *more: Any) -> Any:
    return F.cross_entropy(net(x, *more), y)


# -- models ------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, channels: int, groups: int = 1) -> None:
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False, groups=groups)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Any) -> Any:
        return F.relu(x + self.norm(self.conv(x)))


def residual() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.GELU(), Residual(4), nn.MaxPool2d(3, 2, 1),
        nn.Dropout2d(0.2), Residual(4, groups=4), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 4),
    )  # fmt: skip


def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.GroupNorm(2, 4), nn.PReLU(4), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ReflectionPad2d(1), nn.Conv2d(4, 4, 3, stride=2), nn.InstanceNorm2d(4, affine=True), nn.ELU(),
        nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1),
    )  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self) -> None:
        self.rnn = nn.LSTM(4, 3, 2, batch_first=True, dropout=0.2, bidirectional=True)
        self.head = parametrizations.weight_norm(nn.Linear(6, 4))

    def forward(self, x: Any, lengths: Any) -> Any:
        return self.head(self.rnn(x, lengths=lengths)[0].sum(axis=1))


class Cells(nn.Module):
    def __init__(self) -> None:
        self.cell = nn.GRUCell(4, 5)
        self.head = nn.Linear(5, 4)

    def forward(self, x: Any) -> Any:
        def turn(h: Any, x: Any) -> Any:
            h = self.cell(x, h)
            return h, None

        start = np.zeros((len(x), 5), np.float32)
        return self.head(tn.scan(turn, start, np.moveaxis(x, 1, 0))[0])


class Attention(nn.Module):
    def __init__(self) -> None:
        self.embedding = nn.Embedding(11, 8, padding_idx=0)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, activation="gelu", batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        return self.head(self.block(self.embedding(x)).mean(axis=1))


def bag() -> nn.Module:
    return nn.Sequential(nn.EmbeddingBag(11, 6), nn.SELU(), nn.AlphaDropout(0.2), nn.RReLU(), nn.Linear(6, 4))


def hooked() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Softplus(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4))
    net[1].register_forward_hook(lambda module, args, out: out * 1.5)
    net[4].register_full_backward_hook(lambda module, by_input, by_output: (by_input[0] * 2,))
    return net


def recognition() -> nn.Module:
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 8)), nn.Tanh(), nn.Linear(8, 5))


def recognised(net: Any, x: Any, targets: Any, lengths: Any, target_lengths: Any) -> Any:
    return F.ctc_loss(F.log_softmax(net(x), -1), targets, lengths, target_lengths)


def several_losses(net: Any, x: Any, y: Any) -> Any:
    out, x = net(x[:, 0]), x[:, 1]
    away = np.where(y > 1, 1, -1)
    return (
        F.triplet_margin_loss(out, x, x[::-1]) + F.gaussian_nll_loss(out, x, np.exp(out[:, :1]))
        + F.cosine_embedding_loss(out, x, away) + F.multi_margin_loss(out, y) + F.smooth_l1_loss(out, x)
        + F.kl_div(F.log_softmax(out, 1), F.softmax(x, 1), reduction="batchmean")
        + F.binary_cross_entropy_with_logits(out, F.sigmoid(x)) + F.cross_entropy(out, y, label_smoothing=0.1)
    )  # fmt: skip


# -- steps -------------------------------------------------------------------------------------------------------


def usual(net: Any, opt: Any, loss_of: Any) -> Any:
    def step(*given: Any) -> Any:
        loss = loss_of(net, *given)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def in_parts(net: Any, opt: Any, loss_of: Any) -> Any:
    """In low precision, a batch in three parts, with an average of the parameters behind."""
    average = optim.Averaged(net, decay=0.9, use_buffers=True)

    def part(*given: Any) -> Any:
        with tn.autocast("bfloat16"):
            return loss_of(net, *given)

    def step(*given: Any) -> Any:
        opt.zero_grad()
        loss = optim.accumulate(part, 3, *given)
        opt.step()
        average.update()
        return loss

    return step


def penalised(net: Any, opt: Any, loss_of: Any) -> Any:
    """With a gradient in the loss."""

    def step(x: Any, *given: Any) -> Any:
        loss, g = tn.value_and_grad(lambda x: loss_of(net, x, *given))(x)
        loss = loss_of(net, x, *given) + 0.1 * (g**2).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


CASES: dict[str, Case] = {
    "residual blocks": Case(residual, images, classified),
    "autoencoder": Case(autoencoder, images, lambda net, x, y: F.mse_loss(net(x), x)),
    "LSTM over lengths": Case(Recurrent, of_any_length, classified),
    "GRU cells in a loop": Case(Cells, sequences, classified),
    "transformer": Case(Attention, tokens, classified),
    "rows of a table": Case(bag, tokens, classified, lambda net: optim.SparseAdam(net.parameters(), lr=0.01)),
    "CTC": Case(recognition, transcripts, recognised),
    "many losses": Case(lambda: nn.Linear(4, 4), sequences, several_losses),
    "hooks and a gradient penalty": Case(hooked, images, classified, step=penalised),
    "parts in bfloat16": Case(residual, images, classified, step=in_parts, rtol=2e-3),
}


def trained(case: Case, compile_step: Callable[[Any], Any]) -> tuple[list[float], nn.Module, Any]:
    """The losses of some steps, of which two have a smaller batch, the model, and the step."""
    tn.random.seed(0)
    net = case.net()
    step = compile_step((case.step or usual)(net, case.opt(net), case.loss))
    tn.random.seed(1)
    r = np.random.default_rng(0)
    return [step(*case.given(r, 3 if i in (3, 6) else 5)).item() for i in range(STEPS)], net, step


@backends
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_training_is_that_of_eager(case: Case, compiled: Compile) -> None:
    if case.step is in_parts:
        pytest.importorskip("ml_dtypes")
    expected, net, _ = trained(case, lambda step: step)
    found, other, step = trained(case, compiled)
    np.testing.assert_allclose(found, expected, rtol=case.rtol)
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(other.state_dict()[name], value, rtol=case.rtol, atol=case.rtol, err_msg=name)
    assert len(step.variants) == 2


@backends
def test_every_rule_of_optimization(compiled: Compile) -> None:
    """Side by side, in one step."""

    def run(compile_step: Callable[[Any], Any]) -> list[Any]:
        params = {name: parameters(np.float32) for name in MAKERS}
        opts = [make(params[name]) for name, make in MAKERS.items()]

        def step(x: Any) -> Any:
            for (w1, b1, w2, b2), opt in zip(params.values(), opts, strict=True):
                loss = ((np.tanh(x @ w1.T + b1) @ w2.T + b2 - 1) ** 2).mean()
                opt.zero_grad()
                loss.backward()
                opt.step()

        step = compile_step(step)
        r = np.random.default_rng(0)
        for _ in range(STEPS):
            step(r.normal(size=(4, 3)).astype(np.float32))
        return [p.data for ps in params.values() for p in ps]

    for name, found, expected in zip(np.repeat(list(MAKERS), 4), run(compiled), run(lambda step: step), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=name)


@backends
def test_training_and_evaluation_take_turns(compiled: Compile) -> None:
    """Each mode has a program, which reads the statistics that the other writes."""
    results = []
    for compile_step in (lambda step: step, compiled):
        tn.random.seed(0)
        net = residual()
        step = compile_step(usual(net, optim.SGD(net.parameters(), lr=0.05), classified))
        predict = compile_step(net)
        r = np.random.default_rng(0)
        for _ in range(4):
            x, y = images(r, 4)
            results.append(step(x, y).data)
            net.eval()
            results.append(predict(x).data)
            net.train()
    half = len(results) // 2
    for found, expected in zip(results[half:], results[:half], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_cross_entropy_of_classes_is_read() -> None:
    r = np.random.default_rng(0)
    f = tn.compile(tn.grad(F.cross_entropy), backend="numpy")
    f(r.normal(size=(5, 4)), labels(r, 5))
    assert f.variants[0].called == []

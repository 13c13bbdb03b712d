"""Every example's training, compiled: from the same start the same losses and parameters as in eager."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import itertools
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

EXAMPLES = Path(__file__).parents[2] / "examples"
#: These train in the middle of the program.
TUTORIAL = ("xor", "xor_conv", "mnist_fc", "mnist_conv")
R = np.random.default_rng(0)


class Task(NamedTuple):
    """A network, what it is trained for, how, and on what."""

    net: nn.Module
    loss: Callable[[Any, Any], Any]
    make: Callable[[Any], optim.Optimizer]
    batches: list[tuple[Any, Any]]


def names_of(example: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    """The names that an example defines; its main part does not run where it is guarded, nor where it trains a `Network`."""
    if example in TUTORIAL:
        lines = (EXAMPLES / f"{example}.py").read_text(encoding="utf-8").splitlines()
        names: dict[str, Any] = {}
        exec("\n".join(itertools.takewhile(lambda line: "net.fit(" not in line, lines)), names)
        return names
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(sys, "argv", [example, *arguments])
    with contextlib.redirect_stdout(io.StringIO()):
        return runpy.run_path(str(EXAMPLES / f"{example}.py"), run_name="example")


def images(n: int, batch: int) -> list[tuple[Any, Any]]:
    data = tn.data.digits()
    return [
        (data.train_images[i * batch : (i + 1) * batch], data.train_labels[i * batch : (i + 1) * batch])
        for i in range(n)
    ]


def one_hot(batches: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [(x, np.eye(10, dtype=np.float32)[y]) for x, y in batches]


def xor(n: dict[str, Any]) -> Task:
    return Task(n["net"], F.mse_loss, lambda p: optim.SGD(p, lr=0.1), [(n["x"], n["y"])] * 20)


def conv(n: dict[str, Any]) -> Task:
    return Task(n["net"], F.mse_loss, lambda p: optim.SGD(p, lr=0.3), [(n["image"], n["target"])] * 5)


def custom(n: dict[str, Any]) -> Task:
    return Task(
        n["net"], lambda out, y: ((out - y) ** 2).mean(), lambda p: optim.Adam(p, lr=0.02), [(n["x"], n["y"])] * 20
    )


def drawn(n: dict[str, Any]) -> Task:
    batches = [(R.uniform(size=(4, 1, 28, 28)).astype(np.float32), R.integers(0, 10, 4)) for _ in range(4)]
    return Task(n["Net"](), F.cross_entropy, lambda p: optim.SGD(p, lr=0.1), batches)


def digits(n: dict[str, Any]) -> Task:
    return Task(n["net"], F.mse_loss, lambda p: optim.SGD(p, lr=0.1), one_hot(images(20, 1)))


def compiled_example(n: dict[str, Any]) -> Task:
    batches = [(x.reshape(-1, 784), y) for x, y in images(8, 50)]
    return Task(n["Net"](), F.cross_entropy, lambda p: optim.Adam(p, lr=2e-3), batches)


def gallery_gpt(n: dict[str, Any]) -> Task:
    def loss(scores: Any, tokens: Any) -> Any:
        return F.cross_entropy(scores.reshape(-1, 65), tokens.reshape(-1))

    batches = [(R.integers(0, 65, (2, 16)), R.integers(0, 65, (2, 16))) for _ in range(4)]
    return Task(n["GPT"](layers=2), loss, lambda p: optim.SGD(p, lr=0.1), batches)


def language_model(n: dict[str, Any]) -> Task:
    # Not by Adam: the gradient by the bias of the keys, which softmax takes off, is nothing but rounding.
    batches = [(x[:4], y[:4]) for x, y in n["Pieces"](n["TOKENS"], 4, R)]
    return Task(n["GPT"](width=16), F.cross_entropy, lambda p: optim.SGD(p, lr=0.1), batches)


def irises(n: dict[str, Any]) -> Task:
    data = tn.data.csv(n["IRISES"], target="species", standardize=True)
    batches = [(data.x[i::4], data.y[i::4]) for i in range(4)]
    return Task(n["network"](4, 3), F.cross_entropy, lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1), batches)


def convolutional(n: dict[str, Any]) -> Task:
    return Task(n["network"](), F.cross_entropy, lambda p: optim.Adam(p, lr=2e-3, eps=1e-4), images(3, 16))


def series(n: dict[str, Any]) -> Task:
    windows = n["mackey_glass"](100).reshape(4, 25, 1)
    batches = [(windows[:, :-1], windows[:, 1:])] * 4
    return Task(n["Forecaster"](8), F.mse_loss, lambda p: optim.Adam(p, lr=1e-2), batches)


def autoencoding(n: dict[str, Any]) -> Task:
    batches = [(x.reshape(-1, 784), y) for x, y in images(4, 16)]
    return Task(n["VAE"](width=16), lambda loss, _: loss, lambda p: optim.Adam(p, lr=2e-3, eps=1e-3), batches)


class Told(nn.Module):
    """A network of several inputs, as one of a tuple."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def forward(self, inputs: Any) -> Any:
        return self.net(*inputs)


def diffusing(n: dict[str, Any]) -> Task:
    batches = list(n["Mixtures"](n["spiral"](R, 200), 4, R))
    return Task(Told(n["Denoiser"](16)), F.mse_loss, lambda p: optim.Adam(p, lr=3e-3), batches)


def denoising(n: dict[str, Any]) -> Task:
    batches = [(n["noisy"](x, R), x) for x, _ in images(3, 4)]
    return Task(n["UNet"](4), F.mse_loss, lambda p: optim.AdamW(p, lr=1e-3, eps=1e-3), batches)


def balancing(n: dict[str, Any]) -> Task:
    def loss(told: Any, played: Any) -> Any:
        (scores, value), (rights, totals) = told, played
        better = totals - value
        return (F.cross_entropy(scores, rights, reduction="none") * better.detach()).mean() + (better**2).mean()

    player = n["Player"](8)
    rounds = iter(n["Rounds"](player, np.random.default_rng(0)))
    batches = [(states, tuple(played)) for states, *played in (next(rounds) for _ in range(3))]
    return Task(player, loss, lambda p: optim.Adam(p, lr=0.01), batches)


class Process(nn.Module):
    """The parameters of a Gaussian process, with the points at which it is observed."""

    def __init__(self) -> None:
        self.log = nn.Parameter(np.array([-2.0, 0.0, -1.0]))

    def forward(self, x: Any) -> Any:
        return x, self.log


def gaussian(n: dict[str, Any]) -> Task:
    x = np.sort(R.uniform(0, 1, 20))
    batches = [(x, np.sin(6 * np.pi * x) + 0.1 * R.normal(size=20)) for _ in range(5)]
    return Task(Process(), lambda out, y: n["surprise"](out[0], y, *out[1]), lambda p: optim.Adam(p, lr=0.1), batches)


def adding(n: dict[str, Any]) -> Task:
    rng = np.random.default_rng(0)
    batches = [(x, sums) for x, _, sums in (n["additions"](rng, 8) for _ in range(4))]
    return Task(n["Adder"](units=8), F.mse_loss, lambda p: optim.Adam(p, lr=0.02), batches)


def residual(n: dict[str, Any]) -> Task:
    def adam(p: Any) -> optim.Optimizer:
        return optim.AdamW(p, lr=optim.warmup(optim.cosine(2e-3, 10), 2), eps=1e-4)

    return Task(n["network"](8), F.cross_entropy, adam, images(4, 16))


def recommending(n: dict[str, Any]) -> Task:
    pairs, scores = n["ratings"](np.random.default_rng(0), 30, 20, 200)
    batches = [(pairs[i : i + 50], scores[i : i + 50]) for i in range(0, 200, 50)]
    return Task(n["Recommender"](30, 20, 8), F.mse_loss, lambda p: optim.SparseAdam(p, lr=0.02), batches)


def equilibrium(n: dict[str, Any]) -> Task:
    batches = [(x.reshape(-1, 784), y) for x, y in images(3, 8)]
    net = nn.Sequential(n["Equilibrium"](784, 8), nn.Linear(8, 10))
    net[0].inner.weight.data = net[0].inner.weight.data * 0.5
    return Task(net, F.cross_entropy, lambda p: optim.SGD(p, lr=0.1), batches)


class Learner(nn.Module):
    """The parameters that are adapted to each task."""

    def __init__(self, n: dict[str, Any]) -> None:
        self.own = [nn.Parameter(p.numpy()) for p in n["initial"](np.random.default_rng(0))]
        self.adapted = n["adapted"]

    def forward(self, x: Any) -> Any:
        return self.adapted(list(self.own), *x)


def learning(n: dict[str, Any]) -> Task:
    rng = np.random.default_rng(0)
    batches = [(n["waves"](rng, 3, 5), n["waves"](rng, 3, 5)) for _ in range(3)]
    return Task(Learner(n), lambda own, y: n["errors"](own, *y).mean(), lambda p: optim.SGD(p, lr=0.01), batches)


TASKS: dict[str, tuple[str, Callable[[dict[str, Any]], Task]]] = {
    "xor": ("xor", xor),
    "xor_conv": ("xor_conv", xor),
    "conv": ("conv", conv),
    "custom_op": ("custom_op", custom),
    "draw_graph": ("draw_graph", drawn),
    "gallery": ("gallery", gallery_gpt),
    "gaussian_process": ("gaussian_process", gaussian),
    "mnist_fc": ("mnist_fc", digits),
    "mnist_conv": ("mnist_conv", digits),
    "compiled": ("compiled", compiled_example),
    "char_gpt": ("char_gpt", language_model),
    "tabular": ("tabular", irises),
    "mnist_cnn": ("mnist_cnn", convolutional),
    "time_series": ("time_series", series),
    "vae": ("vae", autoencoding),
    "diffusion": ("diffusion", diffusing),
    "denoising_unet": ("denoising_unet", denoising),
    "cartpole": ("cartpole", balancing),
    "recurrent": ("recurrent", adding),
    "deep_equilibrium": ("deep_equilibrium", equilibrium),
    "maml": ("maml", learning),
    "digits_modern": ("digits_modern", residual),
    "matrix_factorisation": ("matrix_factorisation", recommending),
}


def train(task: Task, net: nn.Module, compile: Callable[[Any], Any]) -> list[float]:
    """The losses of training a network."""
    opt = task.make(net.parameters())

    def step(x: Any, y: Any) -> Any:
        loss = task.loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    run = compile(step)
    tn.random.seed(7)
    return [run(x, y).item() for x, y in task.batches]


#: Those that are here. They are part of a case's name, so that one without machine code is not taken for one with it.
BACKENDS = ["numpy", *(["native"] if importlib.util.find_spec("llvmlite") else [])]


@pytest.mark.parametrize("name", TASKS, ids=[f"{'-'.join(BACKENDS)}-{name}" for name in TASKS])
def test_an_example_compiled_trains_as_in_eager(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, make = TASKS[name]
    tn.random.seed(0)
    arguments = ["--out", str(tmp_path)] if example in ("draw_graph", "gallery") else []
    task = make(names_of(example, monkeypatch, *arguments))
    nets = [copy.deepcopy(task.net) for _ in BACKENDS]
    expected = train(task, task.net, lambda step: step)
    for backend, net in zip(BACKENDS, nets, strict=True):
        found = train(task, net, lambda step, backend=backend: tn.compile(step, backend=backend))
        np.testing.assert_allclose(found, expected, rtol=2e-4, err_msg=backend)
        for p, q in zip(net.parameters(), task.net.parameters(), strict=True):
            np.testing.assert_allclose(p.data, q.data, rtol=1e-3, atol=2e-5, err_msg=backend)


def test_every_example_is_there() -> None:
    helper = {"pictures"}
    others = {  # each compiles what it needs itself, and asserts a figure of its own
        "bundle_adjustment", "gradient_noise", "hessian_spectrum", "minimal_surface", "optimal_control", "physics_informed",
        "reaction_diffusion", "filter_design", "kinetics", "lifetimes", "implied_volatility", "neural_ode",
        "nuts", "sparse_inverse", "variational",
        "lift_beam", "lift_slingshot", "lift_smile", "lift_smoother",
        "lift_tsunami", "lift_waveform",
        "parallel_gpt", "parallel_hessian", "parallel_mnist", "parallel_model", "parallel_sweep", "dask_sweep", "ray_sweep",
    }  # fmt: skip
    assert {example for example, _ in TASKS.values()} | others == {p.stem for p in EXAMPLES.glob("*.py")} - helper

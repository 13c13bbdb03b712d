"""`tn.compile(model, frozen=True, quantize=examples)`: convolutions and products in integers of 8 bits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.compiler.compile import available_backend
from tapenet.compiler.quantizing import Scale

NATIVE = available_backend() == "native"
BACKENDS = ["numpy"] + ["native"] * NATIVE
R = np.random.default_rng(0)


class _Residual(nn.Module):
    """With a sum in integers, and one of a map that is used again in floats."""

    def __init__(self) -> None:
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, rng=0), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1, rng=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, rng=2)
        )
        self.side = nn.Conv2d(16, 20, 1, stride=2, rng=3)
        self.down = nn.Conv2d(16, 20, 3, stride=2, padding=1, rng=4)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        x = np.maximum(self.body(x) + x, 0)
        x = np.maximum(self.down(x) + self.side(x), 0)
        return np.mean(x, axis=(2, 3))


class _Tagger(nn.Module):
    """With a product in each turn of a loop."""

    def __init__(self) -> None:
        self.layer = nn.LSTM(6, 16, batch_first=True, rng=0)
        self.out = nn.Linear(16, 3, rng=1)

    def forward(self, x: Any) -> Any:
        return self.out(self.layer(x)[0])


def _separable() -> nn.Module:
    return nn.Sequential(
        *[nn.Conv2d(3, 8, 3, stride=2, rng=0), nn.ReLU(), nn.Conv2d(8, 8, (5, 3), padding=1, groups=8, rng=1)],
        *[nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 24, 1, rng=2), nn.Flatten(), nn.Linear(600, 7, rng=3)],
    )


#: Models, the shape of one input, and how far a result may be off, as a part of their mean magnitude.
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], float]] = {
    "residual": (_Residual, (3, 12, 10), 0.03),
    "separable": (_separable, (3, 15, 11), 0.06),
    "dense": (
        lambda: nn.Sequential(nn.Linear(30, 40, rng=0), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 5, rng=1)),
        (30,),
        0.06,
    ),
    "one axis": (
        lambda: nn.Sequential(nn.Conv1d(3, 8, 5, padding=2, rng=0), nn.Tanh(), nn.Conv1d(8, 4, 3, rng=1)), (3, 40), 0.06,
    ),
    "recurrent": (lambda: _Tagger(), (9, 6), 0.06),
    "floats between": (
        lambda: nn.Sequential(nn.Linear(12, 16, rng=0), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3, rng=1)), (12,), 0.06,
    ),
}  # fmt: skip


def inputs(shape: tuple[int, ...], count: int = 6, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_results_are_near_those_of_floats_and_the_same_on_all_backends(name: str) -> None:
    make, shape, most = MODELS[name]
    model = make().eval()
    x = inputs(shape)
    expected = model(x).numpy()
    found = []
    for backend in BACKENDS:
        run = tn.compile(model, backend=backend, frozen=True, quantize=inputs(shape, 50))
        first = run(x).numpy()
        assert np.array_equal(run(x).numpy(), first)  # the call that is captured, too
        (variant,) = run.variants
        body = variant.program.body
        assert not [i for i in body if i.name in ("convolve", "dot", "call")]
        for loop in (i for i in body if i.name == "loop"):
            assert [i.name for i in loop.params["body"].body].count("quantized_convolve") == 1
        assert "in integers of 8 bits" in str(run.explain())
        found.append(first)
        error = np.sqrt(np.mean((first - expected) ** 2) / np.mean(expected**2))
        assert 1e-4 < error < most, error
    np.testing.assert_allclose(found[0], found[-1], rtol=0, atol=1e-5 if name == "residual" else 0.02)
    if name in ("separable", "dense"):  # of integers from the first to the last
        assert np.array_equal(found[0], found[-1])


@pytest.mark.skipif(not NATIVE, reason="needs llvmlite")
def test_convolutions_in_groups_stay_floats() -> None:
    model = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, rng=0), nn.ReLU(), nn.Conv2d(8, 4, 1, rng=1)).eval()
    x = inputs((4, 8, 7))
    run = tn.compile(model, frozen=True, quantize=inputs((4, 8, 7), 20))
    found = [run(x).numpy() for _ in range(2)][1]
    names = [i.name for i in run.variants[0].program.body]
    assert names.count("convolve") == names.count("quantized_convolve") == 1
    expected = model(x).numpy()
    assert np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)) < 0.06


def test_integers_pass_from_convolution_to_convolution() -> None:
    run = tn.compile(_separable().eval(), backend=BACKENDS[-1], frozen=True, quantize=inputs((3, 15, 11), 20))
    for _ in range(2):
        run(inputs((3, 15, 11)))
    body = run.variants[0].program.body
    assert [i.results[0].dtype.name for i in body if i.name == "quantized_convolve"] == ["uint8"] * 3 + ["float32"]
    assert sum(i.name == "rint" for i in body) == 1  # floats become integers once
    assert not [i for i in body if i.name == "cast" and i.results[0].dtype == np.float32]


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_do_not_depend_on_the_batch(backend: str) -> None:
    make, shape, _ = MODELS["dense"]
    x = inputs(shape)
    run = tn.compile(make().eval(), backend=backend, frozen=True, quantize=inputs(shape, 7))
    whole = run(x).numpy()
    for begin, end in ((0, 1), (2, 4)):
        assert np.array_equal(run(x[begin:end]).numpy(), whole[begin:end])


@pytest.mark.parametrize("backend", BACKENDS)
def test_larger_numbers_than_the_examples_are_the_largest(backend: str) -> None:
    layer = nn.Linear(4, 3, rng=0)
    examples = np.array([[-1, 0, 0, 2]], np.float32)
    run = tn.compile(layer, backend=backend, frozen=True, quantize=tn.tensor(examples))
    run(examples)
    x = np.array([[100, -100, np.inf, -np.inf]], np.float32)
    assert np.array_equal(run(x).numpy(), run(np.clip(x, -1, 2)).numpy())
    x[0, 0] = np.nan  # there is none among integers: the least number
    assert np.array_equal(run(x).numpy(), run(np.array([[-1, -1, 2, -1]], np.float32)).numpy())


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_arguments(backend: str) -> None:
    layers = nn.Linear(4, 3, rng=0), nn.Linear(5, 3, rng=1)
    x, y = inputs((4,)), inputs((5,))
    run = tn.compile(lambda a, b: layers[0](a) * layers[1](b), backend=backend, frozen=True, quantize=(x, y))
    expected = (layers[0](x) * layers[1](y)).numpy()
    np.testing.assert_allclose(run(x, y).numpy(), expected, atol=0.05)
    with pytest.raises(ValueError, match="examples for 1 arguments, of 2"):
        tn.compile(lambda a, b: layers[0](a) * layers[1](b), backend=backend, frozen=True, quantize=x)(x, y)


def test_what_does_not_fit() -> None:
    layer = nn.Linear(4, 3, rng=0)
    x = inputs((4,))
    with pytest.raises(ValueError, match="quantize= is for frozen models"):
        tn.compile(layer, quantize=x)
    with pytest.raises(ValueError, match="no examples"):
        tn.compile(layer, frozen=True, quantize=())
    for wrong in (x[:, :3], x[0], x[:0]):
        with pytest.raises(ValueError, match="quantize: examples of shape"):
            tn.compile(layer, frozen=True, quantize=wrong)(x)
    with pytest.raises(ValueError, match="nan or infinity"):
        tn.compile(layer, frozen=True, quantize=x * np.float32(np.nan))(x)
    wide = tn.compile(nn.Linear(4, 3, rng=0).double(), frozen=True, quantize=x.astype(float))  # stays as it is
    assert wide(x.astype(float)).dtype == np.float64
    assert not [i for i in wide.variants[0].program.body if i.name == "quantized_convolve"]
    empty = tn.compile(layer, frozen=True, quantize=x)
    assert empty(x[:0]).shape == (0, 3)


def test_examples_have_the_numbers_of_the_arguments() -> None:
    layer = nn.Linear(4, 3, rng=0)
    images = np.random.default_rng(0).integers(0, 256, (8, 4)).astype(np.uint8)

    def scores(x: Any) -> Any:
        return layer(x.astype(np.float32) / 255)

    with pytest.raises(ValueError, match="examples of float64 for an argument of uint8, which has other numbers"):
        tn.compile(scores, frozen=True, quantize=images / 255)(images)
    as_they_are = tn.compile(scores, frozen=True, quantize=images)(images).numpy()
    for same in (images.astype(np.int64), images.astype(float)):
        assert np.array_equal(tn.compile(scores, frozen=True, quantize=same)(images).numpy(), as_they_are)


def test_values_of_examples_do_not_decide_how_many_elements_there_are() -> None:
    layer = nn.Linear(4, 3, rng=0)
    x = inputs((4,), 32)
    run = tn.compile(lambda x: layer(x[x[:, 0] > 0]), frozen=True, quantize=x)
    with pytest.raises(ValueError, match="decide how many elements there are"):
        run(x[:8])


def test_examples_are_told_to_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    layer = nn.Linear(4, 3, rng=0)

    def scores(x: Any) -> Any:
        tn.debug_print("seen {}", x.sum())
        return layer(x)

    run = tn.compile(scores, frozen=True, quantize=inputs((4,), 16))
    run(inputs((4,), 4))
    assert capsys.readouterr().out.count("seen") == 1


def test_examples_are_kept_by_copies() -> None:
    run = tn.compile(nn.Linear(4, 3, rng=0), frozen=True, quantize=inputs((4,)))
    x = inputs((4,))
    assert np.array_equal(copy.deepcopy(run)(x).numpy(), run(x).numpy())


def test_scales_hold_zero_exactly() -> None:
    for least, greatest in (
        (0.0, 3.0),
        (-1.0, 3.0),
        (2.0, 3.0),
        (-3.0, -2.0),
        (-1e-45, 0.0),
        (-1e-37, 1e-37),
        (0.0, 0.0),
    ):
        scale, zero = Scale.of(least, greatest)
        assert scale > 0
        assert np.isfinite(np.float32(1 / scale))
        assert 0 <= zero <= 255
        low, high = scale * (0 - zero), scale * (255 - zero)
        assert low <= min(least, 0) + scale / 2
        assert high >= max(greatest, 0) - scale / 2
